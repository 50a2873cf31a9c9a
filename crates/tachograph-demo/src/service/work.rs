//! What handlers do that takes a thread and not just time.
//!
//! Owns how heavy each piece is. Called by `handlers` and `origin`; nothing here awaits anything.

use super::dice::Dice;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a stalled worker does nothing.
pub const STALL: Duration = Duration::from_millis(20);

/// Rounds of hashing for one value: some 10 us.
const VALUE_ROUNDS: usize = 64;
/// How much of the file is read and hashed at a time.
const CHUNK_BYTES: usize = 64 << 10;
/// How much is compressed for a request: some ms.
const TEXT_BYTES: usize = 32 << 10;
/// In how many pieces, each for a task of its own.
pub const PIECES: usize = 2;

/// A hash.
pub type Digest = [u8; 32];

/// The value of a key.
pub fn value_of(key: u64) -> Digest {
    let mut digest = Digest::default();
    digest[..8].copy_from_slice(&key.to_le_bytes());
    for _ in 0..VALUE_ROUNDS {
        digest = Sha256::digest(digest).into();
    }
    digest
}

/// A file to read from: the running program, for it is there and not small.
pub struct Chunks {
    file: File,
    count: u64,
}

impl Chunks {
    /// Opens the file.
    pub fn open() -> io::Result<Self> {
        let file = File::open(std::env::current_exe()?)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            file,
            count: (bytes / CHUNK_BYTES as u64).max(1),
        })
    }

    /// Reads and hashes one chunk.
    pub fn digest(&self, id: u64) -> io::Result<Digest> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = {
            let _region = tachograph::region("read");
            let offset = id % self.count * CHUNK_BYTES as u64;
            self.file.read_at(&mut chunk, offset)?
        };
        let _region = tachograph::region("hash");
        Ok(Sha256::digest(&chunk[..read]).into())
    }
}

/// Something to compress.
pub struct Text(Vec<u8>);

impl Text {
    /// Makes it up: words that come up again and again.
    pub fn new() -> Self {
        const WORDS: [&str; 8] = [
            "task ", "waits ", "for ", "worker ", "lock ", "wakes ", "thread ", "then ",
        ];
        let mut dice = Dice::new(7);
        let mut text = Vec::with_capacity(TEXT_BYTES);
        while text.len() < TEXT_BYTES {
            text.extend_from_slice(WORDS[dice.below(WORDS.len() as u32) as usize].as_bytes());
            text.push(b'a' + dice.below(26) as u8);
        }
        text.truncate(TEXT_BYTES);
        Self(text)
    }

    /// Compresses one of [`PIECES`]; gives its length then.
    pub fn compressed_len(&self, piece: usize) -> io::Result<usize> {
        let _region = tachograph::region("deflate");
        let length = self.0.len() / PIECES;
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.0[piece * length..][..length])?;
        Ok(encoder.finish()?.len())
    }
}

/// Writes into a ledger the wrong way: on a worker, under a lock that makes the next one's worker stand, too.
pub fn stall(ledger: &Mutex<u64>) -> u64 {
    let mut entries = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    // N.B. no blocking section: who makes this mistake declares nothing.
    std::thread::sleep(STALL);
    *entries += 1;
    *entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_differ_by_key_only() {
        assert_eq!(value_of(5), value_of(5));
        assert_ne!(value_of(5), value_of(6));
    }

    #[test]
    fn every_id_has_a_chunk() {
        let chunks = Chunks::open().unwrap();
        let digests = [0, 1, u64::MAX].map(|id| chunks.digest(id).unwrap());
        assert_ne!(digests[0], digests[1]);
        assert_eq!(digests[0], chunks.digest(chunks.count).unwrap());
    }

    #[test]
    fn the_text_can_be_compressed() {
        let text = Text::new();
        for piece in 0..PIECES {
            let length = text.compressed_len(piece).unwrap();
            assert!((500..TEXT_BYTES / PIECES).contains(&length), "{length}");
        }
    }
}
