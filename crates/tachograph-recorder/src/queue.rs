//! The way of finished blocks from the threads to the writer thread, one generation after the other.
//!
//! Owns the block pool and the list of generations that are not written yet. Called by `slot` (refill), `advance` (open,
//! close) and `writer` (take). Writers never wait for the sink here: they hold the lock for a push and a pop.
//!
//! # Protocol
//! 1. `open(g)` MUST come before `g` is published. Otherwise a thread can hand over a block of a generation that has no place.
//! 2. Blocks of one thread arrive in the order in which they were filled, so they leave in that order.
//! 3. `close(g)` MUST come after `g` is quiet, and last. The writer takes nothing of `g + 1` before it has closed `g`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::buffer::{BUFFER_BYTES, Buffer, Sealed};
use crate::package::Closing;
use crate::sync::{
    AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, lock, wait,
    wait_timeout,
};

/// One piece of a generation.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// A block that a thread filled.
    Block(Sealed),
    /// A batch that the engine encoded.
    Batch(Vec<u8>),
}

/// What the writer thread does next.
#[derive(Debug)]
pub(crate) enum Work {
    /// Put this piece of the oldest generation out.
    Chunk(Chunk),
    /// The oldest generation is complete: put its tables and its end out.
    Close(Box<Closing>),
    /// Nothing more will come.
    Finished,
}

#[derive(Debug)]
struct OpenGeneration {
    generation: u64,
    chunks: VecDeque<Chunk>,
    closing: Option<Box<Closing>>,
}

#[derive(Debug)]
struct State {
    generations: VecDeque<OpenGeneration>,
    free: Vec<Buffer>,
    /// Blocks pushed since the writer was last woken.
    unannounced: usize,
    finished: bool,
}

/// Blocks that gather before their writer is woken: waking costs a system call. The engine's batches wake it in any case.
const BLOCKS_PER_WAKE: usize = 8;

/// The queue of one process.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    /// Bytes handed over since the recording began.
    handed: AtomicU64,
    /// Bytes that wait for the sink. What the threads still fill is not among them: it is bounded by their number.
    in_flight: AtomicUsize,
    limit: AtomicUsize,
    /// The limit was passed and the engine has not reacted yet.
    pressed: AtomicBool,
    wake_engine: Condvar,
    engine: Mutex<EngineCall>,
}

