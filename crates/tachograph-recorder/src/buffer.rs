//! Fixed blocks of memory that become batches.
//!
//! A `Buffer` is one block straight from the kernel, never from the program's allocator: refilling must work inside an
//! allocator that is itself traced. `Cursor` fills one block from front to back; a sealed block holds the finished bytes of one
//! batch, header included (`../tachograph-wire`, batch framing), or raw stack records for the writer thread.

use std::ptr::NonNull;

use tachograph_wire::EventKind;

/// Bytes of one block. A batch of 32 KiB holds about 4000 events, so a refill costs its lock once in some 60 us of events.
pub(crate) const BUFFER_BYTES: usize = 32 * 1024;

const PAGE_BYTES: usize = 4096;

/// One block, owned.
#[derive(Debug)]
pub(crate) struct Buffer(NonNull<u8>);

// SAFETY: a buffer is plain memory with one owner.
unsafe impl Send for Buffer {}

impl Buffer {
    /// Takes a block from the kernel, `None` when it has none to give.
    pub(crate) fn map() -> Option<Self> {
        map_pages(BUFFER_BYTES).map(Self)
    }

    /// The first byte.
    pub(crate) fn start(&self) -> *mut u8 {
        self.0.as_ptr()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the block was mapped with this length and has no other owner.
        unsafe {
            libc::munmap(self.0.as_ptr().cast(), BUFFER_BYTES);
        }
    }
}

/// Maps `bytes` of zeroed memory that is backed only once touched; `None` when the kernel refuses.
pub(crate) fn map_pages(bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no memory of ours.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return None;
    }
    NonNull::new(memory.cast())
}

/// Address space without which a recording does not begin: what may wait for the sink, symbols, tables, and the 64 MiB that the C
/// library sets aside for each new thread's heap. With less, an allocation could fail later and end the program.
pub(crate) const LEAST_ADDRESS_SPACE: usize = 384 << 20;

/// Whether the kernel would give `bytes` of address space now.
pub(crate) fn has_address_space(bytes: usize) -> bool {
    // SAFETY: an inaccessible mapping at an address of the kernel's choice, which nobody else knows of and which is taken back.
    unsafe {
        let start = libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        );
        start != libc::MAP_FAILED && libc::munmap(start, bytes) == 0
    }
}

/// What a sealed block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A whole batch, ready for the sink.
    Batch,
    /// Raw stack records (`slot`), for the writer thread to resolve.
    RawStacks,
}

/// A filled block on its way to the writer thread.
#[derive(Debug)]
pub(crate) struct Sealed {
    buffer: Buffer,
    len: usize,
    pub(crate) content: Content,
}

impl Sealed {
    /// The filled bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes from the start were written by the cursor that sealed the block.
        unsafe { std::slice::from_raw_parts(self.buffer.start(), self.len) }
    }

    /// Memory that the block holds: the pages that have been touched.
    pub(crate) fn held_bytes(&self) -> usize {
        self.len.next_multiple_of(PAGE_BYTES)
    }

    /// The block, for reuse.
    pub(crate) fn into_buffer(self) -> Buffer {
        self.buffer
    }
}

/// Fills one block. Empty (no block) until `begin_batch` or `begin_raw`.
#[derive(Debug)]
pub(crate) struct Cursor {
    buffer: Option<Buffer>,
    /// The next free byte.
    pub(crate) position: *mut u8,
    /// One past the last usable byte.
    pub(crate) end: *mut u8,
    /// Where the ten bytes of the batch's size stand; null in a raw block.
    size_at: *mut u8,
}

impl Cursor {
    pub(crate) const fn empty() -> Self {
        Self {
            buffer: None,
            position: std::ptr::null_mut(),
            end: std::ptr::null_mut(),
            size_at: std::ptr::null_mut(),
        }
    }

    /// Bytes left in the block, 0 without one.
    pub(crate) fn room(&self) -> usize {
        self.end as usize - self.position as usize
    }

    /// Bytes filled so far.
    pub(crate) fn filled(&self) -> usize {
        self.buffer
            .as_ref()
            .map_or(0, |buffer| self.position as usize - buffer.start() as usize)
    }

    /// The words filled so far; of a block without a header only.
    pub(crate) fn words(&self) -> &[u64] {
        let Some(buffer) = &self.buffer else {
            return &[];
        };
        // SAFETY: the filled part of the block is initialised; blocks are page aligned.
        unsafe { std::slice::from_raw_parts(buffer.start().cast(), self.filled() / 8) }
    }

    /// Starts a batch of `generation` written by `thread` at `ticks`. The cursor must be empty.
    pub(crate) fn begin_batch(&mut self, buffer: Buffer, generation: u64, thread: u64, ticks: u64) {
        self.begin_raw(buffer);
        // SAFETY: a batch header takes at most 41 bytes of the fresh block.
        unsafe {
            let mut p = self.position;
            p = put_byte(p, EventKind::EventBatch as u8);
            p = put_varint(p, generation);
            p = put_varint(p, thread);
            p = put_varint(p, ticks);
            self.size_at = p;
            self.position = p.add(SIZE_BYTES);
        }
    }

    /// Starts a block without a header. The cursor must be empty.
    pub(crate) fn begin_raw(&mut self, buffer: Buffer) {
        debug_assert!(self.buffer.is_none(), "the cursor holds a block already");
        self.position = buffer.start();
        // SAFETY: one past the end of the block.
        self.end = unsafe { buffer.start().add(BUFFER_BYTES) };
        self.size_at = std::ptr::null_mut();
        self.buffer = Some(buffer);
    }

