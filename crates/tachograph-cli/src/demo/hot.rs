//! Finds the functions that took the time, from the samples of a trace.
//!
//! Owns the adding up. Called by `demo` with the file that it has just written, so it holds the tables of one
//! generation in memory, and nothing of the generations before.

use anyhow::Context;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use tachograph_wire::metadata::{Metadata, Weights};
use tachograph_wire::{
    Batch, BatchKind, Item, StackId, StringId, ThreadId, TraceItems, Version, WireError,
};

/// The standard library's mark between the start of a thread and the program's own code.
const THREAD_START: &str = "__rust_begin_short_backtrace";

/// Crates that call others: their functions have the time of all that is called through them, a dozen for each call, and
/// would be all that a list shows.
const PLUMBING: [&str; 11] = [
    "alloc",
    "axum",
    "axum_core",
    "core",
    "flate2",
    "hyper",
    "hyper_util",
    "std",
    "tachograph_recorder",
    "tokio",
    "tower",
];

/// Functions by the timer ticks that they took.
#[derive(Clone, Default, Debug)]
pub struct Hot {
    functions: HashMap<String, Cost>,
    /// Timer ticks of all samples.
    pub total: u64,
    /// Timer ticks of samples without a stack.
    pub without_stack: u64,
}

/// Timer ticks of a function.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cost {
    /// While it was running itself.
    pub own: u64,
    /// While it or what it called was running; not counted where it only passes calls on.
    pub with_callees: u64,
}

impl Hot {
    /// The functions with the most of what `by` picks, most first.
    pub fn top(&self, count: usize, by: fn(&Cost) -> u64) -> Vec<(&str, Cost)> {
        let mut all: Vec<(&str, Cost)> = self
            .functions
            .iter()
            .map(|(name, cost)| (name.as_str(), *cost))
            .collect();
        all.retain(|(_, cost)| by(cost) > 0);
        all.sort_by(|a, b| by(&b.1).cmp(&by(&a.1)).then(a.0.cmp(b.0)));
        all.truncate(count);
        all
    }

    fn add(&mut self, stack: &[&str], weight: u64) {
        self.total += weight;
        let Some(leaf) = stack.first() else {
            self.without_stack += weight;
            return;
        };
        self.functions.entry((*leaf).to_owned()).or_default().own += weight;
        // What starts a thread has all of its time, and nothing to tell.
        let own = stack
            .iter()
            .position(|name| name.ends_with(THREAD_START))
            .unwrap_or(stack.len());
        for (index, function) in stack.iter().enumerate().take(own) {
            // A function that calls itself has its time once.
            if !is_plumbing(function) && !stack[..index].contains(function) {
                self.functions
                    .entry((*function).to_owned())
                    .or_default()
                    .with_callees += weight;
            }
        }
    }
}

fn is_plumbing(function: &str) -> bool {
    PLUMBING.contains(&crate_of(function))
}

/// The crate that a function is from, as far as its name says.
fn crate_of(function: &str) -> &str {
    // `<crate::Type as other::Trait>::call` belongs to the type, `<T as other::Trait>::call` to the trait.
    let mut path = function;
    if let Some((implementer, implemented)) = function.split_once(" as ")
        && !implementer.contains("::")
    {
        path = implemented;
    }
    let first = path.split_once("::").map_or(path, |(first, _)| first);
    // `<&mut crate`
    first
        .rsplit(['<', '&', '(', '[', ' '])
        .next()
        .unwrap_or(first)
}

/// Adds up the samples of a trace; one that breaks off gives what stands before.
pub fn of_file(path: &Path) -> anyhow::Result<Hot> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("can't open {name}"))?;
    let mut hot = Hot::default();
    let Ok(mut items) = TraceItems::new(file) else {
        return Ok(hot);
    };
    let version = items.version();
    let mut tables = Tables::default();
    while let Some(Ok(item)) = items.next_item() {
        match item {
            Item::Batch(batch) if tables.read(&batch, version).is_ok() => {}
            Item::Batch(_) => break,
            Item::EndOfGeneration { .. } => std::mem::take(&mut tables).add_to(&mut hot),
        }
    }
    tables.add_to(&mut hot);
    Ok(hot)
}

/// What one generation says about its samples.
#[derive(Default)]
struct Tables {
    strings: HashMap<StringId, String>,
    /// Functions, leaf first.
    stacks: HashMap<StackId, Vec<StringId>>,
    samples: Vec<(ThreadId, StackId)>,
    weights: HashMap<ThreadId, Vec<Weights>>,
}

