//! Starting and stopping: the `Recorder` that is configured and the `Recording` that runs.
//!
//! # Protocol
//! 1. One recording at a time: `ACTIVE` is claimed before anything is touched and given back after everything is.
//! 2. Start: tables and handler before the gate opens; threads are armed after. Stop: threads are disarmed, the gate closes and the last
//!    generation is drained, the queue is finished, the sink flushed. After `stop` returns, nothing is written.
//! 3. Stopping twice is stopping once: the loser waits for nothing.

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tachograph_symbols::{Options, Symbolizer};

use crate::advance::wait_for_writers;
use crate::barrier::{self, FenceKind};
use crate::buffer;
use crate::claim::Claim;
use crate::clock::ClockKind;
use crate::core::{self, CORE};
use crate::engine::Engine;
use crate::error::{StartError, StopError};
use crate::resolve::Resolver;
use crate::sample::timer::{Plan, SampleSource};
use crate::sample::walker::Tables;
use crate::sample::{self, handler};
use crate::setup::Setup;
use crate::stack::AwaitStacks;
use crate::summary::Summary;
use crate::sync::Ordering;
use crate::totals::Totals;
use crate::writer::{SINK_FAILED, Writer, Written};

/// The highest sampling rate: one signal then takes a tenth of its period.
pub const MAX_SAMPLE_HZ: u32 = 20_000;

const DEFAULT_MEMORY_LIMIT: usize = 64 << 20;
/// 32 MiB, twice a thread.
const MOST_RING_WORDS: usize = 4 << 20;
/// As good as never.
const LONGEST_PERIOD: Duration = Duration::from_secs(365 * 24 * 3600);
/// With less, the tables of one generation could pass it.
const LEAST_MEMORY_LIMIT: usize = 256 << 10;
const DEFAULT_PERIOD: Duration = Duration::from_secs(1);

static ACTIVE: Claim = Claim::new();

/// Where addresses become names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Symbols {
    /// On the writer thread, at the end of each generation: functions, files, lines, inlined frames.
    #[default]
    InProcess,
    /// Not now: the trace has module offsets, load addresses and build ids.
    Offline,
}

/// Which timer CPU samples come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleTimer {
    /// POSIX timers up to the kernel's tick, perf_event above it where it is permitted.
    #[default]
    Auto,
    /// POSIX timers on each thread's CPU clock.
    Posix,
    /// perf_event's task clock.
    PerfEvent,
}

/// What to record.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use tachograph_recorder as tachograph;
/// use tachograph::{Recorder, region};
///
/// let recording = Recorder::new().sample_cpu(99).start(std::io::sink())?;
/// {
///     let _region = region("parse");
/// }
/// let summary = recording.stop()?;
/// assert!(summary.events > 0);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is recorded before `start`"]
#[derive(Clone, Debug)]
pub struct Recorder {
    sample_hz: Option<u32>,
    timer: SampleTimer,
    period: Duration,
    symbols: Symbols,
    symbol_memory: u64,
    memory_limit: usize,
    sample_ring_bytes: Option<usize>,
    await_stacks: AwaitStacks,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// Annotations and threads, no CPU samples, generations of one second.
    pub fn new() -> Self {
        Self {
            sample_hz: None,
            timer: SampleTimer::Auto,
            period: DEFAULT_PERIOD,
            symbols: Symbols::InProcess,
            symbol_memory: Options::default().lines_budget_bytes,
            memory_limit: DEFAULT_MEMORY_LIMIT,
            sample_ring_bytes: None,
            await_stacks: AwaitStacks::Auto,
        }
    }

    /// Takes `hz` samples per second of CPU time on every thread of the process. 1 to `MAX_SAMPLE_HZ`.
    pub fn sample_cpu(mut self, hz: u32) -> Self {
        self.sample_hz = Some(hz);
        self
    }

    /// Chooses the timer behind `sample_cpu`.
    pub fn sample_timer(mut self, timer: SampleTimer) -> Self {
        self.timer = timer;
        self
    }

    /// How long a generation lasts, one second unless said. What it needs besides its events (stacks, names, weights of samples) stays
    /// in memory until its end. ZERO = advance continuously, which is for tests.
    pub fn generation_period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// Where addresses become names.
    pub fn symbols(mut self, symbols: Symbols) -> Self {
        self.symbols = symbols;
        self
    }

    /// Memory that lines and inlined frames may take, 64 MiB unless said; then symbol tables are enough.
    pub fn symbol_memory(mut self, bytes: u64) -> Self {
        self.symbol_memory = bytes;
        self
    }