    /// Finishes the block, `None` when the cursor is empty.
    pub(crate) fn seal(&mut self) -> Option<Sealed> {
        let buffer = self.buffer.take()?;
        let len = self.position as usize - buffer.start() as usize;
        let content = if self.size_at.is_null() {
            Content::RawStacks
        } else {
            let payload = self.position as usize - self.size_at as usize - SIZE_BYTES;
            // SAFETY: `begin_batch` reserved these ten bytes.
            unsafe { put_padded_varint(self.size_at, payload as u64) };
            Content::Batch
        };
        *self = Self::empty();
        Some(Sealed {
            buffer,
            len,
            content,
        })
    }
}

/// The batch size is patched in at the end, so it always takes the longest varint.
const SIZE_BYTES: usize = 10;

/// Writes one byte.
///
/// # Safety
/// * `p` must be writable for one byte.
#[inline(always)]
pub(crate) unsafe fn put_byte(p: *mut u8, byte: u8) -> *mut u8 {
    // SAFETY: owed by the caller.
    unsafe {
        *p = byte;
        p.add(1)
    }
}

/// Writes an unsigned LEB128 number.
///
/// # Safety
/// * `p` must be writable for ten bytes.
#[inline(always)]
pub(crate) unsafe fn put_varint(p: *mut u8, value: u64) -> *mut u8 {
    // SAFETY: owed by the caller.
    unsafe {
        if value < SHORT {
            put_short_varint(p, value)
        } else if value < MIDDLE {
            put_middle_varint(p, value)
        } else {
            put_long_varint(p, value)
        }
    }
}

/// Numbers from `SHORT` on and below this take three or four bytes: those of tasks that run often, ids of large programs.
const MIDDLE: u64 = 1 << 28;

/// # Safety
/// * `p` must be writable for four bytes.
#[inline(always)]
unsafe fn put_middle_varint(p: *mut u8, value: u64) -> *mut u8 {
    let groups = value & 0x7f
        | (value >> 7 & 0x7f) << 8
        | (value >> 14 & 0x7f) << 16
        | (value >> 21 & 0x7f) << 24;
    let (more, len) = match value < 1 << 21 {
        true => (0x8080, 3),
        false => (0x80_8080, 4),
    };
    // SAFETY: owed by the caller. The last byte of three is followed by one that the next event overwrites.
    unsafe {
        p.cast::<u32>()
            .write_unaligned(((groups | more) as u32).to_le());
        p.add(len)
    }
}

/// Numbers below this take one or two bytes.
pub(crate) const SHORT: u64 = 0x4000;

/// Writes a number below `SHORT`.
///
/// N.B. The branch is wanted: without it the place of the next event would depend on the clock, and each event would wait for the
/// one before (measured: 18 instead of 12 ns).
///
/// # Safety
/// * `p` must be writable for two bytes.
#[inline(always)]
pub(crate) unsafe fn put_short_varint(p: *mut u8, value: u64) -> *mut u8 {
    // SAFETY: owed by the caller.
    unsafe {
        if value < 0x80 {
            return put_byte(p, value as u8);
        }
        let pair = (value & 0x7f) | 0x80 | (value >> 7 << 8);
        p.cast::<u16>().write_unaligned((pair as u16).to_le());
        p.add(2)
    }
}

#[inline]
unsafe fn put_long_varint(mut p: *mut u8, mut value: u64) -> *mut u8 {
    // SAFETY: a u64 takes at most ten groups of seven bits; owed by the caller.
    unsafe {
        while value >= 0x80 {
            p = put_byte(p, value as u8 | 0x80);
            value >>= 7;
        }
        put_byte(p, value as u8)
    }
}

unsafe fn put_padded_varint(mut p: *mut u8, mut value: u64) {
    // SAFETY: ten bytes, owed by the caller.
    unsafe {
        for _ in 1..SIZE_BYTES {
            p = put_byte(p, value as u8 | 0x80);
            value >>= 7;
        }
        put_byte(p, value as u8 & 0x7f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_decode_to_what_was_put() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = [0u8; 10];
                if value < SHORT {
                    let mut short = [0u8; 2];
                    // SAFETY: two bytes are writable.
                    let end = unsafe { put_short_varint(short.as_mut_ptr(), value) };
                    let len = end as usize - short.as_ptr() as usize;
                    assert_eq!(
                        tachograph_wire::varint::decode(&short),
                        Ok((value, len)),
                        "{value:#x}"
                    );
                }
                // SAFETY: ten bytes are writable.
                let end = unsafe { put_varint(bytes.as_mut_ptr(), value) };
                let len = end as usize - bytes.as_ptr() as usize;
                assert_eq!(
                    tachograph_wire::varint::decode(&bytes),
                    Ok((value, len)),
                    "{value:#x}"
                );
            }
        }
    }

    #[test]
    fn sealed_batch_states_its_payload_size() {
        let mut cursor = Cursor::empty();
        cursor.begin_batch(Buffer::map().expect("memory"), 3, 77, 1000);
        // SAFETY: the block has room.
        cursor.position = unsafe { put_byte(cursor.position, 17) };
        let sealed = cursor.seal().expect("a block");
        assert_eq!(sealed.bytes()[..2], [1, 3]);
        assert_eq!(sealed.bytes()[5], 0x81);
        assert_eq!(sealed.bytes().last(), Some(&17));
        assert_eq!(cursor.room(), 0);
    }
}
