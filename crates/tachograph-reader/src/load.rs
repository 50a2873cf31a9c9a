//! Reads whole generations.
//!
//! Owns the way through the input. Called by `pass` or `ahead`, which get one generation after the other and lend the memory for them. Nothing of
//! a generation is ordered before all of it is here; what its tables must hold is checked here (docs/READING.md).

use crate::error::{BrokenTrace, Fault, ReadError, Rule, SyncPart};
use crate::generation::{
    BatchAt, ExperimentAt, Generation, NO_BATCH, SampleAt, StackAt, Stream, StringAt,
};
use crate::pass::{Options, Supplied, Supply};
use crate::record::Record;
use crate::scale::Scale;
use crate::stream::InBatches;
use crate::sync::Clock;
use std::io::Read;
use std::sync::Arc;
use tachograph_wire::batch::BatchHeader;
use tachograph_wire::{
    Batch, BatchKind, ByteOffset, Frequency, Generation as Number, Item, Problem, TaskId, Ticks,
    TraceItems, Version, WireError,
};

/// The input, cut into generations.
#[derive(Debug)]
pub(crate) struct Loader<R> {
    items: TraceItems<R>,
    options: Options,
    /// The batch that showed that the generation before was over (before Go 1.26).
    spill: Option<Spill>,
    /// What the next call returns.
    failed: Option<ReadError>,
    /// Whether the input ended where it must not.
    is_cut: bool,
    /// Bytes at the end of a cut input that make no whole item.
    partial_bytes: u64,
    /// Of the last generation.
    frequency: Option<Frequency>,
}

#[derive(Debug)]
struct Spill {
    header: BatchHeader,
    experiment: Option<u8>,
    offset: ByteOffset,
    payload_offset: ByteOffset,
    payload: Vec<u8>,
}

/// What a call gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Loaded {
    Generation,
    End,
    CutOff,
}

/// What is known of a generation while it is loaded.
#[derive(Default)]
struct Sums {
    frequency: Option<Frequency>,
    /// Of the batch of the clock snapshot, with its own delta.
    clock: Option<(Ticks, tachograph_wire::ClockSnapshot)>,
    batches: u64,
}

impl<R: Read> Supply for Loader<R> {
    type Place = InBatches;

    fn place(_: usize, stream: &Stream) -> InBatches {
        InBatches::of(stream)
    }

    #[inline]
    fn event(
        &mut self,
        place: &mut InBatches,
        generation: &Generation,
        record: &mut Record,
    ) -> Result<bool, WireError> {
        place.next(generation, record)
    }

    fn version(&self) -> Version {
        self.items.version()
    }

    fn offset(&self) -> ByteOffset {
        self.items.offset()
    }

    fn partial_bytes(&self) -> u64 {
        self.partial_bytes
    }

    fn next(&mut self, mut spare: Arc<Generation>) -> Result<Supplied, ReadError> {
        if Arc::get_mut(&mut spare).is_none() {
            spare = Arc::default();
        }
        let Some(into) = Arc::get_mut(&mut spare) else {
            return Ok(Supplied::End);
        };
        Ok(match self.load(into)? {
            Loaded::Generation => Supplied::Generation(spare),
            Loaded::End => Supplied::End,
            Loaded::CutOff => Supplied::CutOff,
        })
    }
}

