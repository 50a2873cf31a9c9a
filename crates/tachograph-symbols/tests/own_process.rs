//! Addresses of the running test, its libraries and the vDSO.

mod common;

use std::path::{Path, PathBuf};

use common::{exported, module_of, modules, symbolizer};
use tachograph_symbols::{Frame, Module, Options, Shortfall, Stats, Symbolizer};

#[inline(never)]
fn a_plain_function(value: u64) -> u64 {
    std::hint::black_box(value) + 1
}
const LINE_OF_PLAIN: u32 = line!() - 3;

/// The return address of the caller's caller is not needed: the address of the innermost frame is.
#[inline(always)]
fn innermost() -> u64 {
    here()
}
const LINE_OF_INNERMOST: u32 = line!() - 2;

#[inline(always)]
fn middle() -> u64 {
    innermost()
}
const LINE_OF_MIDDLE: u32 = line!() - 2;

#[inline(never)]
fn outermost() -> u64 {
    middle() + std::hint::black_box(0)
}
const LINE_OF_OUTERMOST: u32 = line!() - 2;

/// The address of the instruction behind the call, in the calling code.
#[inline(always)]
fn here() -> u64 {
    let pc: u64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads the instruction pointer only.
    unsafe {
        std::arch::asm!("lea {}, [rip]", out(reg) pc, options(nomem, nostack, preserves_flags))
    };
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads the instruction pointer only.
    unsafe {
        std::arch::asm!("adr {}, .", out(reg) pc, options(nomem, nostack, preserves_flags))
    };
    pc
}

fn address_of(function: fn(u64) -> u64) -> u64 {
    (function as *const ()).addr() as u64
}

fn ends_with(frame: &Frame, name: &str) -> bool {
    frame.function.ends_with(name)
}

#[test]
fn own_function_has_name_file_and_line() {
    let mut symbolizer = symbolizer(Options::default());
    let frames = symbolizer.resolve(address_of(a_plain_function));
    let [frame] = frames else {
        panic!("one frame, not {frames:?}")
    };
    assert_eq!(&*frame.function, "own_process::a_plain_function");
    assert!(frame.file.ends_with("tests/own_process.rs"), "{frame:?}");
    assert_eq!(frame.line, LINE_OF_PLAIN);
    let stats = symbolizer.stats();
    assert_eq!((stats.addresses, stats.misses), (1, 0));
    assert_eq!(stats.limited_modules, []);
}

#[test]
fn inlined_chain_is_innermost_first() {
    let mut symbolizer = symbolizer(Options::default());
    // The address is behind the instruction that took it, so it is looked up like a return address.
    let frames = symbolizer.resolve(outermost() - 1);
    let names = ["here", "innermost", "middle", "outermost"];
    let lines = [LINE_OF_INNERMOST, LINE_OF_MIDDLE, LINE_OF_OUTERMOST];
    assert_eq!(frames.len(), names.len(), "{frames:#?}");
    for (frame, name) in frames.iter().zip(names) {
        assert_eq!(&*frame.function, format!("own_process::{name}"));
        assert!(frame.file.ends_with("tests/own_process.rs"), "{frame:?}");
    }
    for (frame, line) in frames[1..].iter().zip(lines) {
        assert_eq!(frame.line, line, "{frame:?}");
    }
}

#[test]
fn generic_function_has_its_path() {
    let mut symbolizer = symbolizer(Options::default());
    let frames = symbolizer.resolve((Vec::<String>::push as *const ()).addr() as u64);
    let outer = frames.last().expect("never empty");
    assert!(outer.function.starts_with("alloc::vec::Vec<"), "{outer:?}");
    assert!(ends_with(outer, "::push"), "{outer:?}");
}

#[test]
fn same_address_gives_the_same_strings() {
    let mut symbolizer = symbolizer(Options::default());
    let first = symbolizer.resolve(address_of(a_plain_function)).to_vec();
    let again = symbolizer.resolve(address_of(a_plain_function));
    assert_eq!(first, again);
    assert!(std::sync::Arc::ptr_eq(
        &first[0].function,
        &again[0].function
    ));
    assert_eq!(symbolizer.stats().addresses, 1);
}

