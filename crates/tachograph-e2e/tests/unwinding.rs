//! Stacks of real samples, wherever the signal lands: they reach the thread's root and name the function that is running.
//!
//! A phase is a function that opens a region of its own name, so that each sample between the region's ends has to have that function in
//! its stack. The build has no frame pointers, as builds have by default; with `RUSTFLAGS=-Cforce-frame-pointers=yes` the same test shows
//! that they change nothing.

mod foreign;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use tachograph::{Cause, Recorder, UnwinderKind};
use tachograph_e2e::decode::{FrameSeen, Trace};
use tachograph_e2e::load::{spin, thread_cpu};
use tachograph_e2e::record::{record, turn};
use tachograph_e2e::report::{is_long, say};
use tachograph_wire::EventKind;

const WANTED: f64 = 0.995;

/// Names of the outermost frame of a thread: the C library's, or where that has no names the last one of Rust's.
const ROOTS: [&str; 6] = [
    "clone3",
    "__clone",
    "clone",
    "start_thread",
    "thread_start",
    "__rust_begin_short_backtrace",
];

macro_rules! phases {
    ($($name:ident: $body:expr;)*) => {
        $(
            #[inline(never)]
            fn $name(cpu: Duration) {
                let _region = tachograph::region(stringify!($name));
                let end = thread_cpu() + cpu;
                #[allow(unused_mut)]
                let mut body = $body;
                while thread_cpu() < end {
                    // So often that the reading of the clock is a small part.
                    for _ in 0..512 {
                        body();
                    }
                }
            }
        )*
        const PHASES: &[(&str, fn(Duration))] = &[$((stringify!($name), $name),)*];
    };
}

phases! {
    rust_recursion: || { black_box(fibonacci(16)); };
    rust_arithmetic: || { black_box(spin(500)); };
    heap_boxes: || drop(black_box(vec![0u8; 700]));
    heap_malloc: || foreign::malloc_free(black_box(3000));
    memory_copy: {
        let from = vec![7u8; 64 << 10];
        let mut to = vec![0u8; 64 << 10];
        move || {
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
        }
    };
    vdso_clock: || { black_box(Instant::now()); };
    system_calls: || { black_box(std::fs::metadata("/").is_ok()); };
    yields: thread::yield_now;
    c_qsort: {
        let mut values = [0u64; 256];
        move || {
            for (i, value) in (1u64..).zip(&mut values) {
                *value = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            }
            foreign::qsort(&mut values);
        }
    };
    c_snprintf: || { black_box(foreign::snprintf(black_box(123_456_789), black_box(0.123_456))); };
    rust_format: || { black_box(format!("{} of {:?}: {:.9}", black_box(12), black_box("x"), black_box(0.123_456))); };
}

#[inline(never)]
fn fibonacci(n: u64) -> u64 {
    match n {
        0 | 1 => black_box(n),
        _ => fibonacci(n - 1) + fibonacci(n - 2),
    }
}

#[derive(Default)]
struct Phase {
    samples: u64,
    to_root: u64,
    named: u64,
    both: u64,
    leaves: BTreeMap<String, u64>,
    bad: Option<Vec<FrameSeen>>,
}

