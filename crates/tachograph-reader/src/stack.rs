//! Stacks of a generation, with their names.
//!
//! Each frame is kept as it stands on the wire; unlike Go's reader, which keeps one frame for each pc.

use crate::generation::Generation;
use crate::text::Text;
use std::fmt;
use tachograph_wire::StackId;

/// A stack.
#[derive(Clone, Copy)]
pub struct Stack<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) id: StackId,
}

/// One frame of a stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Program counter: the call for all but the leaf. In traces that Tachograph wrote see [`tachograph_wire::Pc`].
    pub pc: u64,
    /// Name of the function.
    pub function: Text<'a>,
    /// Path of the source file.
    pub file: Text<'a>,
    /// Line in that file; 0 is unknown.
    pub line: u64,
}

impl<'a> Stack<'a> {
    /// Its key, unique within its generation.
    #[must_use]
    pub const fn id(self) -> StackId {
        self.id
    }

    /// Its frames, leaf first.
    pub fn frames(self) -> impl ExactSizeIterator<Item = Frame<'a>> + Clone + 'a {
        let generation = self.generation;
        generation
            .wire_frames(self.id)
            .iter()
            .map(move |frame| Frame {
                pc: frame.pc,
                function: generation.string(frame.function),
                file: generation.string(frame.file),
                line: frame.line,
            })
    }
}

impl PartialEq for Stack<'_> {
    /// The same stack of the same generation. Two stacks that are not may still have the same frames.
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && std::ptr::eq(self.generation, other.generation)
    }
}

impl Eq for Stack<'_> {}

impl fmt::Debug for Stack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.frames()).finish()
    }
}
