//! Counts the items of a trace one after the other.
//!
//! Owns the counters and the rules of how generations follow each other. Called by `stats`; keeps no item.
//!
//! Nothing is ordered and no id is looked up: what can be counted without that is counted, up to the first byte that
//! can't be understood.

use super::breakage::{Breakage, Fault};
use super::distinct::Distinct;
use super::generation::OpenGeneration;
use super::report::{Failure, Recorder, Report, SampleAccount, Sampling, Seen, TypeCount};
use super::times::BatchClock;
use std::collections::BTreeMap;
use tachograph_wire::metadata::{
    CauseCounts, EventsLost, FAMILY, Gap, Metadata, RecorderSetup, SampleCounts,
};
use tachograph_wire::version::HEADER_BYTES;
use tachograph_wire::{
    ArgKind, Batch, BatchKind, ByteOffset, EventKind, Generation, Item, ProcId, RawEvent, TaskId,
    ThreadId, UserTaskId, Version, WireError, varint,
};

/// How many different causes are told apart; only a trace that means harm has more.
const MOST_CAUSES: usize = 64;
/// Under which further causes are counted.
const FURTHER_CAUSES: &str = "further";

/// The counters.
pub struct Tally {
    version: Version,
    report: Report,
    types: [TypeCount; 256],
    open: Option<OpenGeneration>,
    threads: Distinct,
    procs: Distinct,
    tasks: Distinct,
    user_tasks: Distinct,
}