impl<R: Read> Loader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// If there is none that we read.
    pub fn new(input: R, options: Options) -> Result<Self, ReadError> {
        let items = TraceItems::new(input).map_err(|error| ReadError::of_item(error, None))?;
        Ok(Self::of_items(items, options))
    }

    /// Goes on in a trace whose header was read before.
    pub fn resume(input: R, version: Version, offset: ByteOffset) -> Self {
        let items = TraceItems::resume(input, version, offset);
        Self::of_items(items, Options::default())
    }

    fn of_items(items: TraceItems<R>, options: Options) -> Self {
        Self {
            items,
            options,
            spill: None,
            failed: None,
            is_cut: false,
            partial_bytes: 0,
            frequency: None,
        }
    }

    /// Reads the next generation into `into`.
    ///
    /// # Errors
    /// If it is broken. A call after that repeats nothing.
    fn load(&mut self, into: &mut Generation) -> Result<Loaded, ReadError> {
        into.clear();
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.is_cut {
            return Ok(Loaded::CutOff);
        }
        let mut sums = Sums::default();
        if let Some(spill) = self.spill.take() {
            into.number = spill.header.generation;
            take(&spill.batch(), self.version(), into, &mut sums)?;
        }
        let whole = self.load_batches(into, &mut sums)?;
        match whole {
            Whole::Yes => {}
            Whole::Nothing => return Ok(Loaded::End),
            Whole::Cut if sums.batches == 0 => return Ok(Loaded::CutOff),
            Whole::Cut => into.is_cut = true,
        }
        self.finish(into, &sums)?;
        Ok(Loaded::Generation)
    }

    fn load_batches(&mut self, into: &mut Generation, sums: &mut Sums) -> Result<Whole, ReadError> {
        let version = self.version();
        loop {
            let begins = self.items.offset();
            let known = (into.number != Number::NONE).then_some(into.number);
            let batch = match self.items.next_item() {
                None => return self.at_end(begins, sums),
                Some(Ok(Item::EndOfGeneration { offset })) => {
                    into.number = known.unwrap_or(Number::NONE);
                    if sums.batches == 0 {
                        let fault = Fault::Missing(SyncPart::Frequency);
                        return Err(broken(None, offset, fault));
                    }
                    return Ok(Whole::Yes);
                }
                Some(Ok(Item::Batch(batch))) => batch,
                Some(Err(error)) if error.is_truncated() => {
                    return self.at_cut(into, sums);
                }
                Some(Err(error)) => {
                    let error = ReadError::of_item(error, known);
                    // The damage may be behind the generation, which is then whole.
                    if version.has_end_of_generation() || sums.batches == 0 {
                        return Err(error);
                    }
                    self.failed = Some(error);
                    return Ok(Whole::Yes);
                }
            };
            let (found, offset) = (batch.header.generation, batch.offset);
            match place(found, known, version) {
                Place::Here => {
                    into.number = found;
                    take(&batch, version, into, sums)?;
                }
                Place::Next => {
                    self.spill = Some(Spill::of(&batch));
                    return Ok(Whole::Yes);
                }
                Place::Zero => return Err(broken(known, offset, Fault::GenerationZero)),
                Place::Wrong(wanted) => {
                    let fault = Fault::GenerationOrder { found, wanted };
                    return Err(broken(known, offset, fault));
                }
            }
        }
    }

    /// The input ends between two items.
    fn at_end(&mut self, offset: ByteOffset, sums: &Sums) -> Result<Whole, ReadError> {
        match (self.version().has_end_of_generation(), sums.batches) {
            (true, 0) => Ok(Whole::Nothing),
            (true, _) => {
                self.is_cut = true;
                Ok(Whole::Cut)
            }
            (false, 0) if self.frequency.is_some() => Ok(Whole::Nothing),
            (false, 0) => Err(broken(None, offset, Fault::Missing(SyncPart::Frequency))),
            (false, _) => Ok(Whole::Yes),
        }
    }

    /// The input ends within an item, of which there may be something to use.
    fn at_cut(&mut self, into: &mut Generation, sums: &mut Sums) -> Result<Whole, ReadError> {
        let version = self.version();
        let offset = self.items.offset();
        let rest = self.items.unread();
        (self.is_cut, self.partial_bytes) = (true, rest.len() as u64);
        if !version.has_end_of_generation() && !self.options.keep_incomplete && sums.batches > 0 {
            // Where generations have no end of their own, Go takes what is there for a whole one.
            return Ok(Whole::Yes);
        }
        let Ok(decoded) = BatchHeader::decode(rest, offset) else {
            return Ok(Whole::Cut);
        };
        let known = (into.number != Number::NONE).then_some(into.number);
        if place(decoded.header.generation, known, version) != Place::Here {
            return Ok(if version.has_end_of_generation() || known.is_none() {
                Whole::Cut
            } else {
                Whole::Yes
            });
        }
        let payload = rest.get(decoded.len..).unwrap_or_default();
        let batch = Batch {
            offset,
            payload_offset: offset.plus(decoded.len),
            header: decoded.header,
            experiment: decoded.experiment,
            payload,
        };
        if batch.kind(version) == BatchKind::Events {
            into.number = decoded.header.generation;
            // A table that breaks off would look like a broken one; events are taken as far as they go.
            take(&batch, version, into, sums)?;
        }
        Ok(Whole::Cut)
    }

    /// Makes tables of what was read, and checks them.
    fn finish(&mut self, into: &mut Generation, sums: &Sums) -> Result<(), ReadError> {
        let number = Some(into.number);
        let lacks = |part| broken(number, into.offset, Fault::Missing(part));
        let frequency = match sums.frequency {
            Some(frequency) => frequency,
            // Whatever is there was recorded with the same clock.
            None if into.is_cut => match self.frequency {
                Some(frequency) => frequency,
                None => return Err(broken(number, into.offset, Fault::EndsEarly)),
            },
            None => return Err(lacks(SyncPart::Frequency)),
        };
        if sums.clock.is_none() && self.version().has_sync() && !into.is_cut {
            return Err(lacks(SyncPart::Clock));
        }
        self.frequency = Some(frequency);
        into.scale = Scale::of(frequency);
        into.clock = sums.clock.map(|(base, clock)| Clock {
            trace: into.scale.nanos(base + clock.dt),
            mono_ns: clock.mono,
            wall_sec: clock.sec as i64,
            wall_nsec: clock.nsec,
        });
        index(into)?;
        if !into.is_cut {
            check_references(into)?;
        }
        for at in &mut into.samples {
            at.time = into.scale.nanos(at.sample.time);
        }
        into.samples.sort_by_key(|at| at.time);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    Nothing,
    Cut,
}

