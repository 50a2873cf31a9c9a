//! Traces whose framing is right and whose contents are mostly plausible, drawn from bytes.
//!
//! Random bytes break at the first batch, and mutated ones soon after. Here every byte of the input decides about an event or an argument,
//! out of so few ids that they meet, with sequence numbers that mostly follow: the rules of ordering are what is reached.

use tachograph_wire::{
    ArgKind, BatchWriter, ClockSnapshot, EventKind, Frame, Frequency, Generation, ProcId,
    ProcStatus, Sample, StackId, StringId, TaskId, TaskStatus, ThreadId, Ticks, Version,
};

/// Procs, tasks and threads that there are.
const FEW: u8 = 4;
/// Strings and stacks that are defined.
const TABLE: u64 = 5;
/// Events of a batch, generations of a trace.
const MOST: u8 = 24;

/// The input, byte by byte; endless zeros behind its end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// Sequence numbers that would be next, by id.
#[derive(Default)]
struct Next {
    tasks: [u64; FEW as usize],
    procs: [u64; FEW as usize],
    collector: u64,
}

/// The trace that these bytes choose.
pub fn trace(choices: &[u8]) -> Vec<u8> {
    let mut choices = Choices(choices);
    let versions = Version::ALL;
    let version = versions[usize::from(choices.below(versions.len() as u8))];
    let mut trace = version.header().to_vec();
    let mut collector = 0;
    let mut number = 1;
    loop {
        let mut next = Next {
            collector,
            ..Next::default()
        };
        generation(
            version,
            Generation(number),
            &mut choices,
            &mut next,
            &mut trace,
        );
        collector = next.collector;
        number += 1;
        if choices.is_over() || number > u64::from(MOST) {
            return trace;
        }
    }
}

fn generation(
    version: Version,
    number: Generation,
    choices: &mut Choices<'_>,
    next: &mut Next,
    out: &mut Vec<u8>,
) {
    let start = Ticks(number.0 * 1000);
    let batch = || BatchWriter::new(number, ThreadId::NONE, start);
    let mut full = Ok(());
    let mut sync = batch();
    let clock = ClockSnapshot {
        dt: Ticks(1),
        mono: start.0,
        sec: start.0,
        nsec: 0,
    };
    full = full.and(match version.has_sync() {
        true => sync.sync(Frequency(1 << 30), &clock),
        false => sync.lone_frequency(Frequency(1 << 30)),
    });
    let mut strings = batch();
    let mut stacks = batch();
    for id in 1..=TABLE {
        full = full.and(strings.string(StringId(id), format!("name {id}").as_bytes()));
        let frame = |line| Frame {
            pc: 16 * id + line,
            function: StringId(id),
            file: StringId(1),
            line,
        };
        full = full.and(stacks.stack(StackId(id), &[frame(0), frame(id), frame(id + 1)]));
    }
    let mut samples = batch();
    for _ in 0..choices.below(4) {
        let sample = Sample {
            time: Ticks(start.0 + u64::from(choices.byte())),
            thread: ThreadId(u64::from(choices.below(FEW))),
            proc: ProcId(u64::from(choices.below(FEW))),
            task: TaskId(u64::from(choices.below(FEW))),
            stack: StackId(1 + u64::from(choices.below(TABLE as u8))),
        };
        full = full.and(samples.sample(&sample));
    }
    for batch in [sync, strings, stacks, samples] {
        if !batch.is_empty() {
            batch.finish_into(out);
        }
    }
    for _ in 0..=choices.below(FEW + 2) {
        full = full.and(events(version, number, choices, next, out));
    }
    assert_eq!(full, Ok(()), "few records fit in a batch");
    // Now and then the end is missing.
    if version == Version::Go126 && choices.below(16) != 15 {
        out.push(EventKind::EndOfGeneration.code());
    }
}

fn events(
    version: Version,
    number: Generation,
    choices: &mut Choices<'_>,
    next: &mut Next,
    out: &mut Vec<u8>,
) -> Result<(), tachograph_wire::Full> {
    let thread = match choices.below(FEW + 1) {
        FEW => ThreadId::NONE,
        thread => ThreadId(thread.into()),
    };
    let start = Ticks(number.0 * 1000 + u64::from(choices.byte()));
    let mut batch = BatchWriter::new(number, thread, start);
    let timed: Vec<EventKind> = EventKind::ALL
        .iter()
        .copied()
        .filter(|kind| kind.is_timed() && kind.spec().since <= version)
        .collect();
    // Most begin with a thread that runs something.
    if thread != ThreadId::NONE && choices.below(8) != 7 {
        let own = [ProcStatus::Running as u64, TaskStatus::Running as u64];
        batch.event_after(EventKind::ProcStatus, Ticks(1), &[thread.0, own[0]])?;
        batch.event_after(
            EventKind::GoStatus,
            Ticks(1),
            &[thread.0 + 1, thread.0, own[1]],
        )?;
    }
    for _ in 0..choices.below(MOST) {
        let kind = timed[usize::from(choices.byte()) % timed.len()];
        let mut id = 0;
        let args: Vec<u64> = kind
            .spec()
            .args_after_dt()
            .iter()
            .map(|arg| argument(arg.kind, &mut id, choices, next))
            .collect();
        batch.event_after(kind, Ticks(u64::from(choices.byte()) / 8), &args)?;
    }
    if !batch.is_empty() {
        batch.finish_into(out);
    }
    Ok(())
}

/// `id` is the last one that was drawn, whose sequence number may follow.
fn argument(kind: ArgKind, id: &mut usize, choices: &mut Choices<'_>, next: &mut Next) -> u64 {
    let mut follow = |sequence: &mut u64| {
        *sequence = sequence.wrapping_add(1);
        match choices.below(16) {
            15 => sequence.wrapping_add(1),
            _ => *sequence,
        }
    };
    match kind {
        ArgKind::TaskSeq => follow(&mut next.tasks[*id]),
        ArgKind::ProcSeq => follow(&mut next.procs[*id]),
        ArgKind::GcSeq => follow(&mut next.collector),
        ArgKind::Proc | ArgKind::Task | ArgKind::Thread => {
            *id = usize::from(choices.below(FEW));
            *id as u64 + u64::from(kind == ArgKind::Task)
        }
        ArgKind::UserTask => u64::from(choices.below(FEW)),
        ArgKind::ProcStatus | ArgKind::TaskStatus => 1 + u64::from(choices.below(4)),
        ArgKind::String | ArgKind::Stack | ArgKind::NewStack => {
            u64::from(choices.below(TABLE as u8 + 1))
        }
        _ => u64::from(choices.byte()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_reader::Reader;

    #[test]
    fn many_choices_become_traces_that_are_read_beyond_their_first_events() {
        let mut far = 0;
        for seed in 0..2000u64 {
            let choices: Vec<u8> = (0..200u64)
                .map(|i| {
                    ((seed + 1)
                        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                        .wrapping_mul(i | 1)
                        >> 51) as u8
                })
                .collect();
            let trace = trace(&choices);
            let mut reader = Reader::new(&trace[..]).unwrap();
            let mut count = 0;
            while let Ok(Some(_)) = reader.next_event() {
                count += 1;
            }
            far += u32::from(count > 10);
        }
        assert!(far > 100, "{far} of 2000");
    }
}
