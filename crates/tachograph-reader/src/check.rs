//! Whether what an event refers to is defined (T1).
//!
//! Called for every event that is delivered, on the thread that delivers it.

use crate::error::{BrokenTrace, Fault, Rule};
use crate::generation::Generation;
use crate::record::Record;
use tachograph_wire::limits::MAX_EVENT_ARGS;
use tachograph_wire::{ArgKind, EventKind};

/// Counts what the record refers to and is missing from a generation that the trace's end cuts off.
///
/// # Errors
/// If anything is missing from a whole one.
#[inline]
pub(crate) fn references(
    record: &Record,
    generation: &Generation,
) -> Result<u64, Box<BrokenTrace>> {
    let Some(kind) = record.kind else {
        return Ok(0);
    };
    let mut references = REFERENCES[usize::from(kind.code())];
    let mut count = 0;
    while references != 0 {
        let bit = references.trailing_zeros() as usize;
        references &= references - 1;
        let id = record.args.get(bit % MAX_EVENT_ARGS);
        let id = id.copied().unwrap_or_default();
        let is_stack = bit >= MAX_EVENT_ARGS;
        let is_there = match is_stack {
            true => generation.stacks.has(id),
            false => record.extra.carried || generation.strings.has(id),
        };
        if !is_there {
            count += 1;
            missing(record, generation, is_stack, id)?;
        }
    }
    Ok(count)
}

#[cold]
fn missing(
    record: &Record,
    generation: &Generation,
    is_stack: bool,
    id: u64,
) -> Result<(), Box<BrokenTrace>> {
    if generation.is_cut {
        return Ok(());
    }
    Err(Box::new(BrokenTrace {
        generation: Some(generation.number),
        thread: Some(record.context.thread),
        offset: record.offset,
        event: record.kind,
        fault: Fault::Undefined {
            rule: Rule::T1,
            by: "the event",
            table: if is_stack { "stack" } else { "string" },
            id,
        },
    }))
}

/// Which arguments of a record are ids, as bits: of strings the lower four, of stacks the upper.
static REFERENCES: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < EventKind::ALL.len() {
        let kind = EventKind::ALL[i];
        let args = kind.spec().args_after_dt();
        let mut position = 0;
        while position < args.len() && position < MAX_EVENT_ARGS {
            let bit = match args[position].kind {
                ArgKind::String => 1 << position,
                ArgKind::Stack | ArgKind::NewStack => 1 << (position + MAX_EVENT_ARGS),
                _ => 0,
            };
            table[kind.code() as usize] |= bit;
            position += 1;
        }
        i += 1;
    }
    // A record of a task's end says more than the wire does.
    table[EventKind::UserTaskEnd as usize] = 1 << 2 | 1 << (3 + MAX_EVENT_ARGS);
    // A sample's stack was looked up when its generation was loaded.
    table[EventKind::CPUSample as usize] = 0;
    table
};
