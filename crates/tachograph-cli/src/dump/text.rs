//! Events as lines for people: when, where, what.
//!
//! Owns the layout. Called by `dump`; `names` knows what tasks are called. Times are seconds since the start of the trace. What a program named
//! is quoted where it could be anything, and never reaches a terminal with control characters in it.
//!
//! ```text
//!       time s   thread  proc     task  event
//!  0.000412125  2173390     3       18  task 18 (main.worker) running -> waiting, chan receive  at main.worker
//! ```

use super::names::Names;
use super::number::{hex, padded, signed, unsigned};
use super::wall::Wall;
use super::{Ending, Form};
use std::io::Write;
use tachograph_reader::{
    Change, Event, Experimental, Frame, Generation, Kind, Log, Metric, MetricName, Range,
    RangeName, Region, Resource, Stack, Sync, TaskState, Transition, UserTask,
};
use tachograph_text::quote::quote_into;
use tachograph_wire::{Nanos, TaskId, UserTaskId};

/// Columns in front of the event, for what follows it on lines of its own.
const INDENT: &str = "                                      ";

/// Writes events for people.
#[derive(Debug)]
pub struct Text {
    names: Names,
    wall: Wall,
    start: Option<Nanos>,
    titled: bool,
    /// Where and when the last sync is, which waits until it is known what it ends.
    last: Vec<u8>,
    /// Whether the generation's strings may be missing.
    cut: bool,
    /// Whether stacks are written whole, or only their leaf.
    stacks: bool,
}

impl Text {
    /// Has seen nothing.
    pub fn new(stacks: bool) -> Self {
        Self {
            names: Names::default(),
            wall: Wall::local(),
            start: None,
            titled: false,
            last: Vec::new(),
            cut: false,
            stacks,
        }
    }

    fn place(&self, event: &Event<'_>, out: &mut Vec<u8>) {
        write_seconds(
            event
                .time()
                .0
                .saturating_sub(self.start.map_or(0, |start| start.0)),
            out,
        );
        write_id(event.thread().map(|thread| thread.0), 9, out);
        write_id(event.proc().map(|proc| proc.0), 6, out);
        write_id(event.task().map(|task| task.0), 9, out);
        put(out, "  ");
    }

    fn sync(&self, sync: &Sync<'_>, out: &mut Vec<u8>) {
        put(out, "generation ");
        unsigned(sync.generation().map_or(0, |number| number.0), out);
        if let Some(clock) = sync.clock() {
            put(out, ", ");
            self.wall.write(clock.wall_sec, clock.wall_nsec as i64, out);
        }
    }

    fn transition(&self, transition: &Transition<'_>, out: &mut Vec<u8>) {
        let (from, to) = match transition.change {
            Change::Task {
                id,
                from: TaskState::NotExist,
                to,
            } => {
                self.task(id, out);
                put(out, " created, ");
                return put_lower(out, to.name());
            }
            Change::Task {
                id,
                to: TaskState::NotExist,
                ..
            } => {
                self.task(id, out);
                return put(out, " ends");
            }
            Change::Task { id, from, to } => {
                self.task(id, out);
                (from.name(), to.name())
            }
            Change::Proc { id, from, to } => {
                put(out, "proc ");
                unsigned(id.0, out);
                (from.name(), to.name())
            }
        };
        put(out, " ");
        if from == to {
            put(out, "is ");
        } else if from != "Undetermined" {
            put_lower(out, from);
            put(out, " -> ");
        } else {
            put(out, "was found ");
        }
        put_lower(out, to);
        if !transition.reason.is_empty() {
            put(out, ", ");
            write_name(transition.reason.as_bytes(), out);
        }
    }

    /// Text of the program. Where strings are missing, an empty one is more likely to be one of them than to be empty.
    fn quote(&self, text: tachograph_reader::Text<'_>, out: &mut Vec<u8>) {
        match text.is_empty() && self.cut {
            true => put(out, "(name missing)"),
            false => quote_into(text.as_bytes(), out),
        }
    }

    fn task(&self, task: TaskId, out: &mut Vec<u8>) {
        put(out, "task ");
        unsigned(task.0, out);
        if let Some(name) = self.names.task(task) {
            put(out, " (");
            write_name(name, out);
            put(out, ")");
        }
    }

    fn user_task(&self, task: UserTaskId, out: &mut Vec<u8>) {
        put(out, "annotation task ");
        unsigned(task.0, out);
        if let Some(name) = self.names.user_task(task).filter(|name| !name.is_empty()) {
            put(out, " ");
            quote_into(name, out);
        }
    }

    fn owner(&self, task: UserTaskId, out: &mut Vec<u8>) {
        if task != UserTaskId::BACKGROUND {
            put(out, ", ");
            self.user_task(task, out);
        }
    }