impl Tables {
    fn read(&mut self, batch: &Batch<'_>, version: Version) -> Result<(), WireError> {
        match batch.kind(version) {
            BatchKind::Strings => {
                for string in batch.strings()? {
                    let string = string?;
                    self.string(string.id, &String::from_utf8_lossy(string.bytes));
                }
            }
            BatchKind::Stacks => {
                for stack in batch.stacks()? {
                    let stack = stack?;
                    let functions = stack.frames.map(|frame| frame.function);
                    self.stacks.insert(stack.id, functions.collect());
                }
            }
            BatchKind::Samples => {
                for sample in batch.samples()? {
                    let sample = sample?;
                    self.samples.push((sample.thread, sample.stack));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn string(&mut self, id: StringId, text: &str) {
        match Metadata::parse(text) {
            None => {
                self.strings.insert(id, text.to_owned());
            }
            Some(Ok(Metadata::Weights(weights))) => {
                self.weights
                    .entry(weights.thread)
                    .or_default()
                    .push(weights);
            }
            Some(_) => {}
        }
    }

    fn add_to(self, hot: &mut Hot) {
        let mut indices: HashMap<ThreadId, u64> = HashMap::new();
        for (thread, stack) in &self.samples {
            let index = indices.entry(*thread).or_default();
            let records = self.weights.get(thread).into_iter().flatten();
            let weight = records
                .filter_map(|weights| weights.get(*index))
                .next()
                .unwrap_or(1);
            *index += 1;
            hot.add(&self.functions(*stack), weight);
        }
    }

    fn functions(&self, stack: StackId) -> Vec<&str> {
        let ids = self.stacks.get(&stack).map_or(&[][..], Vec::as_slice);
        let name = |id: &StringId| self.strings.get(id).map_or("?", String::as_str);
        ids.iter().map(name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tachograph_wire::version::WRITTEN;
    use tachograph_wire::{BatchWriter, Frame, Generation, ProcId, Sample, TaskId, Ticks};

    #[test]
    fn functions_belong_to_the_crate_of_their_type() {
        let crates = [
            "app::work",
            "<app::Job as core::future::future::Future>::poll",
            "<F as axum::handler::Handler<M, S>>::call",
            "<&mut tokio::Sleep as core::future::Future>::poll",
            "writev",
        ]
        .map(crate_of);
        assert_eq!(crates, ["app", "app", "axum", "tokio", "writev"]);
    }

    fn batch(trace: &mut Vec<u8>, fill: impl Fn(&mut BatchWriter)) {
        let mut batch = BatchWriter::new(Generation(1), ThreadId::NONE, Ticks(1));
        fill(&mut batch);
        batch.finish_into(trace);
    }

    fn sample(thread: u64, stack: u64) -> Sample {
        Sample {
            time: Ticks(5),
            thread: ThreadId(thread),
            proc: ProcId::NONE,
            task: TaskId::NONE,
            stack: StackId(stack),
        }
    }

    /// Stack 1 is leaf, main, main, start of a thread; stack 2 is main. Thread 7 has weights 1 and 5, thread 8 has none.
    fn trace() -> Vec<u8> {
        let mut trace = WRITTEN.header().to_vec();
        let frame = |function| Frame {
            pc: function,
            function: StringId(function),
            file: StringId(1),
            line: 1,
        };
        batch(&mut trace, |batch| {
            for (thread, stack) in [(7, 2), (8, 1), (7, 1), (8, 0)] {
                batch.sample(&sample(thread, stack)).unwrap();
            }
        });
        batch(&mut trace, |batch| {
            batch
                .stack(
                    StackId(1),
                    &[frame(1), frame(2), frame(2), frame(4), frame(5)],
                )
                .unwrap();
            batch.stack(StackId(2), &[frame(2)]).unwrap();
        });
        batch(&mut trace, |batch| {
            batch.string(StringId(1), b"leaf").unwrap();
            batch.string(StringId(2), b"main").unwrap();
            let start = b"std::sys::backtrace::__rust_begin_short_backtrace";
            batch.string(StringId(4), start).unwrap();
            batch.string(StringId(5), b"clone3").unwrap();
            let weights = Metadata::Weights(Weights::of(ThreadId(7), [1, 5]));
            batch
                .string(StringId(3), weights.encode()[0].as_bytes())
                .unwrap();
        });
        trace
    }

    #[test]
    fn adds_weights_to_leaves_and_once_to_each_caller() {
        let path = std::env::temp_dir().join(format!("tacho-hot-{}", std::process::id()));
        std::fs::write(&path, trace()).unwrap();
        let hot = of_file(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (leaf, main) = (
            Cost {
                own: 6,
                with_callees: 6,
            },
            Cost {
                own: 1,
                with_callees: 7,
            },
        );
        assert_eq!(
            hot.top(9, |cost| cost.own),
            [("leaf", leaf), ("main", main)]
        );
        assert_eq!(
            hot.top(9, |cost| cost.with_callees),
            [("main", main), ("leaf", leaf)]
        );
        assert_eq!((hot.total, hot.without_stack), (8, 1));
    }
}
