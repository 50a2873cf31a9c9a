//! Regions, tasks and logs: what the program says about itself.
//!
//! The hot path of the whole recorder. A region's begin is: one load (on?), the thread's record, the gate, the name's id from the
//! thread's cache, the clock, five short numbers into the thread's own block.
#![expect(
    clippy::ptr_arg,
    reason = "whether a name is static or owned decides how it gets its id"
)]

use std::borrow::Cow;
use std::marker::PhantomData;

use tachograph_wire::EventKind;

use crate::core::{CORE, aside, bound, this_thread};
use crate::fast;
use crate::record::ThreadRecord;
use crate::regions::{BACKGROUND, INHERITED, OpenRegion};
use crate::scope::InTask;
use crate::section::Section;

/// "Nothing was begun".
pub(crate) const OFF: u64 = 0;

/// A stretch of one thread's time, from its creation to its drop.
///
/// Regions nest. Guards may be dropped out of order; inner regions are then closed and reopened in the trace, as its readers
/// demand, so ending many at once from the outermost costs in proportion to their square. A guard belongs to the thread that made it;
/// one that outlives its recording ends nothing in the next.
#[must_use = "the region ends where its guard is dropped"]
#[derive(Debug)]
pub struct Region {
    pub(crate) serial: u64,
    _not_send: PhantomData<*const ()>,
}

/// A unit of work that may span threads, from its creation to its drop: a request, a job.
#[must_use = "the task ends where its guard is dropped"]
#[derive(Debug)]
pub struct Task {
    id: u64,
    /// The recording that the task's begin stands in.
    recording: u64,
}

/// Begins a region on this thread, as part of the user task of the region around it, if there is one.
///
/// A `'static` name costs about 12 ns; an owned one is written out each time, at about 40.
#[inline]
pub fn region(name: impl Into<Cow<'static, str>>) -> Region {
    if !CORE.gate.is_on() {
        return Region::OFF;
    }
    begin_region(INHERITED, name.into())
}

/// Begins a user task without a parent.
#[inline]
pub fn task(name: impl Into<Cow<'static, str>>) -> Task {
    if !CORE.gate.is_on() {
        return Task::OFF;
    }
    begin_task(BACKGROUND, name.into())
}

/// Logs `message` under `category`, as part of the user task of the region around it, if there is one. Both are cut to 1024 bytes.
#[inline]
pub fn log(category: impl Into<Cow<'static, str>>, message: &str) {
    if CORE.gate.is_on() {
        write_log(INHERITED, &category.into(), message);
    }
}

/// Whether something is being recorded now: for callers that would build a costly log message.
#[inline]
#[must_use]
pub fn is_recording() -> bool {
    CORE.gate.is_on()
}

impl Task {
    const OFF: Self = Self {
        id: OFF,
        recording: 0,
    };

    /// Begins a task that is part of this one.
    #[inline]
    pub fn child(&self, name: impl Into<Cow<'static, str>>) -> Self {
        if !CORE.gate.is_on() {
            return Self::OFF;
        }
        begin_task(self.current_id(), name.into())
    }

    /// Begins a region of this task on the calling thread.
    #[inline]
    pub fn region(&self, name: impl Into<Cow<'static, str>>) -> Region {
        if !CORE.gate.is_on() {
            return Region::OFF;
        }
        begin_region(self.current_id(), name.into())
    }

    /// Logs a message of this task.
    #[inline]
    pub fn log(&self, category: impl Into<Cow<'static, str>>, message: &str) {
        if CORE.gate.is_on() {
            write_log(self.current_id(), &category.into(), message);
        }
    }

    /// Has `future` be a part of this task, over all its awaits and whatever threads it is polled on: regions, logs and child tasks
    /// in it that name no task are of this one.
    ///
    /// Costs about 10 ns a poll while recording.
    pub fn run<F>(&self, future: F) -> InTask<F> {
        InTask::new(self.handle(), future)
    }

    #[inline]
    fn current_id(&self) -> u64 {
        self.handle().current_id()
    }

    /// The task's number in the trace, 0 when nothing was recorded at its creation.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What the task's regions and logs can be recorded with where the task itself is out of reach.
    #[inline]
    #[must_use]
    pub fn handle(&self) -> TaskHandle {
        TaskHandle {
            id: self.id,
            recording: self.recording,
        }
    }
}

