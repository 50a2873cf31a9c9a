//! The modules of the running test, as a recorder would list them.
//!
//! Used by the integration tests and the example; holds all unsafe calls that they need.

#![allow(dead_code, reason = "every test uses another part")]

use std::ffi::{CStr, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tachograph_symbols::{Module, Options, Symbolizer};

/// All modules of this process.
pub fn modules() -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    // SAFETY: `add_module` matches the callback type and gets the vector that it expects.
    unsafe { libc::dl_iterate_phdr(Some(add_module), (&raw mut modules).cast()) };
    modules
}

/// A symbolizer that knows this process.
pub fn symbolizer(options: Options) -> Symbolizer {
    let mut symbolizer = Symbolizer::new(options);
    symbolizer.set_modules(&modules());
    symbolizer
}

/// The module that covers an address.
pub fn module_of(pc: u64) -> Module {
    let covers = |m: &Module| m.start <= pc && pc < m.end;
    modules()
        .into_iter()
        .find(covers)
        .expect("a module covers it")
}

/// Runtime address of an exported symbol.
pub fn exported(name: &CStr) -> u64 {
    // SAFETY: the name ends with a zero byte and the handle is a documented constant.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert!(!address.is_null(), "{name:?} is exported");
    address.addr() as u64
}

unsafe extern "C" fn add_module(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    modules: *mut c_void,
) -> c_int {
    // SAFETY: the loader passes a valid record, and our caller a vector of modules.
    let (info, modules) = unsafe { (&*info, &mut *modules.cast::<Vec<Module>>()) };
    // SAFETY: the loader's record points to its program headers and their count.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let loads = || headers.iter().filter(|h| h.p_type == libc::PT_LOAD);
    let start = loads().map(|h| h.p_vaddr).min().unwrap_or(0);
    let end = loads().map(|h| h.p_vaddr + h.p_memsz).max().unwrap_or(0);
    modules.push(Module {
        start: info.dlpi_addr + start,
        end: info.dlpi_addr + end,
        bias: info.dlpi_addr,
        path: path_of(info),
        build_id: Vec::new(),
    });
    0
}

fn path_of(info: &libc::dl_phdr_info) -> PathBuf {
    // SAFETY: the loader's names are strings that end with a zero byte.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) };
    if name == c"linux-vdso.so.1" {
        return PathBuf::from(Module::VDSO);
    }
    PathBuf::from(OsStr::from_bytes(name.to_bytes()))
}
