//! Standard output, which may be gone before its writer is done.
//!
//! Owns what becomes of a broken pipe: a reader that had enough is no failure, and no verdict either. What is written from then on goes
//! nowhere, so that the exit status is what it would have been. Called by all subcommands.

use std::io::{self, StdoutLock, Write};

/// Standard output, locked.
pub struct Stdout {
    lock: StdoutLock<'static>,
    gone: bool,
}

impl Stdout {
    /// Locks it.
    pub fn lock() -> Self {
        Self {
            lock: io::stdout().lock(),
            gone: false,
        }
    }

    /// Whether nobody reads it any more. Who owes lines and no verdict may stop then.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    fn unless_gone<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(instead)
            }
            result => result,
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gone {
            return Ok(bytes.len());
        }
        let written = self.lock.write(bytes);
        self.unless_gone(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gone {
            return Ok(());
        }
        let flushed = self.lock.flush();
        self.unless_gone(flushed, ())
    }
}

/// Standard output that takes no more once it is gone, for writers that know only errors.
pub struct UntilGone<'a>(pub &'a mut Stdout);

impl Write for UntilGone<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.is_gone() {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => self.0.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
