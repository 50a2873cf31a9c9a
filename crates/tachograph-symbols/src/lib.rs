//! Code addresses to function, file, line and inlined frames.
//!
//! # What you give
//! The list of loaded [`Module`]s (executable, shared libraries, vDSO: runtime range, bias, path, build id) and lookup
//! addresses. An interrupted PC is looked up as it is; a return address is looked up minus one.
//!
//! # What you get
//! [`Symbolizer::resolve`] gives the [`Frame`]s of an address, innermost inlined call first, physical function last, never
//! none. Symbol tables answer at once; files, lines and inlined frames come from DWARF where the module has it, as long as the
//! memory budget of [`Options::lines_budget_bytes`] lasts. Rust names are demangled without their hash, C++ names are left as
//! they are. What could not be had, and why, is in [`Symbolizer::stats`].
//!
//! # Names
//! A linkage name comes first: from DWARF, or for the physical function from the symbol table. Without one, a plain name stands
//! behind the modules and types that DWARF puts it in, if it lies in the unit that asks for it. Inlined functions have paths in
//! programs built with `debug = 1` or more; `line-tables-only` leaves out both linkage names and modules, so they are called
//! `find_match` or `{closure#0}` there (not those of the standard library, which comes with `debug = 1`).
//!
//! # What you owe
//! One thread owns a [`Symbolizer`] (it is `Send`). It reads files and allocates, so it is not for signal handlers. Files are
//! mapped: someone who truncates a loaded module in place breaks the mapping as they break the running program itself.
//! Debug information is taken for damaged at worst, not for hostile.
//!
//! # Identity
//! The same address gives the same frames for the life of the symbolizer, until [`Symbolizer::set_modules`] changes the module
//! over that address.
//!
//! # Cost
//! `cargo run --release -p tachograph-symbols --example resolve_cost` measures opening, first and repeated lookups, and memory.
//!
//! ```
//! use tachograph_symbols::{Options, Symbolizer};
//!
//! let mut symbolizer = Symbolizer::new(Options::default());
//! let frames = symbolizer.resolve(0x7f12_3456);
//! assert_eq!(&*frames[0].function, "0x7f123456");
//! assert_eq!(frames[0].line, 0);
//! ```

#![deny(unsafe_op_in_unsafe_fn)]

mod cache;
mod debug_file;
mod elf;
mod file_bytes;
mod image;
mod lines;
mod module;
mod names;
mod scopes;
mod stats;
mod symbolizer;
mod symtab;
mod unit;
mod unit_index;

pub use cache::Frame;
pub use module::Module;
pub use stats::{ModuleStats, Shortfall, Stats};
pub use symbolizer::{Options, Symbolizer};
