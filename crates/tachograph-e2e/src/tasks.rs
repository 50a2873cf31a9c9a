//! What became of each task of a trace: its transitions, in order, as a test can spell them.
//!
//! Reads with our reader, so every order is the order in which things happened.

use std::collections::BTreeMap;

use tachograph_reader::{Change, Kind, Reader, TaskState};

/// One task's life.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// The root frame of its start stack or of its first status.
    pub name: String,
    /// What happened to it; statuses are left out.
    pub steps: Vec<Step>,
}

/// One transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happened.
    pub what: What,
    /// The reason of a wait; the name of a label or a region.
    pub reason: String,
    /// Function names of the stack of what waits or was created, leaf first.
    pub stack: Vec<String>,
    /// Function names of the stack of who did it, leaf first.
    pub by_stack: Vec<String>,
    /// The task that did it.
    pub by: Option<u64>,
    /// The thread on which it happened.
    pub thread: Option<u64>,
    /// When.
    pub time_ns: i64,
}

/// What can happen to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It is created.
    Create,
    /// A poll begins.
    Start,
    /// A poll ends, and it waits.
    Block,
    /// A poll ends, and it is to be polled again.
    Yield,
    /// It is woken.
    Wake,
    /// It is in a blocking section.
    Syscall,
    /// It is back from one.
    Return,
    /// It ends.
    End,
    /// It gets a label.
    Label,
    /// A region of it begins.
    RegionBegin,
    /// Its innermost region ends.
    RegionEnd,
}

/// The lives of all tasks of a trace, by id.
///
/// # Panics
/// If the trace can't be read.
pub fn lives(trace: &[u8]) -> BTreeMap<u64, Life> {
    let mut lives: BTreeMap<u64, Life> = BTreeMap::new();
    let mut reader = Reader::new(trace).expect("a header");
    while let Some(event) = reader.next_event().expect("a good trace") {
        let names = |stack: Option<tachograph_reader::Stack<'_>>| -> Vec<String> {
            stack
                .into_iter()
                .flat_map(|stack| stack.frames())
                .map(|frame| frame.function.to_string())
                .collect()
        };
        let step = |what, reason: String, stack| Step {
            what,
            reason,
            stack,
            by_stack: names(event.stack()),
            by: event.task().map(|task| task.0),
            thread: event.thread().map(|thread| thread.0),
            time_ns: event.time().0,
        };
        match event.kind() {
            Kind::Label(label) => {
                let life = lives.entry(label.task.0).or_default();
                life.steps
                    .push(step(What::Label, label.label.to_string(), Vec::new()));
            }
            Kind::RegionBegin(region) | Kind::RegionEnd(region) => {
                let Some(task) = event.task() else { continue };
                let what = match event.kind() {
                    Kind::RegionBegin(_) => What::RegionBegin,
                    _ => What::RegionEnd,
                };
                let life = lives.entry(task.0).or_default();
                life.steps
                    .push(step(what, region.name.to_string(), Vec::new()));
            }
            Kind::Transition(transition) => {
                let Change::Task { id, from, to } = transition.change else {
                    continue;
                };
                let stack = names(transition.stack);
                let life = lives.entry(id.0).or_default();
                if life.name.is_empty()
                    && matches!(from, TaskState::NotExist | TaskState::Undetermined)
                {
                    life.name = stack.last().cloned().unwrap_or_default();
                }
                let what = match (from, to) {
                    (TaskState::NotExist, _) => What::Create,
                    (TaskState::Runnable, TaskState::Running) => What::Start,
                    (TaskState::Running, TaskState::Waiting) => What::Block,
                    (TaskState::Running, TaskState::Runnable) => What::Yield,
                    (TaskState::Waiting, TaskState::Runnable) => What::Wake,
                    (TaskState::Running, TaskState::Syscall) => What::Syscall,
                    (TaskState::Syscall, TaskState::NotExist)
                    | (TaskState::Running, TaskState::NotExist) => What::End,
                    (TaskState::Syscall, TaskState::Running | TaskState::Runnable) => What::Return,
                    _ => continue,
                };
                life.steps
                    .push(step(what, transition.reason.to_string(), stack));
            }
            _ => {}
        }
    }
    lives
}

impl Life {
    /// What happened, without details.
    pub fn whats(&self) -> Vec<What> {
        self.steps.iter().map(|step| step.what).collect()
    }

    /// How often that happened.
    pub fn count(&self, what: What) -> u64 {
        self.steps.iter().filter(|step| step.what == what).count() as u64
    }
}