/// Where a batch belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Here,
    Next,
    Zero,
    Wrong(Number),
}

fn place(found: Number, known: Option<Number>, version: Version) -> Place {
    match known {
        _ if found == Number::NONE => Place::Zero,
        None => Place::Here,
        Some(known) if known == found => Place::Here,
        Some(known) if !version.has_end_of_generation() && found.0 == known.0.wrapping_add(1) => {
            Place::Next
        }
        Some(known) => Place::Wrong(known),
    }
}

impl Spill {
    fn of(batch: &Batch<'_>) -> Self {
        Self {
            header: batch.header,
            experiment: batch.experiment,
            offset: batch.offset,
            payload_offset: batch.payload_offset,
            payload: batch.payload.to_vec(),
        }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            offset: self.offset,
            payload_offset: self.payload_offset,
            header: self.header,
            experiment: self.experiment,
            payload: &self.payload,
        }
    }
}

fn broken(generation: Option<Number>, offset: ByteOffset, fault: Fault) -> ReadError {
    BrokenTrace {
        generation,
        thread: None,
        offset,
        event: None,
        fault,
    }
    .into()
}

/// Adds a batch to its generation.
fn take(
    batch: &Batch<'_>,
    version: Version,
    into: &mut Generation,
    sums: &mut Sums,
) -> Result<(), ReadError> {
    let time = batch.header.time;
    if sums.batches == 0 {
        into.offset = batch.offset;
    }
    // 0 stands for "not known yet", as in Go's reader.
    if into.start == Ticks(0) || time < into.start {
        into.start = time;
    }
    sums.batches += 1;
    let number = into.number;
    let wire = |error: WireError| table_error(error, number);
    match batch.kind(version) {
        BatchKind::Strings => take_strings(batch, into).map_err(wire),
        BatchKind::Stacks => take_stacks(batch, into).map_err(wire),
        BatchKind::Samples => take_samples(batch, into).map_err(wire),
        BatchKind::Sync => take_sync(batch, version, into, sums),
        BatchKind::Events => {
            let start = into.bytes.len();
            into.bytes.extend_from_slice(batch.payload);
            let batch_at = BatchAt {
                time,
                start,
                end: into.bytes.len(),
                offset: batch.payload_offset,
                next: NO_BATCH,
            };
            into.streams.push(batch.header.thread, batch_at);
            Ok(())
        }
        BatchKind::Experiment(experiment) => {
            let start = into.bytes.len();
            into.bytes.extend_from_slice(batch.payload);
            into.experiments.push(ExperimentAt {
                experiment,
                thread: batch.header.thread,
                start,
                len: batch.payload.len(),
            });
            Ok(())
        }
    }
}

fn table_error(error: WireError, generation: Number) -> ReadError {
    let rule = match error.problem {
        Problem::UnexpectedCode { .. } | Problem::TrailingBytes(_) => Rule::S1,
        _ => Rule::S3,
    };
    ReadError::of_wire(rule, error, Some(generation), None)
}

fn take_strings(batch: &Batch<'_>, into: &mut Generation) -> Result<(), WireError> {
    let mut strings = batch.strings()?;
    loop {
        let offset = strings.offset();
        let Some(string) = strings.next() else {
            return Ok(());
        };
        let string = string?;
        let start = into.bytes.len();
        into.bytes.extend_from_slice(string.bytes);
        into.strings.entries.push(StringAt {
            id: string.id,
            start,
            len: string.bytes.len() as u32,
            offset,
        });
    }
}