#[test]
fn budget_of_zero_gives_names_without_lines() {
    let mut options = Options::default();
    options.lines_budget_bytes = 0;
    let mut symbolizer = symbolizer(options);
    let frames = symbolizer.resolve(outermost() - 1);
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(&*frames[0].function, "own_process::outermost");
    assert_eq!((&*frames[0].file, frames[0].line), ("", 0));
    let stats = symbolizer.stats();
    assert_eq!(stats.lines_bytes, 0);
    let reasons = &stats.limited_modules[0].shortfalls;
    assert!(
        matches!(reasons[..], [Shortfall::BudgetUsedUp { left_bytes: 0, .. }]),
        "{reasons:?}"
    );
}

/// Addresses in several compilation units.
fn spread_addresses() -> Vec<u64> {
    let functions = [
        address_of(a_plain_function),
        (std::thread::yield_now as *const ()).addr() as u64,
        (Symbolizer::stats as *const ()).addr() as u64,
        (std::env::current_exe as *const ()).addr() as u64,
        (Vec::<String>::push as *const ()).addr() as u64,
    ];
    let several = functions.iter().flat_map(|pc| (0..8).map(move |i| pc + i));
    several.collect()
}

fn frames_with_budget(budget_bytes: u64) -> (Vec<Vec<Frame>>, Stats) {
    let mut options = Options::default();
    options.lines_budget_bytes = budget_bytes;
    let mut symbolizer = symbolizer(options);
    let mut frames = Vec::new();
    for pc in spread_addresses() {
        frames.push(symbolizer.resolve(pc).to_vec());
        assert!(symbolizer.stats().lines_bytes <= budget_bytes);
    }
    (frames, symbolizer.stats())
}

#[test]
fn small_budget_is_kept_and_gives_the_same_frames() {
    let (wanted, unlimited) = frames_with_budget(u64::MAX);
    assert_eq!(unlimited.units_closed, 0);
    let (frames, limited) = frames_with_budget(unlimited.lines_bytes * 2 / 3);
    assert!(limited.units_closed > 0, "{limited:?}");
    assert_eq!(frames, wanted);
    assert_eq!(limited.limited_modules, []);
}

#[test]
fn lookups_go_on_after_pages_are_released() {
    let mut symbolizer = symbolizer(Options::default());
    symbolizer.resolve(address_of(a_plain_function));
    symbolizer.release_pages();
    assert_eq!(symbolizer.resolve(outermost() - 1).len(), 4);
}

#[test]
fn libc_function_is_found_by_its_exported_name() {
    let mut symbolizer = symbolizer(Options::default());
    for name in [c"qsort", c"snprintf", c"getenv"] {
        let pc = exported(name) + 1;
        let frames = symbolizer.resolve(pc);
        let outer = frames.last().expect("never empty");
        assert_eq!(*outer.function, *name.to_string_lossy(), "{frames:?}");
    }
}

#[test]
fn vdso_function_is_named_from_memory() {
    let vdso = modules()
        .into_iter()
        .find(|m| m.path == Path::new(Module::VDSO));
    let Some(vdso) = vdso else {
        eprintln!("this process has no vdso");
        return;
    };
    let mut symbolizer = symbolizer(Options::default());
    let wanted = if cfg!(target_arch = "aarch64") {
        "__kernel_clock_gettime"
    } else {
        "__vdso_clock_gettime"
    };
    let mut found = false;
    for pc in (vdso.start..vdso.end).step_by(16) {
        found |= &*symbolizer.resolve(pc)[0].function == wanted;
    }
    assert!(found, "{:?}", symbolizer.stats());
}

#[test]
fn address_outside_of_all_modules_shows_itself() {
    let mut symbolizer = symbolizer(Options::default());
    for pc in [0, 0x1000, u64::MAX] {
        let frames = symbolizer.resolve(pc);
        assert_eq!(frames.len(), 1);
        assert_eq!(&*frames[0].function, format!("{pc:#x}"));
    }
    let stats = symbolizer.stats();
    assert_eq!((stats.addresses, stats.misses), (0, 3), "not cached");
}

