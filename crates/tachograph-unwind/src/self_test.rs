//! Whether unwinding works in this build, on this machine.
//!
//! Owns [`self_test`]: both walkers over a chain of calls that is known in advance.

use crate::{Registers, Snapshot, StackBounds, Walk, walk, walk_frame_pointers};

const DEPTH: usize = 4;
/// The functions of the chain are shorter than this.
const FUNCTION_BYTES: u64 = 512;

/// Which walkers can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// [`walk`] finds the chain.
    pub cfi: bool,
    /// [`walk_frame_pointers`] finds the chain: this crate, at least, was built with frame pointers.
    pub frame_pointers: bool,
}

/// Walks a known chain of calls with both walkers. Not signal safe.
pub fn self_test(snapshot: &Snapshot) -> SelfTest {
    let Some(bounds) = StackBounds::of_current_thread() else {
        return SelfTest::default();
    };
    let mut chain = Chain {
        snapshot,
        bounds,
        calls: [0; DEPTH],
        result: SelfTest::default(),
    };
    outer(&mut chain);
    chain.result
}

struct Chain<'a> {
    snapshot: &'a Snapshot,
    bounds: StackBounds,
    /// An address in each function shortly before its call, innermost last.
    calls: [u64; DEPTH],
    result: SelfTest,
}

#[inline(never)]
fn outer(chain: &mut Chain<'_>) {
    chain.calls[0] = Registers::capture().ip;
    middle(chain, std::hint::black_box(3));
    std::hint::black_box(chain);
}

#[inline(never)]
fn middle(chain: &mut Chain<'_>, size: u64) {
    let local = std::hint::black_box([size; 40]);
    chain.calls[1] = Registers::capture().ip;
    inner(chain);
    std::hint::black_box((chain, local));
}

#[inline(never)]
fn inner(chain: &mut Chain<'_>) {
    chain.calls[2] = Registers::capture().ip;
    leaf(chain);
    std::hint::black_box(chain);
}

#[inline(never)]
fn leaf(chain: &mut Chain<'_>) {
    let mut out = [0u64; DEPTH + 1];
    let registers = Registers::capture();
    chain.calls[3] = registers.ip;
    // SAFETY: the registers are those of this frame, the bounds those of this thread.
    let cfi = unsafe {
        walk(
            chain.snapshot,
            std::ptr::null_mut(),
            registers,
            chain.bounds,
            out.as_mut_ptr(),
            out.len(),
        )
    };
    chain.result.cfi = chain.matches(cfi, &out);
    // SAFETY: as above.
    let along =
        unsafe { walk_frame_pointers(registers, chain.bounds, out.as_mut_ptr(), out.len()) };
    chain.result.frame_pointers = chain.matches(along, &out);
}

impl Chain<'_> {
    fn matches(&self, walk: Walk, out: &[u64]) -> bool {
        let near = |(pc, call): (&u64, &u64)| (*call..*call + FUNCTION_BYTES).contains(pc);
        walk.frames > DEPTH
            && walk.guesses == 0
            && out.iter().zip(self.calls.iter().rev()).all(near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn tables_pass_the_self_test_without_frame_pointers() {
        assert!(self_test(&Snapshot::build(&crate::loaded_modules(), 1)).cfi);
    }

    #[test]
    fn an_empty_snapshot_fails_the_self_test() {
        assert!(!self_test(&Snapshot::build(&[], 1)).cfi);
    }
}
