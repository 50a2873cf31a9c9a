//! What a recording comes to: the figures that `stop` returns, and how they read.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::barrier::FenceKind;
use crate::clock::{ClockKind, NANOS_PER_TICK};
use crate::core::CORE;
use crate::coverage::Covered;
use crate::sample::counters::Tally;
use crate::sample::handler;
use crate::sample::timer::SampleSource;
use crate::sample::walker::UnwinderKind;
use crate::setup::Setup;
use crate::sync::Ordering;
use crate::totals::Totals;
use crate::writer::Written;

/// What was recorded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// From start to stop.
    pub elapsed: Duration,
    /// Generations in the trace.
    pub generations: u64,
    /// Events in the trace, samples included.
    pub events: u64,
    /// Bytes that the sink took.
    pub bytes: u64,
    /// Events that could not be kept.
    pub events_lost: u64,
    /// Stretches without recording because the sink was behind.
    pub gaps: u64,
    /// Their length in all.
    pub gap_time: Duration,
    /// Stacks with more frames than the wire allows.
    pub stacks_cut: u64,
    /// Stacks of awaits and wakes that threads could not afford (`AwaitStacks::Auto`).
    pub stacks_left_out: u64,
    /// A traced async task or blocking closure ran, on a runtime that is instrumented or not.
    pub saw_async_tasks: bool,
    /// Async runtimes whose threads were instrumented.
    pub runtimes: Vec<RuntimeSummary>,
    /// CPU samples; `None` when none were asked for.
    pub samples: Option<SampleSummary>,
    /// The clock behind the timestamps.
    pub clock: ClockKind,
    /// How event path and engine are ordered.
    pub fence: FenceKind,
}

/// What an async runtime's threads did, and how much of it was seen as tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeSummary {
    /// The runtime's number in the process.
    pub runtime: u64,
    /// The runtime's name, if it was given one.
    pub name: Option<&'static str>,
    /// Time between parks, of all its threads.
    pub busy: Duration,
    /// Time in polls of traced tasks. What is missing to `busy` is the runtime's own, and that of tasks that nobody traces.
    pub in_tasks: Duration,
    /// Polls of traced tasks.
    pub polls: u64,
    /// Times that one of its threads was unparked.
    pub unparks: u64,
    /// Of those, the ones in which no traced task was polled until the next park.
    pub unparks_without_task: u64,
}

impl RuntimeSummary {
    fn new(runtime: u64, covered: &Covered) -> Self {
        let [busy, in_tasks, polls, unparks, unparks_without_task] = covered.counts;
        let time = |ticks| Duration::from_nanos(ticks * NANOS_PER_TICK);
        Self {
            runtime,
            name: covered.name,
            busy: time(busy),
            in_tasks: time(in_tasks),
            polls,
            unparks,
            unparks_without_task,
        }
    }

    fn write(&self, saw_async_tasks: bool, f: &mut String) -> fmt::Result {
        let outside = self.busy.saturating_sub(self.in_tasks).as_secs_f64();
        let name = match self.name {
            Some(name) => format!("{} ({name})", self.runtime),
            None => self.runtime.to_string(),
        };
        write!(f, "runtime {name}    ")?;
        if self.unparks == 0 && self.polls == 0 && self.busy.is_zero() {
            writeln!(f, "nothing was heard of its threads")?;
        } else {
            writeln!(
                f,
                "busy {:.3} s; {:.3} s in {} polls of traced tasks, {:.3} s outside ({:.0} %)",
                self.busy.as_secs_f64(),
                self.in_tasks.as_secs_f64(),
                self.polls,
                outside,
                100.0 * outside / self.busy.as_secs_f64().max(f64::MIN_POSITIVE)
            )?;
        }
        if self.unparks_without_task > 0 {
            writeln!(
                f,
                "             {} of {} times a worker was unparked, it polled no traced task",
                self.unparks_without_task, self.unparks
            )?;
        }
        if self.polls == 0 && !saw_async_tasks {
            writeln!(
                f,
                "             NO TASK WAS TRACED: use tachograph::spawn, or traced(), where tokio::spawn is called"
            )?;
        }
        Ok(())
    }
}

/// What became of the CPU samples.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SampleSummary {
    /// Samples per second of CPU time, as asked for.
    pub hz: u32,
    /// Where the signals came from.
    pub source: SampleSource,
    /// The kernel's tick; POSIX timers signal no faster, the rest are overruns.
    pub tick_hz: u64,
    /// How stacks were walked.
    pub unwinder: UnwinderKind,
    /// Signals handled, samples emitted, and the causes of what is missing. `handled` = `emitted` + `tally.lost()`.
    pub tally: Tally,
    /// Timer periods that the samples stand for: samples plus overruns.
    pub weight: u64,
    /// Threads with at least one sample.
    pub threads: u64,
    /// CPU time of the whole process, by its clock.
    pub process_cpu: Duration,
    /// CPU time of the threads with at least one sample, by their clocks.
    pub sampled_threads_cpu: Duration,
    /// Threads that the kernel gave no timer, or that were too many.
    pub threads_refused: u64,
    /// Threads that had blocked SIGPROF when they registered; it was let through.
    pub threads_unblocked: u64,
    /// Profiling signals from elsewhere, which nobody else wanted.
    pub foreign_signals: u64,
    /// Whether another SIGPROF handler was there before ours and is given what is not ours.
    pub chained_handler: bool,
    /// Whether somebody put another SIGPROF handler in place of ours during the recording: it got the signals since.
    pub handler_replaced: bool,
}

