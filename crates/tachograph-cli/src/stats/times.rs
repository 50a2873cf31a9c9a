//! Times of a generation in nanoseconds, although its frequency may stand at its end.
//!
//! Go's reader converts a batch's time as a whole and then each delta by itself, dropping fractions each time. We do
//! the same once the frequency is known. Writers before Go 1.25 put it last; their batches are converted as a whole
//! instead, which is the same for all frequencies with a whole number of nanoseconds per tick, the only ones that
//! Go writes outside of Windows. Called by `generation`.

use tachograph_wire::{Frequency, Nanos, Ticks};

/// Walks over the times of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchClock {
    ticks: Ticks,
    ns: Option<(Frequency, i64)>,
}

impl BatchClock {
    /// Stands at the batch's own time.
    pub fn new(time: Ticks, frequency: Option<Frequency>) -> Self {
        Self {
            ticks: time,
            ns: frequency.map(|frequency| (frequency, frequency.nanos(time).0)),
        }
    }

    /// Moves to the next event.
    #[inline]
    pub fn advance(&mut self, dt: Ticks) {
        self.ticks = self.ticks + dt;
        if let Some((frequency, ns)) = &mut self.ns {
            *ns = ns.saturating_add(frequency.nanos(dt).0);
        }
    }
}

/// Earliest and latest of some times.
#[derive(Clone, Copy, Default, Debug)]
pub struct Span {
    ticks: Option<(Ticks, Ticks)>,
    /// Latest of those that were converted event by event.
    latest_ns: Option<i64>,
}

impl Span {
    /// Reaches to a time that stands for itself.
    pub fn include(&mut self, time: Ticks) {
        self.ticks = Some(match self.ticks {
            None => (time, time),
            Some((first, last)) => (first.min(time), last.max(time)),
        });
    }

    /// Reaches to the time that a batch has come to.
    pub fn include_end(&mut self, clock: &BatchClock) {
        match clock.ns {
            Some((_, ns)) => self.latest_ns = self.latest_ns.max(Some(ns)),
            None => self.include(clock.ticks),
        }
    }

    /// The earliest time; unknown without times or frequency.
    pub fn first(&self, frequency: Option<Frequency>) -> Option<Nanos> {
        Some(frequency?.nanos(self.ticks?.0))
    }

    /// The latest time; unknown without times or frequency.
    pub fn last(&self, frequency: Option<Frequency>) -> Option<Nanos> {
        let whole = frequency?.nanos(self.ticks?.1).0;
        Some(Nanos(whole.max(self.latest_ns.unwrap_or(whole))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2.5 ns per tick.
    const ODD: Frequency = Frequency(400_000_000);

    fn end_of(frequency_before: Option<Frequency>) -> Option<Nanos> {
        let mut span = Span::default();
        span.include(Ticks(3));
        let mut clock = BatchClock::new(Ticks(3), frequency_before);
        clock.advance(Ticks(1));
        clock.advance(Ticks(1));
        span.include_end(&clock);
        span.last(Some(ODD))
    }

    #[test]
    fn drops_fractions_at_each_event_as_go_does() {
        assert_eq!(end_of(Some(ODD)), Some(Nanos(7 + 2 + 2)));
    }

    #[test]
    fn converts_as_a_whole_where_the_frequency_comes_late() {
        assert_eq!(end_of(None), Some(Nanos(12)));
    }

    #[test]
    fn knows_no_time_without_frequency() {
        let mut span = Span::default();
        assert_eq!(span.first(Some(ODD)), None);
        span.include(Ticks(4));
        span.include(Ticks(2));
        assert_eq!((span.first(None), span.last(None)), (None, None));
        assert_eq!(span.first(Some(ODD)), Some(Nanos(5)));
        assert_eq!(span.last(Some(ODD)), Some(Nanos(10)));
    }
}
