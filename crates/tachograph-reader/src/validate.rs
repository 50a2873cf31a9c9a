//! Holds what the reader delivers against what must be true of every program.
//!
//! The reader refuses what it can't put in order; this finds what is in order and still can't be: two tasks on one thread, a clock that stands
//! still, a frame without a name. Fed with delivered events, so that it also checks the reader; called by every end-to-end test and by
//! `tacho check`.
//!
//! ```no_run
//! use tachograph_reader::{Reader, validate::Validator};
//!
//! let mut reader = Reader::new(std::fs::File::open("app.trace")?)?;
//! let mut validator = Validator::new(reader.version());
//! while let Some(event) = reader.next_event()? {
//!     if let Err(violations) = validator.event(&event) {
//!         println!("{violations}");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Cost: some nanoseconds and no allocation an event (measured by `tachograph-bench read`). Memory: what is alive.
//!
//! # Rules
//! The checks are those of docs/READING.md, by the names of [`Check`]. The verdict is that of Go's validator, but for:
//! 1. Stacks are checked as they stand on the wire, where Go keeps one frame for each pc (V2).
//! 2. In a generation that the trace's end cuts off, missing names are no violation.
//! 3. Tasks that ended are forgotten after the first generation. Only events that no reader delivers could tell.

mod names;
mod ranges;
mod slots;
mod states;
mod violation;

#[cfg(test)]
mod tests;

use crate::event::{Change, Event, Kind, Label, MetricName, Range, UserTask};
use crate::generation::Generation;
use crate::state::{ProcState, TaskState};
use crate::sync::{Clock, Sync};
use crate::text::Text;
use names::{NameId, Names};
use ranges::Ranges;
use states::{State, Step, Table, Threads};
use std::collections::HashMap;
use tachograph_wire::{EventKind, Nanos, StackId, StringId, TaskId, UserTaskId, Version};
pub use violation::{AnyState, Check, ClockName, Finding, Violation, Violations};

/// V5: there is no metric without a unit, and no value that is none.
const _: () = {
    let names = [
        MetricName::Procs,
        MetricName::HeapBytes,
        MetricName::HeapGoalBytes,
    ];
    let mut i = 0;
    while i < names.len() {
        assert!(has_unit(names[i].name()));
        i += 1;
    }
};

const fn has_unit(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b':' {
            return true;
        }
        i += 1;
    }
    false
}

/// What to check.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether clocks must go on from sync to sync. They may stand where they are coarse, and in a flight recorder's output.
    pub clocks_go_on: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { clocks_go_on: true }
    }
}

/// Checks the events of one trace, one after the other.
#[derive(Debug)]
pub struct Validator {
    options: Options,
    version: Version,
    last_time: Nanos,
    last_sync: u64,
    last_clock: Option<Clock>,
    /// In the order of their ids.
    bad_stacks: Vec<(StackId, Finding)>,
    tasks: Table<TaskState>,
    procs: Table<ProcState>,
    threads: Threads,
    ranges: Ranges,
    user_tasks: HashMap<UserTaskId, NameId, foldhash::fast::FixedState>,
    names: Names,
    /// Of the current event.
    findings: Vec<Finding>,
}

impl Validator {
    /// For a trace of this version, which the reader tells.
    #[must_use]
    pub fn new(version: Version) -> Self {
        Self::with_options(version, Options::default())
    }

    /// The same, checking as `options` say.
    #[must_use]
    pub fn with_options(version: Version, options: Options) -> Self {
        Self {
            options,
            version,
            last_time: Nanos(0),
            last_sync: 0,
            last_clock: None,
            bad_stacks: Vec::new(),
            tasks: Table::default(),
            procs: Table::default(),
            threads: Threads::default(),
            ranges: Ranges::default(),
            user_tasks: HashMap::default(),
            names: Names::default(),
            findings: Vec::new(),
        }
    }

