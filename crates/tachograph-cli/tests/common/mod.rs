//! Runs the `tacho` that was just built.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The command with these arguments, nothing on its standard input.
pub fn tacho(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacho"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the command to its end.
pub fn run(arguments: &[&str]) -> Output {
    tacho(arguments).output().expect("tacho starts")
}

/// What was printed, as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("tacho prints UTF-8")
}

/// A directory of a test's own, removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it, empty.
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tacho-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory below the temporary one");
        Self(dir)
    }

    /// The path of a file in it.
    pub fn path(&self, file: &str) -> String {
        self.0.join(file).display().to_string()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
