//! Traces of a program that never ran: threads, procs and tasks that hand each other work.

use super::dice::Dice;
use tachograph_wire::{
    BatchWriter, ClockSnapshot, EventKind as E, Frequency, Generation, ThreadId, Ticks,
};

const THREADS: usize = 5;
const STEPS: usize = 400;
const GENERATIONS: u64 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Runnable,
    Running,
    Waiting,
}

/// A thread: its proc, the task on it, its events.
struct Thread {
    proc: Option<usize>,
    task: Option<usize>,
    batch: BatchWriter,
}

/// What the program is doing.
struct Program {
    time: u64,
    threads: Vec<Thread>,
    /// Sequence numbers of procs; idle ones are on no thread.
    procs: Vec<u64>,
    tasks: Vec<(Task, u64)>,
}

/// The trace for a seed: a step at a time, on one thread each.
pub fn trace(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut out = tachograph_wire::version::WRITTEN.header().to_vec();
    let batch = || BatchWriter::new(Generation(1), ThreadId(0), Ticks(0));
    let mut program = Program {
        time: 1000,
        threads: (0..THREADS)
            .map(|_| Thread {
                proc: None,
                task: None,
                batch: batch(),
            })
            .collect(),
        procs: vec![0; THREADS - 1],
        tasks: vec![(Task::Runnable, 0); 3],
    };
    for number in 1..=GENERATIONS {
        program.generation(Generation(number), &mut dice, &mut out);
    }
    out
}

impl Program {
    fn generation(&mut self, number: Generation, dice: &mut Dice, out: &mut Vec<u8>) {
        let start = Ticks(self.time);
        let mut sync = BatchWriter::new(number, ThreadId::NONE, start);
        let clock = ClockSnapshot {
            dt: Ticks(1),
            mono: self.time,
            sec: self.time,
            nsec: 0,
        };
        sync.sync(Frequency(1_000_000_000), &clock)
            .expect("one record fits");
        sync.finish_into(out);
        for (id, thread) in self.threads.iter_mut().enumerate() {
            thread.batch = BatchWriter::new(number, ThreadId(id as u64), start);
        }
        self.state_all();
        for _ in 0..STEPS {
            let id = dice.below(THREADS);
            self.step(id, dice);
        }
        let batch = || BatchWriter::new(number, ThreadId::NONE, start);
        for thread in &mut self.threads {
            std::mem::replace(&mut thread.batch, batch()).finish_into(out);
        }
        out.push(E::EndOfGeneration.code());
    }

    /// Everything has a status before anything happens to it: each thread its own, the first one the others.
    fn state_all(&mut self) {
        for sequence in &mut self.procs {
            *sequence = 0;
        }
        for (_, sequence) in &mut self.tasks {
            *sequence = 0;
        }
        for id in 0..THREADS {
            if let Some(proc) = self.threads[id].proc {
                self.event(id, E::ProcStatus, &[proc as u64, 1]);
            }
            if let Some(task) = self.threads[id].task {
                self.event(id, E::GoStatus, &[task as u64 + 1, id as u64, 2]);
            }
        }
        for proc in 0..self.procs.len() {
            if self.threads.iter().all(|thread| thread.proc != Some(proc)) {
                self.event(0, E::ProcStatus, &[proc as u64, 2]);
            }
        }
        for task in 0..self.tasks.len() {
            let status = match self.tasks[task].0 {
                Task::Runnable => 1,
                Task::Waiting => 4,
                Task::Running => continue,
            };
            self.event(0, E::GoStatus, &[task as u64 + 1, u64::MAX, status]);
        }
    }

    fn event(&mut self, thread: usize, kind: E, args: &[u64]) {
        self.time += 7;
        let batch = &mut self.threads[thread].batch;
        batch
            .event(kind, Ticks(self.time), args)
            .expect("few events fit");
    }

    fn step(&mut self, id: usize, dice: &mut Dice) {
        let Thread { proc, task, .. } = self.threads[id];
        match (proc, task) {
            (None, _) => self.take_proc(id, dice),
            (Some(proc), None) => match dice.below(4) {
                0 => {
                    self.event(id, E::ProcStop, &[]);
                    self.threads[id].proc = None;
                    let _ = proc;
                }
                _ => self.start_task(id, dice),
            },
            (Some(_), Some(task)) => self.run(id, task, dice),
        }
    }

    fn take_proc(&mut self, id: usize, dice: &mut Dice) {
        let proc = dice.below(self.procs.len());
        if self.threads.iter().any(|thread| thread.proc == Some(proc)) {
            return;
        }
        self.procs[proc] += 1;
        self.event(id, E::ProcStart, &[proc as u64, self.procs[proc]]);
        self.threads[id].proc = Some(proc);
    }

    fn start_task(&mut self, id: usize, dice: &mut Dice) {
        let task = dice.below(self.tasks.len());
        if self.tasks[task].0 == Task::Runnable {
            let sequence = self.next(task, Task::Running);
            self.event(id, E::GoStart, &[task as u64 + 1, sequence]);
            self.threads[id].task = Some(task);
        }
    }

    fn next(&mut self, task: usize, state: Task) -> u64 {
        self.tasks[task].0 = state;
        self.tasks[task].1 += 1;
        self.tasks[task].1
    }

    fn run(&mut self, id: usize, task: usize, dice: &mut Dice) {
        match dice.below(6) {
            0 => {
                self.event(id, E::GoStop, &[0, 0]);
                self.tasks[task].0 = Task::Runnable;
                self.threads[id].task = None;
            }
            1 => {
                self.event(id, E::GoBlock, &[0, 0]);
                self.tasks[task].0 = Task::Waiting;
                self.threads[id].task = None;
            }
            2 if self.tasks.len() < 40 => {
                self.event(id, E::GoCreate, &[self.tasks.len() as u64 + 1, 0, 0]);
                self.tasks.push((Task::Runnable, 0));
            }
            3 => {
                let other = dice.below(self.tasks.len());
                if self.tasks[other].0 == Task::Waiting {
                    let sequence = self.next(other, Task::Runnable);
                    self.event(id, E::GoUnblock, &[other as u64 + 1, sequence, 0]);
                }
            }
            _ => self.event(id, E::HeapAlloc, &[self.time]),
        }
    }
}
