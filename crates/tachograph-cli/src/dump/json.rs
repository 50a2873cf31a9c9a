//! Events as JSON, one object a line.
//!
//! Owns the keys: they are only ever added. Called by `dump`. Text that is no UTF-8 has U+FFFD where it isn't. What an event doesn't have is
//! left out. docs/JSON.md lists the keys.

use super::stacks::Texts;
use super::{Ending, Form};
use crate::failure::{Failure, Lost};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use tachograph_reader::{
    Change, Event, Generation, Kind, Range, Resource, Stack, Sync, Transition,
};
use tachograph_wire::EventKind;

/// Writes events as objects.
#[derive(Default, Debug)]
pub struct Json {
    stacks: Texts,
}

impl Json {
    /// Appends a stack to an object that has fields and is open.
    fn stack(&mut self, key: &str, event: &Event<'_>, stack: Option<Stack<'_>>, out: &mut Vec<u8>) {
        let (Some(generation), Some(stack)) = (event.generation(), stack) else {
            return;
        };
        self.stacks.enter(generation);
        out.extend_from_slice(key.as_bytes());
        self.stacks.write(stack, out, |out| {
            // A vector takes everything.
            let _ = serde_json::to_writer(out, &Frames(stack));
        });
    }
}

impl Form for Json {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let kind = event.kind();
        let object = Object {
            time_ns: event.time().0,
            kind: name(&kind),
            thread: event.thread().map(|thread| thread.0),
            proc: event.proc().map(|proc| proc.0),
            task: event.task().map(|task| task.0),
            generation: event
                .generation()
                .map(Generation::number)
                .map(|number| number.0),
            offset: event.offset().0,
            wire: event.wire_kind().map(EventKind::name),
            fields: fields(&kind),
        };
        // Neither a vector nor one of these objects can fail.
        let _ = serde_json::to_writer(&mut *out, &object);
        // Stacks are most of the text, and are the same again and again: they are put in before the brace that ends the object.
        out.pop();
        let stack = event.stack();
        self.stack(",\"stack\":", event, stack, out);
        if let Kind::Transition(transition) = &kind {
            let own = transition.stack.filter(|own| Some(*own) != stack);
            self.stack(",\"own_stack\":", event, own, out);
        }
        out.extend_from_slice(b"}\n");
    }

    fn finish(&mut self, ending: &Ending, out: &mut Vec<u8>) {
        if let Ending::Short(failure) = ending {
            // A vector takes everything.
            let _ = serde_json::to_writer(&mut *out, &Last::of(failure));
            out.push(b'\n');
        }
    }
}

/// The last object of a trace that is not whole.
#[derive(Serialize)]
struct Last<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    #[serde(flatten)]
    lost: Option<&'a Lost>,
    message: &'a str,
}

impl<'a> Last<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self {
            kind: match failure.lost {
                Some(_) => "truncated",
                None => "broken",
            },
            rule: failure.rule,
            generation: failure.generation,
            thread: failure.thread,
            offset: failure.offset,
            event: failure.event,
            lost: failure.lost.as_ref(),
            message: &failure.message,
        }
    }
}

#[derive(Serialize)]
struct Object<'a> {
    time_ns: i64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proc: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    wire: Option<&'static str>,
    #[serde(flatten)]
    fields: Fields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Fields<'a> {
    None {},
    Sync {
        number: u64,
        last: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        clock: Option<Clock>,
    },
    Metric {
        name: &'static str,
        value: u64,
    },
    Label {
        label: Cow<'a, str>,
    },
    Range {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        scope: Option<Of>,
        #[serde(skip_serializing_if = "Option::is_none")]
        swept_bytes: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reclaimed_bytes: Option<u64>,
    },
    Task {
        user_task: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent: Option<u64>,
        name: Cow<'a, str>,
    },
    Region {
        user_task: u64,
        name: Cow<'a, str>,
    },
    Log {
        user_task: u64,
        category: Cow<'a, str>,
        message: Cow<'a, str>,
    },
    Transition {
        of: Of,
        from: &'static str,
        to: &'static str,
        #[serde(skip_serializing_if = "str::is_empty")]
        reason: Cow<'a, str>,
    },
    Experimental {
        name: &'static str,
        args: BTreeMap<&'static str, u64>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Of {
    Task(u64),
    Proc(u64),
}

