//! Declared blocking sections: a system call on the wire.
//!
//! The section's task leaves its processor slot in the state "syscall"; if the section is long, the engine takes the slot away
//! (`engine`), as Go's system monitor does. An event inside a section ends and resumes it (`section` rule 4).

use crate::core::{CORE, bound, this_thread};
use crate::record::ThreadRecord;
use crate::section::Section;
use crate::stack::EventStack;

/// Runs `f` as a section in which the thread blocks: a system call, a lock, foreign code. `reason` is the leaf of its stack in the
/// trace. Nested sections belong to the outermost one.
///
/// Costs one stack walk (about 0.2 us) when recording, one load and a branch when not.
#[inline]
pub fn blocking<T>(reason: &'static str, f: impl FnOnce() -> T) -> T {
    let _section = if CORE.gate.is_on() {
        begin(reason)
    } else {
        Blocking { counted: false }
    };
    f()
}

struct Blocking {
    counted: bool,
}

/// N.B. Never inlined, and the one that captures: it is the frame that `EventStack` leaves out.
#[inline(never)]
fn begin(reason: &'static str) -> Blocking {
    let Some(record) = this_thread() else {
        return Blocking { counted: false };
    };
    if !record.flag.is_clear() {
        return Blocking { counted: false };
    }
    // SAFETY: own thread, outside of a critical section; the reference ends here.
    let depth = unsafe {
        let depth = &mut record.owner().blocking;
        *depth += 1;
        *depth
    };
    if depth == 1 {
        let stack = EventStack::capture(record);
        begin_on_wire(record, reason, &stack);
    }
    Blocking { counted: true }
}

fn begin_on_wire(
    record: &'static ThreadRecord,
    reason: &'static str,
    stack: &EventStack,
) -> Option<()> {
    let mut section = Section::begin(record)?;
    section.stay_outside();
    let leaf = section.name(reason)?;
    let stack = section.stack(leaf, stack.pcs())?;
    section.begin_blocking(stack);
    Some(())
}

impl Drop for Blocking {
    fn drop(&mut self) {
        if !self.counted {
            return;
        }
        let Some(record) = bound() else { return };
        // SAFETY: own thread; the counting `begin` was outside of a critical section, and so is this. The reference ends here.
        let (depth, run) = unsafe {
            let owner = record.owner();
            owner.blocking -= 1;
            (owner.blocking, owner.run)
        };
        if depth == 0 && run == CORE.run() && record.shared.syscall.is_inside() {
            // `Section::begin` ends the section; there is nothing else to write.
            if let Some(mut section) = Section::begin(record) {
                section.stay_outside();
            }
        }
    }
}