/// A task without the duty to end it: for integrations that keep a [`Task`] in one place and record its regions in others.
///
/// Outliving the task or its recording does no harm: what is recorded with the handle of an ended task stands behind the task's end,
/// and in a later recording it belongs to no task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskHandle {
    id: u64,
    recording: u64,
}

impl TaskHandle {
    /// No task.
    pub const BACKGROUND: Self = Self {
        id: BACKGROUND,
        recording: 0,
    };

    /// Begins a region of the task on the calling thread. Costs what [`region`] does.
    #[inline]
    pub fn region(self, name: impl Into<Cow<'static, str>>) -> Region {
        if !CORE.gate.is_on() {
            return Region::OFF;
        }
        begin_region(self.current_id(), name.into())
    }

    /// Logs a message of the task. Costs what [`log`] does.
    #[inline]
    pub fn log(self, category: impl Into<Cow<'static, str>>, message: &str) {
        if CORE.gate.is_on() {
            write_log(self.current_id(), &category.into(), message);
        }
    }

    /// What the trace in progress knows the task by: a task of an earlier recording is the background there.
    #[inline]
    pub(crate) fn current_id(self) -> u64 {
        match self.recording == CORE.recording() {
            true => self.id,
            false => BACKGROUND,
        }
    }
}

impl Drop for Task {
    #[inline]
    fn drop(&mut self) {
        if self.id != OFF && CORE.gate.is_on() {
            end_task(self);
        }
    }
}

impl Region {
    const OFF: Self = Self {
        serial: OFF,
        _not_send: PhantomData,
    };
}

impl Drop for Region {
    #[inline]
    fn drop(&mut self) {
        if self.serial != OFF {
            end_region(self.serial);
        }
    }
}

/// The id of a name in the section's generation.
#[inline(always)]
fn name_id(section: &mut Section, name: &Cow<'static, str>) -> Option<u64> {
    match name {
        Cow::Borrowed(text) => section.name(text),
        Cow::Owned(text) => section.text(text),
    }
}

/// Inlined into the caller, where it is known which kind of name it is: a static one goes on in registers.
#[inline(always)]
fn begin_region(task: u64, name: Cow<'static, str>) -> Region {
    match name {
        Cow::Borrowed(name) => begin_static_region(task, name),
        Cow::Owned(name) => begin_owned_region(task, name),
    }
}

#[inline(never)]
fn begin_static_region(task: u64, name: &'static str) -> Region {
    match bound().and_then(|record| fast::begin_region(record, task, name)) {
        Some(serial) => Region {
            serial,
            _not_send: PhantomData,
        },
        None => prepare_static_region(task, name),
    }
}

#[cold]
#[inline(never)]
fn prepare_static_region(task: u64, name: &'static str) -> Region {
    let Some(record) = this_thread() else {
        return Region::OFF;
    };
    make_room(record);
    let Some(mut section) = Section::begin(record) else {
        return Region::OFF;
    };
    let Some(name_id) = section.name(name) else {
        return Region::OFF;
    };
    let task = section.owner.resolve_task(task);
    open_region(&mut section, task, Cow::Borrowed(name), name_id)
}

#[inline(never)]
fn begin_owned_region(task: u64, name: String) -> Region {
    let Some(record) = this_thread() else {
        return Region::OFF;
    };
    make_room(record);
    let Some(mut section) = Section::begin(record) else {
        return Region::OFF;
    };
    let Some(name_id) = section.text(&name) else {
        return Region::OFF;
    };
    let task = section.owner.resolve_task(task);
    open_region(&mut section, task, Cow::Owned(name), name_id)
}

/// Keeps the list of open regions from growing inside a critical section.
#[inline(always)]
pub(crate) fn make_room(record: &'static ThreadRecord) {
    if record.flag.is_clear() {
        // SAFETY: own thread, outside of a critical section.
        let regions = unsafe { &mut record.owner().regions };
        if regions.is_full() {
            aside(|| regions.reserve());
        }
    }
}

#[inline(always)]
fn open_region(section: &mut Section, task: u64, name: Cow<'static, str>, name_id: u64) -> Region {
    section.write(EventKind::UserRegionBegin, [task, name_id, 0]);
    let serial = section.owner.stamp.0;
    section.owner.regions.push(OpenRegion {
        task,
        name,
        generation: section.generation,
        name_id,
        serial,
    });
    Region {
        serial,
        _not_send: PhantomData,
    }
}