#[test]
fn samples_reach_the_root_and_name_their_caller() {
    let _turn = turn();
    let each = Duration::from_millis(if is_long() { 2000 } else { 250 });
    let recorder = Recorder::new().sample_cpu(4000);
    let ((), recorded) = record("unwinding", recorder, || {
        let worker = thread::Builder::new().name("phases".to_owned());
        let worker = worker.spawn(move || PHASES.iter().for_each(|(_, phase)| phase(each)));
        worker.expect("spawned").join().expect("phases");
    });
    let trace = recorded.verify();
    let samples = recorded
        .summary
        .samples
        .as_ref()
        .expect("samples were asked for");
    let incomplete: Vec<String> = samples
        .tally
        .causes()
        .filter(|(cause, count)| *count > 0 && !cause.loses_sample())
        .map(|(cause, count)| format!("{} {count}", cause.word()))
        .collect();
    say(format!(
        "unwinding ({}, frame pointers in the build: {}): {} samples ({}), incomplete: [{}]",
        samples.unwinder.name(),
        std::env::var_os("RUSTFLAGS")
            .is_some_and(|flags| flags.to_string_lossy().contains("force-frame-pointers")),
        samples.tally.emitted,
        samples.source.name(),
        incomplete.join(", ")
    ));
    assert_eq!(samples.unwinder, UnwinderKind::Cfi);
    let phases = by_phase(&trace);
    say(format!(
        "{:<16} {:>8} {:>9} {:>9}  most frequent leaf",
        "phase", "samples", "to root", "caller"
    ));
    for (name, _) in PHASES {
        tell(name, &phases[name]);
    }
    for (name, _) in PHASES {
        let phase = &phases[name];
        let share = phase.both as f64 / phase.samples as f64;
        assert!(
            phase.samples > 0 && share >= WANTED,
            "{name}: {share:.4}, e.g. {:#?}",
            phase.bad
        );
    }
    let broken = samples.tally.get(Cause::BadFrame)
        + samples.tally.get(Cause::UnknownModule)
        + samples.tally.get(Cause::StackBounds);
    let share = broken as f64 / samples.tally.emitted as f64;
    assert!(share <= 1.0 - WANTED, "{broken} stacks were broken off");
}

fn tell(name: &str, phase: &Phase) {
    let percent = |count: u64| 100.0 * count as f64 / phase.samples.max(1) as f64;
    let leaf = phase.leaves.iter().max_by_key(|(_, count)| **count);
    say(format!(
        "{name:<16} {:>8} {:>8.2}% {:>8.2}%  {}",
        phase.samples,
        percent(phase.to_root),
        percent(phase.named),
        leaf.map_or("", |(name, _)| name)
    ));
}

/// The samples of each phase: those between the ends of its region, on its thread.
fn by_phase(trace: &Trace) -> BTreeMap<&'static str, Phase> {
    let windows = windows(trace);
    let mut phases: BTreeMap<&'static str, Phase> = BTreeMap::new();
    for (name, _) in PHASES {
        phases.entry(name).or_default();
    }
    for (generation, seen) in trace.samples() {
        let (thread, time) = (seen.sample.thread.0, seen.sample.time.0);
        let window = windows
            .iter()
            .find(|(_, (on, begin, end))| *on == thread && (*begin..*end).contains(&time));
        let Some(phase) = window.and_then(|(name, _)| Some((*name, phases.get_mut(name)?))) else {
            continue;
        };
        let (name, phase) = phase;
        let frames = generation.frames(&seen.sample);
        let to_root = frames.last().is_some_and(is_root);
        let caller = format!("unwinding::{name}");
        let named = frames.iter().any(|frame| frame.function == caller);
        phase.samples += 1;
        phase.to_root += u64::from(to_root);
        phase.named += u64::from(named);
        phase.both += u64::from(to_root && named);
        if !(to_root && named) {
            phase.bad.get_or_insert_with(|| frames.to_vec());
        }
        let leaf = frames.first().map_or("", |frame| &frame.function);
        *phase.leaves.entry(leaf.to_owned()).or_default() += 1;
    }
    phases
}

fn is_root(frame: &FrameSeen) -> bool {
    ROOTS.iter().any(|root| frame.function.contains(root))
}

/// Thread, begin and end of each phase's region.
fn windows(trace: &Trace) -> BTreeMap<&'static str, (u64, u64, u64)> {
    let mut windows = BTreeMap::new();
    for generation in &trace.generations {
        for (thread, event) in generation.of_kind(EventKind::UserRegionBegin) {
            let text = generation.text_of(event, 0);
            if let Some((name, _)) = PHASES.iter().find(|(name, _)| *name == text) {
                windows.insert(*name, (thread, event.time, u64::MAX));
            }
        }
    }
    for generation in &trace.generations {
        for (_, event) in generation.of_kind(EventKind::UserRegionEnd) {
            if let Some(window) = windows.get_mut(generation.text_of(event, 0)) {
                window.2 = event.time;
            }
        }
    }
    windows
}
