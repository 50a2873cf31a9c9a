//! Lets the bytes of a trace pass to the reader and counts its records on the way.
//!
//! Owns the one pass: an input that can't be read twice needn't be. Called by `stats`.
//!
//! ```text
//! input --> Handle --> TraceItems --> Sizes
//!              '-----> passed by --> the reader
//! ```

use super::sizes::Sizes;
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;
use tachograph_wire::TraceItems;

/// The bytes of a trace, counted as they are read.
pub struct Counted<R> {
    source: Rc<RefCell<Source<R>>>,
    counter: Rc<RefCell<Counter<R>>>,
}

/// Where the sizes will be.
pub struct Sums<R> {
    source: Rc<RefCell<Source<R>>>,
    counter: Rc<RefCell<Counter<R>>>,
}

/// The items and what was counted of them.
struct Counter<R> {
    /// Until the first byte that is nothing.
    items: Option<TraceItems<Handle<R>>>,
    sizes: Sizes,
}

/// The input, and what was read of it for the items and the reader didn't get yet.
struct Source<R> {
    input: R,
    passed: Vec<u8>,
    taken: usize,
    /// Nothing more is to be read.
    closed: bool,
}

/// The input for the items.
struct Handle<R>(Rc<RefCell<Source<R>>>);

impl<R: Read> Counted<R> {
    /// The input, and where its sizes will be.
    pub fn new(input: R) -> (Self, Sums<R>) {
        let source = Rc::new(RefCell::new(Source {
            input,
            passed: Vec::new(),
            taken: 0,
            closed: false,
        }));
        let counter = Rc::new(RefCell::new(Counter {
            // The reader says what is wrong with the header.
            items: TraceItems::new(Handle(Rc::clone(&source))).ok(),
            sizes: Sizes::default(),
        }));
        let sums = Sums {
            source: Rc::clone(&source),
            counter: Rc::clone(&counter),
        };
        (Self { source, counter }, sums)
    }
}

impl<R: Read> Sums<R> {
    /// Counts the items that were read and not counted yet. That is all there is.
    pub fn finish(self) -> Sizes {
        self.source.borrow_mut().closed = true;
        let mut counter = self.counter.borrow_mut();
        while counter.count() {}
        std::mem::take(&mut counter.sizes)
    }
}

impl<R: Read> Counter<R> {
    /// Counts the next item; `false` if there is none.
    fn count(&mut self) -> bool {
        let Some(items) = &mut self.items else {
            return false;
        };
        let version = items.version();
        let counted = match items.next_item() {
            Some(Ok(item)) => self.sizes.add(&item, version).is_ok(),
            _ => false,
        };
        if !counted {
            self.items = None;
        }
        counted
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let passed = self.source.borrow_mut().take(buffer);
            if passed > 0 || buffer.is_empty() {
                return Ok(passed);
            }
            if !self.counter.borrow_mut().count() && self.source.borrow().is_empty() {
                return self.source.borrow_mut().input.read(buffer);
            }
        }
    }
}

impl<R> Source<R> {
    fn is_empty(&self) -> bool {
        self.taken == self.passed.len()
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let rest = self.passed.get(self.taken..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        self.taken += len;
        if self.is_empty() {
            self.passed.clear();
            self.taken = 0;
        }
        len
    }
}

impl<R: Read> Read for Handle<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let source = &mut *self.0.borrow_mut();
        if source.closed {
            return Ok(0);
        }
        let count = source.input.read(buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        source.passed.extend_from_slice(read);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_every_byte_on_whatever_it_is() {
        let header = tachograph_wire::version::WRITTEN.header();
        let trace = [
            &header[..],
            &[52; 40],
            &[1, 1, 1, 1, 3, 60, 60, 60],
            &[7; 300_000],
        ]
        .concat();
        for bytes in [&trace[..], &trace[..60], &trace[..9], b"#!/bin/sh", b""] {
            let (mut counted, sums) = Counted::new(bytes);
            let mut passed = Vec::new();
            counted.read_to_end(&mut passed).unwrap();
            assert!(passed == bytes, "{} of {} bytes", passed.len(), bytes.len());
            let ends = sums
                .finish()
                .by_type()
                .get("EndOfGeneration")
                .map(|found| found.count);
            let items = bytes.len().saturating_sub(16).min(40) as u64;
            assert_eq!(ends.unwrap_or(0), if bytes.len() > 16 { items } else { 0 });
        }
    }
}
