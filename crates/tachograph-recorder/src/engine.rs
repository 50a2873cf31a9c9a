//! The engine thread: ticks, generations, suspension, the end.
//!
//! The only advancer. Every 100 ms it looks for new threads, drains the sample rings, takes slots out of long blocking sections and
//! looks whether modules came or went; every generation period it advances. It never touches the sink: a slow one only makes the
//! queue long, and a long queue makes it suspend the recording at a generation boundary until the sink has caught up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tachograph_unwind::{Module, load_counters};
use tachograph_wire::metadata::{Cause, Gap, GapCause, Metadata};
use tachograph_wire::{EventKind, ProcStatus, Ticks};

use crate::advance::{Next, exited_threads};
use crate::barrier::FenceKind;
use crate::clock::{ClockKind, TICKS_PER_SECOND};
use crate::core::CORE;
use crate::own_task::OwnTask;
use crate::sample::arm::{self, Armory};
use crate::sample::counters::Tally;
use crate::sample::drain::Drain;
use crate::sample::walker::Tables as CodeTables;
use crate::setup::Setup;
use crate::sync::Ordering;
use crate::tables::Tables;
use crate::totals::Totals;
use crate::writer::SINK_FAILED;

/// How often rings are drained and threads looked for.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Generations that may wait for the sink before the next advance waits as well. Two are always open or closing.
const BACKLOG: usize = 4;
/// Tables that wait for the next advance to be freed; with more, newer code waits.
const MAX_RETIRED: usize = 16;
/// What a task's status takes.
const STATUS_BYTES: u64 = 19;
/// Statuses that no generation is stretched for.
const STATUS_BYTES_FOR_FREE: u64 = 64 << 10;
/// How much more than statuses a generation is to hold.
const STATUS_SHARE: u64 = 20;
/// Periods that a generation may last at most.
const MOST_PERIODS: u32 = 60;
/// A blocking section longer than this loses its processor slot at the next tick.
const LONG_SECTION_TICKS: u64 = TICKS_PER_SECOND / 50;

/// The state of a recording, on the engine's thread.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) setup: Setup,
    pub(crate) fence: FenceKind,
    pub(crate) clock: ClockKind,
    /// The open generation, or the last one when suspended.
    pub(crate) generation: u64,
    /// When it was published, in ticks.
    pub(crate) published: u64,
    /// When the one before it became quiet, 0 for none.
    pub(crate) previous_quiet: u64,
    pub(crate) own: OwnTask,
    pub(crate) tables: Tables,
    pub(crate) drain: Drain,
    pub(crate) modules: Arc<[Module]>,
    /// N.B. Boxed: a walk may still look at them where they are.
    #[allow(clippy::vec_box)]
    pub(crate) retired_tables: Vec<Box<CodeTables>>,
    pub(crate) gap_to_report: Option<Gap>,
    pub(crate) totals: Totals,
    armory: Option<Armory>,
    /// When the open generation was opened, and what had been handed over by then.
    pub(crate) opened: Instant,
    pub(crate) handed_before: u64,
    loaded: (u64, u64),
    /// Since when, in ticks, nothing is recorded because the sink is behind.
    suspended: Option<u64>,
}

impl Engine {
    /// An engine that has not begun.
    pub(crate) fn new(setup: Setup, fence: FenceKind, clock: ClockKind) -> Self {
        Self {
            fence,
            clock,
            // Relaxed: recordings are serialised.
            generation: CORE.last_generation.load(Ordering::Relaxed),
            published: 0,
            previous_quiet: 0,
            own: OwnTask::new(crate::os::tid()),
            tables: Tables::new(0),
            drain: Drain::new(0),
            modules: Arc::from([]),
            retired_tables: Vec::new(),
            gap_to_report: None,
            totals: Totals::begin(),
            armory: setup.plan.map(|_| Armory::new()),
            opened: Instant::now(),
            handed_before: 0,
            loaded: load_counters(),
            suspended: None,
            setup,
        }
    }

