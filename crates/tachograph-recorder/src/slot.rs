//! One thread's share of one generation: its event batch, its string batch, its raw stacks.
//!
//! Owned by the thread while it is inside a critical section of that generation, by `advance` once the generation is quiet
//! (`gate` rule 3). Everything here is private to the thread: two threads meet only in `queue`, once a block.
//!
//! # Rules
//! 1. An event is written whole or not at all: `room` is asked first, for all events that belong together.
//! 2. Times of one thread never go back and every delta is at least one tick (`Stamp`), across blocks and generations.
//! 3. String and stack ids come from blocks of a counter per generation, so they are unique there without a shared write.

use tachograph_wire::{EventKind, limits};

use crate::buffer::{Cursor, SHORT, put_byte, put_short_varint, put_varint};
use crate::package::{RawStack, StackKind};
use crate::queue::{Chunk, Queue};
use crate::sync::{AtomicU64, Ordering};

/// The longest timed event: code, delta and four arguments.
pub(crate) const MAX_EVENT_BYTES: usize = 1 + 10 * (1 + limits::MAX_EVENT_ARGS);
/// Room for the longest run of events that must stand in one batch: a thread is introduced, or comes back from a blocking section, a task
/// begins to run, and an event.
pub(crate) const MAX_SEQUENCE_BYTES: usize = 12 * MAX_EVENT_BYTES;

const ID_BLOCK: u64 = 64;
/// Words of a raw stack before its addresses: id, leaf, kind, word, length.
const STACK_HEADER: usize = 5;

/// A thread's clock: the time of its last event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp(pub(crate) u64);

/// Hands out ids in blocks, so that threads share the counter only once in 64 ids.
#[derive(Debug, Default)]
struct Ids {
    next: u64,
    end: u64,
}

impl Ids {
    #[inline]
    fn take(&mut self, source: &AtomicU64) -> u64 {
        if self.next == self.end {
            // Relaxed: only uniqueness matters.
            self.next = source.fetch_add(ID_BLOCK, Ordering::Relaxed);
            self.end = self.next + ID_BLOCK;
        }
        self.next += 1;
        self.next - 1
    }
}

/// The id counters of one generation; they start at 1 because 0 is "none" on the wire.
#[derive(Debug)]
pub(crate) struct IdSource {
    pub(crate) strings: AtomicU64,
    pub(crate) stacks: AtomicU64,
}

impl IdSource {
    pub(crate) const fn new() -> Self {
        Self {
            strings: AtomicU64::new(1),
            stacks: AtomicU64::new(1),
        }
    }

    /// One string id, for the engine.
    pub(crate) fn next_string(&self) -> u64 {
        // Relaxed: only uniqueness matters.
        self.strings.fetch_add(1, Ordering::Relaxed)
    }

    /// One stack id, for the engine.
    pub(crate) fn next_stack(&self) -> u64 {
        // Relaxed: only uniqueness matters.
        self.stacks.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts over. Only while no generation of this parity is open.
    pub(crate) fn reset(&self) {
        // Relaxed: published with the generation.
        self.strings.store(1, Ordering::Relaxed);
        self.stacks.store(1, Ordering::Relaxed);
    }
}

/// Where a slot sends and gets its blocks, and whose they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlet<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) ids: &'a [IdSource; 2],
    pub(crate) thread: u64,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The generation that this slot is ready for, 0 when it is sealed.
    pub(crate) generation: u64,
    /// The last position at which one more event surely fits; null when something else must be seen to first.
    pub(crate) limit: *mut u8,
    pub(crate) events: Cursor,
    strings: Cursor,
    stacks: Cursor,
    known_stacks: StackCache,
    /// Counts the blocks of stacks, so that the cache knows of the open one only.
    stack_block: u64,
    pub(crate) event_count: u64,
    string_ids: Ids,
    stack_ids: Ids,
}

impl Slot {
    pub(crate) const fn new() -> Self {
        Self {
            generation: 0,
            limit: std::ptr::null_mut(),
            events: Cursor::empty(),
            strings: Cursor::empty(),
            stacks: Cursor::empty(),
            known_stacks: StackCache::new(),
            stack_block: 0,
            event_count: 0,
            string_ids: Ids { next: 0, end: 0 },
            stack_ids: Ids { next: 0, end: 0 },
        }
    }

