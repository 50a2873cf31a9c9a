//! Opens traces: files or standard input, as they are, compressed, or as text.
//!
//! Owns the choice by content; what a file is called doesn't matter. Called by all subcommands that read. Shows how far it has come,
//! in bytes of the file, whatever is in it.
//!
//! Zstandard is decoded in Rust (`ruzstd`), at about 140 MB a second. The C library is four times as fast, but wants a C compiler to be
//! installed, and reading what comes out takes longer than either; gzip is no faster.

mod frames;
mod members;
mod text;

use crate::progress::{Bar, Progress};
use anyhow::Context;
use frames::Frames;
use members::Members;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tachograph_text::Expectation;

/// What stands at the start of compressed data.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Of what can be left out, the low half of the first byte may be anything.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// What is looked at before deciding what it is.
const LOOK_BYTES: usize = 64 << 10;
/// Compressed bytes that are fetched at once.
const COMPRESSED_BYTES: usize = 128 << 10;

/// An opened input: yields the bytes of a trace.
pub struct Input {
    bytes: Box<dyn Read + Send>,
    /// What the text around the trace expects of it, if it is a golden file.
    pub expects: Option<Expectation>,
    trouble: Trouble,
}

/// What went wrong below the trace, for when reading is over.
#[derive(Clone, Default)]
pub struct Trouble {
    why: Arc<Mutex<Option<Why>>>,
    /// What is compressed, whose end says whether all of it was right.
    packed: Option<Arc<Mutex<Unpacked>>>,
}

/// What went wrong.
#[derive(Debug)]
enum Why {
    /// The file can't be read.
    Io(io::Error),
    /// What is read can't be decompressed, or is text that is no trace.
    Content(String),
}

impl Input {
    /// Opens a file, or standard input if the path is `-`.
    ///
    /// # Errors
    /// If it can't be opened or its first bytes can't be read.
    pub fn open(path: &Path, bar: Bar) -> anyhow::Result<Self> {
        let name = path.display();
        if path == Path::new("-") {
            let input = Self::of(io::stdin(), Progress::new(None).if_shown(bar));
            return input.context("can't read standard input");
        }
        let file = File::open(path).with_context(|| format!("can't open {name}"))?;
        let metadata = file.metadata();
        let metadata = metadata.with_context(|| format!("can't open {name}"))?;
        let size = metadata.is_file().then_some(metadata.len());
        let input = Self::of(file, Progress::new(size).if_shown(bar));
        input.with_context(|| format!("can't read {name}"))
    }

    fn of(source: impl Read + Send + 'static, progress: Progress) -> io::Result<Self> {
        let mut trouble = Trouble::default();
        let mut source = Source {
            source,
            done: 0,
            progress,
            trouble: trouble.clone(),
        };
        let mut start = Vec::new();
        source
            .by_ref()
            .take(LOOK_BYTES as u64)
            .read_to_end(&mut start)?;
        let mut expects = None;
        let whole = Whole::new(start, source);
        let bytes = match whole.packing() {
            Some(packing) => {
                let unpacked = Unpacked::new(packing, whole, trouble.clone());
                let mut unpacked = Shared(Arc::new(Mutex::new(unpacked)));
                trouble.packed = Some(Arc::clone(&unpacked.0));
                let mut start = Vec::new();
                // What is wrong with the rest will be said by whoever reads it.
                let mut looked = unpacked.by_ref().take(LOOK_BYTES as u64);
                if looked.read_to_end(&mut start).is_err() {
                    start.truncate(LOOK_BYTES);
                }
                text::of(Cursor::new(start).chain(unpacked), &trouble, &mut expects)?
            }
            None => text::of(whole.0, &trouble, &mut expects)?,
        };
        Ok(Self {
            bytes,
            expects,
            trouble,
        })
    }