    fn annotation(&self, what: &str, task: &UserTask<'_>, out: &mut Vec<u8>) {
        put(out, "annotation task ");
        unsigned(task.id.0, out);
        put(out, " ");
        // N.B. in a generation that is cut off only the beginning is sure to have had a name.
        if !task.name.is_empty() || (self.cut && what == "begins") {
            self.quote(task.name, out);
            put(out, " ");
        }
        put(out, what);
        if let Some(parent) = task.parent {
            put(out, ", part of ");
            self.user_task(parent, out);
        }
    }

    fn region(&self, what: &str, region: &Region<'_>, out: &mut Vec<u8>) {
        put(out, "region ");
        self.quote(region.name, out);
        put(out, what);
        self.owner(region.task, out);
    }

    fn log(&self, log: &Log<'_>, out: &mut Vec<u8>) {
        put(out, "log ");
        if !log.category.is_empty() {
            quote_into(log.category.as_bytes(), out);
            put(out, ": ");
        }
        self.quote(log.message, out);
        self.owner(log.task, out);
    }

    fn range(&self, what: &str, range: &Range<'_>, out: &mut Vec<u8>) {
        match range.name {
            RangeName::StopTheWorld(reason) => {
                put(out, "stop the world (");
                write_name(reason.as_bytes(), out);
                put(out, ")");
            }
            RangeName::GcMark => put(out, "GC concurrent mark phase"),
            RangeName::GcSweep => put(out, "GC incremental sweep"),
            RangeName::GcMarkAssist => put(out, "GC mark assist"),
        }
        put(out, what);
        match range.scope {
            None => {}
            Some(Resource::Task(task)) => {
                put(out, ", ");
                self.task(task, out);
            }
            Some(Resource::Proc(proc)) => {
                put(out, ", proc ");
                unsigned(proc.0, out);
            }
        }
        if let Some(swept) = range.swept {
            put(out, ", ");
            unsigned(swept.swept_bytes, out);
            put(out, " bytes swept, ");
            unsigned(swept.reclaimed_bytes, out);
            put(out, " reclaimed");
        }
    }

    fn what(&self, kind: &Kind<'_>, out: &mut Vec<u8>) {
        match kind {
            Kind::Sync(sync) => self.sync(sync, out),
            Kind::Metric(metric) => write_metric(metric, out),
            Kind::Label(label) => {
                self.task(label.task, out);
                put(out, " gets label ");
                self.quote(label.label, out);
            }
            Kind::Sample => put(out, "sample"),
            Kind::RangeBegin(range) => self.range(" begins", range, out),
            Kind::RangeActive(range) => self.range(" goes on", range, out),
            Kind::RangeEnd(range) => self.range(" ends", range, out),
            Kind::TaskBegin(task) => self.annotation("begins", task, out),
            Kind::TaskEnd(task) => self.annotation("ends", task, out),
            Kind::RegionBegin(region) => self.region(" begins", region, out),
            Kind::RegionEnd(region) => self.region(" ends", region, out),
            Kind::Log(log) => self.log(log, out),
            Kind::Transition(transition) => self.transition(transition, out),
            Kind::Experimental(experimental) => write_experimental(experimental, out),
            _ => put(out, "unknown"),
        }
    }

    fn stacks(&self, event: &Event<'_>, kind: &Kind<'_>, out: &mut Vec<u8>) {
        let stack = event.stack();
        if !self.stacks {
            let own = match kind {
                Kind::Transition(_) => stack.and_then(own_frame),
                _ => None,
            };
            if let Some(own) = own {
                put(out, "  at ");
                write_function(&own, out);
                put(out, " ");
                let file = own.file.as_bytes();
                let name = file.rsplit(|byte| *byte == b'/').next();
                write_line(name.unwrap_or(file), &own, out);
            } else if let Some(leaf) = stack.and_then(|stack| stack.frames().next()) {
                put(out, "  at ");
                write_function(&leaf, out);
            }
            return out.push(b'\n');
        }
        out.push(b'\n');
        if let Some(stack) = stack {
            write_stack(stack, out);
        }
        if let Kind::Transition(transition) = kind
            && let Some(other) = transition.stack.filter(|other| Some(*other) != stack)
        {
            put(out, INDENT);
            put(out, "its own stack:\n");
            write_stack(other, out);
        }
    }
}

