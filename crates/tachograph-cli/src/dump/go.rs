//! What `go tool trace -d=parsed` prints, byte for byte.
//!
//! Owns the layout. Called by `dump`; `stacks` and `wall` know what goes with it. Nothing is allocated per event.
//!
//! Ids are signed, -1 is none; those of annotation tasks are not. An event with a stack ends with an empty line, for Go puts a line end behind
//! the one of the last frame.

use super::Form;
use super::number::{signed, unsigned};
use super::stacks::GoStacks;
use super::wall::Wall;
use tachograph_reader::{
    Change, Event, Experimental, Kind, Metric, Range, RangeName, Resource, Stack, Sync, Transition,
    UserTask,
};
use tachograph_text::quote::quote_into;
use tachograph_wire::{EventKind, UserTaskId};

/// Writes events as Go does.
#[derive(Debug)]
pub struct Go {
    stacks: GoStacks,
    wall: Wall,
}

impl Go {
    /// Has seen nothing.
    pub fn new() -> Self {
        Self {
            stacks: GoStacks::default(),
            wall: Wall::local(),
        }
    }

    #[inline]
    fn transition(&mut self, event: &Event<'_>, transition: &Transition<'_>, out: &mut Vec<u8>) {
        let (name, id, from, to) = match transition.change {
            Change::Task { id, from, to } => (" GoID=", id.0, from.name(), to.name()),
            Change::Proc { id, from, to } => (" ProcID=", id.0, from.name(), to.name()),
        };
        put(out, name);
        signed(id as i64, out);
        put(out, " ");
        put(out, from);
        put(out, "->");
        put(out, to);
        put(out, " Reason=");
        quote_into(transition.reason.as_bytes(), out);
        // N.B. a task that is created has a stack for Go, even if it is none.
        let creates = matches!(
            event.wire_kind(),
            Some(EventKind::GoCreate | EventKind::GoCreateBlocked)
        );
        if creates || transition.stack.is_some() {
            put(out, "\nTransitionStack=\n");
            self.stack(event, transition.stack, out);
        }
    }

    #[inline]
    fn stack(&mut self, event: &Event<'_>, stack: Option<Stack<'_>>, out: &mut Vec<u8>) {
        if let (Some(generation), Some(stack)) = (event.generation(), stack) {
            self.stacks.write(generation, stack, out);
        }
    }

    fn sync(&self, sync: &Sync<'_>, out: &mut Vec<u8>) {
        put(out, " N=");
        unsigned(sync.number, out);
        if let Some(clock) = sync.clock() {
            put(out, " Trace=");
            signed(clock.trace.0, out);
            put(out, " Mono=");
            unsigned(clock.mono_ns, out);
            put(out, " Wall=");
            self.wall.write(clock.wall_sec, clock.wall_nsec as i64, out);
        }
    }
}

impl Form for Go {
    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        let kind = event.kind();
        put(out, "M=");
        signed(event.thread().map_or(-1, |thread| thread.0 as i64), out);
        put(out, " P=");
        signed(event.proc().map_or(-1, |proc| proc.0 as i64), out);
        put(out, " G=");
        signed(event.task().map_or(-1, |task| task.0 as i64), out);
        put(out, name(&kind));
        signed(event.time().0, out);
        match &kind {
            Kind::Transition(transition) => self.transition(event, transition, out),
            Kind::Sync(sync) => self.sync(sync, out),
            Kind::Metric(metric) => write_metric(metric, out),
            Kind::Label(label) => {
                put(out, " Label=");
                quote_into(label.label.as_bytes(), out);
                put(out, " Resource=Goroutine(");
                signed(label.task.0 as i64, out);
                put(out, ")");
            }
            Kind::RangeBegin(range) | Kind::RangeActive(range) => write_range(range, out),
            Kind::RangeEnd(range) => {
                write_range(range, out);
                write_swept(range, out);
            }
            Kind::TaskBegin(task) | Kind::TaskEnd(task) => write_task(task, out),
            Kind::RegionBegin(region) | Kind::RegionEnd(region) => {
                write_owner(region.task, out);
                put(out, " Type=");
                quote_into(region.name.as_bytes(), out);
            }
            Kind::Log(log) => {
                write_owner(log.task, out);
                put(out, " Category=");
                quote_into(log.category.as_bytes(), out);
                put(out, " Message=");
                quote_into(log.message.as_bytes(), out);
            }
            Kind::Experimental(experimental) => write_experimental(experimental, out),
            _ => {}
        }
        // N.B. a sample has a stack for Go, even if it is none.
        let stack = event.stack();
        if stack.is_some() || matches!(kind, Kind::Sample) {
            put(out, "\nStack=\n");
            self.stack(event, stack, out);
        }
        out.push(b'\n');
    }
}