#[inline(never)]
pub(crate) fn end_region(serial: u64) {
    let Some(record) = bound() else { return };
    if fast::end_region(record, serial).is_none() {
        end_any_region(record, serial);
    }
}

#[cold]
#[inline(never)]
fn end_any_region(record: &'static ThreadRecord, serial: u64) {
    if let Some(mut section) = Section::begin(record) {
        if section
            .owner
            .regions
            .last()
            .is_some_and(|region| region.serial == serial)
        {
            end_innermost(&mut section);
        } else {
            end_out_of_order(&mut section, serial);
        }
    } else if record.flag.is_clear() {
        // SAFETY: own thread, outside of a critical section.
        let regions = unsafe { &mut record.owner().regions };
        if let Some(depth) = regions.inside(serial) {
            regions.remove(depth);
        }
    }
}

#[inline(always)]
fn end_innermost(section: &mut Section) {
    let Some(region) = section.owner.regions.pop() else {
        return;
    };
    if section.owner.is_of_this_run(&region)
        && let Some(name_id) = open_name_id(section, &region)
    {
        section.write(EventKind::UserRegionEnd, [region.task, name_id, 0]);
    }
}

#[inline(always)]
fn open_name_id(section: &mut Section, region: &OpenRegion) -> Option<u64> {
    if region.generation == section.generation {
        Some(region.name_id)
    } else {
        name_id(section, &region.name)
    }
}

/// Closes the regions inside, the region itself, and opens the inner ones again.
#[cold]
fn end_out_of_order(section: &mut Section, serial: u64) {
    let Some(depth) = section.owner.regions.inside(serial) else {
        return;
    };
    if section
        .owner
        .regions
        .at(depth)
        .is_none_or(|region| !section.owner.is_of_this_run(region))
    {
        // It does not stand in this run: nothing of it is in those inside.
        drop(section.owner.regions.remove(depth));
        return;
    }
    let mut inner = Vec::with_capacity(depth + 1);
    for _ in 0..=depth {
        let Some(region) = section.owner.regions.pop() else {
            return;
        };
        if section.owner.is_of_this_run(&region)
            && !rewrite_region(section, EventKind::UserRegionEnd, &region)
        {
            return;
        }
        inner.push(region);
    }
    inner.pop();
    for region in inner.into_iter().rev() {
        if section.owner.is_of_this_run(&region)
            && !rewrite_region(section, EventKind::UserRegionBegin, &region)
        {
            return;
        }
        section.owner.regions.push(region);
    }
}

#[must_use]
fn rewrite_region(section: &mut Section, kind: EventKind, region: &OpenRegion) -> bool {
    let Some(name_id) = open_name_id(section, region) else {
        return false;
    };
    if !section.more(1) {
        return false;
    }
    section.write(kind, [region.task, name_id, 0]);
    true
}

fn begin_task(parent: u64, name: Cow<'static, str>) -> Task {
    this_thread()
        .and_then(|record| try_begin_task(record, parent, &name))
        .unwrap_or(Task::OFF)
}

#[inline(always)]
fn try_begin_task(
    record: &'static ThreadRecord,
    parent: u64,
    name: &Cow<'static, str>,
) -> Option<Task> {
    let mut section = Section::begin(record)?;
    let name_id = name_id(&mut section, name)?;
    let id = CORE.new_user_task_id(&mut section.owner.user_tasks);
    section.write(EventKind::UserTaskBegin, [id, parent, name_id, 0]);
    Some(Task {
        id,
        recording: CORE.recording(),
    })
}

fn end_task(task: &Task) {
    if let Some(record) = this_thread()
        && let Some(mut section) = Section::begin(record)
        && CORE.recording() == task.recording
    {
        section.write(EventKind::UserTaskEnd, [task.id, 0]);
    }
}

fn write_log(task: u64, category: &Cow<'static, str>, message: &str) {
    if let Some(record) = this_thread()
        && let Some(mut section) = Section::begin(record)
        && let Some(category) = name_id(&mut section, category)
        && let Some(message) = section.text(message)
    {
        let task = section.owner.resolve_task(task);
        section.write(EventKind::UserLog, [task, category, message, 0]);
    }
}
