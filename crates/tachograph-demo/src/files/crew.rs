//! A walker, workers and a collector around two bounded queues.
//!
//! Owns its threads. Called by `files`.
//!
//! ```text
//! walker --jobs--> worker, worker, .. --finished--> collector
//! finds files      reads, hashes, compresses        counts, finds copies
//! ```
//!
//! Each file is a task that travels with it and ends at the collector. Each step is a region of that task, compression
//! a task of its own below it.

use super::queue::Queue;
use super::walk::Files;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tachograph::thread::{Builder, JoinHandle};
use tachograph::{Task, blocking, region};

/// Workers, unless there are fewer processors.
const MOST_WORKERS: usize = 6;
const LEAST_WORKERS: usize = 2;
/// Files on their way to the workers, and from them.
const QUEUE_ROOM: usize = 16;
/// Of longer files the beginning is worked on.
const MOST_FILE_BYTES: u64 = 1 << 20;

type Hash = [u8; 32];

/// The threads at work.
pub struct Crew {
    dir: PathBuf,
    halls: Arc<Halls>,
    walker: JoinHandle<u64>,
    workers: Vec<JoinHandle<()>>,
    collector: JoinHandle<Collected>,
}

/// What the threads share.
struct Halls {
    stop: AtomicBool,
    jobs: Queue<Job>,
    finished: Queue<Finished>,
}

/// A file to be worked on.
struct Job {
    task: Task,
    path: PathBuf,
}

/// A file that was worked on.
struct Finished {
    task: Task,
    /// What came of it, or that it could not be read.
    result: io::Result<Product>,
}

struct Product {
    hash: Hash,
    bytes: u64,
    compressed: u64,
}

/// What the collector has counted.
#[derive(Default)]
struct Collected {
    files: u64,
    unreadable: u64,
    bytes: u64,
    compressed: u64,
    different: HashSet<Hash>,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Work {
    /// Below which directory.
    pub dir: PathBuf,
    /// Workers.
    pub workers: usize,
    /// How often the walker went through the directory; the last time may be a part.
    pub rounds: u64,
    /// Files, each as often as it was worked on.
    pub files: u64,
    /// Files that could not be read.
    pub unreadable: u64,
    /// Files of different content.
    pub different: u64,
    /// How long the files are together.
    pub bytes: u64,
    /// How long they are compressed.
    pub compressed: u64,
}

impl Crew {
    /// Starts the threads.
    pub fn start(dir: &Path) -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(LEAST_WORKERS, usize::from);
        let halls = Arc::new(Halls {
            stop: AtomicBool::new(false),
            jobs: Queue::with_room(QUEUE_ROOM),
            finished: Queue::with_room(QUEUE_ROOM),
        });
        let walker = spawn("walker", &halls, {
            let dir = dir.to_owned();
            move |halls| walk(&dir, halls)
        })?;
        let workers = (0..processors.clamp(LEAST_WORKERS, MOST_WORKERS))
            .map(|number| spawn(&format!("worker {number}"), &halls, work))
            .collect::<io::Result<Vec<_>>>()?;
        let collector = spawn("collector", &halls, collect)?;
        Ok(Self {
            dir: dir.to_owned(),
            halls,
            walker,
            workers,
            collector,
        })
    }

    /// Lets all files that are on their way come through, and says what was done.
    pub fn finish(self) -> Work {
        self.halls.stop.store(true, Ordering::Relaxed);
        let rounds = join(self.walker);
        self.halls.jobs.close();
        let workers = self.workers.len();
        self.workers.into_iter().for_each(join);
        self.halls.finished.close();
        let collected = join(self.collector);
        Work {
            dir: self.dir,
            workers,
            rounds,
            files: collected.files,
            unreadable: collected.unreadable,
            different: collected.different.len() as u64,
            bytes: collected.bytes,
            compressed: collected.compressed,
        }
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    halls: &Arc<Halls>,
    run: impl FnOnce(&Halls) -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let halls = Arc::clone(halls);
    Builder::new()
        .name(name.to_owned())
        .spawn(move || run(&halls))
}

/// A panic of a thread goes on in ours.
fn join<T>(thread: JoinHandle<T>) -> T {
    let result = blocking("a thread to end", || thread.join());
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Sends the files of the directory to the workers, over and over.
fn walk(dir: &Path, halls: &Halls) -> u64 {
    for round in 1.. {
        let _region = region("walk");
        for path in Files::below(dir) {
            // Relaxed: a late look makes one file more, and nothing else hangs on it.
            if halls.stop.load(Ordering::Relaxed) {
                return round;
            }
            let task = tachograph::task("file");
            task.log("path", &path.to_string_lossy());
            if halls.jobs.push(Job { task, path }).is_err() {
                return round;
            }
        }
    }
    unreachable!("rounds are counted to 2^64")
}

/// Works on files until there are no more.
fn work(halls: &Halls) {
    while let Some(Job { task, path }) = halls.jobs.pop() {
        let result = read(&task, &path).and_then(|bytes| {
            Ok(Product {
                hash: hash(&task, &bytes),
                bytes: bytes.len() as u64,
                compressed: compress(&task, &bytes)?,
            })
        });
        if halls.finished.push(Finished { task, result }).is_err() {
            return;
        }
    }
}

fn read(task: &Task, path: &Path) -> io::Result<Vec<u8>> {
    let _region = task.region("read");
    let mut bytes = Vec::new();
    blocking("file to be read", || {
        File::open(path)?
            .take(MOST_FILE_BYTES)
            .read_to_end(&mut bytes)
    })?;
    Ok(bytes)
}

fn hash(task: &Task, bytes: &[u8]) -> Hash {
    let _region = task.region("hash");
    Sha256::digest(bytes).into()
}

fn compress(task: &Task, bytes: &[u8]) -> io::Result<u64> {
    let task = task.child("compress");
    let _region = task.region("deflate");
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    let compressed = encoder.finish()?.len();
    task.log("size", &format!("{} -> {compressed} bytes", bytes.len()));
    Ok(compressed as u64)
}

/// Adds up what the workers have finished.
fn collect(halls: &Halls) -> Collected {
    let mut collected = Collected::default();
    while let Some(Finished { task, result }) = halls.finished.pop() {
        let _region = task.region("collect");
        match result {
            Ok(product) => collected.add(&task, &product),
            Err(error) => {
                task.log("error", &error.to_string());
                collected.unreadable += 1;
            }
        }
    }
    collected
}

impl Collected {
    fn add(&mut self, task: &Task, product: &Product) {
        self.files += 1;
        self.bytes += product.bytes;
        self.compressed += product.compressed;
        if self.different.insert(product.hash) {
            task.log("content", "new");
        }
    }
}
