//! What the dynamic loader knows of the loaded images.
//!
//! Owns every call of `dl_iterate_phdr` and every read of image memory (rule 6 in `lib.rs`). Called
//! by `modules` only.

use std::ffi::{CStr, OsStr, c_int, c_void};
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::modules::{Module, UnwindSections};

type ProgramHeader = libc::Elf64_Phdr;
type FileHeader = libc::Elf64_Ehdr;

const NOTE_GNU_BUILD_ID: u32 = 3;
const VDSO: &str = "[vdso]";

/// One image while it is known to be loaded: inside the loader's callback, or the vDSO.
pub(crate) struct Image<'a> {
    bias: u64,
    name: &'a [u8],
    headers: &'a [ProgramHeader],
}

/// Visits all images with the loader's lock held.
pub(crate) fn for_each_image(visit: &mut dyn FnMut(&Image<'_>)) {
    let mut visit = visit;
    // SAFETY: `on_image` gets back the pointer to `visit`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(on_image), (&raw mut visit).cast()) };
}

unsafe extern "C" fn on_image(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    visit: *mut c_void,
) -> c_int {
    // SAFETY: the loader hands over a valid entry, whose name and headers live while its lock is
    // held, that is, while this runs.
    let image = unsafe { Image::of_entry(&*info) };
    // SAFETY: `for_each_image` passed exactly this.
    let visit = unsafe { &mut *visit.cast::<&mut dyn FnMut(&Image<'_>)>() };
    visit(&image);
    0
}

/// `dlpi_adds` and `dlpi_subs`, or zeros where the loader doesn't count.
pub(crate) fn load_counters() -> (u64, u64) {
    let mut counters = (0u64, 0u64);
    // SAFETY: `on_first` writes to `counters` during the call only.
    unsafe { libc::dl_iterate_phdr(Some(on_first), (&raw mut counters).cast()) };
    counters
}

unsafe extern "C" fn on_first(
    info: *mut libc::dl_phdr_info,
    size: usize,
    counters: *mut c_void,
) -> c_int {
    const COUNTED: usize = offset_of!(libc::dl_phdr_info, dlpi_subs) + 8;
    if size >= COUNTED {
        // SAFETY: the entry reaches past both counters, and `counters` is `load_counters`' pair.
        unsafe { *counters.cast::<(u64, u64)>() = ((*info).dlpi_adds, (*info).dlpi_subs) };
    }
    1
}

/// The vDSO, if the loader's list lacks it (static executables, musl).
pub(crate) fn unlisted_vdso(listed: &[Module]) -> Option<Module> {
    let base = vdso_base()?;
    if listed
        .iter()
        .any(|module| (module.start..module.end).contains(&base))
    {
        return None;
    }
    vdso_image(base)?.describe()
}

/// The unwind sections of `module`, if it is the vDSO.
pub(crate) fn copy_from_unlisted_vdso(module: &Module) -> Option<UnwindSections> {
    let image = vdso_image(vdso_base()?)?;
    if image.is(module) {
        image.copy_unwind_sections(module)
    } else {
        None
    }
}

fn vdso_base() -> Option<u64> {
    // SAFETY: getauxval has no preconditions.
    let base = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    (base != 0).then_some(base as u64)
}

fn vdso_image(base: u64) -> Option<Image<'static>> {
    let file = std::ptr::with_exposed_provenance::<FileHeader>(base as usize);
    // SAFETY: the kernel maps the vDSO, with its headers, for the life of the process.
    let headers = unsafe {
        let first = file
            .byte_add((*file).e_phoff as usize)
            .cast::<ProgramHeader>();
        std::slice::from_raw_parts(first, usize::from((*file).e_phnum))
    };
    let load = headers
        .iter()
        .find(|header| header.p_type == libc::PT_LOAD)?;
    let bias = base.wrapping_sub(load.p_vaddr);
    Some(Image {
        bias,
        name: VDSO.as_bytes(),
        headers,
    })
}

impl<'a> Image<'a> {
    /// # Safety
    /// * What `info` points to lives for `'a`.
    unsafe fn of_entry(info: &libc::dl_phdr_info) -> Image<'a> {
        let name = if info.dlpi_name.is_null() {
            &[]
        } else {
            // SAFETY: the loader's names are NUL-terminated.
            unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes()
        };
        let headers = if info.dlpi_phdr.is_null() {
            &[]
        } else {
            // SAFETY: dlpi_phdr points to dlpi_phnum headers of a loaded image.
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) }
        };
        Image {
            bias: info.dlpi_addr,
            name,
            headers,
        }
    }

    /// What is to be remembered of this image, or `None` if it has no segments.
    pub(crate) fn describe(&self) -> Option<Module> {
        let (start, end) = self.range()?;
        let eh_frame_hdr = self
            .headers_of(libc::PT_GNU_EH_FRAME)
            .next()
            .map(|header| self.place(header));
        Some(Module {
            start,
            end,
            bias: self.bias,
            path: self.path(start),
            build_id: self.build_id(),
            eh_frame_hdr,
        })
    }

    /// Whether this is still the image that `module` describes.
    pub(crate) fn is(&self, module: &Module) -> bool {
        self.bias == module.bias
            && self.range() == Some((module.start, module.end))
            && self.build_id() == module.build_id
    }

    /// Copies what `compile` needs.
    pub(crate) fn copy_unwind_sections(&self, module: &Module) -> Option<UnwindSections> {
        let (hdr_address, hdr_size) = module.eh_frame_hdr?;
        let hdr = self.bytes(hdr_address, hdr_size)?;
        let frame_address = eh_frame_address(hdr, hdr_address)?;
        let frame = self.bytes_to_segment_end(frame_address)?;
        Some(UnwindSections {
            hdr_address,
            hdr: hdr.to_vec(),
            frame_address,
            frame: frame.to_vec(),
        })
    }

    fn headers_of(&self, kind: u32) -> impl Iterator<Item = &'a ProgramHeader> + use<'a> {
        self.headers
            .iter()
            .filter(move |header| header.p_type == kind)
    }

    fn place(&self, header: &ProgramHeader) -> (u64, u64) {
        (self.bias.wrapping_add(header.p_vaddr), header.p_memsz)
    }

    fn range(&self) -> Option<(u64, u64)> {
        let segments = || {
            self.headers_of(libc::PT_LOAD)
                .map(|header| self.place(header))
        };
        let start = segments().map(|(start, _)| start).min()?;
        let end = segments()
            .map(|(start, size)| start.saturating_add(size))
            .max()?;
        Some((start, end))
    }

    fn path(&self, start: u64) -> PathBuf {
        if vdso_base() == Some(start) || self.name == VDSO.as_bytes() {
            return PathBuf::from(VDSO);
        }
        if self.name.is_empty() {
            return std::fs::read_link("/proc/self/exe").unwrap_or_default();
        }
        Path::new(OsStr::from_bytes(self.name)).to_path_buf()
    }

    fn build_id(&self) -> Vec<u8> {
        self.headers_of(libc::PT_NOTE)
            .filter_map(|header| {
                let (start, size) = self.place(header);
                build_id_in(self.bytes(start, size)?, header.p_align as usize)
            })
            .next()
            .unwrap_or_default()
            .to_vec()
    }

    /// `size` bytes at `address`, if a readable segment holds them.
    fn bytes(&self, address: u64, size: u64) -> Option<&[u8]> {
        self.bytes_to_segment_end(address)?
            .get(..usize::try_from(size).ok()?)
    }

    fn bytes_to_segment_end(&self, address: u64) -> Option<&[u8]> {
        let size = self.headers_of(libc::PT_LOAD).find_map(|header| {
            let start = self.place(header).0;
            // Only what the file holds: unwind sections are never in the zeroed tail.
            let size = header.p_filesz;
            let inside = address.checked_sub(start)?;
            (inside < size && header.p_flags & libc::PF_R != 0).then(|| size - inside)
        })?;
        let first = std::ptr::with_exposed_provenance(address as usize);
        // SAFETY: rule 6: the image is loaded while `self` lives, and these bytes are within one of
        // its readable segments, which nobody writes to.
        Some(unsafe { std::slice::from_raw_parts(first, size as usize) })
    }
}