    /// Takes this (sealed) slot into use for `generation`.
    pub(crate) fn begin(&mut self, generation: u64) {
        // Sealed by the engine, unless that died: its blocks go nowhere.
        for cursor in [&mut self.events, &mut self.strings, &mut self.stacks] {
            drop(cursor.seal());
        }
        self.generation = generation;
        self.limit = std::ptr::null_mut();
        self.event_count = 0;
        self.string_ids = Ids::default();
        self.stack_ids = Ids::default();
    }

    /// Makes sure that `bytes` of events fit (rule 1). False when there is no memory.
    #[must_use]
    pub(crate) fn room(
        &mut self,
        outlet: Outlet<'_>,
        stamp: &mut Stamp,
        now: u64,
        bytes: usize,
    ) -> bool {
        if self.events.room() < bytes + MAX_EVENT_BYTES {
            let full = self.events.seal();
            let Some(buffer) = outlet.queue.exchange(self.generation, full) else {
                return false;
            };
            stamp.0 = now.max(stamp.0 + 1);
            self.events
                .begin_batch(buffer, self.generation, outlet.thread, stamp.0);
            if !self.limit.is_null() {
                self.lift_limit();
            }
        }
        true
    }

    /// Whether `events` fit, whatever else must be seen to.
    #[inline(always)]
    pub(crate) fn fits(&self, generation: u64, events: usize) -> bool {
        self.generation == generation && self.events.room() >= events * MAX_EVENT_BYTES
    }

    /// Lets events pass up to the end of the block.
    pub(crate) fn lift_limit(&mut self) {
        if !self.events.end.is_null() {
            self.limit = self.events.end.wrapping_sub(MAX_EVENT_BYTES);
        }
    }

    /// Sends the next event through the slow path.
    pub(crate) fn drop_limit(&mut self) {
        self.limit = std::ptr::null_mut();
    }

    /// Whether one event fits and nothing else must be seen to first.
    #[inline(always)]
    pub(crate) fn is_ready(&self, generation: u64) -> bool {
        self.generation == generation && self.events.position < self.limit
    }

    /// Writes one event at `now`, or one tick after the thread's last one (rule 2).
    ///
    /// # Safety
    /// * `is_ready` holds, or `room` has returned true for this event.
    #[inline(always)]
    pub(crate) unsafe fn write<const N: usize>(
        &mut self,
        stamp: &mut Stamp,
        now: u64,
        kind: EventKind,
        args: [u64; N],
    ) {
        debug_assert_eq!(kind.arity(), N, "{kind:?}");
        let time = now.max(stamp.0 + 1);
        let delta = time - stamp.0;
        stamp.0 = time;
        self.event_count += 1;
        // SAFETY: the caller saw room for `MAX_EVENT_BYTES`, and `args` has at most four values.
        unsafe {
            let mut p = put_byte(self.events.position, kind as u8);
            p = put_varint(p, delta);
            for value in args {
                p = put_varint(p, value);
            }
            self.events.position = p;
        }
    }

    /// `write` for a region's begin or end whose delta and name id fit into two bytes each; false, and nothing written, if they don't.
    ///
    /// # Safety
    /// * As for `write`.
    #[inline(always)]
    #[must_use]
    pub(crate) unsafe fn write_region(
        &mut self,
        stamp: &mut Stamp,
        now: u64,
        kind: EventKind,
        task: u64,
        name_id: u64,
    ) -> bool {
        let time = now.max(stamp.0 + 1);
        let delta = time - stamp.0;
        if (delta | name_id) >= SHORT {
            return false;
        }
        stamp.0 = time;
        self.event_count += 1;
        if (delta | name_id | task) < 0x80 {
            // Five bytes, the last of them "no stack".
            let bytes = u64::from(kind as u8) | delta << 8 | task << 16 | name_id << 24;
            let p = self.events.position;
            // SAFETY: owed by the caller; an event's room is more than eight bytes.
            unsafe {
                p.cast::<u64>().write_unaligned(bytes.to_le());
                self.events.position = p.add(5);
            }
            return true;
        }
        // SAFETY: owed by the caller.
        unsafe {
            let mut p = put_byte(self.events.position, kind as u8);
            p = put_short_varint(p, delta);
            p = put_varint(p, task);
            p = put_short_varint(p, name_id);
            self.events.position = put_byte(p, 0);
        }
        true
    }