    /// How much may wait for a slow sink, 64 MiB unless said, at least 256 KiB. When it is passed, recording is suspended until half of it is
    /// written; the gap is counted and stands in the trace.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Whether async tasks say where they wait, and who wakes them from where; `Auto` unless said.
    pub fn await_stacks(mut self, stacks: AwaitStacks) -> Self {
        self.await_stacks = stacks;
        self
    }

    /// Memory of each of a thread's two sample rings; chosen by the rate unless said. Rounded up to a power of two, 256 bytes
    /// to 32 MiB.
    pub fn sample_ring_bytes(mut self, bytes: usize) -> Self {
        self.sample_ring_bytes = Some(bytes);
        self
    }

    /// Starts to record into `sink`.
    ///
    /// The first start of a process takes about 30 ms (the clock's rate is measured, unwind tables are read), later ones a few.
    ///
    /// # Errors
    /// See `StartError`. An error of the sink comes out of `Recording::stop`.
    pub fn start<W: Write + Send + 'static>(self, sink: W) -> Result<Recording, StartError> {
        if crate::os::is_forked_child() {
            return Err(StartError::ForkedChild);
        }
        if !ACTIVE.take() {
            return Err(StartError::AlreadyRecording);
        }
        let claim = Claimed;
        let fence = prepare_process()?;
        let clock = CORE.clock.calibrate();
        let setup = self.resolve()?;
        let serial = CORE.begin_recording();
        CORE.queue.begin(serial, setup.memory_limit);
        // Relaxed: nothing runs yet.
        SINK_FAILED.store(false, Ordering::Relaxed);
        let symbolizer = (self.symbols == Symbols::InProcess).then(|| self.symbolizer());
        let writer = spawn_writer(sink, symbolizer)?;
        let engine = match spawn_engine(setup.clone(), fence, clock) {
            Ok(engine) => engine,
            Err(error) => {
                CORE.queue.finish();
                // The writer has nothing to write and ends.
                let _ = writer.join();
                return Err(error);
            }
        };
        Ok(Recording {
            threads: Some((engine, writer)),
            setup,
            fence,
            clock,
            serial,
            process: std::process::id(),
            _claim: claim,
        })
    }

    fn symbolizer(&self) -> Symbolizer {
        let mut options = Options::default();
        options.lines_budget_bytes = self.symbol_memory;
        Symbolizer::new(options)
    }

    /// From what is wanted to what can be had.
    fn resolve(&self) -> Result<Setup, StartError> {
        let tick_hz = sample::kernel_tick_hz();
        let tables = Box::new(Tables::build());
        let unwinder = tables.kind;
        CORE.event_walk
            .choose(self.await_stacks, tables.frame_pointers);
        // Nobody reads the tables of the recording before: the gate is closed.
        drop(CORE.sampler.tables.replace(tables));
        CORE.sampler.reset_counts();
        let hz = self.sample_hz.unwrap_or(0);
        let plan = match self.sample_hz {
            None => None,
            Some(hz @ 1..=MAX_SAMPLE_HZ) => Some(self.plan(hz, tick_hz)?),
            Some(hz) => return Err(StartError::SampleRate { hz }),
        };
        Ok(Setup {
            period: self.period.min(LONGEST_PERIOD),
            plan,
            hz,
            tick_hz,
            ring_words: self.ring_words(hz),
            unwinder,
            memory_limit: self.memory_limit.max(LEAST_MEMORY_LIMIT),
        })
    }

    fn plan(&self, hz: u32, tick_hz: u64) -> Result<Plan, StartError> {
        if !cfg!(target_os = "linux") {
            return Err(StartError::SamplingUnsupported);
        }
        if !handler::install() {
            return Err(StartError::Signal(io::Error::last_os_error()));
        }
        let perf = || sample::perf::is_permitted();
        let source = match self.timer {
            SampleTimer::Posix => SampleSource::PosixTimer,
            SampleTimer::PerfEvent if perf() => SampleSource::PerfEvent,
            SampleTimer::PerfEvent => return Err(StartError::PerfEventRefused),
            SampleTimer::Auto if u64::from(hz) > tick_hz && perf() => SampleSource::PerfEvent,
            SampleTimer::Auto => SampleSource::PosixTimer,
        };
        Ok(Plan {
            source,
            period_ns: 1_000_000_000 / u64::from(hz),
        })
    }

    /// Room for a quarter of a second of deep stacks, and for a late engine at low rates.
    fn ring_words(&self, hz: u32) -> usize {
        let words = match self.sample_ring_bytes {
            Some(bytes) => (bytes / 8).clamp(32, MOST_RING_WORDS),
            None => (hz as usize * 136 / 4).clamp(8 * 1024, 128 * 1024),
        };
        words.next_power_of_two()
    }
}