    /// Begins to record. When this returns, events of all threads are kept and all threads are armed.
    pub(crate) fn begin(&mut self) {
        self.remember_modules();
        self.begin_run();
        self.look_for_threads();
    }

    /// Records until somebody asks for the end.
    pub(crate) fn run(mut self) -> Totals {
        let mut next_tick = Instant::now() + TICK;
        let mut next_advance = Instant::now() + self.setup.period;
        loop {
            let now = Instant::now();
            let deadline = match self.may_advance() {
                true => next_tick.min(next_advance),
                false => next_tick.min(now + Duration::from_millis(1)),
            };
            let stop = CORE
                .queue
                .wait_for_call(deadline.saturating_duration_since(now));
            // Relaxed: a hint, and the engine is woken for it. What has been recorded goes nowhere any more.
            if stop || SINK_FAILED.load(Ordering::Relaxed) {
                break;
            }
            let now = Instant::now();
            if now >= next_tick {
                self.tick();
                next_tick = now + TICK;
            }
            self.mind_the_sink();
            let due = now >= next_advance && !self.stretches(now);
            if (due || self.retired_tables.len() >= MAX_RETIRED) && self.may_advance() {
                self.advance(Next::Generation);
                next_advance = now + self.setup.period;
            }
        }
        self.end()
    }

    /// Whether the generation goes on beyond its period: stating all tasks would be more than a twentieth of what it has to say.
    fn stretches(&self, now: Instant) -> bool {
        let statuses = CORE.tasks.count() as u64 * STATUS_BYTES;
        let said = CORE.queue.handed_bytes().saturating_sub(self.handed_before);
        statuses > STATUS_BYTES_FOR_FREE
            && said < statuses * STATUS_SHARE
            && now < self.opened + self.setup.period.saturating_mul(MOST_PERIODS)
    }

    fn may_advance(&self) -> bool {
        self.suspended.is_none() && CORE.queue.backlog() <= BACKLOG
    }

    fn tick(&mut self) {
        self.look_for_threads();
        if self.suspended.is_none() {
            for record in CORE.registry.live() {
                self.drain.take(record);
            }
            self.take_slots();
        } else {
            // Nobody else reaps until recording goes on. All generations are closed.
            self.reap(exited_threads());
        }
        CORE.queue.nudge();
        self.look_for_modules();
    }

    fn look_for_threads(&mut self) {
        let Some(look) = self.armory.as_mut().map(Armory::look) else {
            return;
        };
        if look.has_news() {
            // Before they are armed: their first samples are walked on stacks that the tables know.
            self.refresh_tables();
        }
        if let Some(armory) = &mut self.armory {
            armory.act(look);
        }
    }

    fn look_for_modules(&mut self) {
        if load_counters() != self.loaded || CORE.sampler.tables.take_stale() {
            self.refresh_tables();
        }
    }

    fn refresh_tables(&mut self) {
        self.loaded = load_counters();
        let Some(tables) = CORE.sampler.tables.get() else {
            return;
        };
        if self.retired_tables.len() >= MAX_RETIRED {
            CORE.sampler.tables.mark_stale();
            return;
        }
        let fresh = Box::new(tables.refreshed());
        let old = CORE.sampler.tables.replace(fresh);
        if self.suspended.is_none() {
            self.retired_tables.extend(old);
        }
        // Otherwise the gate is closed and everybody has been seen outside: nobody can look at the old ones.
        self.remember_modules();
    }

    fn remember_modules(&mut self) {
        if let Some(tables) = CORE.sampler.tables.get() {
            self.modules = tables.snapshot.modules().into();
        }
    }

