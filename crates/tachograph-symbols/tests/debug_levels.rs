//! What the names of functions hold, by how much debug information the program was built with.
//!
//! rustc gives linkage names and namespaces with `-C debuginfo=1` and 2. `line-tables-only` leaves out both, so inlined functions
//! have nothing but the name of their item there; physical ones are in the symbol table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object, ObjectSymbol};
use tachograph_symbols::{Module, Options, Symbolizer};

/// `tests/programs/nested.rs`, built; removed at the end.
struct Program {
    path: PathBuf,
}

impl Program {
    fn build(level: &str) -> Self {
        // The compiler's temporary files take their name from the output.
        static BUILT: AtomicU32 = AtomicU32::new(0);
        let built = BUILT.fetch_add(1, Relaxed);
        let name = format!("nested-{}-{built}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/nested.rs");
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let status = Command::new(compiler)
            .args(["--edition=2024", "--crate-name=nested", "-Copt-level=3"])
            .arg(format!("-Cdebuginfo={level}"))
            .arg("-Csymbol-mangling-version=v0")
            .args([source.as_os_str(), "-o".as_ref(), path.as_os_str()])
            .status();
        assert!(status.expect("rustc is installed").success());
        Self { path }
    }

    /// The names of all frames in the functions whose symbol has `part`: physical ones, inlined ones.
    fn names_in(&self, part: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let bytes = std::fs::read(&self.path).expect("was built");
        let elf = ElfFile64::<LittleEndian>::parse(&*bytes).expect("elf");
        let mut symbolizer = Symbolizer::new(Options::default());
        symbolizer.set_modules(&[Module {
            start: 0,
            end: u64::MAX,
            bias: 0,
            path: self.path.clone(),
            build_id: Vec::new(),
        }]);
        let (mut physical, mut inlined) = (BTreeSet::new(), BTreeSet::new());
        let symbols = elf.symbols();
        for symbol in symbols.filter(|symbol| symbol.name().is_ok_and(|name| name.contains(part))) {
            for pc in symbol.address()..symbol.address() + symbol.size() {
                let names = symbolizer
                    .resolve(pc)
                    .iter()
                    .map(|f| f.function.to_string());
                let mut names: Vec<String> = names.collect();
                physical.extend(names.pop());
                inlined.extend(names);
            }
        }
        (physical, inlined)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It lies in the build directory: one that can't be removed goes with it.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(String::from).into()
}

#[test]
fn inlined_functions_have_their_path_with_debug_1_and_2() {
    for level in ["1", "2"] {
        let (physical, inlined) = Program::build(level).names_in("5inner8physical");
        assert_eq!(physical, set(["nested::outer::inner::physical"]), "{level}");
        let wanted = [
            "core::hint::black_box::<u64>",
            "nested::outer::inner::in_module",
            "nested::outer::inner::physical::{closure#0}",
            "<nested::outer::inner::Pair<u32>>::total",
        ];
        assert_eq!(inlined, set(wanted), "{level}");
    }
}

#[test]
fn function_without_linkage_name_is_named_by_what_encloses_it() {
    for level in ["1", "2"] {
        let program = Program::build(level);
        let (physical, inlined) = program.names_in("unmangled_physical");
        assert_eq!(physical, set(["nested::outer::inner::unmangled_physical"]));
        assert!(
            inlined.contains("nested::outer::inner::unmangled"),
            "{inlined:?}"
        );
        let (physical, _) = program.names_in("unmangled_later");
        assert_eq!(physical, set(["nested::later::unmangled_later"]), "{level}");
    }
}

#[test]
fn line_tables_only_gives_paths_of_physical_functions_alone() {
    let program = Program::build("line-tables-only");
    let (physical, inlined) = program.names_in("5inner8physical");
    assert_eq!(physical, set(["nested::outer::inner::physical"]));
    let wanted = ["black_box<u64>", "in_module", "total<u32>", "{closure#0}"];
    assert_eq!(inlined, set(wanted));
    let (physical, _) = program.names_in("unmangled_physical");
    assert_eq!(physical, set(["unmangled_physical"]));
}
