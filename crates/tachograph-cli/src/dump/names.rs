//! What tasks are called.
//!
//! Owns the names of everything that is alive: tasks by the function they begin in, annotation tasks by what the program said. Called by `text`
//! with every event, also with those that aren't shown.

use foldhash::fast::RandomState;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use tachograph_reader::{Change, Event, Kind, Stack, TaskState, Text, Transition};
use tachograph_wire::{TaskId, UserTaskId};

type Name = Rc<[u8]>;

/// Names of what is alive.
#[derive(Default, Debug)]
pub struct Names {
    tasks: HashMap<TaskId, Name, RandomState>,
    user_tasks: HashMap<UserTaskId, Name, RandomState>,
    /// Each name once: a trace can give a long one to any number of tasks.
    all: HashSet<Name, RandomState>,
    /// Forgotten at the next event, whose line may still want it.
    ended_task: Option<TaskId>,
    ended_user_task: Option<UserTaskId>,
}

impl Names {
    /// Learns from an event.
    pub fn see(&mut self, event: &Event<'_>) {
        if let Some(task) = self.ended_task.take() {
            self.tasks.remove(&task);
        }
        if let Some(task) = self.ended_user_task.take() {
            self.user_tasks.remove(&task);
        }
        match event.kind() {
            Kind::Transition(transition) => self.transition(&transition),
            Kind::TaskBegin(task) => {
                let name = self.once(task.name);
                self.user_tasks.insert(task.id, name);
            }
            Kind::TaskEnd(task) => self.ended_user_task = Some(task.id),
            Kind::Sync(_) => self.all.retain(|name| Rc::strong_count(name) > 1),
            _ => {}
        }
    }

    fn transition(&mut self, transition: &Transition<'_>) {
        let Change::Task { id, from, to } = transition.change else {
            return;
        };
        if to == TaskState::NotExist {
            self.ended_task = Some(id);
        }
        let is_first = matches!(from, TaskState::NotExist | TaskState::Undetermined) || from == to;
        let function = transition.stack.filter(|_| is_first).and_then(outermost);
        if let Some(function) = function.filter(|function| !function.is_empty()) {
            let name = self.once(function);
            self.tasks.insert(id, name);
        }
    }

    fn once(&mut self, text: Text<'_>) -> Name {
        if let Some(name) = self.all.get(text.as_bytes()) {
            return Rc::clone(name);
        }
        let name: Name = text.as_bytes().into();
        self.all.insert(Rc::clone(&name));
        name
    }

    /// What a task is called, if that is known.
    pub fn task(&self, task: TaskId) -> Option<&[u8]> {
        self.tasks.get(&task).map(|name| &**name)
    }

    /// What an annotation task is called, if that is known.
    pub fn user_task(&self, task: UserTaskId) -> Option<&[u8]> {
        self.user_tasks.get(&task).map(|name| &**name)
    }
}

/// The function that a stack begins in.
fn outermost(stack: Stack<'_>) -> Option<Text<'_>> {
    let frames = stack.frames();
    let last = frames.len().checked_sub(1)?;
    Some(frames.clone().nth(last)?.function)
}
