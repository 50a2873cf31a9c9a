//! Moves the recorder from one generation to the next, or to none.
//!
//! Called by `engine` only, on its own thread: there is one advancer, so the right to advance needs no lock.
//!
//! # Protocol (Go: `traceAdvance` in `runtime/trace.go`)
//! 1. Notes are taken (`notes` rule 1) and the next generation's ids and queue place are ready before it is published.
//! 2. After the publication, a heavy fence; then every thread's flag is seen clear once (`gate` rule 3). The list of threads is taken
//!    after the fence: a thread that registers later can only enter the new generation.
//! 3. Only then are the closed generation's slots sealed, silent threads stated, its rings drained to the end, in this order:
//!    samples, stacks, strings, because each may add to the next.
//! 4. The generation after the next is published only when all this is done. It need not be *written* yet: everything of a
//!    generation has moved to the queue, so at most two generations are open, however slow the sink is.
//! 5. Memory that a handler or an event might still look at (unwind tables) is freed only after rule 2 has passed over it.
//!
//! Modelled in `tests/loom_advance.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tachograph_wire::metadata::{
    CauseCounts, Count, EventsLost, GenerationTimes, Metadata, Proc, SampleCounts, Thread,
    ThreadKind, Weights,
};
use tachograph_wire::{
    BatchWriter, ClockSnapshot, Frequency, Generation, ProcId, TaskId, ThreadId, Ticks,
};

use crate::barrier::{FenceKind, heavy_fence};
use crate::clock::{TICKS_PER_SECOND, monotonic_nanos};
use crate::core::CORE;
use crate::coverage;
use crate::engine::Engine;
use crate::notes::Notes;
use crate::own_task::Line;
use crate::package::Closing;
use crate::record::{NO_PROC, NO_WORKER, ThreadRecord};
use crate::sample::counters::Tally;
use crate::sample::drain::Drain;
use crate::sync::{Ordering, lock};
use crate::tables::Tables;

/// What follows the generation that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Recording goes on.
    Generation,
    /// Nothing for now: everything in the trace is brought to its end.
    Suspension,
    /// Nothing more.
    Stop,
}

impl Engine {
    /// Publishes the first generation of a run. Nothing is recorded until then.
    pub(crate) fn begin_run(&mut self) {
        CORE.begin_run();
        self.own.begin_run();
        self.open(Generation(self.generation).next().0);
        self.published = CORE.clock.now_ordered();
        CORE.gate.publish(self.generation);
        heavy_fence(self.fence);
        self.say_procs();
        let first = self.generation == CORE.recording_since();
        self.own.introduce_tasks(&mut self.tables, first);
    }

    /// Closes the open generation (module text).
    pub(crate) fn advance(&mut self, next: Next) {
        let closing = self.generation;
        let published = self.published;
        let mut drain = std::mem::replace(&mut self.drain, Drain::new(0));
        let mut tables = std::mem::replace(&mut self.tables, Tables::new(0));
        let leavers = exited_threads();
        // Rule 1.
        let notes = Notes::take(CORE.run());
        let follows = match next {
            Next::Generation => {
                self.open(Generation(closing).next().0);
                self.generation
            }
            Next::Suspension | Next::Stop => 0,
        };
        self.published = CORE.clock.now_ordered();
        CORE.gate.publish(follows);
        // Rule 2.
        if !heavy_fence(self.fence) {
            CORE.gate.use_light_fences(false);
            self.fence = FenceKind::Full;
        }
        let live = CORE.registry.live();
        wait_for_writers(&live);
        let quiet = CORE.clock.now_ordered();
        if follows != 0 {
            self.say_procs();
        }
        // Rule 3.
        let mut events = seal_slots(&live, closing);
        notes.state(&mut tables, &mut self.own);
        let mut metadata = vec![Metadata::Generation(GenerationTimes {
            generation: Generation(closing),
            published: Some(Ticks(published)),
            quiet: Some(Ticks(quiet)),
            previous_quiet: (self.previous_quiet != 0).then_some(Ticks(self.previous_quiet)),
            unknown: Vec::new(),
        })];
        metadata.extend(self.setup_metadata());
        metadata.extend(live.iter().filter_map(|record| proc_metadata(record)));
        let covered = coverage::take(&live, quiet, CORE.recording_began());
        metadata.extend(covered.iter().map(|(runtime, one)| one.metadata(*runtime)));
        self.totals.add_coverage(&covered);
        let lost = self.close_samples(&mut drain, &live, &mut metadata);
        self.report_losses(&mut tables, &lost, &mut metadata);
        if next == Next::Suspension {
            Notes::end_run(CORE.run(), &mut tables, &mut self.own);
        }
        if follows == 0 {
            CORE.tasks.forget();
        }
        events += tables.events;
        let mut stacks = tables.finish();
        stacks.extend(drain.take_stacks());
        self.totals
            .add_generation(events, drain.samples, drain.weight);
        let next_string = CORE.ids[(closing & 1) as usize]
            .strings
            .load(Ordering::Relaxed);
        CORE.queue.close(
            closing,
            Box::new(Closing {
                generation: closing,
                ticks: quiet,
                stacks,
                next_string,
                metadata,
                modules: Arc::clone(&self.modules),
            }),
        );
        self.previous_quiet = quiet;
        // Rule 5.
        self.retired_tables.clear();
        self.reap(leavers);
    }

