//! Tables of tasks and procs: slots that are found by id, and by a hint without looking.

use super::annotations::OpenRegion;
use super::names::{Carrier, Name};
use std::collections::HashMap;
use tachograph_wire::{Generation, ProcId, ProcStatus, StringId, TaskId, TaskStatus};

/// A sequence number of a proc or task, which counts within one generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sequence {
    pub epoch: Generation,
    pub number: u64,
}

impl Sequence {
    /// Where counting begins in a generation.
    pub const fn start(epoch: Generation) -> Self {
        Self { epoch, number: 0 }
    }

    /// Whether `number`, in the generation `epoch`, comes right after it.
    #[inline]
    pub fn precedes(self, epoch: Generation, number: u64) -> bool {
        self.epoch == epoch && self.number.checked_add(1) == Some(number)
    }
}

/// A living task.
#[derive(Debug)]
pub(super) struct Task {
    id: TaskId,
    pub status: TaskStatus,
    is_alive: bool,
    pub sequence: Sequence,
    /// Most tasks have none; those of the dead are kept for who comes next.
    notes: Option<Box<Notes>>,
}

/// What few tasks have.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Regions that are open, the innermost last.
    pub regions: Vec<OpenRegion>,
    /// Ranges that are going on.
    pub ranges: Vec<OpenRange>,
}

/// A range that is going on in a task.
#[derive(Clone, Copy, Debug)]
pub(super) enum OpenRange {
    /// It helps the collector.
    Assist,
    /// It has stopped the world.
    Stop {
        /// The kind's string when it began: two stops are the same if this is, whatever it says now.
        kind: StringId,
        name: Name,
    },
}

impl Task {
    /// Its notes, if it has any.
    pub fn notes_if_any(&mut self) -> Option<&mut Notes> {
        self.notes.as_deref_mut()
    }
}

/// A proc.
#[derive(Debug)]
pub(super) struct Proc {
    id: ProcId,
    pub status: ProcStatus,
    /// Whether it sweeps.
    pub sweeps: bool,
    pub sequence: Sequence,
}

/// All living tasks.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    by_id: HashMap<TaskId, u32, foldhash::fast::FixedState>,
    slots: Vec<Task>,
    free: Vec<u32>,
    /// Slots with notes.
    noted: Vec<u32>,
}

/// All procs.
#[derive(Debug, Default)]
pub(super) struct Procs {
    by_id: HashMap<ProcId, u32, foldhash::fast::FixedState>,
    slots: Vec<Proc>,
}

impl Tasks {
    /// The slot of a living task.
    #[inline]
    pub fn find(&self, id: TaskId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// The same, where `hint` is most often right.
    #[inline]
    pub fn find_near(&self, id: TaskId, hint: u32) -> Option<u32> {
        match self.slots.get(hint as usize) {
            Some(task) if task.id == id && task.is_alive => Some(hint),
            _ => self.find(id),
        }
    }

    /// The task in a slot that was found.
    #[inline]
    pub fn get(&mut self, slot: u32) -> Option<&mut Task> {
        self.slots.get_mut(slot as usize)
    }

    /// The notes of the task in a slot that was found, to write to.
    #[inline]
    pub fn notes(&mut self, slot: u32) -> Option<&mut Notes> {
        let task = self.slots.get_mut(slot as usize)?;
        if task.notes.is_none() {
            self.noted.push(slot);
        }
        Some(task.notes.get_or_insert_default())
    }

    /// A task comes to be, and its slot; `None` if it is there already.
    #[inline]
    pub fn create(&mut self, id: TaskId, status: TaskStatus, epoch: Generation) -> Option<u32> {
        use std::collections::hash_map::Entry;
        let Entry::Vacant(place) = self.by_id.entry(id) else {
            return None;
        };
        let sequence = Sequence::start(epoch);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.slots.len() as u32,
        };
        place.insert(slot);
        if let Some(task) = self.slots.get_mut(slot as usize) {
            (task.id, task.status, task.sequence) = (id, status, sequence);
            task.is_alive = true;
        } else {
            self.slots.push(Task {
                id,
                status,
                is_alive: true,
                sequence,
                notes: None,
            });
        }
        Some(slot)
    }

    /// The task in the slot is gone.
    #[inline]
    pub fn remove(&mut self, slot: u32) {
        let Some(task) = self.slots.get_mut(slot as usize) else {
            return;
        };
        task.is_alive = false;
        if let Some(notes) = &mut task.notes {
            notes.regions.clear();
            notes.ranges.clear();
        }
        self.by_id.remove(&task.id);
        self.free.push(slot);
    }

    /// Takes the names that tasks hold over to the next generation.
    pub fn carry(&mut self, carrier: &mut Carrier<'_>) {
        for slot in &self.noted {
            let task = self.slots.get_mut(*slot as usize);
            let Some(notes) = task.and_then(|task| task.notes.as_mut()) else {
                continue;
            };
            let regions = notes.regions.iter_mut().map(|region| &mut region.name);
            let stops = notes.ranges.iter_mut().filter_map(|range| match range {
                OpenRange::Assist => None,
                OpenRange::Stop { name, .. } => Some(name),
            });
            regions.chain(stops).for_each(|name| carrier.carry(name));
        }
    }
}

impl Procs {
    /// The slot of a proc.
    #[inline]
    pub fn find(&self, id: ProcId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    /// The same, where `hint` is most often right.
    #[inline]
    pub fn find_near(&self, id: ProcId, hint: u32) -> Option<u32> {
        match self.slots.get(hint as usize) {
            Some(proc) if proc.id == id => Some(hint),
            _ => self.find(id),
        }
    }

    /// The proc in a slot that was found.
    #[inline]
    pub fn get(&mut self, slot: u32) -> Option<&mut Proc> {
        self.slots.get_mut(slot as usize)
    }

    /// A proc that was not there.
    pub fn add(&mut self, id: ProcId, status: ProcStatus, epoch: Generation) -> u32 {
        let slot = self.slots.len() as u32;
        self.by_id.insert(id, slot);
        self.slots.push(Proc {
            id,
            status,
            sweeps: false,
            sequence: Sequence::start(epoch),
        });
        slot
    }
}
