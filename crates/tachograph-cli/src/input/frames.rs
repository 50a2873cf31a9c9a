//! Zstandard data: frame after frame.
//!
//! Owns the step from one frame to the next; the decoder knows single ones. Called by `input`.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, Read};

/// So much is decoded ahead.
const STEP_BYTES: usize = 256 << 10;

/// Decoded bytes of all frames.
pub struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    within: bool,
}

impl<R: BufRead> Frames<R> {
    /// Nothing is decoded yet.
    pub fn new(source: R) -> Self {
        Self {
            source,
            decoder: FrameDecoder::new(),
            within: false,
        }
    }

    /// Goes into the next frame that holds something.
    fn enter(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.within = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => self.skip(u64::from(length))?,
                Err(error) => return Err(broken(error)),
            }
        }
        Ok(false)
    }

    /// The decoder reads the checksum, if there is one, and leaves it at that.
    fn refuse_wrong_sum(&self) -> io::Result<()> {
        let told = self.decoder.get_checksum_from_data();
        match told.is_none() || told == self.decoder.get_calculated_checksum() {
            true => Ok(()),
            false => Err(invalid("the checksum of a frame is wrong")),
        }
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
        match skipped == length {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.within && !self.enter()? {
                return Ok(0);
            }
            if self.decoder.can_collect() > 0 {
                return self.decoder.read(buffer);
            }
            if self.decoder.is_finished() {
                self.within = false;
                self.refuse_wrong_sum()?;
                continue;
            }
            let step = BlockDecodingStrategy::UptoBytes(STEP_BYTES);
            let decoded = self.decoder.decode_blocks(&mut self.source, step);
            decoded.map_err(broken)?;
        }
    }
}

fn broken(error: FrameDecoderError) -> io::Error {
    // The decoder reads with `read_exact`; that it found too little is somewhere among its sources.
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            return io::Error::from(cause.kind());
        }
        source = cause.source();
    }
    // What the decoder says is for those who know its insides.
    invalid(match error {
        FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::BadMagicNumber(_)) => {
            "something else stands where a frame should begin"
        }
        FrameDecoderError::WindowSizeTooBig { .. } => "a frame wants too much memory",
        FrameDecoderError::DictNotProvided { .. } => "a frame wants a dictionary",
        FrameDecoderError::ReadFrameHeaderError(_)
        | FrameDecoderError::FrameHeaderError(_)
        | FrameDecoderError::FailedToInitialize(_) => "the header of a frame is no such header",
        FrameDecoderError::FailedToReadBlockHeader(_)
        | FrameDecoderError::FailedToReadBlockBody(_) => "a block can't be decoded",
        _ => "a frame can't be decoded",
    })
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
