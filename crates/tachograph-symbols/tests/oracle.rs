//! Every answer is the one that addr2line gives: the same frames, files and lines, and the same names where both have a linkage
//! name. Where addr2line has a plain name, ours may have a path before it (`same_name`).
//!
//! `TACHOGRAPH_ORACLE_FILE=/path/to/program cargo test --release --test oracle` compares over another file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use addr2line::Context;
use gimli::{Dwarf, EndianSlice, LittleEndian};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use tachograph_symbols::{Frame, Module, Options, Symbolizer};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// A frame of addr2line.
#[derive(Debug)]
struct Expected {
    name: Option<ExpectedName>,
    file: String,
    line: u32,
}

#[derive(Debug)]
enum ExpectedName {
    /// A linkage name, demangled.
    Full(String),
    Plain(String),
}

fn load(bytes: &[u8]) -> (Context<Slice<'_>>, Vec<u64>) {
    let elf = ElfFile64::<object::LittleEndian>::parse(bytes).expect("elf");
    let section = |id: gimli::SectionId| {
        let section = elf.section_by_name(id.name());
        let data = section.and_then(|section| section.data().ok());
        Ok::<_, gimli::Error>(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    };
    let dwarf = Dwarf::load(section).expect("sections");
    let context = Context::from_dwarf(dwarf).expect("dwarf");
    let text = elf.section_by_name(".text").expect("code");
    let step = (text.size() / 10_000).max(1);
    let addresses = (text.address()..text.address() + text.size()).step_by(step as usize);
    (context, addresses.collect())
}

fn expected(context: &Context<Slice<'_>>, pc: u64) -> Vec<Expected> {
    let mut frames = context.find_frames(pc).skip_all_loads().expect("frames");
    let mut seen = Vec::new();
    while let Some(frame) = frames.next().expect("frame") {
        let name = frame.function.map(|f| expected_name(f.name.slice()));
        let (file, line) = frame.location.map_or((None, None), |l| (l.file, l.line));
        seen.push(Expected {
            name,
            file: file.unwrap_or_default().to_owned(),
            line: line.unwrap_or(0),
        });
    }
    seen
}

fn expected_name(name: &[u8]) -> ExpectedName {
    let name = String::from_utf8_lossy(name).into_owned();
    match rustc_demangle::try_demangle(&name) {
        Ok(demangled) => ExpectedName::Full(format!("{demangled:#}")),
        Err(_) => ExpectedName::Plain(name),
    }
}

/// What kind of difference there is, if any.
fn difference(frames: &[Frame], expected: &[Expected]) -> Option<&'static str> {
    let pairs = || frames.iter().zip(expected);
    let names = || pairs().filter_map(|(f, e)| Some((&*f.function, e.name.as_ref()?)));
    let inlined = frames.len().saturating_sub(1);
    if frames.len() != expected.len() {
        Some("depth")
    } else if pairs().any(|(f, e)| *f.file != e.file || f.line != e.line) {
        Some("place")
    } else if names()
        .enumerate()
        .any(|(at, (ours, theirs))| !same_name(ours, theirs, at < inlined))
    {
        Some("name")
    } else {
        None
    }
}

/// The same linkage name; or the same plain name, with or without path. A physical function may have taken its symbol's name,
/// which has no type arguments at the end and other words for closures: there the item's name is compared.
fn same_name(ours: &str, theirs: &ExpectedName, is_inlined: bool) -> bool {
    match theirs {
        ExpectedName::Full(theirs) => ours == theirs,
        ExpectedName::Plain(theirs) if ours == theirs => true,
        ExpectedName::Plain(theirs) if is_inlined => ours.ends_with(&format!("::{theirs}")),
        ExpectedName::Plain(theirs) => item(ours) == item(theirs),
    }
}

/// `load` of `app::Store<T>::load::<A>`, and `closure` of all closures.
fn item(name: &str) -> &str {
    let mut depth = 0;
    let mut end = name.len();
    let bytes = name.as_bytes();
    for at in (0..bytes.len()).rev() {
        match bytes[at] {
            // Not the arrow of a function type.
            b'>' if at == 0 || bytes[at - 1] != b'-' => depth += 1,
            b'<' => {
                depth -= 1;
                if depth == 0 {
                    end = at;
                }
            }
            b':' if depth == 0 && at + 1 < end => {
                return word(&name[at + 1..end]);
            }
            b':' if depth == 0 => end = at,
            _ => {}
        }
    }
    word(&name[..end])
}

/// The name of an item without what sets off compiler-made ones: `{closure#0}`, `{{closure}}`, `call{{vtable.shim}}`.
fn word(name: &str) -> &str {
    let name = name.trim_start_matches('{');
    name.split(['#', ':', '{', '}']).next().unwrap_or(name)
}

#[test]
fn frames_are_those_of_addr2line() {
    let path = std::env::var_os("TACHOGRAPH_ORACLE_FILE").map(PathBuf::from);
    let path = path.unwrap_or_else(|| std::env::current_exe().expect("own path"));
    let bytes = std::fs::read(&path).expect("readable");
    let (context, addresses) = load(&bytes);
    let mut symbolizer = symbolizer(&path, bytes.len() as u64);
    let mut differences: HashMap<&str, Vec<u64>> = HashMap::new();
    let mut compared = 0;
    for pc in addresses {
        let expected = expected(&context, pc);
        let frames = symbolizer.resolve(pc);
        if expected.is_empty() {
            continue;
        }
        compared += 1;
        let Some(kind) = difference(frames, &expected) else {
            continue;
        };
        differences.entry(kind).or_default().push(pc);
    }
    for (kind, addresses) in &differences {
        let pc = addresses[0];
        let (ours, theirs) = (symbolizer.resolve(pc).to_vec(), expected(&context, pc));
        eprintln!(
            "{} differ in {kind}, as {pc:#x}:\n{ours:#?}\n{theirs:#?}",
            addresses.len()
        );
    }
    assert!(compared > 1000, "{compared} compared");
    assert!(differences.is_empty(), "of {compared}");
}

fn symbolizer(path: &Path, end: u64) -> Symbolizer {
    let mut options = Options::default();
    options.lines_budget_bytes = u64::MAX;
    let mut symbolizer = Symbolizer::new(options);
    let module = Module {
        start: 0,
        end: end * 2,
        bias: 0,
        path: path.to_path_buf(),
        build_id: Vec::new(),
    };
    symbolizer.set_modules(&[module]);
    symbolizer
}
