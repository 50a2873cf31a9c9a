//! Every answer is the one that addr2line gives: the same frames, files and lines.
//!
//! `TACHOGRAPH_ORACLE_FILE=/path/to/program cargo test --release --test oracle` compares over another file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use addr2line::Context;
use gimli::{Dwarf, EndianSlice, LittleEndian};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use tachograph_symbols::{Module, Options, Symbolizer};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// A frame in the words of both.
type Seen = (Option<String>, String, u32);

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

/// Frames of addr2line; the name only where it is a full one, as ours takes the symbol's otherwise.
fn expected(context: &Context<Slice<'_>>, pc: u64) -> Vec<Seen> {
    let mut frames = context.find_frames(pc).skip_all_loads().expect("frames");
    let mut seen = Vec::new();
    while let Some(frame) = frames.next().expect("frame") {
        let name = frame
            .function
            .map(|f| String::from_utf8_lossy(f.name.slice()).into_owned());
        let name = name.and_then(|name| {
            let demangled = rustc_demangle::try_demangle(&name).ok()?;
            Some(format!("{demangled:#}"))
        });
        let (file, line) = frame.location.map_or((None, None), |l| (l.file, l.line));
        seen.push((name, file.unwrap_or_default().to_owned(), line.unwrap_or(0)));
    }
    seen
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
        let kind = if frames.len() != expected.len() {
            "depth"
        } else if frames
            .iter()
            .zip(&expected)
            .any(|(f, e)| *f.file != e.1 || f.line != e.2)
        {
            "place"
        } else if frames
            .iter()
            .zip(&expected)
            .any(|(f, e)| e.0.as_ref().is_some_and(|name| *f.function != **name))
        {
            "name"
        } else {
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