#[derive(Serialize)]
struct Clock {
    trace_ns: i64,
    mono_ns: u64,
    wall_sec: i64,
    wall_nsec: u64,
}

/// A stack as a list.
struct Frames<'a>(Stack<'a>);

#[derive(Serialize)]
struct Frame<'a> {
    pc: String,
    function: Cow<'a, str>,
    file: Cow<'a, str>,
    line: u64,
}

impl Serialize for Frames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.frames().map(|frame| Frame {
            pc: format!("0x{:x}", frame.pc),
            function: frame.function.to_str_lossy(),
            file: frame.file.to_str_lossy(),
            line: frame.line,
        }))
    }
}

fn name(kind: &Kind<'_>) -> &'static str {
    match kind {
        Kind::Sync(_) => "sync",
        Kind::Metric(_) => "metric",
        Kind::Label(_) => "label",
        Kind::Sample => "sample",
        Kind::RangeBegin(_) => "range-begin",
        Kind::RangeActive(_) => "range-active",
        Kind::RangeEnd(_) => "range-end",
        Kind::TaskBegin(_) => "task-begin",
        Kind::TaskEnd(_) => "task-end",
        Kind::RegionBegin(_) => "region-begin",
        Kind::RegionEnd(_) => "region-end",
        Kind::Log(_) => "log",
        Kind::Transition(_) => "transition",
        Kind::Experimental(_) => "experimental",
        _ => "unknown",
    }
}

fn fields<'a>(kind: &Kind<'a>) -> Fields<'a> {
    match kind {
        Kind::Sync(sync) => of_sync(sync),
        Kind::Metric(metric) => Fields::Metric {
            name: metric.name.name(),
            value: metric.value,
        },
        Kind::Label(label) => Fields::Label {
            label: label.label.to_str_lossy(),
        },
        Kind::RangeBegin(range) | Kind::RangeActive(range) | Kind::RangeEnd(range) => {
            of_range(range)
        }
        Kind::TaskBegin(task) | Kind::TaskEnd(task) => Fields::Task {
            user_task: task.id.0,
            parent: task.parent.map(|parent| parent.0),
            name: task.name.to_str_lossy(),
        },
        Kind::RegionBegin(region) | Kind::RegionEnd(region) => Fields::Region {
            user_task: region.task.0,
            name: region.name.to_str_lossy(),
        },
        Kind::Log(log) => Fields::Log {
            user_task: log.task.0,
            category: log.category.to_str_lossy(),
            message: log.message.to_str_lossy(),
        },
        Kind::Transition(transition) => of_transition(transition),
        Kind::Experimental(experimental) => {
            let names = experimental.kind.spec().args_after_dt().iter();
            Fields::Experimental {
                name: experimental.kind.name(),
                args: names
                    .map(|arg| arg.name)
                    .zip(experimental.args.iter().copied())
                    .collect(),
            }
        }
        _ => Fields::None {},
    }
}

fn of_sync<'a>(sync: &Sync<'a>) -> Fields<'a> {
    Fields::Sync {
        number: sync.number,
        last: sync.is_last(),
        clock: sync.clock().map(|clock| Clock {
            trace_ns: clock.trace.0,
            mono_ns: clock.mono_ns,
            wall_sec: clock.wall_sec,
            wall_nsec: clock.wall_nsec,
        }),
    }
}

fn of_range<'a>(range: &Range<'a>) -> Fields<'a> {
    Fields::Range {
        name: range.name.to_string(),
        scope: range.scope.map(|scope| match scope {
            Resource::Task(task) => Of::Task(task.0),
            Resource::Proc(proc) => Of::Proc(proc.0),
        }),
        swept_bytes: range.swept.map(|swept| swept.swept_bytes),
        reclaimed_bytes: range.swept.map(|swept| swept.reclaimed_bytes),
    }
}

fn of_transition<'a>(transition: &Transition<'a>) -> Fields<'a> {
    let (of, from, to) = match transition.change {
        Change::Task { id, from, to } => (Of::Task(id.0), from.name(), to.name()),
        Change::Proc { id, from, to } => (Of::Proc(id.0), from.name(), to.name()),
    };
    Fields::Transition {
        of,
        from,
        to,
        reason: transition.reason.to_str_lossy(),
    }
}
