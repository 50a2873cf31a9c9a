//! What the program says of itself: annotation tasks and regions.
//!
//! Little can be wrong with them: a task may end that nobody saw begin, and end again; a region may have begun before the trace.

use super::names::{Carrier, Name};
use super::{Advanced, Model, Turn, broken};
use crate::error::Fault;
use crate::record::NONE;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tachograph_wire::{StringId, UserTaskId};

/// Annotation tasks that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct UserTasks {
    open: HashMap<UserTaskId, OpenTask, foldhash::fast::FixedState>,
}

#[derive(Clone, Copy, Debug)]
struct OpenTask {
    name: Name,
    /// [`NONE`] if it has none.
    parent: u64,
}

/// A region that has begun and not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenRegion {
    task: UserTaskId,
    pub name: Name,
}

impl UserTasks {
    /// Takes the names of open tasks over to the next generation.
    pub fn carry(&mut self, carrier: &mut Carrier<'_>) {
        for task in self.open.values_mut() {
            carrier.carry(&mut task.name);
        }
    }
}

/// A name that is defined in the event's generation (O15).
fn defined(turn: &Turn<'_>, id: u64) -> Result<Name, Box<Fault>> {
    // In a generation that is cut off, tables may be missing.
    if turn.generation.strings.has(id) || turn.generation.is_cut {
        return Ok(Name::Defined(StringId(id)));
    }
    broken(Fault::UndefinedName(StringId(id)))
}

impl Model {
    pub(super) fn user_task_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let [id, parent, name, stack] = turn.args();
        let Entry::Vacant(place) = self.user_tasks.open.entry(UserTaskId(id)) else {
            return broken(Fault::TaskActive(UserTaskId(id)));
        };
        let text = defined(turn, name)?;
        turn.needs_task()?;
        let parent = if parent == UserTaskId::BACKGROUND.0 {
            NONE
        } else {
            parent
        };
        place.insert(OpenTask { name: text, parent });
        turn.record.args = [id, parent, name, stack];
        turn.done()
    }

    /// Says again what the begin said, whose strings may be gone.
    pub(super) fn user_task_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let [id, stack, ..] = turn.args();
        let begun = self.user_tasks.open.remove(&UserTaskId(id));
        turn.needs_task()?;
        let OpenTask { name, parent } = begun.unwrap_or(OpenTask {
            name: Name::Defined(StringId::EMPTY),
            parent: NONE,
        });
        let (name, carried) = name.to_record();
        turn.record.args = [id, parent, name, stack];
        turn.record.extra.carried = carried;
        turn.done()
    }

    #[inline]
    pub(super) fn region_begin(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let id = turn.needs_task()?;
        let [task, name, ..] = turn.args();
        let name = defined(turn, name)?;
        let slot = self.current_task(turn.seat, id);
        let Some(notes) = slot.and_then(|slot| self.tasks.notes(slot)) else {
            return broken(Fault::UnknownTask(id));
        };
        let task = UserTaskId(task);
        notes.regions.push(OpenRegion { task, name });
        turn.done()
    }

    #[inline]
    pub(super) fn region_end(&mut self, turn: &mut Turn<'_>) -> Advanced {
        let id = turn.needs_task()?;
        let [task, name, ..] = turn.args();
        let (task, name) = (UserTaskId(task), defined(turn, name)?);
        let slot = self.current_task(turn.seat, id);
        let Some(own) = slot.and_then(|slot| self.tasks.get(slot)) else {
            return broken(Fault::UnknownTask(id));
        };
        let Some(regions) = own.notes_if_any().map(|notes| &mut notes.regions) else {
            return turn.done();
        };
        if let Some(innermost) = regions.last() {
            if innermost.task != task || !innermost.name.may_say(name, turn.generation) {
                let text = |name: Name| name.text(turn.generation).to_string();
                return broken(Fault::Region {
                    found: (task, text(name)),
                    wanted: (innermost.task, text(innermost.name)),
                });
            }
            regions.pop();
        }
        turn.done()
    }
}