impl SampleSummary {
    /// CPU time that the samples stand for.
    #[must_use]
    pub fn estimated_cpu(&self) -> Duration {
        Duration::from_nanos(self.weight * (1_000_000_000 / u64::from(self.hz.max(1))))
    }

    /// CPU time of threads without any sample: too short, refused, or blocking SIGPROF.
    #[must_use]
    pub fn never_sampled_cpu(&self) -> Duration {
        self.process_cpu.saturating_sub(self.sampled_threads_cpu)
    }
}

impl Summary {
    pub(crate) fn new(
        setup: &Setup,
        fence: FenceKind,
        clock: ClockKind,
        totals: &Totals,
        written: &Written,
    ) -> Self {
        Self {
            elapsed: Duration::from_nanos(totals.elapsed_ns),
            generations: totals.generations,
            events: totals.events,
            bytes: written.bytes,
            events_lost: totals.events_lost,
            gaps: totals.gaps,
            gap_time: Duration::from_nanos(totals.gap_ns),
            stacks_cut: written.stacks_cut,
            stacks_left_out: totals.stacks_left_out,
            saw_async_tasks: totals.polled,
            runtimes: totals
                .coverage
                .iter()
                .map(|(runtime, covered)| RuntimeSummary::new(*runtime, covered))
                .collect(),
            samples: setup.plan.map(|plan| SampleSummary {
                hz: setup.hz,
                source: plan.source,
                tick_hz: setup.tick_hz,
                unwinder: setup.unwinder,
                tally: totals.samples,
                weight: totals.weight,
                threads: totals.threads_sampled,
                process_cpu: Duration::from_nanos(totals.process_cpu_ns),
                sampled_threads_cpu: Duration::from_nanos(totals.sampled_threads_cpu_ns),
                threads_refused: CORE.sampler.refused.load(Ordering::Relaxed),
                threads_unblocked: CORE.sampler.unblocked(),
                foreign_signals: handler::FOREIGN.load(Ordering::Relaxed),
                chained_handler: handler::chains(),
                handler_replaced: !handler::is_installed(),
            }),
            clock,
            fence,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text)?;
        f.write_str(text.trim_end())
    }
}

impl Summary {
    fn write(&self, f: &mut String) -> fmt::Result {
        writeln!(
            f,
            "recorded     {:.2} s, {} generations, {} events, {} bytes",
            self.elapsed.as_secs_f64(),
            self.generations,
            self.events,
            self.bytes
        )?;
        writeln!(
            f,
            "clock        {}, fences {}",
            self.clock.name(),
            self.fence.name()
        )?;
        if self.events_lost > 0 {
            writeln!(f, "events lost  {}", self.events_lost)?;
        }
        if self.gaps > 0 {
            writeln!(
                f,
                "gaps         {}, {:.3} s in all: the sink was behind",
                self.gaps,
                self.gap_time.as_secs_f64()
            )?;
        }
        if self.stacks_cut > 0 {
            writeln!(f, "stacks cut   {}", self.stacks_cut)?;
        }
        if self.stacks_left_out > 0 {
            writeln!(
                f,
                "await stacks {} left out, to spend less than 2 % of the time on them",
                self.stacks_left_out
            )?;
        }
        for runtime in &self.runtimes {
            runtime.write(self.saw_async_tasks, f)?;
        }
        if self.saw_async_tasks && self.runtimes.is_empty() {
            writeln!(
                f,
                "runtimes     none is instrumented: see tachograph::tokio::instrument, or #[tachograph::main]"
            )?;
        }
        match &self.samples {
            Some(samples) => samples.write(f),
            None => writeln!(f, "samples      none asked for"),
        }
    }
}

impl SampleSummary {
    fn write(&self, f: &mut String) -> fmt::Result {
        writeln!(
            f,
            "samples      {} of {} signals at {} Hz ({}, unwinding: {}), weight {}",
            self.tally.emitted,
            self.tally.handled,
            self.hz,
            self.source.name(),
            self.unwinder.name(),
            self.weight
        )?;
        if self.source == SampleSource::PosixTimer && u64::from(self.hz) > self.tick_hz {
            writeln!(
                f,
                "             above the kernel's tick of {} Hz: overruns weigh, perf_event is not in use",
                self.tick_hz
            )?;
        }
        for (cause, count) in self.tally.causes().filter(|(_, count)| *count > 0) {
            let what = match cause.loses_sample() {
                true => "lost",
                false => "incomplete",
            };
            writeln!(f, "             {what}: {} {count}", cause.word())?;
        }
        writeln!(
            f,
            "CPU          {:.3} s of the process; {:.3} s by samples on {} threads, {:.3} s of threads never sampled",
            self.process_cpu.as_secs_f64(),
            self.estimated_cpu().as_secs_f64(),
            self.threads,
            self.never_sampled_cpu().as_secs_f64()
        )?;
        for (count, what) in [
            (self.threads_refused, "threads without a timer"),
            (self.threads_unblocked, "threads had SIGPROF blocked"),
            (self.foreign_signals, "SIGPROF from elsewhere"),
        ] {
            if count > 0 {
                writeln!(f, "             {count} {what}")?;
            }
        }
        if self.chained_handler {
            writeln!(f, "             another SIGPROF handler is chained")?;
        }
        if self.handler_replaced {
            writeln!(
                f,
                "             another SIGPROF handler has taken the place of ours"
            )?;
        }
        Ok(())
    }
}
