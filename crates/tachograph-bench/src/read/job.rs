//! What is measured of ours, each in a process of its own that prints one line.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::Instant;

use tachograph_reader::validate::Validator;
use tachograph_reader::{Ahead, Index, Reader};
use tachograph_wire::limits::MAX_EVENT_ARGS;
use tachograph_wire::record::read_event;
use tachograph_wire::{BatchKind, Item, TraceItems};

use super::process::{Cores, Outcome};
use crate::failure::Failure;
use crate::sys;

/// See the module's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Job {
    /// Items and events of all batches, without order: what reading costs at least.
    Decode,
    /// Places of the generations, no events.
    Index,
    /// Ordered events, read piece by piece.
    Ordered,
    /// The same, each put through the validator.
    Validated,
    /// Ordered events, read ahead on other threads.
    Ahead,
    /// The same, each put through the validator.
    AheadValidated,
    /// The job of `Validated`, twice at once: what two cores of this machine can do at most, with nothing shared.
    Twice,
}

impl Job {
    /// In the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Decode,
        Self::Index,
        Self::Ordered,
        Self::Validated,
        Self::Ahead,
        Self::AheadValidated,
        Self::Twice,
    ];

    /// For the table, and between processes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode, no order",
            Self::Index => "index",
            Self::Ordered => "ordered",
            Self::Validated => "ordered, validated",
            Self::Ahead => "ahead, ordered",
            Self::AheadValidated => "ahead, ordered, validated",
            Self::Twice => "ordered, validated, twice at once",
        }
    }

    /// The job of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|job| job.name() == name)
    }

    /// Where it is measured.
    pub const fn cores(self) -> &'static [Cores] {
        match self {
            Self::Ahead | Self::AheadValidated | Self::Twice => &[Cores::Two],
            _ => &[Cores::One],
        }
    }

    /// Does it and prints the outcome.
    pub fn run(self, file: &Path) -> Result<(), Failure> {
        let name = || file.display().to_string();
        let input = File::open(file).map_err(Failure::io(name()))?;
        let before = sys::allocations();
        let start = Instant::now();
        let events = match self {
            Self::Twice => twice(file),
            _ => self.count(input),
        };
        let ns = start.elapsed().as_nanos() as u64;
        let allocations = sys::allocations() - before;
        let events = events.map_err(|error| Failure::io(name())(io::Error::other(error)))?;
        let outcome = Outcome {
            events,
            ns,
            cpu_ns: sys::process_cpu_ns(),
            allocations,
            most_resident_bytes: sys::most_resident_bytes()
                .map_err(Failure::io("asking for the peak of memory"))?,
        };
        println!("{outcome}");
        Ok(())
    }

    /// How many events there are.
    fn count(self, input: File) -> Result<u64, Error> {
        match self {
            Self::Decode => decode(input),
            Self::Index => {
                let index = Index::of_file(input)?;
                black_box(&index);
                Ok(0)
            }
            Self::Ordered => {
                let mut reader = Reader::new(input)?;
                let mut events = 0;
                while let Some(event) = reader.next_event()? {
                    black_box(&event);
                    events += 1;
                }
                Ok(events)
            }
            Self::Validated | Self::Twice => {
                let mut reader = Reader::new(input)?;
                let mut validator = Validator::new(reader.version());
                let mut events = 0;
                while let Some(event) = reader.next_event()? {
                    validator.event(&event).map_err(invalid)?;
                    events += 1;
                }
                Ok(events)
            }
            Self::Ahead => {
                let mut reader = Ahead::new(input)?;
                let mut events = 0;
                while let Some(event) = reader.next_event()? {
                    black_box(&event);
                    events += 1;
                }
                Ok(events)
            }
            Self::AheadValidated => {
                let mut reader = Ahead::new(input)?;
                let mut validator = Validator::new(reader.version());
                let mut events = 0;
                while let Some(event) = reader.next_event()? {
                    validator.event(&event).map_err(invalid)?;
                    events += 1;
                }
                Ok(events)
            }
        }
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

fn invalid(violations: impl std::fmt::Display) -> Error {
    violations.to_string().into()
}

fn twice(file: &Path) -> Result<u64, Error> {
    let one = || Job::Validated.count(File::open(file)?);
    std::thread::scope(|scope| {
        let other = scope.spawn(one);
        let own = one()?;
        Ok(own + other.join().map_err(|_| "the other reader panicked")??)
    })
}

fn decode(input: File) -> Result<u64, Error> {
    let mut items = TraceItems::new(input)?;
    let version = items.version();
    let mut events = 0;
    while let Some(item) = items.next_item() {
        let Item::Batch(batch) = item? else { continue };
        if batch.kind(version) == BatchKind::Events {
            let (mut payload, mut args) = (batch.payload, [0; MAX_EVENT_ARGS]);
            while !payload.is_empty() {
                let event = read_event(payload, batch.payload_offset, &mut args)?;
                black_box((&event, &args));
                payload = &payload[event.len..];
                events += 1;
            }
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_found_by_its_name() {
        for job in Job::ALL {
            assert_eq!(Job::named(job.name()), Some(job));
        }
    }
}
