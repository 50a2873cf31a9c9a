//! Damaged ELF files: less is known, nothing panics, every address gets a frame.

use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol};
use tachograph_symbols::{Module, Options, Shortfall, Stats, Symbolizer};

/// A copy of this test's executable that is removed at the end.
struct Copy {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Copy {
    fn new(name: &str) -> Self {
        let bytes = fs::read("/proc/self/exe").expect("own executable");
        let path = std::env::temp_dir().join(format!("tachograph-{name}-{}", std::process::id()));
        fs::write(&path, &bytes).expect("temporary directory is writable");
        Self { path, bytes }
    }

    fn section(&self, name: &str) -> Range<u64> {
        let elf = ElfFile64::<LittleEndian>::parse(&*self.bytes).expect("own executable");
        let section = elf.section_by_name(name).expect("section is there");
        let (start, size) = section.file_range().expect("section has bytes");
        start..start + size
    }

    /// Some function addresses, spread over the file.
    fn addresses(&self) -> Vec<u64> {
        let elf = ElfFile64::<LittleEndian>::parse(&*self.bytes).expect("own executable");
        let text = elf.section_by_name(".text").map(|section| section.index());
        let functions = elf.symbols();
        let functions = functions.filter(|s| s.section_index() == text && s.size() > 0);
        let addresses: Vec<u64> = functions.map(|s| s.address() + s.size() / 2).collect();
        let step = addresses.len() / 15;
        addresses.into_iter().step_by(step.max(1)).collect()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // The temporary directory may keep a file that can't be removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Resolves addresses in a file as if it were loaded where it was linked.
fn resolve_all(path: &Path, addresses: &[u64]) -> Stats {
    let mut options = Options::default();
    options.lines_budget_bytes = 1 << 30;
    options.debug_directories.clear();
    let mut symbolizer = Symbolizer::new(options);
    symbolizer.set_modules(&[Module {
        start: 0,
        end: u64::MAX,
        bias: 0,
        path: path.to_path_buf(),
        build_id: Vec::new(),
    }]);
    for pc in addresses.iter().chain(&[0, 1, u64::MAX - 1]) {
        let frames = symbolizer.resolve(*pc);
        assert!(frames.iter().all(|f| !f.function.is_empty()) && !frames.is_empty());
    }
    symbolizer.stats()
}

/// A factor for longer runs: `TACHOGRAPH_FLIP_ROUNDS=100 cargo test --release --test damaged_files`.
fn more_rounds() -> u64 {
    let factor = std::env::var("TACHOGRAPH_FLIP_ROUNDS");
    factor.map_or(1, |n| n.parse().expect("a number of rounds"))
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Flips bytes in a part of the file, many times over, and resolves all addresses each time. Gives the rounds with shortfalls.
fn flip_bytes(copy: &Copy, part: &Range<u64>, rounds: u64) -> u64 {
    let addresses = copy.addresses();
    let file = OpenOptions::new()
        .write(true)
        .open(&copy.path)
        .expect("copy");
    let mut random = Random(0x1234_5678_9abc_def1 ^ part.start);
    let mut limited = 0;
    let rounds = rounds * more_rounds();
    for round in 0..rounds {
        let flips = 1 + round % 16;
        let at: Vec<u64> = (0..flips)
            .map(|_| part.start + random.below(part.end - part.start))
            .collect();
        for offset in &at {
            let noise = u8::try_from(random.below(256)).expect("below 256");
            file.write_all_at(&[noise], *offset)
                .expect("copy is writable");
        }
        let stats = resolve_all(&copy.path, &addresses);
        limited += u64::from(!stats.limited_modules.is_empty());
        for offset in &at {
            let index = usize::try_from(*offset).expect("fits");
            file.write_all_at(&copy.bytes[index..=index], *offset)
                .expect("copy is writable");
        }
    }
    limited
}

#[test]
fn whole_file_resolves_everything() {
    let copy = Copy::new("whole");
    let stats = resolve_all(&copy.path, &copy.addresses());
    assert_eq!(stats.limited_modules, []);
    assert_eq!(stats.misses, 3, "only the made-up addresses: {stats:?}");
}

#[test]
fn flipped_headers_are_survived() {
    let copy = Copy::new("headers");
    assert!(flip_bytes(&copy, &(0..64), 50) > 0, "some must be noticed");
    let elf = ElfFile64::<LittleEndian>::parse(&*copy.bytes).expect("own executable");
    let sections = elf.elf_header().e_shoff.get(LittleEndian);
    flip_bytes(&copy, &(sections..copy.bytes.len() as u64), 50);
}

#[test]
fn flipped_symbols_are_survived() {
    let copy = Copy::new("symbols");
    for name in [".symtab", ".strtab"] {
        let part = copy.section(name);
        flip_bytes(&copy, &part, 5);
        // Many flips close together, so that some hit the addresses that are asked for.
        flip_bytes(&copy, &(part.start..part.start + 4096), 5);
    }
}

#[test]
fn flipped_debug_sections_are_survived() {
    let copy = Copy::new("debug");
    for name in [
        ".debug_abbrev",
        ".debug_info",
        ".debug_line",
        ".debug_ranges",
        ".debug_aranges",
    ] {
        let part = copy.section(name);
        flip_bytes(&copy, &part, 5);
        let front = part.start..part.end.min(part.start + 2048);
        flip_bytes(&copy, &front, 10);
    }
}

#[test]
fn truncated_file_is_refused_or_read_as_far_as_it_goes() {
    let copy = Copy::new("truncated");
    let addresses = copy.addresses();
    let file = OpenOptions::new()
        .write(true)
        .open(&copy.path)
        .expect("copy");
    for tenths in (0..10).rev() {
        file.set_len(copy.bytes.len() as u64 / 10 * tenths)
            .expect("truncates");
        let stats = resolve_all(&copy.path, &addresses);
        assert!(!stats.limited_modules.is_empty(), "{tenths} tenths");
    }
}

#[test]
fn file_that_is_no_elf_gives_offsets_and_says_so() {
    let path = std::env::temp_dir().join(format!("tachograph-text-{}", std::process::id()));
    fs::write(&path, "not an executable").expect("temporary directory is writable");
    let stats = resolve_all(&path, &[0x10]);
    assert_eq!(stats.limited_modules[0].shortfalls, [Shortfall::NotElf]);
    fs::remove_file(&path).expect("file is there");
}

#[test]
fn directory_and_missing_file_are_unreadable() {
    for path in ["/", "/nonexistent/lib.so"] {
        let stats = resolve_all(Path::new(path), &[0x10]);
        let reasons = &stats.limited_modules[0].shortfalls;
        assert!(
            matches!(reasons[..], [Shortfall::Unreadable(_)]),
            "{path}: {reasons:?}"
        );
    }
}