/// What kind of event, and what stands before its time.
#[inline]
fn name(kind: &Kind<'_>) -> &'static str {
    match kind {
        Kind::Sync(_) => " Sync Time=",
        Kind::Metric(_) => " Metric Time=",
        Kind::Label(_) => " Label Time=",
        Kind::Sample => " StackSample Time=",
        Kind::RangeBegin(_) => " RangeBegin Time=",
        Kind::RangeActive(_) => " RangeActive Time=",
        Kind::RangeEnd(_) => " RangeEnd Time=",
        Kind::TaskBegin(_) => " TaskBegin Time=",
        Kind::TaskEnd(_) => " TaskEnd Time=",
        Kind::RegionBegin(_) => " RegionBegin Time=",
        Kind::RegionEnd(_) => " RegionEnd Time=",
        Kind::Log(_) => " Log Time=",
        Kind::Transition(_) => " StateTransition Time=",
        Kind::Experimental(_) => " Experimental Time=",
        _ => " Bad Time=",
    }
}

#[inline]
fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn write_value(number: u64, out: &mut Vec<u8>) {
    put(out, "Value{Uint64(");
    unsigned(number, out);
    put(out, ")}");
}

fn write_metric(metric: &Metric, out: &mut Vec<u8>) {
    put(out, " Name=");
    quote_into(metric.name.name().as_bytes(), out);
    put(out, " Value=");
    write_value(metric.value, out);
}

fn write_range(range: &Range<'_>, out: &mut Vec<u8>) {
    put(out, " Name=");
    match range.name {
        RangeName::StopTheWorld(reason) => {
            let name = [b"stop-the-world (", reason.as_bytes(), b")"].concat();
            quote_into(&name, out);
        }
        RangeName::GcMark => put(out, "\"GC concurrent mark phase\""),
        RangeName::GcSweep => put(out, "\"GC incremental sweep\""),
        RangeName::GcMarkAssist => put(out, "\"GC mark assist\""),
    }
    let (name, id) = match range.scope {
        None => return put(out, " Scope=None"),
        Some(Resource::Task(task)) => (" Scope=Goroutine(", task.0),
        Some(Resource::Proc(proc)) => (" Scope=Proc(", proc.0),
    };
    put(out, name);
    signed(id as i64, out);
    put(out, ")");
}

fn write_swept(range: &Range<'_>, out: &mut Vec<u8>) {
    put(out, " Attributes=[");
    if let Some(swept) = range.swept {
        put(out, "\"bytes swept\"=");
        write_value(swept.swept_bytes, out);
        put(out, " \"bytes reclaimed\"=");
        write_value(swept.reclaimed_bytes, out);
    }
    put(out, "]");
}

fn write_task(task: &UserTask<'_>, out: &mut Vec<u8>) {
    const NO_TASK: u64 = u64::MAX;
    put(out, " ID=");
    unsigned(task.id.0, out);
    put(out, " Parent=");
    unsigned(task.parent.map_or(NO_TASK, |parent| parent.0), out);
    put(out, " Type=");
    quote_into(task.name.as_bytes(), out);
}

fn write_owner(task: UserTaskId, out: &mut Vec<u8>) {
    put(out, " Task=");
    unsigned(task.0, out);
}

fn write_experimental(experimental: &Experimental<'_>, out: &mut Vec<u8>) {
    put(out, " Name=");
    put(out, experimental.kind.name());
    put(out, " Args=[");
    let names = experimental.kind.spec().args_after_dt();
    for (place, (arg, value)) in names.iter().zip(experimental.args).enumerate() {
        put(out, if place > 0 { ", " } else { "" });
        put(out, arg.name);
        put(out, "=");
        write_value(*value, out);
    }
    put(out, "]");
}
