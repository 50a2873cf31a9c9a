//! The lives of a trace's tasks, held against what a test spells.
//!
//! A step is spelled as it would be told: `create by NAME`, `start`, `block`, `yield`, `wake by NAME`, `syscall`, `return`, `end`, `label
//! TEXT`, `+REGION` and `-REGION`. `NAME` is the task that did it, `-` where no task did: a runtime between its tasks, or the engine.
//! What is spelled after that is held against stacks and reasons: `block in FUNCTION: REASON`, the function of the program that awaits and
//! what for; `wake by -: DRIVER`, the driver of the runtime that ends the wait.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::check::store;
use crate::tasks::{Life, Step, What, lives};

/// See the module's text.
#[derive(Debug)]
pub struct Seen {
    /// For messages.
    pub name: String,
    /// All tasks, by number.
    pub lives: BTreeMap<u64, Life>,
    bytes: Vec<u8>,
}

impl Seen {
    /// What is in a trace.
    ///
    /// # Panics
    /// If it can't be read.
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            lives: lives(&bytes),
            bytes,
        }
    }

    /// The tasks of that name: as it was given, or the function whose future or closure it is.
    pub fn all(&self, name: &str) -> Vec<&Life> {
        let lives = self.lives.values();
        lives.filter(|life| is_called(life, name)).collect()
    }

    /// The only task of that name.
    ///
    /// # Panics
    /// If there is none, or another one.
    pub fn one(&self, name: &str) -> &Life {
        match self.all(name)[..] {
            [life] => life,
            ref all => self.fail(&format!("{} tasks are called {name}", all.len())),
        }
    }

    /// Holds the only task of that name against what is spelled.
    ///
    /// # Panics
    /// If anything differs.
    pub fn expect(&self, name: &str, steps: &[&str]) {
        let life = self.one(name);
        self.expect_life(life, steps);
    }

    /// Holds all tasks of that name against what is spelled.
    ///
    /// # Panics
    /// If anything differs, or there are more or fewer than `count`.
    pub fn expect_all(&self, name: &str, count: usize, steps: &[&str]) {
        let all = self.all(name);
        if all.len() != count {
            self.fail(&format!(
                "{} tasks are called {name}, not {count}",
                all.len()
            ));
        }
        for life in all {
            self.expect_life(life, steps);
        }
    }

    /// Holds one task against what is spelled.
    ///
    /// # Panics
    /// If anything differs.
    pub fn expect_life(&self, life: &Life, steps: &[&str]) {
        let found = self.spell(life);
        let wanted: Vec<&str> = steps.iter().map(|step| without_place(step)).collect();
        if found != wanted {
            self.fail(&format!(
                "{}: expected and found\n  {}\n  {}",
                life.name,
                wanted.join(", "),
                found.join(", ")
            ));
        }
        for (step, spelled) in kept_slots(&life.steps).zip(steps) {
            if let Err(problem) = holds_place(step, spelled) {
                self.fail(&format!("{}: {problem}", life.name));
            }
        }
    }

    /// A life as it is spelled. Whether a blocking section lost its slot is left out: that is a matter of time.
    pub fn spell(&self, life: &Life) -> Vec<String> {
        kept_slots(&life.steps)
            .map(|step| self.spell_step(step))
            .collect()
    }

    fn spell_step(&self, step: &Step) -> String {
        match step.what {
            What::Create => format!("create by {}", self.name_of(step.by)),
            What::Start => "start".to_owned(),
            What::Block => "block".to_owned(),
            What::Yield => "yield".to_owned(),
            What::Wake => format!("wake by {}", self.name_of(step.by)),
            What::Syscall => "syscall".to_owned(),
            What::Return => "return".to_owned(),
            What::End => "end".to_owned(),
            What::Label => format!("label {}", step.reason),
            What::RegionBegin => format!("+{}", step.reason),
            What::RegionEnd => format!("-{}", step.reason),
        }
    }

    /// What a task is called, `-` for none.
    pub fn name_of(&self, task: Option<u64>) -> &str {
        match task {
            Some(task) => self.lives.get(&task).map_or("?", |life| short(&life.name)),
            None => "-",
        }
    }

    /// Ends the test, with the trace at hand.
    ///
    /// # Panics
    /// Always.
    pub fn fail(&self, problem: &str) -> ! {
        let mut all = String::new();
        for (id, life) in self.lives.iter().take(40) {
            let steps = self.spell(life);
            let many = if steps.len() > 40 { ", .." } else { "" };
            let steps = steps[..steps.len().min(40)].join(", ");
            let _ = write!(all, "\n  {id} {}: {steps}{many}", life.name);
        }
        let trace = store(&self.name, &self.bytes);
        panic!("{}: {problem}\ntrace: {}{all}", self.name, trace.display());
    }
}

/// Whether a step is where its spelling has it: a wait in a function, for a reason; a wake by a driver.
fn holds_place(step: &Step, spelled: &str) -> Result<(), String> {
    let (spelled, word) = spelled.split_once(": ").unwrap_or((spelled, ""));
    if let Some((_, function)) = spelled.split_once(" in ") {
        waits_in(step, function)?;
    }
    let found = match step.what {
        What::Wake => step.by_stack.first().map_or("", String::as_str),
        _ => &step.reason,
    };
    match word.is_empty() || word == found {
        true => Ok(()),
        false => Err(format!("{word:?} is wanted of {step:#?}")),
    }
}

/// Whether a wait's stack names the function that awaits.
fn waits_in(step: &Step, function: &str) -> Result<(), String> {
    let is_named = |frame: &String| frame.split("::").any(|part| part == function);
    match step.stack.iter().any(is_named) {
        true => Ok(()),
        false => Err(format!("no {function} in the stack of {step:#?}")),
    }
}

/// A step without where it happened.
fn without_place(step: &str) -> &str {
    let step = step.split_once(": ").map_or(step, |(step, _)| step);
    step.split_once(" in ").map_or(step, |(step, _)| step)
}

/// A name of its own, or the function's without its path and place.
fn short(name: &str) -> &str {
    let Some((path, _)) = name.split_once(' ').filter(|(path, _)| path.contains("::")) else {
        return name;
    };
    path.rsplit("::")
        .find(|part| *part != "{{closure}}")
        .unwrap_or(path)
}

fn is_called(life: &Life, name: &str) -> bool {
    life.name == name || short(&life.name) == name
}

/// Steps as if no blocking section lost its slot: one that did starts again right behind its return.
fn kept_slots(steps: &[Step]) -> impl Iterator<Item = &Step> {
    let mut after_return = false;
    steps.iter().filter(move |step| {
        let again = after_return && step.what == What::Start;
        after_return = step.what == What::Return;
        !again
    })
}