    /// Makes `generation` the open one, except for its publication (rule 1).
    fn open(&mut self, generation: u64) {
        CORE.ids[(generation & 1) as usize].reset();
        CORE.queue.open(generation, sync_batch(generation));
        self.generation = generation;
        self.opened = std::time::Instant::now();
        self.handed_before = CORE.queue.handed_bytes();
        // Relaxed: recordings are serialised.
        CORE.last_generation.store(generation, Ordering::Relaxed);
        self.drain = Drain::new(generation);
        self.tables = Tables::new(generation);
    }

    fn say_procs(&mut self) {
        let procs = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        self.own
            .block(&mut self.tables, &[Line::ProcsChange(procs)]);
    }

    /// The last drain of a generation, and its accounts by thread.
    fn close_samples(
        &mut self,
        drain: &mut Drain,
        live: &[&'static ThreadRecord],
        metadata: &mut Vec<Metadata>,
    ) -> Tally {
        let parity = (drain.generation() & 1) as usize;
        // A thread may have got the tid of one that ended in the same generation: they share an account.
        let mut tallies: BTreeMap<u64, Tally> = BTreeMap::new();
        for record in live {
            drain.take(record);
            if let Some(rings) = record.sample.rings() {
                rings.rings[parity].rewind();
            }
            metadata.push(thread_metadata(record));
            tallies
                .entry(record.tid())
                .or_default()
                .add(&record.sample.counters[parity].take());
        }
        let mut all = Tally::default();
        for (tid, mut tally) in tallies {
            let samples = drain.take_thread(tid);
            tally.emitted = samples.emitted;
            if tally != Tally::default() {
                metadata.push(samples_metadata(Some(tid), &tally));
                let weights = Weights::of(ThreadId(tid), samples.weights);
                metadata.push(Metadata::Weights(weights));
                all.add(&tally);
            }
        }
        drain.send();
        let outside = self.take_outside();
        if outside.handled > 0 {
            metadata.push(samples_metadata(None, &outside));
            all.add(&outside);
        }
        self.totals.samples.add(&all);
        all
    }

    /// Losses go into the trace twice: as metadata for us, as a log for everybody else.
    fn report_losses(&mut self, tables: &mut Tables, lost: &Tally, metadata: &mut Vec<Metadata>) {
        let mut lines: Vec<Line> = lost
            .causes()
            .filter(|(_, count)| *count > 0)
            .map(|(cause, count)| {
                let what = if cause.loses_sample() {
                    "samples lost"
                } else {
                    "stacks incomplete"
                };
                Line::Log {
                    category: format!("tachograph: {what}"),
                    message: format!("{}={count}", cause.word()),
                }
            })
            .collect();
        let events = self.take_lost_events();
        if events != (0, 0) {
            metadata.push(Metadata::EventsLost(EventsLost {
                thread: None,
                reentrant: Count(events.0),
                unrecorded: Count(events.1),
                unknown: Vec::new(),
            }));
            lines.push(Line::Log {
                category: "tachograph: events lost".to_owned(),
                message: format!("reentrant={} unrecorded={}", events.0, events.1),
            });
        }
        if let Some(gap) = self.gap_to_report.take() {
            lines.push(Line::Log {
                category: "tachograph: gap".to_owned(),
                message: format!(
                    "recording was suspended for {} ms: the sink was behind",
                    (gap.end.0 - gap.start.0) * 1000 / TICKS_PER_SECOND
                ),
            });
            metadata.push(Metadata::Gap(gap));
        }
        if !lines.is_empty() {
            self.own.block(tables, &lines);
        }
    }

    /// Gives back the records of threads that had exited before the generation was closed.
    pub(crate) fn reap(&mut self, leavers: Vec<&'static ThreadRecord>) {
        for record in leavers {
            self.totals.add_thread(record);
            CORE.registry.reap(record);
        }
    }
}

/// Threads that are gone: everything of theirs lies in the open generation or an earlier one.
pub(crate) fn exited_threads() -> Vec<&'static ThreadRecord> {
    let mut live = CORE.registry.live();
    // Acquire: pairs with the Release in `registry::on_thread_exit`.
    // One that could not say that it left is still part of the run: it is ended with it.
    let run = CORE.run();
    live.retain(|record| {
        let shared = &record.shared;
        shared.exited.load(Ordering::Acquire) && shared.run.load(Ordering::Acquire) != run
    });
    live
}