fn take_stacks(batch: &Batch<'_>, into: &mut Generation) -> Result<(), WireError> {
    let mut stacks = batch.stacks()?;
    loop {
        let offset = stacks.offset();
        let Some(stack) = stacks.next() else {
            return Ok(());
        };
        let stack = stack?;
        into.stacks.entries.push(StackAt {
            id: stack.id,
            start: into.frames.len(),
            len: stack.frames.len() as u32,
            offset,
        });
        into.frames.extend(stack.frames);
    }
}

fn take_samples(batch: &Batch<'_>, into: &mut Generation) -> Result<(), WireError> {
    let mut samples = batch.samples()?;
    loop {
        let offset = samples.offset();
        let Some(sample) = samples.next() else {
            return Ok(());
        };
        let mut sample = sample?;
        if sample.task == TaskId::NONE {
            sample.task = TaskId::RESERVED;
        }
        into.samples.push(SampleAt {
            time: tachograph_wire::Nanos(0),
            sample,
            offset,
        });
    }
}

fn take_sync(
    batch: &Batch<'_>,
    version: Version,
    into: &mut Generation,
    sums: &mut Sums,
) -> Result<(), ReadError> {
    let number = Some(into.number);
    let sync = batch.sync(version).map_err(|error| match error.problem {
        Problem::Duplicate("frequency") => {
            broken(number, error.offset, Fault::Second(SyncPart::Frequency))
        }
        Problem::Duplicate(_) => broken(number, error.offset, Fault::Second(SyncPart::Clock)),
        _ => table_error(error, into.number),
    })?;
    let second = |part| broken(number, batch.offset, Fault::Second(part));
    if let Some(frequency) = sync.frequency {
        if frequency.0 == 0 {
            return Err(broken(number, batch.offset, Fault::FrequencyZero));
        }
        if sums.frequency.replace(frequency).is_some() {
            return Err(second(SyncPart::Frequency));
        }
    }
    if let Some(clock) = sync.clock
        && sums.clock.replace((batch.header.time, clock)).is_some()
    {
        return Err(second(SyncPart::Clock));
    }
    Ok(())
}

/// Finds entries by their ids from now on (S2).
fn index(into: &mut Generation) -> Result<(), ReadError> {
    let number = Some(into.number);
    let refuse = |table, id, offset| {
        let fault = match id {
            0 => Fault::DefinedZero { table },
            id => Fault::DefinedTwice { table, id },
        };
        broken(number, offset, fault)
    };
    let strings = &mut into.strings;
    if let Some(zero) = strings.entries.iter().find(|at| at.id.0 == 0) {
        return Err(refuse("string", 0, zero.offset));
    }
    let ids = strings.entries.iter().map(|at| at.id.0);
    if let Err(twice) = strings.ids.rebuild(ids) {
        let at = strings.entries.get(twice);
        let (id, offset) = at.map_or((0, into.offset), |at| (at.id.0, at.offset));
        return Err(refuse("string", id, offset));
    }
    let stacks = &mut into.stacks;
    if let Some(zero) = stacks.entries.iter().find(|at| at.id.0 == 0) {
        return Err(refuse("stack", 0, zero.offset));
    }
    let ids = stacks.entries.iter().map(|at| at.id.0);
    if let Err(twice) = stacks.ids.rebuild(ids) {
        let at = stacks.entries.get(twice);
        let (id, offset) = at.map_or((0, into.offset), |at| (at.id.0, at.offset));
        return Err(refuse("stack", id, offset));
    }
    Ok(())
}

/// What frames and samples refer to is there (S4).
fn check_references(generation: &Generation) -> Result<(), ReadError> {
    let undefined = |offset, by, table, id| {
        let rule = Rule::S4;
        let fault = Fault::Undefined {
            rule,
            by,
            table,
            id,
        };
        broken(Some(generation.number), offset, fault)
    };
    for stack in &generation.stacks.entries {
        let frames = generation
            .frames
            .get(stack.start..stack.start + stack.len as usize);
        for frame in frames.unwrap_or_default() {
            for (by, id) in [
                ("the function of a frame", frame.function.0),
                ("the file of a frame", frame.file.0),
            ] {
                if !generation.strings.has(id) {
                    return Err(undefined(stack.offset, by, "string", id));
                }
            }
        }
    }
    for at in &generation.samples {
        if !generation.stacks.has(at.sample.stack.0) {
            return Err(undefined(at.offset, "a sample", "stack", at.sample.stack.0));
        }
    }
    Ok(())
}
