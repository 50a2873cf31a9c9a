//! Gzip data: member after member.
//!
//! Owns what may stand behind a member: another one, or zeros up to the end, with which some tools fill blocks. Called by `input`.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, Read};

/// The first byte of every member.
const FIRST: u8 = 0x1f;

/// Decoded bytes of all members.
pub struct Members<R> {
    state: State<R>,
    /// Whether a member has ended: then what follows need not be one.
    ended: bool,
}

enum State<R> {
    Within(Box<GzDecoder<R>>),
    Between(R),
    Over,
}

impl<R: BufRead> Members<R> {
    /// Nothing is decoded yet.
    pub fn new(source: R) -> Self {
        Self {
            state: State::Between(source),
            ended: false,
        }
    }

    /// What comes behind a member, or first of all.
    fn enter(&mut self, mut source: R) -> io::Result<State<R>> {
        match source.fill_buf()?.first() {
            None => Ok(State::Over),
            Some(&FIRST) => {
                let member = GzDecoder::new(source);
                let is_member = member.header().is_some();
                match is_member || !self.ended {
                    // The decoder says what is wrong with the first one.
                    true => Ok(State::Within(Box::new(member))),
                    false => Err(foreign()),
                }
            }
            Some(0) if self.ended => skip_zeros(&mut source).map(|()| State::Over),
            Some(_) => Err(foreign()),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Ok(0),
                State::Between(source) => self.state = self.enter(source)?,
                State::Within(mut member) => {
                    let count = member.read(buffer)?;
                    if count > 0 {
                        self.state = State::Within(member);
                        return Ok(count);
                    }
                    self.ended = true;
                    self.state = State::Between(member.into_inner());
                }
            }
        }
    }
}

fn skip_zeros(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = source.fill_buf()?;
        let len = bytes.len();
        if len == 0 {
            return Ok(());
        }
        if bytes.iter().any(|&byte| byte != 0) {
            return Err(foreign());
        }
        source.consume(len);
    }
}

fn foreign() -> io::Error {
    let why = "something else stands behind it, wanted more gzip data or zeros up to the end";
    io::Error::new(io::ErrorKind::InvalidData, why)
}
