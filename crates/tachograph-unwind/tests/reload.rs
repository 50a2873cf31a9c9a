//! Libraries that come and go: rule 4 of the crate.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::ffi::CStr;

use tachograph_unwind::{
    Registers, RuleCache, Snapshot, StackCopy, Walk, load_counters, loaded_modules, walk_in,
};

/// Loaded by nothing else in a test program.
const LIBRARY: &CStr = c"libresolv.so.2";
const FUNCTION: &CStr = c"ns_initparse";

/// A walk from the first instruction of `function`, with one caller, in this executable.
fn walk_from(snapshot: &Snapshot, cache: &mut RuleCache, function: u64) -> Walk {
    let caller = walk_from as *const () as u64 + 1;
    let stack = [caller, 0, 0, 0, 0, 0, 0, 0];
    let stack = StackCopy::new(0x7000_0000, &stack);
    let registers = Registers {
        ip: function,
        sp: 0x7000_0000,
        fp: 0,
    };
    let mut out = [0u64; 2];
    // SAFETY: a stack copy answers every address.
    unsafe {
        walk_in(
            &stack,
            snapshot,
            cache,
            registers,
            stack.bounds(),
            out.as_mut_ptr(),
            2,
        )
    }
}

#[test]
fn a_library_is_known_while_loaded_and_forgotten_after() {
    let mut cache = RuleCache::boxed();
    let before = Snapshot::build(&loaded_modules(), 1);
    let (adds, subs) = load_counters();

    // SAFETY: the library has no constructors that need anything.
    let library = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null(), "{LIBRARY:?} can be loaded");
    // SAFETY: `library` is open.
    let function = unsafe { libc::dlsym(library, FUNCTION.as_ptr()) }.addr() as u64;
    assert_ne!(function, 0);
    assert!(load_counters().0 > adds);
    let stale = walk_from(&before, &mut cache, function);
    assert!(stale.left_modules && stale.guesses == 1, "{stale:?}");

    let loaded = before.refreshed(&loaded_modules());
    assert_ne!(loaded.epoch(), before.epoch());
    assert!(loaded.rows() > before.rows());
    for _ in 0..2 {
        let known = walk_from(&loaded, &mut cache, function);
        assert!(
            !known.left_modules && known.guesses == 0 && known.frames == 2,
            "{known:?}"
        );
    }

    // SAFETY: `library` is open, and nothing of it is used any more.
    assert_eq!(unsafe { libc::dlclose(library) }, 0);
    assert!(load_counters().1 > subs);
    let unloaded = loaded.refreshed(&loaded_modules());
    assert_eq!(unloaded.rows(), before.rows());
    let forgotten = walk_from(&unloaded, &mut cache, function);
    assert!(
        forgotten.left_modules && forgotten.guesses == 1,
        "{forgotten:?}"
    );
}

#[test]
fn a_module_that_is_gone_gets_no_rows() {
    let mut modules = loaded_modules();
    let whole = Snapshot::build(&modules, 1).rows();
    for module in &mut modules {
        module.build_id.push(0);
    }
    assert!(whole > 0);
    assert_eq!(Snapshot::build(&modules, 1).rows(), 0);
}

#[test]
fn modules_name_the_executable_the_vdso_and_libc() {
    let modules = loaded_modules();
    let executable = std::env::current_exe().expect("a path");
    assert!(
        modules
            .iter()
            .any(|module| module.path == executable && !module.build_id.is_empty())
    );
    assert!(
        modules
            .iter()
            .any(|module| module.path.as_os_str() == "[vdso]")
    );
    assert!(
        modules
            .iter()
            .any(|module| module.path.to_string_lossy().contains("libc.so"))
    );
    assert!(modules.windows(2).all(|pair| pair[0].end <= pair[1].start));
}
