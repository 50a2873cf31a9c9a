//! framehop over the modules of this process, as the second opinion on every chain.

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{ExplicitModuleSectionInfo, MustNotAllocateDuringUnwind, Unwinder};
use tachograph_unwind::{Module, Registers};

/// How framehop's chain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OracleEnd {
    Root,
    Truncated,
    Failed(framehop::Error),
}

pub struct Oracle {
    unwinder: UnwinderX86_64<&'static [u8], MustNotAllocateDuringUnwind>,
    cache: CacheX86_64<MustNotAllocateDuringUnwind>,
}

impl Oracle {
    /// The modules must stay loaded while this lives.
    pub fn new(modules: &[Module]) -> Oracle {
        let mut unwinder = UnwinderX86_64::new();
        modules
            .iter()
            .filter_map(framehop_module)
            .for_each(|module| unwinder.add_module(module));
        Oracle {
            unwinder,
            cache: CacheX86_64::new_in(),
        }
    }

    /// Writes lookup addresses to `out`, and returns how many and why no more.
    pub fn walk(
        &mut self,
        registers: Registers,
        mut read: impl FnMut(u64) -> Result<u64, ()>,
        out: &mut [u64],
    ) -> (usize, OracleEnd) {
        let start = UnwindRegsX86_64::new(registers.ip, registers.sp, registers.fp);
        let mut frames = self
            .unwinder
            .iter_frames(registers.ip, start, &mut self.cache, &mut read);
        for (index, slot) in out.iter_mut().enumerate() {
            match frames.next() {
                Ok(Some(frame)) => *slot = frame.address_for_lookup(),
                Ok(None) => return (index, OracleEnd::Root),
                Err(error) => return (index, OracleEnd::Failed(error)),
            }
        }
        (out.len(), OracleEnd::Truncated)
    }
}

fn framehop_module(module: &Module) -> Option<framehop::Module<&'static [u8]>> {
    let (hdr_address, hdr_size) = module.eh_frame_hdr?;
    let hdr = mapped(hdr_address, hdr_size);
    let offset = i32::from_ne_bytes(hdr[4..8].try_into().expect("4 bytes"));
    let frame_address = (hdr_address + 4).wrapping_add_signed(i64::from(offset));
    let frame = mapped(frame_address, mapping_end(frame_address)? - frame_address);
    let stated = |address: u64, size: usize| {
        let start = address - module.bias;
        Some(start..start + size as u64)
    };
    let sections = ExplicitModuleSectionInfo {
        base_svma: 0,
        eh_frame_svma: stated(frame_address, frame.len()),
        eh_frame: Some(frame),
        eh_frame_hdr_svma: stated(hdr_address, hdr.len()),
        eh_frame_hdr: Some(hdr),
        ..Default::default()
    };
    let name = module.path.to_string_lossy().into_owned();
    Some(framehop::Module::new(
        name,
        module.start..module.end,
        module.bias,
        sections,
    ))
}

fn mapped(address: u64, size: u64) -> &'static [u8] {
    let first = std::ptr::with_exposed_provenance(address as usize);
    // SAFETY: the range is within one readable mapping of a module that stays loaded.
    unsafe { std::slice::from_raw_parts(first, size as usize) }
}

fn mapping_end(address: u64) -> Option<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        (start..end).contains(&address).then_some(end)
    })
}