    /// Checks the next event.
    ///
    /// # Errors
    /// All that is wrong with it. The events after it can be checked nevertheless, but one fault may lead to others.
    #[inline]
    pub fn event(&mut self, event: &Event<'_>) -> Result<(), Violations> {
        self.time(event.time());
        if !self.bad_stacks.is_empty()
            && let Some(stack) = event.stack()
        {
            self.stack(stack.id());
        }
        match event.wire_kind() {
            Some(kind) => match MATTERS[usize::from(kind.code())] {
                Matter::State => self.transition(event, kind),
                Matter::Nothing => {}
                Matter::Other => self.other(event),
            },
            None => self.other(event),
        }
        if self.findings.is_empty() {
            return Ok(());
        }
        Err(self.violations(event))
    }

    /// All but changes of state.
    fn other(&mut self, event: &Event<'_>) {
        match event.kind() {
            Kind::Sync(sync) => self.sync(&sync),
            Kind::Label(label) => self.label(event, &label),
            Kind::RangeBegin(range) => self.range_begin(&range),
            Kind::RangeActive(range) => {
                self.ranges.begin(&range, &mut self.names);
            }
            Kind::RangeEnd(range) => self.range_end(&range),
            Kind::TaskBegin(task) => self.task_begin(event, &task),
            Kind::TaskEnd(task) => self.task_end(event, &task),
            Kind::RegionBegin(region) | Kind::RegionEnd(region) => self.text(event, 1, region.name),
            Kind::Log(log) => {
                self.text(event, 1, log.category);
                self.text(event, 2, log.message);
            }
            Kind::Sample | Kind::Metric(_) | Kind::Experimental(_) | Kind::Transition(_) => {}
        }
    }

    #[cold]
    fn violations(&mut self, event: &Event<'_>) -> Violations {
        let all = self.findings.drain(..).map(|finding| Violation {
            time: event.time(),
            generation: event.generation().map(Generation::number),
            thread: event.thread(),
            offset: event.offset(),
            event: event.wire_kind(),
            finding,
        });
        Violations(all.collect())
    }

    /// V1.
    #[inline]
    fn time(&mut self, time: Nanos) {
        if time > self.last_time || self.last_time == Nanos(0) {
            self.last_time = time;
        } else {
            self.findings.push(Finding::NotAfter(self.last_time));
        }
    }

    /// V2, in a generation with bad stacks.
    #[cold]
    fn stack(&mut self, id: StackId) {
        let first = self.bad_stacks.partition_point(|(bad, _)| *bad < id);
        let all = self.bad_stacks.iter().skip(first);
        let of_stack = all.take_while(|(bad, _)| *bad == id);
        self.findings
            .extend(of_stack.map(|(_, finding)| finding.clone()));
    }

    /// V3.
    #[cold]
    fn sync(&mut self, sync: &Sync<'_>) {
        let wanted = self.last_sync.saturating_add(1);
        if sync.number != wanted {
            let found = sync.number;
            self.findings.push(Finding::SyncNumber { found, wanted });
        }
        if self.version >= Version::Go125 {
            self.clocks(sync);
        }
        self.last_sync = sync.number;
        self.last_clock = sync.clock();
        self.bad_stacks.clear();
        if let Some(generation) = sync.generation {
            bad_stacks(generation, &mut self.bad_stacks);
        }
        // After the first generation, what ends is forgotten at once.
        if sync.number == 2 {
            self.tasks.forget_ended();
        }
    }

    /// V4.
    fn clocks(&mut self, sync: &Sync<'_>) {
        let Some(clock) = sync.clock() else {
            // The sync at the end has none.
            if sync.number <= 1 {
                self.findings.push(Finding::NoClocks);
            }
            return;
        };
        let readings = readings(&clock);
        for (name, now, zero) in readings {
            if now == zero {
                self.findings.push(Finding::ClockZero(name));
            }
        }
        let Some(last) = self.last_clock.filter(|_| self.options.clocks_go_on) else {
            return;
        };
        for ((clock, found, _), (_, before, _)) in readings.into_iter().zip(self::readings(&last)) {
            if found <= before {
                self.findings.push(Finding::ClockStands {
                    clock,
                    found,
                    before,
                });
            }
        }
    }

