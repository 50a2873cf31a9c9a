//! Ranges of time on a task or a proc: stops of the world, mark assists, sweeps.
//!
//! "Active" says that a range was going on when the generation began: in the first one it makes it known, later it must be
//! known already.

use super::names::Name;
use super::table::OpenRange;
use super::{Advanced, Model, Turn, broken};
use crate::error::Fault;
use tachograph_wire::{ProcId, StringId, TaskId};

const ASSIST: &str = "a mark assist";
const SWEEP: &str = "a sweep";
const STOP: &str = "a stop of the world";

/// Begins or confirms a range that is on or off.
fn set(range: &mut bool, name: &'static str, wanted: bool) -> Result<(), Box<Fault>> {
    match (*range, wanted) {
        (true, true) => broken(Fault::RangeActive(name)),
        (false, false) => broken(Fault::RangeInactive(name)),
        _ => {
            *range = wanted;
            Ok(())
        }
    }
}

/// Where a task's mark assist is.
fn assist(ranges: &[OpenRange]) -> Option<usize> {
    let is_assist = |range: &OpenRange| matches!(range, OpenRange::Assist);
    ranges.iter().position(is_assist)
}

impl Model {
    /// "Active" of a range that is on or off.
    fn confirm(is_initial: bool, range: &mut bool, name: &'static str) -> Result<(), Box<Fault>> {
        if is_initial {
            return set(range, name, true);
        }
        if *range {
            return Ok(());
        }
        broken(Fault::RangeInactive(name))
    }

    /// The ranges of the task on the event's thread.
    fn own_ranges(&mut self, turn: &Turn<'_>) -> Result<&mut Vec<OpenRange>, Box<Fault>> {
        let id = turn.needs_task()?;
        let slot = self.current_task(turn.seat, id);
        match slot.and_then(|slot| self.tasks.notes(slot)) {
            Some(notes) => Ok(&mut notes.ranges),
            None => broken(Fault::UnknownTask(id)),
        }
    }

    pub(super) fn stop_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let wanted = StringId(turn.args()[0]);
        let ranges = self.own_ranges(turn)?;
        let is_same = |range: &OpenRange| match range {
            OpenRange::Assist => false,
            OpenRange::Stop { kind, .. } => *kind == wanted,
        };
        if ranges.iter().any(is_same) {
            return broken(Fault::RangeActive(STOP));
        }
        ranges.push(OpenRange::Stop {
            kind: wanted,
            name: Name::Defined(wanted),
        });
        turn.done()
    }

    /// The end says what the begin said.
    pub(super) fn stop_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let ranges = self.own_ranges(turn)?;
        let stops = ranges.iter().enumerate();
        let first = stops.filter_map(|(place, range)| match range {
            OpenRange::Assist => None,
            OpenRange::Stop { name, .. } => Some((place, *name)),
        });
        let Some((place, name)) = { first }.next() else {
            return broken(Fault::RangeInactive(STOP));
        };
        // As Go does, which matters where one task has several.
        ranges.swap_remove(place);
        let (name, carried) = name.to_record();
        turn.record.args[0] = name;
        turn.record.extra.carried = carried;
        turn.done()
    }

    pub(super) fn assist_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let ranges = self.own_ranges(turn)?;
        if assist(ranges).is_some() {
            return broken(Fault::RangeActive(ASSIST));
        }
        ranges.push(OpenRange::Assist);
        turn.done()
    }

    pub(super) fn assist_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let ranges = self.own_ranges(turn)?;
        let Some(place) = assist(ranges) else {
            return broken(Fault::RangeInactive(ASSIST));
        };
        ranges.swap_remove(place);
        turn.done()
    }

    pub(super) fn assist_active(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let (id, is_initial) = (TaskId(turn.args()[0]), self.is_initial());
        let slot = self.tasks.find(id);
        let Some(notes) = slot.and_then(|slot| self.tasks.notes(slot)) else {
            return broken(Fault::UnknownTask(id));
        };
        match (is_initial, assist(&notes.ranges)) {
            (true, None) => notes.ranges.push(OpenRange::Assist),
            (true, Some(_)) => return broken(Fault::RangeActive(ASSIST)),
            (false, Some(_)) => {}
            (false, None) => return broken(Fault::RangeInactive(ASSIST)),
        }
        turn.done()
    }

    pub(super) fn sweep_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        turn.needs_proc()?;
        set(&mut self.own_proc(turn)?.sweeps, SWEEP, true)?;
        turn.done()
    }

    pub(super) fn sweep_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        turn.needs_proc()?;
        set(&mut self.own_proc(turn)?.sweeps, SWEEP, false)?;
        turn.done()
    }

    pub(super) fn sweep_active(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let (id, is_initial) = (ProcId(turn.args()[0]), self.is_initial());
        let slot = self.procs.find(id);
        match slot.and_then(|slot| self.procs.get(slot)) {
            Some(proc) => Self::confirm(is_initial, &mut proc.sweeps, SWEEP)?,
            None => return broken(Fault::UnknownProc(id)),
        }
        turn.done()
    }
}
