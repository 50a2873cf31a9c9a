//! Where functions of this executable begin and end, from the list in its `.eh_frame_hdr`.

use std::ops::Range;

use tachograph_unwind::Module;

/// The code of the function that begins at `start`.
pub fn range_of(modules: &[Module], start: usize) -> Range<u64> {
    let start = start as u64;
    let module = modules
        .iter()
        .find(|m| (m.start..m.end).contains(&start))
        .expect("a module");
    let (hdr, _) = module.eh_frame_hdr.expect("tables");
    let word = |index: u64| {
        let at = std::ptr::with_exposed_provenance::<i32>((hdr + 4 * index) as usize);
        // SAFETY: the list lies in the mapped section; its length is its third word.
        unsafe { at.read() }
    };
    let end = (0..word(2) as u64)
        .map(|entry| hdr.wrapping_add_signed(i64::from(word(3 + 2 * entry))))
        .find(|begin| *begin > start)
        .unwrap_or(module.end);
    start..end
}