    /// Adds `text` (cut to the wire's limit) to this generation's strings. `None` when there is no memory.
    pub(crate) fn add_string(&mut self, outlet: Outlet<'_>, now: u64, text: &str) -> Option<u64> {
        let text = limits::cut_string(text).as_bytes();
        let id = self
            .string_ids
            .take(&outlet.ids[(self.generation & 1) as usize].strings);
        let bytes = 1 + 10 + 2 + text.len();
        if self.strings.room() < bytes {
            let full = self.strings.seal();
            let buffer = outlet.queue.exchange(self.generation, full)?;
            self.strings
                .begin_batch(buffer, self.generation, outlet.thread, now);
            // SAFETY: a fresh block has room for the payload's first byte.
            self.strings.position =
                unsafe { put_byte(self.strings.position, EventKind::Strings as u8) };
        }
        // SAFETY: `bytes` fit: one code, an id, a length below 2^14 and the text.
        unsafe {
            let mut p = put_byte(self.strings.position, EventKind::String as u8);
            p = put_varint(p, id);
            p = put_varint(p, text.len() as u64);
            std::ptr::copy_nonoverlapping(text.as_ptr(), p, text.len());
            self.strings.position = p.add(text.len());
        }
        Some(id)
    }

    /// The id of a stack: an optional name as its leaf, then `pcs`; and of its word, if its kind has one. `None` when there is no memory.
    ///
    /// A stack that stands in the thread's open block of stacks is not written again.
    pub(crate) fn add_stack(
        &mut self,
        outlet: Outlet<'_>,
        kind: StackKind,
        leaf: u64,
        pcs: &[u64],
    ) -> Option<(u64, u64)> {
        let hash = hash_stack(leaf ^ (kind as u64) << 56, pcs);
        if let Some(ids) = self.find_stack(hash ^ self.stack_block, kind, leaf, pcs) {
            return Some(ids);
        }
        let source = &outlet.ids[(self.generation & 1) as usize];
        let id = self.stack_ids.take(&source.stacks);
        let word = match kind {
            StackKind::Await | StackKind::End => self.string_ids.take(&source.strings),
            StackKind::Plain | StackKind::Wake | StackKind::Spawn => 0,
        };
        let words = STACK_HEADER + pcs.len();
        if self.stacks.room() < words * 8 {
            let full = self.stacks.seal();
            let buffer = outlet.queue.exchange(self.generation, full)?;
            self.stacks.begin_raw(buffer);
            self.stack_block += 1;
        }
        let offset = self.stacks.filled();
        self.known_stacks.put(hash ^ self.stack_block, offset);
        // SAFETY: `words` fit; blocks are page aligned and hold whole words only.
        unsafe {
            let p = self.stacks.position.cast::<u64>();
            p.write(id);
            p.add(1).write(leaf);
            p.add(2).write(kind as u64);
            p.add(3).write(word);
            p.add(4).write(pcs.len() as u64);
            std::ptr::copy_nonoverlapping(pcs.as_ptr(), p.add(STACK_HEADER), pcs.len());
            self.stacks.position = p.add(words).cast();
        }
        Some((id, word))
    }

    fn find_stack(&self, hash: u64, kind: StackKind, leaf: u64, pcs: &[u64]) -> Option<(u64, u64)> {
        let offset = self.known_stacks.find(hash)?;
        // N.B. No proof where the cache tells of an earlier block: there may be no beginning of a stack at this place, but words in
        // the middle of one that look like it. `stack_block` keeps such a place from being found.
        let words = self.stacks.words().get(offset / 8..)?;
        let (&[id, its_leaf, its_kind, word, len], rest) =
            words.split_first_chunk::<STACK_HEADER>()?;
        let same = its_leaf == leaf
            && its_kind == kind as u64
            && usize::try_from(len) == Ok(pcs.len())
            && rest.get(..pcs.len()) == Some(pcs);
        same.then_some((id, word))
    }