    /// Takes the processor slots of long blocking sections, as Go's system monitor does.
    fn take_slots(&mut self) {
        let run = CORE.run();
        let now = CORE.clock.now();
        let mut stream = self.tables.stream(self.own.tid());
        for record in CORE.registry.live() {
            let shared = &record.shared;
            // Acquire: pairs with the Release in `Section::introduce`.
            if shared.run.load(Ordering::Acquire) != run {
                continue;
            }
            let Some(seen) = shared.syscall.look(self.generation) else {
                continue;
            };
            // Relaxed (both): stored before the section's begin, which `look` has acquired.
            let long = now.saturating_sub(shared.syscall_since.load(Ordering::Relaxed))
                > LONG_SECTION_TICKS;
            let proc = CORE.procs.get(shared.proc.load(Ordering::Relaxed));
            if let Some(proc) = proc.filter(|_| long)
                && shared.syscall.take(seen)
            {
                if proc.marks.claim(self.generation) {
                    let abandoned = ProcStatus::SyscallAbandoned.to_wire();
                    stream.event(
                        &mut self.tables,
                        EventKind::ProcStatus,
                        &[proc.id, abandoned],
                    );
                }
                let sequence = proc.marks.next_sequence(self.generation);
                let args = [proc.id, sequence, record.tid()];
                stream.event(&mut self.tables, EventKind::ProcSteal, &args);
                CORE.procs.give(proc, run);
            }
        }
        self.tables.push(stream);
    }

    /// Suspends when too much waits for the sink, resumes when it has caught up.
    fn mind_the_sink(&mut self) {
        match self.suspended {
            None if CORE.queue.take_muted() || CORE.queue.is_over_limit() => {
                CORE.sampler.set_suspended(true);
                self.suspended = Some(CORE.clock.now());
                self.advance(Next::Suspension);
            }
            // What a generation leaves to be written besides its blocks is not in the queue's figures.
            Some(since) if CORE.queue.is_relieved() && CORE.queue.backlog() <= 1 => {
                self.resume(since);
            }
            _ => {}
        }
    }

    fn resume(&mut self, since: u64) {
        self.suspended = None;
        let _ = (CORE.queue.is_over_limit(), CORE.queue.take_muted());
        self.begin_run();
        CORE.sampler.set_suspended(false);
        let gap = Gap {
            start: Ticks(since),
            end: Ticks(self.published),
            cause: GapCause::SinkBehind,
            unknown: Vec::new(),
        };
        self.totals.add_gap(&gap);
        self.gap_to_report = Some(gap);
    }

    fn end(mut self) -> Totals {
        arm::disarm_all();
        if let Some(since) = self.suspended {
            // A last generation, so that the gap is in the trace.
            self.resume(since);
        }
        self.advance(Next::Stop);
        // Signals that landed since the last generation was closed.
        let outside = self.take_outside();
        self.totals.samples.add(&outside);
        self.totals.finish();
        self.totals
    }

    /// What the recording is, for every generation.
    pub(crate) fn setup_metadata(&self) -> impl Iterator<Item = Metadata> {
        self.setup
            .metadata(self.fence, self.clock, &self.modules, &self.own)
            .into_iter()
    }

    /// Signals that landed while nothing was recorded, since the last call.
    pub(crate) fn take_outside(&self) -> Tally {
        let mut tally = Tally::default();
        let sampler = &CORE.sampler;
        for (cause, counter) in [
            (Cause::Late, &sampler.late),
            (Cause::Suspended, &sampler.while_suspended),
        ] {
            // Relaxed: a counter.
            let count = counter.swap(0, Ordering::Relaxed);
            tally.count(cause, count);
            tally.handled += count;
        }
        tally
    }

    /// Events that could not be written since the last call: by re-entrance, and for want of a record or of memory.
    pub(crate) fn take_lost_events(&mut self) -> (u64, u64) {
        // Relaxed: counters.
        let reentrant = CORE
            .registry
            .live()
            .iter()
            .map(|record| record.shared.reentrant.swap(0, Ordering::Relaxed))
            .sum();
        let unrecorded = CORE.events_lost.swap(0, Ordering::Relaxed);
        self.totals.events_lost += reentrant + unrecorded;
        (reentrant, unrecorded)
    }
}
