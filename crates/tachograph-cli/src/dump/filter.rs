//! Which events are asked for: a stretch of time, some kinds.
//!
//! Owns how times and kinds are typed. Called by `dump`.

use std::str::FromStr;
use tachograph_reader::{Event, Kind};
use tachograph_wire::Nanos;

/// A time as typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// So many nanoseconds after the trace begins.
    After(i64),
    /// On the trace's clock.
    At(Nanos),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "found `{text}`, wanted a time since the start, as 1.5s, 200ms, 3us or 40ns, or nanoseconds of the trace's clock, as @1234"
            )
        };
        if let Some(nanos) = text.strip_prefix('@') {
            return nanos
                .parse()
                .map(|ns| Self::At(Nanos(ns)))
                .map_err(|_| wrong());
        }
        const UNITS: [(&str, f64); 5] = [
            ("ns", 1.0),
            ("us", 1e3),
            ("\u{b5}s", 1e3),
            ("ms", 1e6),
            ("s", 1e9),
        ];
        let unit = UNITS.iter().find_map(|(unit, ns)| {
            let number = text.strip_suffix(unit)?;
            number
                .ends_with(|c: char| c.is_ascii_digit())
                .then_some((number, ns))
        });
        let (number, ns) = unit.ok_or_else(wrong)?;
        let number: f64 = number.parse().map_err(|_| wrong())?;
        match number >= 0.0 && number * ns < i64::MAX as f64 {
            true => Ok(Self::After((number * ns).round() as i64)),
            false => Err(wrong()),
        }
    }
}

impl Moment {
    fn of(self, start: Nanos) -> Nanos {
        match self {
            Self::After(ns) => Nanos(start.0.saturating_add(ns)),
            Self::At(time) => time,
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What events are about.
        #[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
        pub enum About { $($(#[$doc])* $name,)* }
    };
}

kinds! {
    /// Beginnings of generations and the end.
    Sync,
    /// Heap sizes, number of procs.
    Metric,
    /// Labels of tasks.
    Label,
    /// CPU samples.
    Sample,
    /// Collections, sweeps, stopped worlds.
    Range,
    /// Annotation tasks.
    Task,
    /// Annotated regions.
    Region,
    /// Messages.
    Log,
    /// Changes of state.
    Transition,
    /// Events of experiments.
    Experimental,
}

impl About {
    /// What an event is about; `None` for what is not known here.
    #[inline]
    pub fn of(kind: &Kind<'_>) -> Option<Self> {
        Some(match kind {
            Kind::Sync(_) => Self::Sync,
            Kind::Metric(_) => Self::Metric,
            Kind::Label(_) => Self::Label,
            Kind::Sample => Self::Sample,
            Kind::RangeBegin(_) | Kind::RangeActive(_) | Kind::RangeEnd(_) => Self::Range,
            Kind::TaskBegin(_) | Kind::TaskEnd(_) => Self::Task,
            Kind::RegionBegin(_) | Kind::RegionEnd(_) => Self::Region,
            Kind::Log(_) => Self::Log,
            Kind::Transition(_) => Self::Transition,
            Kind::Experimental(_) => Self::Experimental,
            _ => return None,
        })
    }
}

/// What is asked for, as typed.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "filter")]
pub struct Args {
    /// Leave out what is earlier: 1.5s, 200ms, 3us, 40ns after the start of the trace, or @NANOSECONDS of its clock.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<Moment>,
    /// Leave out what is at this time or later.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<Moment>,
    /// Leave out all other kinds; may be given more than once, or with commas.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_enum)]
    kind: Vec<About>,
}

impl Args {
    /// Whether anything is left out.
    pub fn is_anything(&self) -> bool {
        self.from.is_some() || self.to.is_some() || !self.kind.is_empty()
    }

    /// Refuses an end before the beginning. Times of the two ways to say one can only be compared within a trace.
    pub fn refuse_backwards(&self) -> anyhow::Result<()> {
        let backwards = match (self.from, self.to) {
            (Some(Moment::After(from)), Some(Moment::After(to))) => from > to,
            (Some(Moment::At(from)), Some(Moment::At(to))) => from > to,
            _ => false,
        };
        if backwards {
            anyhow::bail!("--from is later than --to, so that nothing is left; exchange them");
        }
        Ok(())
    }
}

/// What is asked for of a trace.
#[derive(Clone, Debug)]
pub struct Filter {
    args: Args,
    /// Once the trace has begun.
    window: Option<(Nanos, Option<Nanos>)>,
}

/// What to do with an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Show it.
    Take,
    /// Leave it out.
    Leave,
    /// Leave it out, and all that follow.
    Over,
}

impl Filter {
    /// Nothing was read.
    pub fn new(args: Args) -> Self {
        Self { args, window: None }
    }

    /// Whether the event is asked for. Events are to come in their order, from the first on.
    #[inline]
    pub fn of(&mut self, event: &Event<'_>) -> Verdict {
        let time = event.time();
        let (from, to) = *self.window.get_or_insert_with(|| {
            let of = |moment: Option<Moment>| moment.map(|moment| moment.of(time));
            let from = of(self.args.from).unwrap_or(Nanos(i64::MIN));
            (from, of(self.args.to))
        });
        if time < from {
            return Verdict::Leave;
        }
        if to.is_some_and(|to| time >= to) {
            return Verdict::Over;
        }
        let kinds = &self.args.kind;
        let wanted = kinds.is_empty()
            || About::of(&event.kind()).is_some_and(|about| kinds.contains(&about));
        match wanted {
            true => Verdict::Take,
            false => Verdict::Leave,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_with_their_units() {
        let after = |ns| Ok(Moment::After(ns));
        assert_eq!("1.5s".parse(), after(1_500_000_000));
        assert_eq!("200ms".parse(), after(200_000_000));
        assert_eq!("3us".parse(), after(3000));
        assert_eq!("3\u{b5}s".parse(), after(3000));
        assert_eq!("40ns".parse(), after(40));
        assert_eq!("0s".parse(), after(0));
        assert_eq!("@-7".parse(), Ok(Moment::At(Nanos(-7))));
    }

    #[test]
    fn refuses_times_without_units_and_what_is_no_time() {
        for text in [
            "", "5", "s", "-1s", "1h", "nans", "infs", "1e99s", "@", "@1s", "1 s",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text:?}");
        }
    }
}
