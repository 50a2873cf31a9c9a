//! Counts the events of a trace one after the other.
//!
//! Owns the counters, but for those of bytes. Called by `stats`; keeps no event.

use super::distinct::Distinct;
use super::generation::OpenGeneration;
use super::report::{Failure, Recorder, Report, SampleAccount, Sampling, Seen};
use super::sizes::Sizes;
use std::collections::BTreeMap;
use tachograph_reader::{Change, Event, Generation, Kind, Resource};
use tachograph_wire::metadata::{
    CauseCounts, EventsLost, FAMILY, Gap, Metadata, RecorderSetup, SampleCounts,
};
use tachograph_wire::version::HEADER_BYTES;
use tachograph_wire::{ProcId, TaskId, ThreadId, UserTaskId, Version};

/// How many different causes are told apart; only a trace that means harm has more.
const MOST_CAUSES: usize = 64;
/// Under which further causes are counted.
const FURTHER_CAUSES: &str = "further";

/// The counters.
pub struct Tally {
    report: Report,
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
            report: Report::of_version(Some(format!("1.{}", version.minor()))),
            open: None,
            threads: Distinct::without(ThreadId::NONE.0),
            procs: Distinct::without(ProcId::NONE.0),
            tasks: Distinct::without(TaskId::NONE.0),
            user_tasks: Distinct::without(UserTaskId::BACKGROUND.0),
        }
    }

    /// Counts an event.
    #[inline]
    pub fn add(&mut self, event: &Event<'_>) {
        let kind = event.kind();
        self.see_context(event);
        self.see(&kind);
        match (&kind, self.open.as_mut()) {
            (Kind::Sync(_), _) => self.enter(event.generation()),
            (Kind::Sample, Some(open)) => open.sample(event.time()),
            (_, Some(open)) => open.event(event.time()),
            (_, None) => {}
        }
    }

    /// What was counted until the end, or until the trace broke.
    pub fn finish(mut self, sizes: &Sizes, error: Option<Failure>) -> Report {
        self.close();
        let generations = &self.report.generations;
        let by_type = sizes.by_type();
        self.report.bytes =
            HEADER_BYTES as u64 + by_type.values().map(|found| found.bytes).sum::<u64>();
        self.report.events = generations.iter().map(|one| one.events).sum();
        self.report.samples.count = generations.iter().map(|one| one.samples).sum();
        self.report.samples.weight = generations
            .iter()
            .fold(0, |sum, one| one.weight.saturating_add(sum));
        self.report.by_type = by_type;
        self.report.seen = self.seen();
        self.report.error = error;
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

    fn enter(&mut self, generation: Option<&Generation>) {
        self.close();
        let Some(generation) = generation else { return };
        self.open = Some(OpenGeneration::new(generation));
        for (_, text) in generation.strings() {
            if text.as_bytes().starts_with(FAMILY.as_bytes()) {
                self.metadata(text.to_str(), generation);
            }
        }
    }

    fn close(&mut self) {
        let closed = self.open.take().map(|open| open.stats());
        self.report.generations.extend(closed);
    }

    #[inline]
    fn see_context(&mut self, event: &Event<'_>) {
        if let Some(thread) = event.thread() {
            self.threads.see(thread.0);
        }
        if let Some(proc) = event.proc() {
            self.procs.see(proc.0);
        }
        if let Some(task) = event.task() {
            self.tasks.see(task.0);
        }
    }

    #[inline]
    fn see(&mut self, kind: &Kind<'_>) {
        match kind {
            Kind::Transition(transition) => match transition.change {
                Change::Task { id, .. } => self.tasks.see(id.0),
                Change::Proc { id, .. } => self.procs.see(id.0),
            },
            Kind::TaskBegin(task) | Kind::TaskEnd(task) => self.user_tasks.see(task.id.0),
            Kind::RegionBegin(region) | Kind::RegionEnd(region) => {
                self.user_tasks.see(region.task.0);
            }
            Kind::Log(log) => self.user_tasks.see(log.task.0),
            Kind::RangeActive(range) => match range.scope {
                Some(Resource::Task(task)) => self.tasks.see(task.0),
                Some(Resource::Proc(proc)) => self.procs.see(proc.0),
                None => {}
            },
            _ => {}
        }
    }

    fn metadata(&mut self, text: Option<&str>, generation: &Generation) {
        let Some(Ok(record)) = text.and_then(Metadata::parse) else {
            self.report.unreadable_metadata += 1;
            return;
        };
        let Some(open) = self.open.as_mut() else {
            return;
        };
        match record {
            Metadata::Generation(times) => open.times(&times, generation),
            Metadata::Weights(weights) => open.weights(&weights),
            Metadata::Gap(gap) => self.gap(&gap, generation),
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

    fn gap(&mut self, gap: &Gap, generation: &Generation) {
        let gaps = &mut self.report.gaps;
        let length = generation.nanos(gap.end - gap.start);
        gaps.total_ns = gaps.total_ns.saturating_add(length.0);
        gaps.count += 1;
        add_cause(&mut gaps.by_cause, gap.cause.word(), 1);
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
