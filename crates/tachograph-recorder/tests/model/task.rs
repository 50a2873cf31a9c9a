//! A task in the models: threads that poll, wake and end it, the engine, and a reader of what they say.
//!
//! The threads' steps are those of `section`, `poll` and `wake`, the engine's those of `advance` and `notes`, all by the word's own calls.
//! Plain ways and the others are tried in one critical section, where the program begins another.
//! What is only the model's (lines, who has begun a generation) stands in std's types, which loom does not see: no switch is lost there.

use std::sync::atomic::{AtomicBool as Plain, AtomicU64 as PlainU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use tachograph_recorder::model::{
    Change, Doing, Entry, FenceKind, Gate, Said, TaskWord, Tried, WriteFlag, heavy_fence,
};

use super::reader::{Line, Written};

/// Threads that may write; their streams have their numbers.
const THREADS: usize = 3;
/// The engine's stream.
pub const ENGINE: usize = THREADS;

pub struct World {
    gate: Gate,
    flags: [WriteFlag; THREADS],
    pub word: TaskWord,
    /// As `Context::task`: the task runs on the thread.
    contexts: [AtomicBool; THREADS],
    /// As `Owner::flow`.
    flows: [Plain; THREADS],
    /// As `Owner::is_muted`.
    muted: [Plain; THREADS],
    /// As `Slot::generation`: the last one that the thread has begun.
    begun: [PlainU64; THREADS],
    /// As `Core::run`, and each thread's.
    run: PlainU64,
    runs: [PlainU64; THREADS],
    /// Whether the task stands in the engine's list, under its lock.
    listed: loom::sync::Mutex<bool>,
    lines: Mutex<Vec<Written>>,
    sealed: PlainU64,
}

impl World {
    /// A task that does `doing`, and that nobody has recorded; generation 1 is published, and no more than that.
    pub fn new(doing: Doing) -> Arc<Self> {
        let world = Self {
            gate: Gate::new(),
            flags: [(); THREADS].map(|()| WriteFlag::new()),
            word: TaskWord::new(doing),
            contexts: [(); THREADS].map(|()| AtomicBool::new(false)),
            flows: [(); THREADS].map(|()| Plain::new(false)),
            muted: [(); THREADS].map(|()| Plain::new(false)),
            begun: [(); THREADS].map(|()| PlainU64::new(0)),
            run: PlainU64::new(1),
            runs: [(); THREADS].map(|()| PlainU64::new(0)),
            listed: loom::sync::Mutex::new(true),
            lines: Mutex::new(Vec::new()),
            sealed: PlainU64::new(0),
        };
        world.gate.publish(1);
        Arc::new(world)
    }

    /// As `new`, and created in generation 1 by the engine.
    pub fn known(doing: Doing) -> Arc<Self> {
        let world = Self::new(doing);
        world.introduce_tasks(1);
        world
    }

    pub fn lines(&self) -> MutexGuard<'_, Vec<Written>> {
        self.lines.lock().unwrap()
    }

    fn put(&self, generation: u64, stream: usize, line: Line) {
        let sealed = self.sealed.load(Relaxed);
        assert!(
            generation > sealed,
            "{line:?} in {generation}, {sealed} is sealed"
        );
        self.lines().push(Written {
            generation,
            stream,
            line,
        });
    }

    /// As `Section::begin`: the generation; `None` when nothing is recorded, or nothing of this thread.
    fn enter(&self, me: usize) -> Option<u64> {
        if self.muted[me].load(Relaxed) {
            return None;
        }
        match self.gate.enter(&self.flags[me]) {
            Entry::In(generation) => {
                if self.begun[me].swap(generation, Relaxed) != generation {
                    self.prepare(me, generation);
                }
                Some(generation)
            }
            Entry::Off => None,
            Entry::Nested => panic!("the flag was left set"),
        }
    }

    /// As `Section::prepare`: the task that runs here is introduced in a run, stated in a generation.
    fn prepare(&self, me: usize, generation: u64) {
        let introduced =
            self.runs[me].swap(self.run.load(Relaxed), Relaxed) == self.run.load(Relaxed);
        if !self.flows[me].load(Relaxed) {
            return;
        }
        if !introduced {
            let tried = self.word.introduce(generation);
            self.write_run(me, generation, tried);
        } else if let Tried::Changed(_) = self.word.claim(generation) {
            self.put(generation, me, Line::Status(Said::Running));
        }
    }

    fn leave(&self, me: usize) {
        self.gate.leave(&self.flags[me]);
    }

    /// As `Section::write_run`.
    fn write_run(&self, me: usize, generation: u64, tried: Tried) {
        if let Tried::Changed(change) = tried {
            self.write_long_run(me, generation, change);
        }
        self.runs(me);
    }

    fn runs(&self, me: usize) {
        self.flows[me].store(true, Relaxed);
        self.contexts[me].store(true, Ordering::Relaxed);
    }

    fn write_long_run(&self, stream: usize, generation: u64, change: Change) {
        let mut number = change.number;
        if change.states {
            self.put(generation, stream, Line::Status(change.said));
        }
        match change.said {
            Said::Nothing => self.put(generation, stream, Line::Create(Said::Runnable)),
            Said::Waiting => {
                self.put(generation, stream, Line::Unblock(number));
                number += 1;
            }
            Said::Runnable => {}
            Said::Running => return,
        }
        self.put(generation, stream, Line::Start(number));
    }

    /// As `poll::Run::begin`; whether it was recorded.
    pub fn start(&self, me: usize) -> bool {
        loop {
            let Some(generation) = self.enter(me) else {
                return self.start_unsaid();
            };
            if let Some(number) = self.word.start_plainly(generation) {
                self.put(generation, me, Line::Start(number));
                self.runs(me);
                self.leave(me);
                return true;
            }
            let tried = self.word.start(generation);
            if let Tried::Changed(_) = tried {
                self.write_run(me, generation, tried);
            }
            self.leave(me);
            match tried {
                Tried::Changed(_) => return true,
                Tried::Later => {}
                Tried::Unchanged(_) | Tried::Silent(_) => return self.start_unsaid(),
            }
        }
    }

    fn start_unsaid(&self) -> bool {
        let _ = self.word.unsaid(|doing| match doing {
            Doing::Waiting | Doing::Runnable => Some(Doing::Running),
            Doing::Running | Doing::RunningWoken | Doing::Dead => None,
        });
        false
    }

    /// As `Section::mute`: the thread says nothing more in this run.
    pub fn mute(&self, me: usize) {
        self.muted[me].store(true, Relaxed);
    }

    /// As `poll::Run::pause`.
    pub fn pause(&self, me: usize, began: bool) {
        let Some(generation) = self.began_section(me, began) else {
            let _ = self.word.unsaid(|doing| match doing {
                Doing::RunningWoken => Some(Doing::Runnable),
                _ => Some(Doing::Waiting),
            });
            return;
        };
        let plainly = self.word.pause_plainly(generation);
        let yields = plainly.or_else(|| match self.word.pause(generation) {
            Tried::Changed(change) => Some(change.was == Doing::RunningWoken),
            _ => None,
        });
        match yields {
            Some(true) => self.put(generation, me, Line::Stop),
            Some(false) => self.put(generation, me, Line::Block),
            None => {}
        }
        self.nothing_runs(me);
    }

    /// As `poll::Run::end_with`, and `Tasks::remove`.
    pub fn end(&self, me: usize, began: bool) {
        match self.began_section(me, began) {
            None => {
                let _ = self.word.unsaid(|_| Some(Doing::Dead));
            }
            Some(generation) => {
                if let Tried::Changed(_) = self.word.end(generation) {
                    self.put(generation, me, Line::Destroy);
                }
                self.nothing_runs(me);
            }
        }
        if self.word.is_settled() {
            *self.listed.lock().unwrap() = false;
        }
    }

    fn began_section(&self, me: usize, began: bool) -> Option<u64> {
        let generation = began.then(|| self.enter(me)).flatten();
        if generation.is_none() {
            self.flows[me].store(false, Relaxed);
        }
        generation
    }

    fn nothing_runs(&self, me: usize) {
        self.flows[me].store(false, Relaxed);
        self.contexts[me].store(false, Ordering::Relaxed);
        self.leave(me);
    }

    /// A poll that returns `Pending`.
    pub fn poll(&self, me: usize) {
        let began = self.start(me);
        self.pause(me, began);
    }

    /// As `TracedTask::drop_with`.
    pub fn drop_task(&self, me: usize) {
        let began = self.start(me);
        self.end(me, began);
    }

    /// As `wake::wake`.
    pub fn wake(&self, me: usize) {
        if self.word.wake_running() {
            return;
        }
        loop {
            let Some(generation) = self.enter(me) else {
                return self.wake_unsaid();
            };
            if let Some(number) = self.word.wake_plainly(generation) {
                self.put(generation, me, Line::Unblock(number));
                return self.leave(me);
            }
            let tried = self.word.wake(generation);
            if let Tried::Changed(change) = tried {
                if change.states {
                    self.put(generation, me, Line::Status(change.said));
                }
                self.put(generation, me, Line::Unblock(change.number));
            }
            self.leave(me);
            if tried != Tried::Later {
                return;
            }
        }
    }

    /// A wake by a thread that has no record.
    pub fn wake_unsaid(&self) {
        let _ = self.word.unsaid(|doing| match doing {
            Doing::Waiting => Some(Doing::Runnable),
            Doing::Running => Some(Doing::RunningWoken),
            _ => None,
        });
    }

    /// As `OwnTask::introduce_tasks`.
    fn introduce_tasks(&self, generation: u64) {
        if let Tried::Changed(change) = self.word.create(generation) {
            self.put(generation, ENGINE, Line::Create(Said::from(change.was)));
        }
    }

    /// As `Engine::advance`: notes, publication, quiet, statuses.
    pub fn close(&self, closing: u64) {
        let noted = self.note();
        self.gate.publish(closing + 1);
        self.state(closing, noted);
        self.sealed.store(closing, Relaxed);
    }

    fn note(&self) -> Option<usize> {
        (0..THREADS).find(|thread| self.contexts[*thread].load(Ordering::Relaxed))
    }

    /// As `Notes::state`, once everybody was seen outside.
    fn state(&self, closing: u64, noted: Option<usize>) {
        heavy_fence(FenceKind::Full);
        for flag in &self.flags {
            flag.wait_until_clear();
        }
        let mut listed = self.listed.lock().unwrap();
        if !*listed {
            return;
        }
        let closed = self.word.close(closing);
        if let Some(said) = closed.state {
            let stream = match said {
                Said::Running => noted.expect("runs on no thread"),
                _ => ENGINE,
            };
            self.put(closing, stream, Line::Status(said));
        }
        if self.word.is_unburied() {
            self.end_task(closing);
        }
        *listed = !closed.dead;
    }

    /// As `notes::end_task`.
    fn end_task(&self, closing: u64) {
        if let Tried::Changed(change) = self.word.retract(closing)
            && change.said != Said::Running
        {
            self.write_long_run(ENGINE, closing, change);
            self.put(closing, ENGINE, Line::Destroy);
        }
    }

    /// As `Engine::advance` at the end of a run.
    pub fn end_run(&self, closing: u64) {
        let noted = self.note();
        self.gate.publish(0);
        self.state(closing, noted);
        if let Some(thread) = self.note() {
            self.put(closing, thread, Line::Destroy);
        }
        self.end_task(closing);
        self.sealed.store(closing, Relaxed);
    }

    /// As `Engine::advance` at the end of a recording.
    pub fn stop(&self, closing: u64) {
        let noted = self.note();
        self.gate.publish(0);
        self.state(closing, noted);
        self.sealed.store(closing, Relaxed);
    }

    /// As `Engine::begin_run`.
    pub fn begin_run(&self, generation: u64) {
        self.run.fetch_add(1, Relaxed);
        for muted in &self.muted {
            muted.store(false, Relaxed);
        }
        self.word.forget();
        for context in &self.contexts {
            context.store(false, Ordering::Relaxed);
        }
        self.gate.publish(generation);
        heavy_fence(FenceKind::Full);
        self.introduce_tasks(generation);
    }

    /// Whether the engine would still find the task.
    pub fn is_listed(&self) -> bool {
        *self.listed.lock().unwrap()
    }
}