    /// Sends everything to the queue and leaves the slot empty. Returns the number of events that the generation got from here.
    pub(crate) fn seal(&mut self, queue: &Queue) -> u64 {
        for cursor in [&mut self.events, &mut self.strings, &mut self.stacks] {
            if let Some(sealed) = cursor.seal() {
                queue.push(self.generation, Chunk::Block(sealed));
            }
        }
        self.limit = std::ptr::null_mut();
        self.generation = 0;
        std::mem::take(&mut self.event_count)
    }
}

/// Where a thread has written a stack lately, by hash. Direct mapped; a wrong or stale entry is only a hint that fails.
#[derive(Debug)]
struct StackCache([(u64, u32); KNOWN_STACKS]);

const KNOWN_STACKS: usize = 64;

impl StackCache {
    const fn new() -> Self {
        Self([(0, 0); KNOWN_STACKS])
    }

    fn find(&self, hash: u64) -> Option<usize> {
        let (known, offset) = self.0[hash as usize % KNOWN_STACKS];
        (known == hash).then_some(offset as usize)
    }

    fn put(&mut self, hash: u64, offset: usize) {
        self.0[hash as usize % KNOWN_STACKS] = (hash, offset as u32);
    }
}

fn hash_stack(leaf: u64, pcs: &[u64]) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    const STEP: u64 = 0x2545_f491_4f6c_dd1e;
    // A sum of products: none of them waits for the one before.
    let mut factor = GOLDEN;
    let mut sum = leaf ^ (pcs.len() as u64).wrapping_mul(GOLDEN);
    for pc in pcs {
        sum = sum.wrapping_add(pc.wrapping_mul(factor));
        factor = factor.wrapping_add(STEP);
    }
    (sum ^ sum >> 32).wrapping_mul(GOLDEN) >> 8
}

