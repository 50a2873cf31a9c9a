//! Stacks put into words once per generation.
//!
//! Owns the texts, and Go's words. Called by `go` and `json`. Go keeps one frame for each pc and generation, the first in the stream, and
//! prints it wherever the pc stands, whatever that frame says itself.

use super::number::{hex, unsigned};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use tachograph_reader::{Frame, Generation, Stack};
use tachograph_wire::{ByteOffset, StackId};

/// Texts that are kept. The strings of a generation may be long and each may stand in any number of frames.
const MOST_TEXT_BYTES: usize = 32 << 20;

/// The words of the stacks of the current generation.
#[derive(Default, Debug)]
pub struct Texts {
    /// Where the generation begins, which no other does.
    generation: Option<ByteOffset>,
    /// Where the text of a stack stands in `text`.
    known: HashMap<StackId, (usize, usize), RandomState>,
    text: Vec<u8>,
}

impl Texts {
    /// Forgets everything if this is another generation than before, and says so.
    #[inline]
    pub fn enter(&mut self, generation: &Generation) -> bool {
        if self.generation == Some(generation.offset()) {
            return false;
        }
        self.generation = Some(generation.offset());
        self.known.clear();
        self.text.clear();
        true
    }

    /// Appends the text of a stack, which `write` makes if it is new.
    #[inline]
    pub fn write(&mut self, stack: Stack<'_>, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let known = self.known.get(&stack.id());
        match known.and_then(|&(start, end)| self.text.get(start..end)) {
            Some(text) => out.extend_from_slice(text),
            None => self.write_new(stack, out, write),
        }
    }

    #[cold]
    fn write_new(&mut self, stack: Stack<'_>, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        write(out);
        let text = out.get(start..).unwrap_or_default();
        if self.text.len() + text.len() <= MOST_TEXT_BYTES {
            let start = self.text.len();
            self.text.extend_from_slice(text);
            self.known.insert(stack.id(), (start, self.text.len()));
        }
    }
}

/// Stacks in Go's words.
#[derive(Default, Debug)]
pub struct GoStacks {
    texts: Texts,
    /// The first frame with a pc: its stack and its place there.
    first: HashMap<u64, (StackId, usize), RandomState>,
}

impl GoStacks {
    /// Appends the frames of a stack, two lines each.
    #[inline]
    pub fn write(&mut self, generation: &Generation, stack: Stack<'_>, out: &mut Vec<u8>) {
        if self.texts.enter(generation) {
            self.find_first(generation);
        }
        let first = &self.first;
        self.texts.write(stack, out, |out| {
            for frame in stack.frames() {
                let kept = first.get(&frame.pc);
                let kept = kept.and_then(|&(id, place)| generation.stack(id)?.frames().nth(place));
                write_frame(&kept.unwrap_or(frame), out);
            }
        });
    }

    #[cold]
    fn find_first(&mut self, generation: &Generation) {
        self.first.clear();
        for stack in generation.stacks() {
            for (place, frame) in stack.frames().enumerate() {
                self.first.entry(frame.pc).or_insert((stack.id(), place));
            }
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
