//! Which executable and libraries are loaded, and where.
//!
//! Owns [`Module`]; the talk with the loader is in `loader`. Called by the thread that keeps the snapshot fresh,
//! never in a signal handler: `dl_iterate_phdr` takes the loader's lock.

use std::path::PathBuf;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
use crate::loader as system;

/// One loaded executable, library or vDSO.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Module {
    /// Lowest address of its segments.
    pub start: u64,
    /// One past the highest address of its segments.
    pub end: u64,
    /// What the loader added to the addresses in the file.
    pub bias: u64,
    /// Its file; the executable through `/proc/self/exe`, the vDSO as `[vdso]`.
    pub path: PathBuf,
    /// The GNU build id, empty if it has none.
    pub build_id: Vec<u8>,
    /// Where `PT_GNU_EH_FRAME` (the section `.eh_frame_hdr`) lies in memory, with its size.
    pub eh_frame_hdr: Option<(u64, u64)>,
}

/// All modules that are loaded now, sorted by address.
///
/// Empty on targets other than Linux. Not signal safe.
pub fn loaded_modules() -> Vec<Module> {
    let mut modules = Vec::new();
    system::for_each_image(&mut |image| {
        modules.extend(image.describe());
    });
    modules.extend(system::unlisted_vdso(&modules));
    modules.sort_by_key(|module| module.start);
    modules
}

/// How many modules the loader has ever added and removed (`dlpi_adds`, `dlpi_subs`).
///
/// A cheap sign that [`loaded_modules`] would say something new. Not signal safe.
pub fn load_counters() -> (u64, u64) {
    system::load_counters()
}

/// Copies of a module's unwind sections, with the addresses they came from.
pub(crate) struct UnwindSections {
    pub(crate) hdr_address: u64,
    pub(crate) hdr: Vec<u8>,
    pub(crate) frame_address: u64,
    /// From `.eh_frame` to the end of its segment.
    pub(crate) frame: Vec<u8>,
}

/// Copies the unwind sections of `module`, or `None` if it is no longer loaded or has none.
pub(crate) fn copy_unwind_sections(module: &Module) -> Option<UnwindSections> {
    let mut sections = None;
    system::for_each_image(&mut |image| {
        if image.is(module) {
            sections = image.copy_unwind_sections(module);
        }
    });
    sections.or_else(|| system::copy_from_unlisted_vdso(module))
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod system {
    use super::{Module, UnwindSections};

    pub(super) enum Image {}

    impl Image {
        pub(super) fn describe(&self) -> Option<Module> {
            match *self {}
        }
        pub(super) fn is(&self, _: &Module) -> bool {
            match *self {}
        }
        pub(super) fn copy_unwind_sections(&self, _: &Module) -> Option<UnwindSections> {
            match *self {}
        }
    }

    pub(super) fn for_each_image(_: &mut dyn FnMut(&Image)) {}

    pub(super) fn unlisted_vdso(_: &[Module]) -> Option<Module> {
        None
    }

    pub(super) fn copy_from_unlisted_vdso(_: &Module) -> Option<UnwindSections> {
        None
    }

    pub(super) fn load_counters() -> (u64, u64) {
        (0, 0)
    }
}
