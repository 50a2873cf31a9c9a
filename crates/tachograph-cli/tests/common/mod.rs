//! Runs the `tacho` that was just built, on traces made by hand.

// Each test file uses a part of it.
#![allow(dead_code)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tachograph_wire::version::WRITTEN;
use tachograph_wire::{
    BatchWriter, ClockSnapshot, EventKind, Frame, Frequency, Generation, StackId, StringId,
    ThreadId, Ticks,
};

/// So many generations of one region each, "loop" in a task of its own; numbers from 1, one per 1000 ticks of 8 ns.
pub fn trace(generations: u64) -> Vec<u8> {
    let mut trace = WRITTEN.header().to_vec();
    for number in 1..=generations {
        let start = number * 1000;
        let clock = ClockSnapshot {
            dt: Ticks(1),
            mono: start * 8,
            sec: number,
            nsec: 1,
        };
        let batch = |thread, time| BatchWriter::new(Generation(number), thread, Ticks(time));
        let mut sync = batch(ThreadId::NONE, start);
        sync.sync(Frequency::RECORDED, &clock).unwrap();
        sync.finish_into(&mut trace);
        let mut events = batch(ThreadId(7), start + 1);
        for (kind, time, args) in [
            (EventKind::ProcStatus, 1, &[3, 1][..]),
            (EventKind::GoStatus, 2, &[9, 7, 2]),
            (EventKind::UserRegionBegin, 3, &[0, 1, 1]),
            (EventKind::UserRegionEnd, 252, &[0, 1, 1]),
        ] {
            events.event(kind, Ticks(start + time), args).unwrap();
        }
        events.finish_into(&mut trace);
        let mut stacks = batch(ThreadId::NONE, start);
        let frame = |pc, line| Frame {
            pc,
            function: StringId(2),
            file: StringId(3),
            line,
        };
        let frames = [frame(0x40_1000, 7), frame(0x40_2000, 8)];
        stacks.stack(StackId(1), &frames).unwrap();
        stacks.finish_into(&mut trace);
        let mut strings = batch(ThreadId::NONE, start);
        for (id, text) in [(1, "loop"), (2, "app::work"), (3, "src/main.rs")] {
            strings.string(StringId(id), text.as_bytes()).unwrap();
        }
        strings.finish_into(&mut trace);
        trace.push(EventKind::EndOfGeneration.code());
    }
    trace
}

/// Runs the command with these bytes on its standard input.
pub fn run_with(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = tacho(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tacho starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    let writer = std::thread::spawn({
        let input = input.to_vec();
        // Who doesn't read all of it has a reason.
        move || drop(stdin.write_all(&input))
    });
    let output = child.wait_with_output().expect("tacho ends");
    writer.join().expect("writing doesn't panic");
    output
}

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