/// Reads the pointer to `.eh_frame` from the start of `.eh_frame_hdr`. All linkers write it as a
/// 32-bit offset from itself (`DW_EH_PE_pcrel | DW_EH_PE_sdata4`).
fn eh_frame_address(hdr: &[u8], hdr_address: u64) -> Option<u64> {
    let [1, 0x1b, _, _, offset @ ..] = hdr.first_chunk::<8>()? else {
        return None;
    };
    Some((hdr_address + 4).wrapping_add_signed(i64::from(i32::from_ne_bytes(*offset))))
}

fn build_id_in(mut notes: &[u8], align: usize) -> Option<&[u8]> {
    let align = if align == 8 { 8 } else { 4 };
    loop {
        let (head, body) = notes.split_first_chunk::<12>()?;
        let word = |index: usize| {
            let bytes = head.get(index * 4..)?.first_chunk::<4>()?;
            Some(u32::from_ne_bytes(*bytes))
        };
        let (name_size, size) = (word(0)? as usize, word(1)? as usize);
        let name = body.get(..name_size)?;
        let at = (12 + name_size).next_multiple_of(align);
        let content = notes.get(at..at.checked_add(size)?)?;
        if word(2)? == NOTE_GNU_BUILD_ID && name == b"GNU\0" {
            return Some(content);
        }
        notes = notes.get((at + size).next_multiple_of(align)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u32, name: &[u8], content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [name.len() as u32, content.len() as u32, kind] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(name);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn finds_the_build_id_behind_other_notes() {
        let notes = [
            note(1, b"GNU\0", &[0; 16]),
            note(3, b"stapsdt\0", &[9]),
            note(3, b"GNU\0", b"\x12\x34\x56"),
        ];
        assert_eq!(build_id_in(&notes.concat(), 4), Some(&b"\x12\x34\x56"[..]));
    }

    #[test]
    fn notes_cut_short_have_no_build_id() {
        let whole = note(3, b"GNU\0", &[7; 20]);
        for length in 0..whole.len() {
            assert_eq!(build_id_in(&whole[..length], 4), None);
        }
    }
}