/// Reads the raw stacks of a block back.
pub(crate) fn raw_stacks(mut bytes: &[u8]) -> impl Iterator<Item = RawStack> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(STACK_HEADER * 8)?;
        let (pcs, rest) = rest.split_at_checked(word(&head[32..]) as usize * 8)?;
        bytes = rest;
        Some(RawStack {
            id: word(head),
            leaf: word(&head[8..]),
            kind: StackKind::of(word(&head[16..])),
            word: word(&head[24..]),
            pcs: pcs.chunks_exact(8).map(word).collect(),
        })
    })
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk::<8>()
        .map_or(0, |word| u64::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Work;
    use tachograph_wire::Items;

    struct Bench {
        queue: Queue,
        ids: [IdSource; 2],
    }

    impl Bench {
        fn new() -> Self {
            let queue = Queue::new();
            queue.open(6, Vec::new());
            Self {
                queue,
                ids: [IdSource::new(), IdSource::new()],
            }
        }

        fn outlet(&self) -> Outlet<'_> {
            Outlet {
                queue: &self.queue,
                ids: &self.ids,
                thread: 7,
            }
        }

        fn slot() -> Slot {
            let mut slot = Slot::new();
            slot.begin(6);
            slot
        }

        /// All blocks that the slot has handed over, in order.
        fn blocks(&self) -> Vec<Vec<u8>> {
            self.queue.finish();
            let mut blocks = Vec::new();
            let mut left = self.queue.backlog_chunks();
            while left > 0 {
                if let Work::Chunk(Chunk::Block(sealed)) = self.queue.take() {
                    blocks.push(sealed.bytes().to_vec());
                }
                left -= 1;
            }
            blocks
        }
    }

    #[test]
    fn writes_a_known_stack_once() {
        let bench = Bench::new();
        let mut slot = Bench::slot();
        let first = slot.add_stack(bench.outlet(), StackKind::Plain, 3, &[10, 20, 30]);
        let other = slot.add_stack(bench.outlet(), StackKind::Plain, 4, &[10, 20, 30]);
        let again = slot.add_stack(bench.outlet(), StackKind::Plain, 3, &[10, 20, 30]);
        assert_eq!(first, again);
        assert_ne!(first, other);
        slot.seal(&bench.queue);
        let blocks = bench.blocks();
        assert_eq!(raw_stacks(&blocks[0]).count(), 2);
    }

    /// In the second generation, the place where the first one had the name holds an address, and behind it a stack that begins with what
    /// the name's leaf is.
    #[test]
    fn a_stack_of_an_earlier_generation_is_not_found_in_the_middle_of_another_one() {
        for leaf in 1..=3 * ID_BLOCK {
            let bench = Bench::new();
            let mut slot = Bench::slot();
            let mut id = 0;
            for (kind, leaf, pcs) in [
                (StackKind::Plain, 0, &[1 << 40][..]),
                (StackKind::Plain, leaf, &[]),
                (StackKind::Wake, 0, &[2 << 40, 3 << 40]),
                (StackKind::Wake, 0, &[4 << 40]),
                (StackKind::Plain, leaf, &[]),
            ] {
                if kind == StackKind::Wake && pcs.len() == 2 {
                    slot.seal(&bench.queue);
                    slot.begin(6);
                }
                let ids = slot.add_stack(bench.outlet(), kind, leaf, pcs);
                id = ids.expect("there is memory").0;
            }
            slot.seal(&bench.queue);
            let written: Vec<_> = bench
                .blocks()
                .iter()
                .flat_map(|block| raw_stacks(block).collect::<Vec<_>>())
                .filter(|stack| stack.id == id)
                .map(|stack| stack.leaf)
                .collect();
            assert_eq!(written, [leaf], "id {id:#x}");
        }
    }

    #[test]
    fn stacks_of_a_full_block_are_written_again() {
        let bench = Bench::new();
        let mut slot = Bench::slot();
        let first = slot.add_stack(bench.outlet(), StackKind::Plain, 0, &[1, 2]);
        for i in 0..100 {
            assert!(
                slot.add_stack(bench.outlet(), StackKind::Plain, 0, &[i; 60])
                    .is_some()
            );
        }
        assert_ne!(
            slot.add_stack(bench.outlet(), StackKind::Plain, 0, &[1, 2]),
            first
        );
        slot.seal(&bench.queue);
        let written: Vec<_> = bench
            .blocks()
            .iter()
            .flat_map(|block| raw_stacks(block).collect::<Vec<_>>())
            .collect();
        assert_eq!(written.len(), 102);
        assert_eq!(*written[0].pcs, [1, 2]);
        assert_eq!(*written[101].pcs, [1, 2]);
    }

    #[test]
    fn times_of_events_rise_strictly_across_blocks() {
        let bench = Bench::new();
        let mut slot = Bench::slot();
        let mut stamp = Stamp(1_000);
        let written = 10_000;
        for _ in 0..written {
            // The clock stands still, and has even fallen behind.
            assert!(slot.room(bench.outlet(), &mut stamp, 500, MAX_EVENT_BYTES));
            // SAFETY: `room` has just said so.
            unsafe { slot.write(&mut stamp, 500, EventKind::GoSyscallBegin, [1, 0]) };
        }
        assert_eq!(slot.seal(&bench.queue), written);
        let mut stream = tachograph_wire::version::WRITTEN.header().to_vec();
        stream.extend(bench.blocks().concat());
        let (mut last, mut events) = (0, 0);
        for item in Items::new(&stream).expect("a header") {
            let tachograph_wire::Item::Batch(batch) = item.expect("a whole batch") else {
                panic!("no end byte was written");
            };
            let mut time = batch.header.time.0;
            for event in batch.events() {
                time += event.expect("a whole event").dt.0;
                assert!(time > last, "{time} after {last}");
                last = time;
                events += 1;
            }
        }
        assert_eq!(events, written);
    }

    #[test]
    fn cuts_strings_on_a_character_boundary() {
        let bench = Bench::new();
        let mut slot = Bench::slot();
        let long = "é".repeat(40_000);
        assert!(slot.add_string(bench.outlet(), 1, &long).is_some());
        slot.seal(&bench.queue);
        let block = &bench.blocks()[0];
        assert!(block.ends_with("é".as_bytes()));
        assert!(block.len() < 1024 + 64);
    }
}