/// What somebody wants of the engine thread.
#[derive(Debug, Default)]
pub(crate) struct EngineCall {
    /// The recording that is meant.
    pub(crate) serial: u64,
    /// Somebody got no memory and has fallen silent until the next run.
    pub(crate) muted: bool,
    /// End the recording.
    pub(crate) stop: bool,
    /// Look now: memory is short, or an unknown module was met.
    pub(crate) look: bool,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                generations: VecDeque::new(),
                free: Vec::new(),
                unannounced: 0,
                finished: false,
            }),
            work: Condvar::new(),
            handed: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
            pressed: AtomicBool::new(false),
            wake_engine: Condvar::new(),
            engine: Mutex::new(EngineCall {
                serial: 0,
                muted: false,
                stop: false,
                look: false,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Readies the queue for recording number `serial`, which may hold `limit` bytes.
    pub(crate) fn begin(&self, serial: u64, limit: usize) {
        *lock(&self.engine) = EngineCall {
            serial,
            ..EngineCall::default()
        };
        // Relaxed: counters and hints; nothing is ordered by them.
        self.limit.store(limit, Ordering::Relaxed);
        self.pressed.store(false, Ordering::Relaxed);
        self.in_flight.store(0, Ordering::Relaxed);
        let mut state = self.state();
        state.finished = false;
        state.generations.clear();
    }

    /// Bytes handed over so far: only ever more.
    pub(crate) fn handed_bytes(&self) -> u64 {
        self.handed.load(Ordering::Relaxed)
    }

    /// Makes room for generation `generation`, whose first bytes are `sync` (rule 1).
    pub(crate) fn open(&self, generation: u64, sync: Vec<u8>) {
        self.count(sync.len());
        self.state().generations.push_back(OpenGeneration {
            generation,
            chunks: VecDeque::from([Chunk::Batch(sync)]),
            closing: None,
        });
        self.work.notify_one();
    }

    /// Hands over `full`, if there is one, and takes an empty block; `None` when the kernel has no memory, or when twice as much
    /// waits for the sink as may.
    pub(crate) fn exchange(&self, generation: u64, full: Option<Sealed>) -> Option<Buffer> {
        // Before the push: the writer may have the block off the books at once.
        self.count(full.as_ref().map_or(0, Sealed::held_bytes));
        let (recycled, wake) = {
            let mut state = self.state();
            let wake = full.is_some_and(|full| state.push_block(generation, full));
            (state.free.pop(), wake)
        };
        if wake {
            self.work.notify_one();
        }
        if self.in_flight() > self.limit.load(Ordering::Relaxed).saturating_mul(2) {
            // The engine has not got to run since the limit was passed: the thread falls silent, as without memory.
            return None;
        }
        recycled.or_else(Buffer::map)
    }

    /// Hands over a piece of an open generation.
    pub(crate) fn push(&self, generation: u64, chunk: Chunk) {
        self.count(match &chunk {
            Chunk::Block(sealed) => sealed.held_bytes(),
            Chunk::Batch(bytes) => bytes.len(),
        });
        self.state().push(generation, chunk);
        self.work.notify_one();
    }

    /// Ends a generation (rule 3).
    pub(crate) fn close(&self, generation: u64, closing: Box<Closing>) {
        if let Some(open) = self.state().find(generation) {
            open.closing = Some(closing);
        }
        self.work.notify_one();
    }

    /// No generation will follow.
    pub(crate) fn finish(&self) {
        self.state().finished = true;
        self.work.notify_one();
    }

    /// Takes the next piece in output order; waits for one.
    pub(crate) fn take(&self) -> Work {
        let mut state = self.state();
        loop {
            if let Some(oldest) = state.generations.front_mut() {
                if let Some(chunk) = oldest.chunks.pop_front() {
                    return Work::Chunk(chunk);
                }
                if let Some(closing) = oldest.closing.take() {
                    state.generations.pop_front();
                    return Work::Close(closing);
                }
            }
            // Without its closing, a generation is of an engine that died.
            if state.finished {
                return Work::Finished;
            }
            state = wait(&self.work, state);
        }
    }

    /// Gives a written block back to the pool.
    pub(crate) fn recycle(&self, sealed: Sealed) {
        self.uncount(sealed.held_bytes());
        let buffer = sealed.into_buffer();
        let most = self.limit.load(Ordering::Relaxed) / BUFFER_BYTES / 4 + 1;
        let mut state = self.state();
        if state.free.len() < most {
            state.free.push(buffer);
        }
    }

    /// Takes `bytes` of an engine batch off the books.
    pub(crate) fn uncount(&self, bytes: usize) {
        // Relaxed: see `begin`.
        self.in_flight.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that wait for the sink.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether more waits for the sink than may. Ends the state of having been pressed if not.
    pub(crate) fn is_over_limit(&self) -> bool {
        // Relaxed (all): see `begin`. Cleared first: who passes the limit meanwhile calls again.
        self.pressed.store(false, Ordering::Relaxed);
        let over = self.in_flight() > self.limit.load(Ordering::Relaxed);
        if over {
            self.pressed.store(true, Ordering::Relaxed);
        }
        over
    }

    /// Whether the sink has caught up far enough to go on recording: half of the limit.
    pub(crate) fn is_relieved(&self) -> bool {
        self.in_flight() <= self.limit.load(Ordering::Relaxed) / 2
    }

    /// Asks for an end of the run: somebody got no memory.
    pub(crate) fn mute(&self) {
        self.call_engine(|call| (call.look, call.muted) = (true, true));
    }

    fn press(&self) {
        if !self.pressed.swap(true, Ordering::Relaxed) {
            self.work.notify_one();
            self.call_engine(|call| call.look = true);
        }
    }

    /// Generations that are open or wait for the sink.
    pub(crate) fn backlog(&self) -> usize {
        self.state().generations.len()
    }

    /// Pieces that wait, of all generations.
    #[cfg(test)]
    pub(crate) fn backlog_chunks(&self) -> usize {
        self.state()
            .generations
            .iter()
            .map(|g| g.chunks.len())
            .sum()
    }

    /// Wakes the writer for what has gathered.
    pub(crate) fn nudge(&self) {
        self.work.notify_one();
    }

    /// Gives all memory back to the kernel, with what nobody has written because the writer died. The recording is over.
    pub(crate) fn release_memory(&self) {
        let mut state = self.state();
        let free = std::mem::take(&mut state.free);
        let unwritten = std::mem::take(&mut state.generations);
        drop(state);
        drop((free, unwritten));
        // Relaxed: see `begin`.
        self.in_flight.store(0, Ordering::Relaxed);
    }

    /// Asks something of the engine.
    pub(crate) fn call_engine(&self, ask: impl FnOnce(&mut EngineCall)) {
        ask(&mut lock(&self.engine));
        self.wake_engine.notify_one();
    }

    /// Whether somebody has fallen silent since the last call.
    pub(crate) fn take_muted(&self) -> bool {
        std::mem::take(&mut lock(&self.engine).muted)
    }

    /// Waits until something is asked of the engine or `timeout` is over. Clears `look`, keeps `stop`.
    pub(crate) fn wait_for_call(&self, timeout: Duration) -> bool {
        let mut call = lock(&self.engine);
        if !call.stop && !call.look && !timeout.is_zero() {
            call = wait_timeout(&self.wake_engine, call, timeout);
        }
        call.look = false;
        call.stop
    }

    fn count(&self, bytes: usize) {
        // Relaxed (both): see `begin`.
        self.handed.fetch_add(bytes as u64, Ordering::Relaxed);
        let held = self.in_flight.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held > self.limit.load(Ordering::Relaxed) {
            self.press();
        }
    }
}

impl State {
    /// At most two generations take blocks, and they are the youngest: the search is short.
    fn find(&mut self, generation: u64) -> Option<&mut OpenGeneration> {
        self.generations
            .iter_mut()
            .rev()
            .find(|open| open.generation == generation)
    }

    /// Whether the writer should be woken.
    fn push_block(&mut self, generation: u64, block: Sealed) -> bool {
        self.push(generation, Chunk::Block(block));
        self.unannounced += 1;
        let wake = self.unannounced >= BLOCKS_PER_WAKE;
        if wake {
            self.unannounced = 0;
        }
        wake
    }

    fn push(&mut self, generation: u64, chunk: Chunk) {
        let open = self.find(generation);
        debug_assert!(open.is_some(), "generation {generation} is not open");
        if let Some(open) = open {
            open.chunks.push_back(chunk);
        }
    }
}
