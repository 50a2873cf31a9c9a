//! Stacks as Go prints them, each put into words once per generation.
//!
//! Owns the texts. Called by `go`. Go keeps one frame for each pc and generation, the first in the stream, and prints it wherever the pc
//! stands, whatever that frame says itself.

use super::number::{hex, unsigned};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use tachograph_reader::{Frame, Generation, Stack};
use tachograph_wire::{ByteOffset, StackId};

/// Texts that are kept. The strings of a generation may be long and each may stand in any number of frames.
const MOST_TEXT_BYTES: usize = 32 << 20;

/// The stacks of the current generation.
#[derive(Default, Debug)]
pub struct Stacks {
    /// Where the generation begins, which no other does.
    generation: Option<ByteOffset>,
    /// The first frame with a pc: its stack and its place there.
    first: HashMap<u64, (StackId, usize), RandomState>,
    /// Where the text of a stack stands in `text`.
    known: HashMap<StackId, (usize, usize), RandomState>,
    text: Vec<u8>,
}

impl Stacks {
    /// Appends the frames of a stack, two lines each.
    #[inline]
    pub fn write(&mut self, generation: &Generation, stack: Stack<'_>, out: &mut Vec<u8>) {
        if self.generation != Some(generation.offset()) {
            self.enter(generation);
        }
        let known = self.known.get(&stack.id());
        match known.and_then(|&(start, end)| self.text.get(start..end)) {
            Some(text) => out.extend_from_slice(text),
            None => self.write_new(generation, stack, out),
        }
    }

    #[cold]
    fn enter(&mut self, generation: &Generation) {
        self.generation = Some(generation.offset());
        self.first.clear();
        self.known.clear();
        self.text.clear();
        for stack in generation.stacks() {
            for (place, frame) in stack.frames().enumerate() {
                self.first.entry(frame.pc).or_insert((stack.id(), place));
            }
        }
    }

    #[cold]
    fn write_new(&mut self, generation: &Generation, stack: Stack<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        for frame in stack.frames() {
            let first = self.first.get(&frame.pc);
            let kept = first.and_then(|&(id, place)| generation.stack(id)?.frames().nth(place));
            write_frame(&kept.unwrap_or(frame), out);
        }
        let text = out.get(start..).unwrap_or_default();
        if self.text.len() + text.len() <= MOST_TEXT_BYTES {
            let start = self.text.len();
            self.text.extend_from_slice(text);
            self.known.insert(stack.id(), (start, self.text.len()));
        }
    }
}

fn write_frame(frame: &Frame<'_>, out: &mut Vec<u8>) {
    out.push(b'\t');
    out.extend_from_slice(frame.function.as_bytes());
    out.extend_from_slice(b" @ 0x");
    hex(frame.pc, out);
    out.extend_from_slice(b"\n\t\t");
    out.extend_from_slice(frame.file.as_bytes());
    out.push(b':');
    unsigned(frame.line, out);
    out.push(b'\n');
}