    #[inline]
    fn transition(&mut self, event: &Event<'_>, kind: EventKind) {
        if !self.bad_stacks.is_empty() {
            let (own, of_event) = event.stack_ids(kind);
            if own != of_event {
                self.stack(own);
            }
        }
        match event.change(kind) {
            Change::Task { id, from, to } => {
                let step = Step { id: id.0, from, to };
                self.states(step);
                let keeps_ended = self.last_sync <= 1;
                let report = &mut self.findings;
                self.tasks
                    .step(step, &mut self.threads, event.thread(), keeps_ended, report);
                if from.is_executing() && !to.is_executing() {
                    self.stacks(id, event.stack_ids(kind));
                }
            }
            Change::Proc { id, from, to } => {
                let step = Step { id: id.0, from, to };
                self.states(step);
                let report = &mut self.findings;
                self.procs
                    .step(step, &mut self.threads, event.thread(), true, report);
            }
        }
    }

    /// V7, V9.
    #[inline]
    fn states<S: State>(&mut self, step: Step<S>) {
        if step.to == S::UNDETERMINED {
            let resource = S::resource(step.id);
            self.findings.push(Finding::BecomesUndetermined(resource));
        }
        if step.from == S::UNDETERMINED && self.last_sync > 1 {
            self.findings
                .push(Finding::Undetermined(S::resource(step.id)));
        }
        if step.to == S::NOT_EXIST {
            let resource = S::resource(step.id);
            let ranges = self.ranges.count(resource);
            if ranges > 0 {
                self.findings
                    .push(Finding::EndsInRange { resource, ranges });
            }
        }
    }

    /// V12.
    #[inline]
    fn stacks(&mut self, task: TaskId, (found, wanted): (StackId, StackId)) {
        if found != wanted {
            let finding = Finding::Stacks {
                task,
                found,
                wanted,
            };
            self.findings.push(finding);
        }
    }

    /// V6.
    fn label(&mut self, event: &Event<'_>, label: &Label<'_>) {
        self.text(event, 0, label.label);
        if label.label.is_empty() && !is_cut(event) {
            self.findings.push(Finding::EmptyLabel);
        }
        if label.task == TaskId::RESERVED {
            self.findings.push(Finding::LabelsNothing);
        } else if !self.tasks.has_seen(label.task.0) {
            self.findings.push(Finding::LabelsUnknown(label.task));
        }
    }

    /// V13.
    fn range_begin(&mut self, range: &Range<'_>) {
        if !self.ranges.begin(range, &mut self.names) {
            self.findings.push(Finding::RangeGoesOn {
                range: range.name.to_string(),
                scope: range.scope,
            });
        }
    }

    /// V13.
    fn range_end(&mut self, range: &Range<'_>) {
        if !self.ranges.end(range, &mut self.names) {
            self.findings.push(Finding::NoRange {
                range: range.name.to_string(),
                scope: range.scope,
            });
        }
    }

    /// V14.
    fn task_begin(&mut self, event: &Event<'_>, task: &UserTask<'_>) {
        self.text(event, 2, task.name);
        if task.id == UserTaskId::BACKGROUND || task.id.0 == u64::MAX {
            self.findings.push(Finding::ReservedTask(task.id));
        }
        if task.parent == Some(UserTaskId::BACKGROUND) {
            self.findings.push(Finding::PartOfBackground(task.id));
        }
        let name = self.names.hold(task.name);
        if let Some(before) = self.user_tasks.insert(task.id, name) {
            self.names.release_id(before);
        }
    }

    /// V15.
    fn task_end(&mut self, event: &Event<'_>, task: &UserTask<'_>) {
        self.text(event, 2, task.name);
        let Some(name) = self.user_tasks.remove(&task.id) else {
            return;
        };
        if self.names.find(task.name) == Some(name) {
            return self.names.release(task.name);
        }
        self.findings.push(Finding::TaskName {
            task: task.id,
            found: task.name.to_string(),
            wanted: self.names.text(name),
        });
        self.names.release_id(name);
    }