/// The claim on the process's one recording; dropped last.
#[derive(Debug)]
struct Claimed;

impl Drop for Claimed {
    fn drop(&mut self) {
        ACTIVE.give_back();
    }
}

fn prepare_process() -> Result<FenceKind, StartError> {
    if !buffer::has_address_space(buffer::LEAST_ADDRESS_SPACE) || !CORE.registry.prepare() {
        return Err(StartError::Memory);
    }
    crate::os::prepare_for_forks();
    let fence = barrier::register();
    CORE.gate.use_light_fences(fence == FenceKind::Membarrier);
    Ok(fence)
}

fn spawn_writer<W: Write + Send + 'static>(
    sink: W,
    symbolizer: Option<Symbolizer>,
) -> Result<JoinHandle<Written>, StartError> {
    std::thread::Builder::new()
        .name("tacho-writer".to_owned())
        .spawn(move || {
            core::claim_for_recorder();
            Writer::new(sink, Resolver::new(symbolizer)).run()
        })
        .map_err(StartError::Thread)
}

fn spawn_engine(
    setup: Setup,
    fence: FenceKind,
    clock: ClockKind,
) -> Result<JoinHandle<Totals>, StartError> {
    let (ready, begun) = mpsc::channel();
    let engine = std::thread::Builder::new()
        .name("tacho-engine".to_owned())
        .spawn(move || {
            core::claim_for_recorder();
            let _watch = DeathWatch(fence);
            if let Some(plan) = setup.plan {
                CORE.registry.fit_rings(setup.ring_words);
                CORE.sampler.enable(plan, setup.ring_words);
            }
            let mut engine = Engine::new(setup, fence, clock);
            engine.begin();
            // The starter waits for this; if it is gone, so is the recording's owner.
            let _ = ready.send(());
            engine.run()
        })
        .map_err(StartError::Thread)?;
    match begun.recv() {
        Ok(()) => Ok(engine),
        Err(mpsc::RecvError) => Err(StartError::Thread(io::Error::other(
            "the engine thread ended before it began",
        ))),
    }
}

/// On the engine's thread: if that panics, nothing is recorded any more, and nobody is left inside a critical section.
struct DeathWatch(FenceKind);

impl Drop for DeathWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            CORE.gate.publish(0);
            barrier::heavy_fence(self.0);
            wait_for_writers(&CORE.registry.live());
            sample::arm::disarm_all();
        }
    }
}

/// A running recording. Dropping it stops it and forgets its summary.
#[must_use = "the recording stops when this is dropped"]
pub struct Recording {
    threads: Option<(JoinHandle<Totals>, JoinHandle<Written>)>,
    setup: Setup,
    fence: FenceKind,
    clock: ClockKind,
    serial: u64,
    /// A forked child has a copy of this, but not our threads.
    process: u32,
    _claim: Claimed,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}

impl Recording {
    /// Stops recording, waits until everything is in the sink, and tells what was recorded.
    ///
    /// # Errors
    /// The sink's first error. The summary of what was recorded is in the error.
    pub fn stop(mut self) -> Result<Summary, StopError> {
        self.finish().unwrap_or(Err(StopError::EngineDied))
    }

    /// A handle that ends the recording from anywhere. `stop` then only collects the summary, and must still be called (or the
    /// `Recording` dropped) before another can start.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle {
            serial: self.serial,
        }
    }

    fn finish(&mut self) -> Option<Result<Summary, StopError>> {
        let (engine, writer) = self.threads.take()?;
        if self.process != std::process::id() {
            return None;
        }
        CORE.queue.call_engine(|call| call.stop = true);
        let totals = engine.join();
        CORE.queue.finish();
        let written = writer.join();
        CORE.queue.release_memory();
        let (Ok(totals), Ok(written)) = (totals, written) else {
            return Some(Err(StopError::EngineDied));
        };
        let summary = Summary::new(&self.setup, self.fence, self.clock, &totals, &written);
        Some(match written.error {
            None => Ok(summary),
            Some(error) => Err(StopError::Sink {
                error,
                summary: Box::new(summary),
            }),
        })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Ends a recording from anywhere, any number of times.
#[derive(Clone, Debug)]
pub struct StopHandle {
    serial: u64,
}

impl StopHandle {
    /// Asks for the end of the recording and returns at once. Does nothing when it has ended.
    pub fn stop(&self) {
        CORE.queue
            .call_engine(|call| call.stop |= call.serial == self.serial);
    }
}
