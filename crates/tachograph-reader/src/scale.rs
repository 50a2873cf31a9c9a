//! From ticks to nanoseconds, as Go does it.
//!
//! Go converts each delta by itself, through `f64` and truncating, and adds up the results (Go file `internal/trace/batchcursor.go`); whoever
//! wants its times must do the same. Where a tick is a whole number of nanoseconds, that is a multiplication.

use tachograph_wire::{Frequency, Nanos, Ticks};

/// Products up to here are exact in `f64`.
const EXACT: u64 = 1 << 53;

/// Nanoseconds per tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    ns_per_tick: f64,
    /// The same as a whole number, or 0.
    whole: u64,
    /// Most ticks for which the whole number is exact.
    limit: u64,
}

impl Scale {
    /// The scale of ticks of this frequency, which must not be 0.
    pub fn of(frequency: Frequency) -> Self {
        let ns_per_tick = frequency.ns_per_tick();
        let is_whole = ns_per_tick.fract() == 0.0 && (1.0..=1e9).contains(&ns_per_tick);
        let whole = if is_whole { ns_per_tick as u64 } else { 0 };
        Self {
            ns_per_tick,
            whole,
            limit: if is_whole { EXACT / whole } else { 0 },
        }
    }

    /// Length of `ticks`, truncated and saturating.
    #[inline]
    pub fn nanos(self, ticks: Ticks) -> Nanos {
        if ticks.0 < self.limit {
            Nanos((ticks.0 * self.whole) as i64)
        } else {
            Nanos((ticks.0 as f64 * self.ns_per_tick) as i64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_floating_point_conversion() {
        for frequency in [
            15_625_000,
            125_000_000,
            1_000_000_000,
            3_000_000_000,
            24_000_000,
            1,
            7,
        ] {
            let frequency = Frequency(frequency);
            let scale = Scale::of(frequency);
            for bit in 0..64 {
                for ticks in [(1 << bit) - 1, 1 << bit, (1 << bit) + 12345] {
                    assert_eq!(
                        scale.nanos(Ticks(ticks)),
                        frequency.nanos(Ticks(ticks)),
                        "{ticks} of {frequency}"
                    );
                }
            }
        }
    }
}