    /// To ask what went wrong, once the input was given away.
    pub fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl Trouble {
    /// Fails if the file could not be read.
    ///
    /// # Errors
    /// The one of the system.
    pub fn refuse_io(&self, path: &Path) -> anyhow::Result<()> {
        let mut why = self.why();
        match why.take() {
            Some(Why::Io(error)) => Err(anyhow::anyhow!("can't read {}: {error}", path.display())),
            other => {
                *why = other;
                Ok(())
            }
        }
    }

    /// What is wrong with what surrounds the trace.
    ///
    /// Compressed data is read to its end first: checksums stand there, and if they are wrong, that is why the trace is.
    pub fn content(&self) -> Option<String> {
        if let Some(packed) = &self.packed {
            // Errors are put where we look for them.
            let _ = io::copy(&mut Shared(Arc::clone(packed)), &mut io::sink());
        }
        match &*self.why() {
            Some(Why::Content(why)) => Some(why.clone()),
            _ => None,
        }
    }

    fn why(&self) -> MutexGuard<'_, Option<Why>> {
        // A value that is only ever filled in is whole, whoever panicked.
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, why: Why) {
        self.why().get_or_insert(why);
    }
}

/// The file itself, counted.
struct Source<R> {
    source: R,
    done: u64,
    progress: Progress,
    trouble: Trouble,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.source.read(buffer) {
                Ok(count) => {
                    self.done += count as u64;
                    self.progress.at(self.done);
                    return Ok(count);
                }
                // Decoders forget where they are at an error, and this is none.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.trouble.put(Why::Io(io::Error::from(error.kind())));
                    return Err(error);
                }
            }
        }
    }
}

/// An input with what was looked at before the rest.
struct Whole<R>(Chain<Cursor<Vec<u8>>, R>);

impl<R: Read> Whole<R> {
    fn new(start: Vec<u8>, rest: R) -> Self {
        Self(Cursor::new(start).chain(rest))
    }

    fn packing(&self) -> Option<Packing> {
        let start = self.0.get_ref().0.get_ref();
        if start.starts_with(&GZIP) {
            Some(Packing::Gzip)
        } else if start.starts_with(&ZSTD) || start.get(1..4) == Some(&ZSTD_SKIPPABLE) {
            Some(Packing::Zstd)
        } else {
            None
        }
    }
}

#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
}

/// Decompressed bytes. Where the compressed ones end too early or are broken, it ends, and says so to [`Trouble`]: then what stands before is
/// as good as a trace that was cut off.
struct Unpacked {
    bytes: Box<dyn Read + Send>,
    name: &'static str,
    trouble: Trouble,
    over: bool,
}

impl Unpacked {
    fn new<R: Read + Send + 'static>(packing: Packing, whole: Whole<R>, trouble: Trouble) -> Self {
        let packed = io::BufReader::with_capacity(COMPRESSED_BYTES, whole.0);
        let (bytes, name): (Box<dyn Read + Send>, _) = match packing {
            Packing::Gzip => (Box::new(Members::new(packed)), "gzip"),
            Packing::Zstd => (Box::new(Frames::new(packed)), "zstd"),
        };
        Self {
            bytes,
            name,
            trouble,
            over: false,
        }
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.over {
            return Ok(0);
        }
        match self.bytes.read(buffer) {
            Err(error) => {
                self.over = true;
                let why = match error.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        format!("{} data: the bytes end before the data", self.name)
                    }
                    _ => format!("{} data: it is broken: {error}", self.name),
                };
                // If the file can't be read, that was said first, and is what counts.
                self.trouble.put(Why::Content(why));
                Ok(0)
            }
            read => read,
        }
    }
}

/// Decompressed bytes that are read by one, and to their end by another.
struct Shared(Arc<Mutex<Unpacked>>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A decoder that panicked gives nothing that is worth having.
        match self.0.lock() {
            Ok(mut unpacked) => unpacked.read(buffer),
            Err(_) => Ok(0),
        }
    }
}

/// Where a trace is, as typed.
#[derive(clap::Args, Clone, Debug)]
pub struct One {
    /// The trace, or `-` for standard input; gzip and zstd are undone, text traces are encoded.
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
}
