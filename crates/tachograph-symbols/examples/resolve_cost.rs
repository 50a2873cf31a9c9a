//! Measures what lookups cost: opening, first and repeated lookups, memory, with lines and with symbol tables alone.
//!
//! `cargo run --release -p tachograph-symbols --example resolve_cost [-- ELF_FILE [ADDRESSES]]`
//!
//! Without a file, addresses are spread over this program and over libc; with one, over that file as if it were loaded. The
//! allocated column is exact (counted); the estimate is what the budget charges for lines. `paths%` are the frames whose name has
//! a path, which needs `debug = 1` or more in the program for inlined functions.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

#[path = "../tests/common/mod.rs"]
mod common;

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection};
use tachograph_symbols::{Module, Options, Symbolizer};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().map(PathBuf::from);
    let count = arguments.next().and_then(|n| n.parse().ok());
    let count = count.unwrap_or(5000);
    println!(
        "{:<12} {:<8} {:>7} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7}",
        "module",
        "mode",
        "named",
        "open ms",
        "first us",
        "again ns",
        "open MB",
        "all MB",
        "est. MB",
        "rss MB",
        "frames",
        "lines%",
        "paths%"
    );
    let targets = match file {
        Some(file) => vec![whole_file(file)],
        None => vec![
            common::module_of((main as *const ()).addr() as u64),
            common::module_of(common::exported(c"qsort")),
        ],
    };
    for module in &targets {
        measure("symbols", module, 0, count);
        measure("lines", module, u64::MAX, count);
        measure(
            "64 MiB",
            module,
            Options::default().lines_budget_bytes,
            count,
        );
    }
}

/// A file as if it were loaded at its link-time addresses.
fn whole_file(path: PathBuf) -> Module {
    let end = std::fs::metadata(&path).expect("file exists").len();
    Module {
        start: 0x1000,
        end,
        bias: 0,
        path,
        build_id: Vec::new(),
    }
}

fn measure(mode: &str, module: &Module, lines_budget_bytes: u64, count: u64) {
    let mut options = Options::default();
    options.lines_budget_bytes = lines_budget_bytes;
    let code = code_addresses(module, count);
    let (heap, rss) = (HEAP.load(Relaxed), rss_bytes());

    let mut symbolizer = Symbolizer::new(options);
    symbolizer.set_modules(std::slice::from_ref(module));
    let open = time(|| symbolizer.resolve(code[0]).len());
    let opened = HEAP.load(Relaxed) - heap;
    let first = time(|| resolve_all(&mut symbolizer, &code));
    let allocated = HEAP.load(Relaxed) - heap;
    let again = time(|| resolve_all(&mut symbolizer, &code));

    let quality = quality(&mut symbolizer, &code);
    let stats = symbolizer.stats();
    let rss = rss_bytes().saturating_sub(rss);
    let name = module.path.file_name().unwrap_or("self".as_ref());
    println!(
        "{:<12.12} {mode:<8} {:>6.1}% {:>9.2} {:>10.2} {:>9.1} {:>9.2} {:>9.2} {:>9.2} {:>9.1} {:>7.2} {:>6.1}% {:>6.1}%",
        name.to_string_lossy(),
        100.0 * quality.named as f64 / code.len() as f64,
        open.as_secs_f64() * 1e3,
        first.as_secs_f64() * 1e6 / code.len() as f64,
        again.as_secs_f64() * 1e9 / code.len() as f64,
        megabytes(opened as u64),
        megabytes(allocated as u64),
        megabytes(stats.lines_bytes),
        megabytes(rss),
        quality.frames as f64 / code.len() as f64,
        100.0 * quality.with_line as f64 / quality.frames as f64,
        100.0 * quality.with_path as f64 / quality.frames as f64,
    );
    for module in stats.limited_modules {
        for shortfall in module.shortfalls {
            println!("             {shortfall}");
        }
    }
}

fn resolve_all(symbolizer: &mut Symbolizer, code: &[u64]) -> usize {
    code.iter().map(|pc| symbolizer.resolve(*pc).len()).sum()
}

/// What the answers hold.
#[derive(Default)]
struct Quality {
    frames: usize,
    with_line: usize,
    with_path: usize,
    /// Addresses whose frames all have a name.
    named: usize,
}

fn quality(symbolizer: &mut Symbolizer, code: &[u64]) -> Quality {
    let mut sums = Quality::default();
    for pc in code {
        let frames = symbolizer.resolve(*pc);
        sums.frames += frames.len();
        sums.with_line += frames.iter().filter(|frame| frame.line != 0).count();
        let paths = frames.iter().filter(|frame| frame.function.contains("::"));
        sums.with_path += paths.count();
        sums.named += usize::from(frames.iter().all(|frame| !frame.function.contains("+0x")));
    }
    sums
}

/// Addresses spread at random over the executable sections, the same ones in each run.
fn code_addresses(module: &Module, count: u64) -> Vec<u64> {
    let path = match module.path.as_os_str().is_empty() {
        true => PathBuf::from("/proc/self/exe"),
        false => module.path.clone(),
    };
    let bytes = std::fs::read(path).expect("module is readable");
    let file = ElfFile64::<LittleEndian>::parse(&*bytes).expect("module is elf");
    let text = file.section_by_name(".text").expect("module has .text");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let address = |random: u64| text.address() + random % text.size() + module.bias;
    (0..count).map(|_| address(next())).collect()
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn rss_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.map_or(0, |pages| pages * 4096)
}

static HEAP: AtomicUsize = AtomicUsize::new(0);

/// Counts live heap bytes.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is passed to the system allocator with what the caller gave.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HEAP.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's duties are those of the system allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HEAP.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