    /// V16. An undefined string reads as an empty one.
    #[inline]
    fn text(&mut self, event: &Event<'_>, place: usize, text: Text<'_>) {
        if text.is_empty() && !is_defined(event, place) {
            self.findings.push(Finding::NoText(place));
        }
    }
}

/// What there is to check of an event.
#[derive(Clone, Copy)]
enum Matter {
    State,
    /// Metrics: V5 is above. Samples: their context may be anything. Experiments: nobody understands them.
    Nothing,
    Other,
}

static MATTERS: [Matter; 256] = {
    let mut table = [Matter::Other; 256];
    let mut i = 0;
    while i < EventKind::ALL.len() {
        let kind = EventKind::ALL[i];
        table[kind.code() as usize] = matter(kind);
        i += 1;
    }
    table
};

const fn matter(kind: EventKind) -> Matter {
    use EventKind as E;
    match kind {
        E::ProcStart | E::ProcStop | E::ProcSteal | E::ProcStatus => Matter::State,
        E::GoCreate | E::GoCreateBlocked | E::GoCreateSyscall => Matter::State,
        E::GoStart | E::GoStop | E::GoBlock | E::GoUnblock => Matter::State,
        E::GoDestroy | E::GoDestroySyscall | E::GoSwitch | E::GoSwitchDestroy => Matter::State,
        E::GoSyscallBegin | E::GoSyscallEnd | E::GoSyscallEndBlocked => Matter::State,
        E::GoStatus | E::GoStatusStack => Matter::State,
        E::ProcsChange | E::HeapAlloc | E::HeapGoal | E::CPUSample => Matter::Nothing,
        kind if kind.is_experimental() => Matter::Nothing,
        _ => Matter::Other,
    }
}

/// Whether names of the event may be missing.
fn is_cut(event: &Event<'_>) -> bool {
    event.generation().is_none_or(Generation::is_cut)
}

/// Whether the argument at `place` is a string, or may be missing.
#[cold]
fn is_defined(event: &Event<'_>, place: usize) -> bool {
    let id = event.record.args.get(place);
    let defined = |generation: &Generation| id.is_none_or(|id| generation.strings.has(*id));
    is_cut(event) || event.record.extra.carried || event.generation().is_none_or(defined)
}

/// V2, once for each stack. The leaf need not have anything.
fn bad_stacks(generation: &Generation, bad: &mut Vec<(StackId, Finding)>) {
    if generation.is_cut() {
        return;
    }
    let has_text = |id: StringId| !generation.string(id).is_empty();
    for stack in generation.stacks() {
        let frames = generation.wire_frames(stack.id());
        for (place, frame) in frames.iter().enumerate().skip(1) {
            let lacks = match frame {
                frame if !has_text(frame.function) => "function",
                frame if !has_text(frame.file) => "file",
                frame if frame.pc == 0 => "pc",
                frame if frame.line == 0 => "line",
                _ => continue,
            };
            let stack = stack.id();
            bad.push((
                stack,
                Finding::Frame {
                    stack,
                    place,
                    lacks,
                },
            ));
        }
    }
    bad.sort_by_key(|(stack, _)| *stack);
}

/// Each clock: its reading in nanoseconds, and the reading that means that nobody read it.
fn readings(clock: &Clock) -> [(ClockName, i128, i128); 3] {
    /// The first instant of the year 1, which is Go's time of nothing.
    const NO_TIME_SEC: i128 = -62_135_596_800;
    const NS: i128 = 1_000_000_000;
    // Go takes it for a signed number.
    let nsec = i128::from(clock.wall_nsec as i64);
    [
        (
            ClockName::Wall,
            i128::from(clock.wall_sec) * NS + nsec,
            NO_TIME_SEC * NS,
        ),
        (ClockName::Monotonic, i128::from(clock.mono_ns), 0),
        (ClockName::Trace, i128::from(clock.trace.0), 0),
    ]
}
