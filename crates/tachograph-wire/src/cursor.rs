//! Walks over bytes and names what is missing.
//!
//! Called by the decoders of this crate only.

use crate::error::{Problem, WireError};
use crate::ids::ByteOffset;
use crate::varint::{self, VarintError};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// Offset in the file of the first byte of `rest`.
    offset: ByteOffset,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], offset: ByteOffset) -> Self {
        Self {
            rest: bytes,
            offset,
        }
    }

    pub(crate) fn offset(&self) -> ByteOffset {
        self.offset
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn error(&self, problem: Problem) -> WireError {
        WireError {
            offset: self.offset,
            problem,
        }
    }

    /// Ends the walk, so that an iterator over it yields nothing more.
    pub(crate) fn clear(&mut self) {
        self.rest = &[];
    }

    /// Leaves out bytes that were read already.
    #[inline]
    pub(crate) fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
        self.offset = self.offset.plus(len);
    }

    #[inline]
    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, WireError> {
        let (&byte, rest) = self
            .rest
            .split_first()
            .ok_or(self.error(Problem::Truncated(what)))?;
        self.rest = rest;
        self.offset = self.offset.plus(1);
        Ok(byte)
    }

    #[inline]
    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, WireError> {
        match varint::decode(self.rest) {
            Ok((value, len)) => {
                self.rest = self.rest.get(len..).unwrap_or_default();
                self.offset = self.offset.plus(len);
                Ok(value)
            }
            Err(VarintError::Truncated) => Err(self.error(Problem::Truncated(what))),
            Err(VarintError::Overflow) => Err(self.error(Problem::Overflow(what))),
        }
    }

    /// A length or count; over `limit` is an error even where the bytes end, so nothing is sized by it.
    pub(crate) fn length(&mut self, what: &'static str, limit: usize) -> Result<usize, WireError> {
        let before = *self;
        let found = self.number(what)?;
        match usize::try_from(found) {
            Ok(length) if length <= limit => Ok(length),
            _ => Err(before.error(Problem::OverLimit { what, found, limit })),
        }
    }

    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(self.error(Problem::Truncated(what)))?;
        self.rest = rest;
        self.offset = self.offset.plus(len);
        Ok(taken)
    }

    /// The code byte of a record of a table.
    pub(crate) fn expect(&mut self, code: u8, wanted: &'static str) -> Result<(), WireError> {
        let before = *self;
        match self.byte(wanted)? {
            found if found == code => Ok(()),
            found => Err(before.error(Problem::UnexpectedCode { found, wanted })),
        }
    }
}