impl Tally {
    /// Nothing but the header has been read.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            report: Report::of_version(Some(format!("1.{}", version.minor()))),
            types: [TypeCount::default(); 256],
            open: None,
            threads: Distinct::without(ThreadId::NONE.0),
            procs: Distinct::without(ProcId::NONE.0),
            tasks: Distinct::without(TaskId::NONE.0),
            user_tasks: Distinct::without(UserTaskId::BACKGROUND.0),
        }
    }

    /// Counts one item.
    ///
    /// # Errors
    /// If it breaks the trace; what stands before the place is counted.
    pub fn add(&mut self, item: Item<'_>) -> Result<(), Breakage> {
        match item {
            Item::Batch(batch) => self.batch(&batch),
            Item::EndOfGeneration { offset } => {
                let fault = self.end_generation(true);
                self.count(EventKind::EndOfGeneration, 1);
                fault.map_err(|fault| Breakage { offset, fault })
            }
        }
    }

    /// The bytes have ended between two items.
    ///
    /// # Errors
    /// If the generation has not.
    pub fn end(&mut self, offset: ByteOffset) -> Result<(), Breakage> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let fault = if self.version.has_end_of_generation() {
            Err(Fault::Unfinished(open.number))
        } else {
            self.end_generation(false)
        };
        fault.map_err(|fault| Breakage { offset, fault })
    }

    /// What was counted until the end, or until the trace broke.
    pub fn finish(mut self, breakage: Option<Breakage>) -> Report {
        self.close();
        let by_type = EventKind::ALL
            .iter()
            .map(|kind| (kind.name(), self.types[usize::from(kind.code())]));
        let by_type: BTreeMap<_, _> = by_type.filter(|(_, found)| found.count > 0).collect();
        let generations = &self.report.generations;
        self.report.bytes =
            HEADER_BYTES as u64 + by_type.values().map(|found| found.bytes).sum::<u64>();
        self.report.events = generations.iter().map(|one| one.events).sum();
        self.report.samples.count = generations.iter().map(|one| one.samples).sum();
        self.report.samples.weight = generations
            .iter()
            .fold(0, |sum, one| one.weight.saturating_add(sum));
        self.report.by_type = by_type;
        self.report.seen = self.seen();
        self.report.error = breakage.as_ref().map(Failure::from);
        self.report
    }

    fn seen(&self) -> Seen {
        let all = [&self.threads, &self.procs, &self.tasks, &self.user_tasks];
        Seen {
            threads: self.threads.count(),
            procs: self.procs.count(),
            tasks: self.tasks.count(),
            user_tasks: self.user_tasks.count(),
            at_least: all.iter().any(|distinct| distinct.overflowed()),
        }
    }

    #[inline]
    fn count(&mut self, kind: EventKind, bytes: u64) {
        let found = &mut self.types[usize::from(kind.code())];
        found.count += 1;
        found.bytes += bytes;
    }

    /// Opens the generation of a batch if it isn't open.
    fn enter(&mut self, number: Generation) -> Result<&mut OpenGeneration, Fault> {
        if number == Generation::NONE {
            return Err(Fault::GenerationZero);
        }
        let current = self.open.as_ref().map(|open| open.number);
        if let Some(current) = current.filter(|current| *current != number) {
            if self.version.has_end_of_generation() {
                return Err(Fault::WrongGeneration {
                    found: number,
                    wanted: current,
                });
            }
            self.end_generation(false)?;
            if number != current.next() {
                return Err(Fault::WrongGeneration {
                    found: number,
                    wanted: current.next(),
                });
            }
        }
        Ok(self.open.get_or_insert_with(|| OpenGeneration::new(number)))
    }

    fn end_generation(&mut self, by_its_byte: bool) -> Result<(), Fault> {
        let missing = match &self.open {
            None => by_its_byte.then_some(Fault::EmptyGeneration),
            Some(open) => open.missing(self.version),
        };
        self.close();
        missing.map_or(Ok(()), Err)
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let total = &mut self.report.gaps.total_ns;
        *total = total.saturating_add(open.gap_ns().unwrap_or(0));
        self.report.generations.push(open.stats());
    }

    fn batch(&mut self, batch: &Batch<'_>) -> Result<(), Breakage> {
        let header = &batch.header;
        let opened = self.enter(header.generation);
        let open = opened.map_err(|fault| Breakage {
            offset: batch.offset,
            fault,
        })?;
        open.span.include(header.time);
        self.threads.see(header.thread.0);
        let header_bytes = batch.payload_offset.0 - batch.offset.0;
        let kind = if batch.experiment.is_some() {
            EventKind::ExperimentalBatch
        } else {
            EventKind::EventBatch
        };
        self.count(kind, header_bytes);
        match batch.kind(self.version) {
            BatchKind::Events => self.events(batch)?,
            BatchKind::Strings => self.strings(batch)?,
            BatchKind::Stacks => self.stacks(batch)?,
            BatchKind::Samples => self.samples(batch)?,
            BatchKind::Sync => self.sync(batch)?,
            BatchKind::Experiment(_) => {
                let found = &mut self.types[usize::from(kind.code())];
                found.bytes += batch.payload.len() as u64;
            }
        }
        Ok(())
    }

    fn events(&mut self, batch: &Batch<'_>) -> Result<(), WireError> {
        let frequency = self.open.as_ref().and_then(|open| open.frequency);
        let mut clock = BatchClock::new(batch.header.time, frequency);
        let mut events = batch.events();
        let mut count = 0;
        let result = loop {
            let start = events.offset();
            match events.next() {
                None => break Ok(()),
                Some(Err(error)) => break Err(error),
                Some(Ok(event)) => {
                    self.count(event.kind, events.offset().0 - start.0);
                    self.see(&event);
                    clock.advance(event.dt);
                    count += 1;
                }
            }
        };
        if let Some(open) = self.open.as_mut() {
            open.events += count;
            open.span.include_end(&clock);
        }
        result
    }

    #[inline]
    fn see(&mut self, event: &RawEvent) {
        for (arg, value) in event.kind.spec().args_after_dt().iter().zip(event.args()) {
            match arg.kind {
                ArgKind::Thread => self.threads.see(*value),
                ArgKind::Proc => self.procs.see(*value),
                ArgKind::Task => self.tasks.see(*value),
                ArgKind::UserTask => self.user_tasks.see(*value),
                _ => {}
            }
        }
    }

    fn stacks(&mut self, batch: &Batch<'_>) -> Result<(), WireError> {
        let mut stacks = batch.stacks()?;
        self.count(EventKind::Stacks, 1);
        let mut start = stacks.offset();
        while let Some(stack) = stacks.next() {
            stack?;
            self.count(EventKind::Stack, stacks.offset().0 - start.0);
            start = stacks.offset();
        }
        Ok(())
    }

    fn samples(&mut self, batch: &Batch<'_>) -> Result<(), WireError> {
        let mut samples = batch.samples()?;
        self.count(EventKind::CPUSamples, 1);
        let mut start = samples.offset();
        while let Some(sample) = samples.next() {
            let sample = sample?;
            self.count(EventKind::CPUSample, samples.offset().0 - start.0);
            start = samples.offset();
            self.threads.see(sample.thread.0);
            self.procs.see(sample.proc.0);
            self.tasks.see(sample.task.0);
            if let Some(open) = self.open.as_mut() {
                open.samples += 1;
                open.sample_span.include(sample.time);
            }
        }
        Ok(())
    }

    fn sync(&mut self, batch: &Batch<'_>) -> Result<(), Breakage> {
        let sync = batch.sync(self.version)?;
        if self.version.has_sync() {
            self.count(EventKind::Sync, 1);
        }
        let records = batch.payload.get(usize::from(self.version.has_sync())..);
        self.sync_records(records.unwrap_or_default());
        let result = self.open.as_mut().map_or(Ok(()), |open| open.sync(&sync));
        result.map_err(|fault| Breakage {
            offset: batch.payload_offset,
            fault,
        })
    }

    /// Counts the bytes of records that have been read once: a code and so many numbers each.
    fn sync_records(&mut self, mut records: &[u8]) {
        while let Some(kind) = records.first().and_then(|code| EventKind::from_code(*code)) {
            let numbers = kind.spec().args.len();
            let len = (0..numbers).fold(1, |len, _| {
                let rest = records.get(len..).unwrap_or_default();
                len + varint::decode(rest).map_or(rest.len(), |(_, bytes)| bytes)
            });
            self.count(kind, len as u64);
            records = records.get(len..).unwrap_or_default();
        }
    }

    fn strings(&mut self, batch: &Batch<'_>) -> Result<(), WireError> {
        let mut strings = batch.strings()?;
        self.count(EventKind::Strings, 1);
        let mut start = strings.offset();
        while let Some(string) = strings.next() {
            let string = string?;
            self.count(EventKind::String, strings.offset().0 - start.0);
            start = strings.offset();
            if string.bytes.starts_with(FAMILY.as_bytes()) {
                self.metadata(string.bytes);
            }
        }
        Ok(())
    }

    fn metadata(&mut self, bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).ok();
        let Some(Ok(record)) = text.and_then(Metadata::parse) else {
            self.report.unreadable_metadata += 1;
            return;
        };
        let Some(open) = self.open.as_mut() else {
            return;
        };
        match record {
            Metadata::Generation(times) => open.times(&times),
            Metadata::Weights(weights) => open.weights(&weights),
            Metadata::Gap(gap) => self.gap(&gap),
            Metadata::Samples(counts) => self.account(&counts),
            Metadata::EventsLost(lost) => self.events_lost(&lost),
            Metadata::Recorder(setup) => self.report.recorder = Some(recorder(setup)),
            Metadata::Sampling(sampling) => {
                self.report.sampling = Some(Sampling {
                    source: sampling.source.word().to_owned(),
                    hz: sampling.hz,
                    tick_hz: sampling.tick_hz,
                });
            }
            _ => {}
        }
    }

    fn gap(&mut self, gap: &Gap) {
        if let Some(open) = self.open.as_mut() {
            open.gap(gap);
        }
        self.report.gaps.count += 1;
        add_cause(&mut self.report.gaps.by_cause, gap.cause.word(), 1);
    }

    fn account(&mut self, counts: &SampleCounts) {
        let account = self
            .report
            .samples
            .account
            .get_or_insert_with(SampleAccount::default);
        account.handled = account.handled.saturating_add(counts.handled);
        account.emitted = account.emitted.saturating_add(counts.emitted);
        add_causes(&mut account.lost, &counts.lost);
        add_causes(&mut account.incomplete, &counts.incomplete);
    }

    fn events_lost(&mut self, lost: &EventsLost) {
        let total = &mut self.report.events_lost;
        total.reentrant = total.reentrant.saturating_add(lost.reentrant.0);
        total.unrecorded = total.unrecorded.saturating_add(lost.unrecorded.0);
    }
}

fn add_causes(total: &mut BTreeMap<String, u64>, counts: &CauseCounts) {
    counts
        .iter()
        .for_each(|(cause, count)| add_cause(total, cause, count));
}

fn add_cause(total: &mut BTreeMap<String, u64>, cause: &str, count: u64) {
    let known = total.len() < MOST_CAUSES || total.contains_key(cause);
    let cause = if known { cause } else { FURTHER_CAUSES };
    let sum = total.entry(cause.to_owned()).or_default();
    *sum = sum.saturating_add(count);
}

fn recorder(setup: RecorderSetup) -> Recorder {
    Recorder {
        version: setup.version,
        clock: setup.clock.map(|clock| clock.word().to_owned()),
        fence: setup.fence.map(|fence| fence.word().to_owned()),
        unwinder: setup.unwinder.map(|unwinder| unwinder.word().to_owned()),
        pid: setup.pid,
        exe: setup.exe,
    }
}
