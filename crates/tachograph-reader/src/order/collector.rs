//! The collector's mark phase, of which there is one at a time in the program.
//!
//! Begin, "active" at the start of each generation, and end may come from different threads, so they carry sequence numbers that count
//! through the whole trace.

use super::{Advanced, Model, Step, Turn, broken};
use crate::error::Fault;

/// What the collector is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Phase {
    /// Nothing has been said yet.
    #[default]
    Undetermined,
    Idle,
    Marking,
}

/// The collector.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Collector {
    phase: Phase,
    /// Of the last event.
    number: u64,
}

impl Collector {
    fn is_next(self, number: u64) -> bool {
        self.number.wrapping_add(1) == number
    }

    fn does(self) -> &'static str {
        match self.phase {
            Phase::Undetermined => "in a state that nothing has told",
            Phase::Idle => IDLE,
            Phase::Marking => MARKING,
        }
    }

    /// What it does and how far it has counted.
    pub fn tells(self) -> String {
        format!("now {} at number {}", self.does(), self.number)
    }

    fn disagrees<T>(self, wanted: &'static str) -> Result<T, Box<Fault>> {
        let found = self.does();
        broken(Fault::Collector { found, wanted })
    }
}

const MARKING: &str = "marking";
const IDLE: &str = "not marking";

impl Model {
    pub(super) fn gc_active(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let number = turn.args()[0];
        let collector = self.collector;
        if self.is_initial() {
            if collector.phase != Phase::Undetermined {
                return collector.disagrees("in a state that nothing has told");
            }
            return self.marks(turn, Phase::Marking);
        }
        if !collector.is_next(number) {
            return Ok(Step::NotYet);
        }
        if collector.phase != Phase::Marking {
            return collector.disagrees(MARKING);
        }
        turn.needs_task()?;
        self.marks(turn, Phase::Marking)
    }

    pub(super) fn gc_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let number = turn.args()[0];
        let collector = self.collector;
        if collector.phase == Phase::Undetermined {
            return self.marks(turn, Phase::Marking);
        }
        if !collector.is_next(number) {
            return Ok(Step::NotYet);
        }
        if collector.phase == Phase::Marking {
            return collector.disagrees(IDLE);
        }
        turn.needs_task()?;
        self.marks(turn, Phase::Marking)
    }

    pub(super) fn gc_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let number = turn.args()[0];
        let collector = self.collector;
        if !collector.is_next(number) {
            return Ok(Step::NotYet);
        }
        if collector.phase != Phase::Marking {
            return collector.disagrees(MARKING);
        }
        turn.needs_task()?;
        self.marks(turn, Phase::Idle)
    }

    fn marks(&mut self, turn: &mut Turn<'_>, phase: Phase) -> Advanced {
        let number = turn.args()[0];
        self.collector = Collector { phase, number };
        turn.done()
    }
}
