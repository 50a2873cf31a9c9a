//! The fast path of regions: a static name that is known, numbers that are short, nothing to see to first.
//!
//! The functions here call nothing and answer `None` where anything else is the case; `annotate` then takes the way through `section`,
//! which does the same at leisure. So nothing is kept on the stack, and a begin or end costs little more than reading the clock
//! (`tachograph-bench event`).

use std::borrow::Cow;

use tachograph_wire::EventKind;

use crate::core::CORE;
use crate::gate::Entry;
use crate::record::{Owner, ThreadRecord};
use crate::regions::OpenRegion;
use crate::slot::Slot;

/// A critical section that had nothing to see to first, and resumes nothing at its end.
struct Ready {
    record: &'static ThreadRecord,
    owner: &'static mut Owner,
    slot: &'static mut Slot,
    generation: u64,
    now: u64,
}

impl Drop for Ready {
    #[inline(always)]
    fn drop(&mut self) {
        CORE.gate.leave(&self.record.flag);
    }
}

impl Ready {
    #[inline(always)]
    fn begin(record: &'static ThreadRecord) -> Option<Self> {
        let Entry::In(generation) = CORE.gate.enter(&record.flag) else {
            return None;
        };
        // SAFETY: inside the critical section of `generation`.
        if !unsafe { record.slot(generation) }.is_ready(generation) {
            CORE.gate.leave(&record.flag);
            return None;
        }
        Some(Self {
            record,
            // SAFETY: inside the critical section, and `enter` refuses a nested one.
            owner: unsafe { record.owner() },
            // SAFETY: as above; the reference before is gone.
            slot: unsafe { record.slot(generation) },
            generation,
            now: CORE.clock.now(),
        })
    }

    #[inline(always)]
    fn write(&mut self, kind: EventKind, task: u64, name_id: u64) -> Option<()> {
        // SAFETY: the slot is ready: there is room for an event.
        unsafe {
            self.slot
                .write_region(&mut self.owner.stamp, self.now, kind, task, name_id)
        }
        .then_some(())
    }
}

/// Begins a region; what its guard knows it by.
#[inline(always)]
pub(crate) fn begin_region(
    record: &'static ThreadRecord,
    task: u64,
    name: &'static str,
) -> Option<u64> {
    let mut ready = Ready::begin(record)?;
    let name_id = ready.owner.names.find(ready.generation, name)?;
    if ready.owner.regions.is_full() {
        return None;
    }
    let task = ready.owner.resolve_task(task);
    ready.write(EventKind::UserRegionBegin, task, name_id)?;
    let serial = ready.owner.stamp.0;
    ready.owner.regions.push_into_room(OpenRegion {
        task,
        name: Cow::Borrowed(name),
        generation: ready.generation,
        name_id,
        serial,
    });
    Some(serial)
}

/// Ends the innermost region, if it is the one with `serial`, began in this generation and has a static name.
#[inline(always)]
pub(crate) fn end_region(record: &'static ThreadRecord, serial: u64) -> Option<()> {
    let mut ready = Ready::begin(record)?;
    let region = ready.owner.regions.last()?;
    let (task, name_id) = (region.task, region.name_id);
    let plain = region.serial == serial
        && region.generation == ready.generation
        && matches!(region.name, Cow::Borrowed(_));
    if !plain {
        return None;
    }
    ready.write(EventKind::UserRegionEnd, task, name_id)?;
    ready.owner.regions.pop_static();
    Some(())
}