impl Form for Text {
    fn see(&mut self, event: &Event<'_>) {
        self.start.get_or_insert(event.time());
        self.names.see(event);
    }

    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.titled, true) {
            put(out, "      time s   thread  proc     task  event\n");
        }
        let kind = event.kind();
        self.cut = event.generation().is_some_and(Generation::is_cut);
        if matches!(kind, Kind::Sync(sync) if sync.is_last()) {
            let mut last = std::mem::take(&mut self.last);
            self.place(event, &mut last);
            self.last = last;
            return;
        }
        self.place(event, out);
        self.what(&kind, out);
        self.stacks(event, &kind, out);
    }

    fn finish(&mut self, ending: &Ending, out: &mut Vec<u8>) {
        // The last sync is not there if it wasn't asked for, or if the trace broke before.
        let is_placed = !self.last.is_empty();
        out.append(&mut self.last);
        match ending {
            Ending::Complete if !is_placed => {}
            Ending::Complete => put(out, "end of the trace\n"),
            Ending::Short(failure) => {
                if !is_placed {
                    put(out, INDENT);
                }
                let what = match failure.lost {
                    Some(_) => "the trace is cut off here: ",
                    None => "the trace is broken here: ",
                };
                put(out, what);
                write_name(failure.message.as_bytes(), out);
                out.push(b'\n');
            }
        }
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_lower(out: &mut Vec<u8>, name: &str) {
    out.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
}

/// Seconds with nine decimals, in a column.
fn write_seconds(ns: i64, out: &mut Vec<u8>) {
    const WIDTH: usize = 12;
    const BILLION: u64 = 1_000_000_000;
    let mut text = Vec::with_capacity(2 * WIDTH);
    if ns < 0 {
        text.push(b'-');
    }
    unsigned(ns.unsigned_abs() / BILLION, &mut text);
    text.push(b'.');
    padded(ns.unsigned_abs() % BILLION, 9, &mut text);
    write_right(&text, WIDTH, out);
}

fn write_id(id: Option<u64>, width: usize, out: &mut Vec<u8>) {
    let mut text = Vec::with_capacity(20);
    match id {
        Some(id) => signed(id as i64, &mut text),
        None => text.push(b'-'),
    }
    // Wide ids push what follows to the right, but never stick to it.
    put(out, " ");
    write_right(&text, width - 1, out);
}

fn write_right(text: &[u8], width: usize, out: &mut Vec<u8>) {
    out.extend(std::iter::repeat_n(b' ', width.saturating_sub(text.len())));
    out.extend_from_slice(text);
}

/// A name as it is, or quoted, if it could be taken for something else.
fn write_name(name: &[u8], out: &mut Vec<u8>) {
    let is_plain = std::str::from_utf8(name).is_ok_and(|text| !text.chars().any(char::is_control));
    match is_plain && !name.is_empty() {
        true => out.extend_from_slice(name),
        false => quote_into(name, out),
    }
}

fn write_metric(metric: &Metric, out: &mut Vec<u8>) {
    let (name, unit) = match metric.name {
        MetricName::Procs => ("procs ", ""),
        MetricName::HeapBytes => ("heap ", " bytes"),
        MetricName::HeapGoalBytes => ("heap goal ", " bytes"),
    };
    put(out, name);
    unsigned(metric.value, out);
    put(out, unit);
}

fn write_experimental(experimental: &Experimental<'_>, out: &mut Vec<u8>) {
    put(out, experimental.kind.name());
    let names = experimental.kind.spec().args_after_dt();
    for (arg, value) in names.iter().zip(experimental.args) {
        put(out, " ");
        put(out, arg.name);
        put(out, "=");
        unsigned(*value, out);
    }
}

/// What a frame executes; where nobody knows its name, where that is.
fn write_function(frame: &Frame<'_>, out: &mut Vec<u8>) {
    if frame.function.is_empty() {
        put(out, "0x");
        return hex(frame.pc, out);
    }
    write_name(frame.function.as_bytes(), out);
}

/// Where a Rust program itself waits, wakes or spawns, if a runtime does that for it: its leaf is the same at every await.
fn own_frame(stack: Stack<'_>) -> Option<Frame<'_>> {
    /// Where sources of libraries lie, and names of ours.
    const NOT_OWN: &[&str] = &["/registry/src/", "/git/checkouts/", "/rustc/", "/rustlib/"];
    const OURS: &[&str] = &["tachograph_tokio::", "tachograph_recorder::", "__rust_try"];
    let mut frames = stack.frames().enumerate();
    let (depth, own) = frames.find(|(_, frame)| {
        let (name, file) = (text(frame.function.as_bytes()), text(frame.file.as_bytes()));
        !NOT_OWN.iter().any(|part| file.contains(part))
            && !OURS.iter().any(|part| name.contains(part))
    })?;
    (depth > 0 && text(own.function.as_bytes()).contains("::")).then_some(own)
}

/// Empty where it is none.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn write_line(file: &[u8], frame: &Frame<'_>, out: &mut Vec<u8>) {
    write_name(file, out);
    // A vector takes everything.
    let _ = write!(out, ":{}", frame.line);
}

fn write_stack(stack: Stack<'_>, out: &mut Vec<u8>) {
    for frame in stack.frames() {
        put(out, INDENT);
        put(out, "  ");
        write_function(&frame, out);
        if !frame.file.is_empty() {
            put(out, "  ");
            write_line(frame.file.as_bytes(), &frame, out);
        }
        out.push(b'\n');
    }
}