#[test]
fn address_in_data_shows_module_and_offset() {
    static DATA: u64 = 7;
    let pc = (&raw const DATA).addr() as u64;
    let module = module_of(pc);
    let mut symbolizer = symbolizer(Options::default());
    let wanted = format!("exe+{:#x}", pc - module.bias);
    assert_eq!(&*symbolizer.resolve(pc)[0].function, wanted);
    assert_eq!(symbolizer.stats().misses, 1);
}

#[test]
fn changed_module_list_drops_the_frames_of_changed_ranges_only() {
    let own_pc = address_of(a_plain_function);
    let libc_pc = exported(c"qsort");
    let mut symbolizer = symbolizer(Options::default());
    symbolizer.resolve(own_pc);
    let libc_frames = symbolizer.resolve(libc_pc).to_vec();
    let opened = symbolizer.stats().modules_opened;

    let mut changed = modules();
    let own = changed
        .iter_mut()
        .find(|m| m.start <= own_pc && own_pc < m.end);
    own.expect("own module").path = PathBuf::from("/nonexistent/other.so");
    symbolizer.set_modules(&changed);
    assert_eq!(symbolizer.stats().addresses, 1, "own address is forgotten");
    assert_eq!(symbolizer.resolve(libc_pc), libc_frames);
    let frames = symbolizer.resolve(own_pc);
    assert!(frames[0].function.starts_with("other.so+0x"), "{frames:?}");
    let limits = symbolizer.stats().limited_modules;
    let limit = limits.iter().find(|m| m.path.ends_with("other.so"));
    let reasons = &limit.expect("says why").shortfalls;
    let unreadable = Shortfall::Unreadable(std::io::ErrorKind::NotFound);
    assert_eq!(*reasons, [unreadable]);

    symbolizer.set_modules(&modules());
    let frames = symbolizer.resolve(own_pc);
    assert_eq!(&*frames[0].function, "own_process::a_plain_function");
    assert_eq!(
        symbolizer.stats().modules_opened,
        opened,
        "libc was kept open"
    );
}

#[test]
fn file_with_another_build_id_is_refused() {
    let pc = exported(c"qsort");
    let mut module = module_of(pc);
    module.build_id = vec![1, 2, 3];
    let mut symbolizer = Symbolizer::new(Options::default());
    symbolizer.set_modules(&[module.clone()]);
    let frames = symbolizer.resolve(pc);
    assert!(frames[0].function.starts_with("libc"), "{frames:?}");
    assert!(frames[0].function.contains("+0x"), "{frames:?}");
    let limits = symbolizer.stats().limited_modules;
    let [Shortfall::BuildIdMismatch { found }] = &limits[0].shortfalls[..] else {
        panic!("a mismatch, not {limits:?}")
    };
    assert!(!found.is_empty());

    module.build_id.clone_from(found);
    symbolizer.set_modules(&[module]);
    assert_eq!(
        &*symbolizer.resolve(pc).last().expect("never empty").function,
        "qsort"
    );
}

#[test]
fn executable_is_read_through_proc_when_its_path_is_marked_deleted() {
    let pc = address_of(a_plain_function);
    let mut module = module_of(pc);
    let own = std::env::current_exe().expect("own path");
    module.path = PathBuf::from(format!("{} (deleted)", own.display()));
    let mut symbolizer = Symbolizer::new(Options::default());
    symbolizer.set_modules(&[module]);
    assert_eq!(symbolizer.resolve(pc)[0].line, LINE_OF_PLAIN);
}

#[test]
fn symbolizer_moves_between_threads() {
    let mut symbolizer = symbolizer(Options::default());
    let pc = address_of(a_plain_function);
    symbolizer.resolve(pc);
    let again = std::thread::spawn(move || symbolizer.resolve(pc)[0].line);
    assert_eq!(again.join().expect("no panic"), LINE_OF_PLAIN);
}