/// Rule 2.
pub(crate) fn wait_for_writers(live: &[&'static ThreadRecord]) {
    for record in live {
        record.flag.wait_until_clear();
    }
}

/// Takes what the threads have filled, and counts their events.
fn seal_slots(live: &[&'static ThreadRecord], closing: u64) -> u64 {
    let mut events = 0;
    for record in live {
        // SAFETY: the generation is quiet, so the engine owns the slot.
        let slot = unsafe { record.slot(closing) };
        if slot.generation == closing {
            events += slot.seal(&CORE.queue);
        }
        events += record.shared.events_at_exit[(closing & 1) as usize].swap(0, Ordering::Relaxed);
    }
    events
}

/// Frequency and clock snapshot: the first batch of every generation.
fn sync_batch(generation: u64) -> Vec<u8> {
    let now = CORE.clock.now_ordered();
    let mono = monotonic_nanos();
    let wall = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let mut batch = BatchWriter::new(
        Generation(generation),
        ThreadId::NONE,
        Ticks(now.saturating_sub(1)),
    );
    let written = batch.sync(
        Frequency(TICKS_PER_SECOND),
        &ClockSnapshot {
            dt: Ticks(1),
            mono,
            sec: wall.as_secs(),
            nsec: u64::from(wall.subsec_nanos()),
        },
    );
    debug_assert!(written.is_ok());
    batch.finish()
}

fn thread_metadata(record: &ThreadRecord) -> Metadata {
    let shared = &record.shared;
    let name = lock(&shared.name).clone();
    let registered = shared.registered.load(Ordering::Relaxed);
    // Relaxed: for information.
    let task = shared.own_task.load(Ordering::Relaxed);
    Metadata::Thread(Thread {
        thread: ThreadId(record.tid()),
        name: (!name.is_empty()).then_some(name),
        task: (registered && task != 0).then_some(TaskId(task)),
        kind: Some(if registered {
            ThreadKind::Plain
        } else {
            ThreadKind::Unregistered
        }),
        unknown: Vec::new(),
    })
}

/// Of a runtime's thread: the slot that it holds or has put down.
fn proc_metadata(record: &ThreadRecord) -> Option<Metadata> {
    let shared = &record.shared;
    // Relaxed (all): for information.
    let proc = shared.runtime_proc.load(Ordering::Relaxed);
    let pool = shared.pool()?;
    (proc != NO_PROC).then(|| {
        let worker = shared.worker.load(Ordering::Relaxed);
        Metadata::Proc(Proc {
            proc: ProcId(proc),
            runtime: pool.runtime,
            name: pool.name.map(str::to_owned),
            worker: (worker != NO_WORKER).then_some(worker),
            thread: ThreadId(record.tid()),
            unknown: Vec::new(),
        })
    })
}

fn samples_metadata(tid: Option<u64>, tally: &Tally) -> Metadata {
    let mut lost = CauseCounts::default();
    let mut incomplete = CauseCounts::default();
    for (cause, count) in tally.causes() {
        if cause.loses_sample() {
            lost.add(cause, count);
        } else {
            incomplete.add(cause, count);
        }
    }
    Metadata::Samples(SampleCounts {
        thread: tid.map(ThreadId),
        handled: tally.handled,
        emitted: tally.emitted,
        lost,
        incomplete,
        unknown: Vec::new(),
    })
}
