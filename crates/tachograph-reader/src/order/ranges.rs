//! Ranges of time on a task or a proc: stops of the world, mark assists, sweeps.
//!
//! "Active" says that a range was going on when the generation began: in the first one it makes it known, later it must be
//! known already.

use super::names::Name;
use super::table::Task;
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

    /// The task on the event's thread.
    fn own_task(&mut self, turn: &Turn<'_>) -> Result<&mut Task, Box<Fault>> {
        let id = turn.needs_task()?;
        let slot = self.current_task(turn.seat, id);
        match slot.and_then(|slot| self.tasks.get(slot)) {
            Some(task) => Ok(task),
            None => broken(Fault::UnknownTask(id)),
        }
    }

    pub(super) fn stop_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let generation = turn.generation;
        let name = Name::Defined(StringId(turn.args()[0]));
        let stops = &mut self.own_task(turn)?.notes().stops;
        let is_known = generation.strings.has(turn.args()[0]);
        if is_known && stops.iter().any(|open| open.says(name, generation)) {
            return broken(Fault::RangeActive(STOP));
        }
        stops.push(name);
        turn.done()
    }

    /// The end says what the begin said.
    pub(super) fn stop_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let stops = &mut self.own_task(turn)?.notes().stops;
        if stops.is_empty() {
            return broken(Fault::RangeInactive(STOP));
        }
        let (name, carried) = stops.swap_remove(0).to_record();
        turn.record.args[0] = name;
        turn.record.extra.carried = carried;
        turn.done()
    }

    pub(super) fn assist_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        set(&mut self.own_task(turn)?.assists, ASSIST, true)?;
        turn.done()
    }

    pub(super) fn assist_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        set(&mut self.own_task(turn)?.assists, ASSIST, false)?;
        turn.done()
    }

    pub(super) fn assist_active(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let (id, is_initial) = (TaskId(turn.args()[0]), self.is_initial());
        let slot = self.tasks.find(id);
        match slot.and_then(|slot| self.tasks.get(slot)) {
            Some(task) => Self::confirm(is_initial, &mut task.assists, ASSIST)?,
            None => return broken(Fault::UnknownTask(id)),
        }
        turn.done()
    }

    pub(super) fn sweep_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        turn.needs_proc()?;
        set(&mut self.proc_status_of(turn)?.sweeps, SWEEP, true)?;
        turn.done()
    }

    pub(super) fn sweep_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        turn.needs_proc()?;
        set(&mut self.proc_status_of(turn)?.sweeps, SWEEP, false)?;
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
