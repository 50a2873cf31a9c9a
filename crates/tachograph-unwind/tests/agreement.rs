//! Chains of real samples against framehop, phase by phase.
//!
//! Each phase is sampled by signals while it runs; the handler walks live, and keeps registers and a
//! copy of the stack. Afterwards both unwinders walk the copy. `--nocapture` shows the shares. `TACHOGRAPH_PHASE_MS` makes the
//! phases longer. Run it with `RUSTFLAGS=-Cforce-frame-pointers=no` and `=yes`, in debug and release builds.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "common/functions.rs"]
mod functions;
#[path = "common/oracle.rs"]
mod oracle;
#[path = "common/phases.rs"]
mod phases;
#[path = "common/sampler.rs"]
mod sampler;

use std::ops::Range;

use oracle::{Oracle, OracleEnd};
use phases::PHASES;
use sampler::{MAX_FRAMES, Sample};
use tachograph_unwind::{Snapshot, WalkEnd, loaded_modules, walk_in};

#[derive(Default)]
struct Tally {
    samples: usize,
    root: usize,
    caller: usize,
    live: usize,
    agree: usize,
}

struct Judge {
    snapshot: Snapshot,
    oracle: Oracle,
    driver: Range<u64>,
}

impl Judge {
    fn judge(&mut self, sample: &Sample<'_>, phase: &Range<u64>, tally: &mut Tally) {
        let (mut ours, mut theirs) = ([0u64; MAX_FRAMES], [0u64; MAX_FRAMES]);
        // SAFETY: a stack copy answers every address.
        let walk = unsafe {
            let (bounds, out) = (sample.stack.bounds(), ours.as_mut_ptr());
            let no_cache = std::ptr::null_mut();
            walk_in(
                &sample.stack,
                &self.snapshot,
                no_cache,
                sample.registers,
                bounds,
                out,
                MAX_FRAMES,
            )
        };
        let ours = &ours[..walk.frames];
        let read = |address| sample.stack.word(address).ok_or(());
        let (their_frames, their_end) = self.oracle.walk(sample.registers, read, &mut theirs);
        let theirs = &theirs[..their_frames];
        let within = |range: &Range<u64>| ours.iter().any(|pc| range.contains(pc));

        let root = walk.end == WalkEnd::Root && within(&self.driver);
        tally.samples += 1;
        tally.root += usize::from(root);
        tally.caller += usize::from(within(phase));
        tally.live += usize::from(sample.live == ours && sample.live_end == walk.end);
        let agree = ours == theirs && their_end == OracleEnd::Root;
        tally.agree += usize::from(agree);
        if !agree || !root || !within(phase) {
            eprintln!(
                "ours   {:?}, {} guesses: {}",
                walk.end,
                walk.guesses,
                self.show(ours)
            );
            eprintln!("theirs {their_end:?}: {}", self.show(theirs));
        }
    }

    fn show(&self, chain: &[u64]) -> String {
        let place = |pc: &u64| {
            let module = self
                .snapshot
                .modules()
                .iter()
                .find(|m| (m.start..m.end).contains(pc));
            module.map_or(format!("{pc:#x}"), |module| {
                let name = module
                    .path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy();
                format!("{}+{:#x}", &name[..name.len().min(9)], pc - module.bias)
            })
        };
        chain.iter().map(place).collect::<Vec<_>>().join(" ")
    }
}

#[inline(never)]
fn drive(phase: fn()) {
    phase();
    std::hint::black_box(());
}

#[test]
fn chains_of_real_samples_agree_with_framehop() {
    let modules = loaded_modules();
    let oracle = Oracle::new(&modules);
    let driver = functions::range_of(&modules, drive as fn(fn()) as usize);
    let mut judge = Judge {
        snapshot: Snapshot::build(&modules, 1),
        oracle,
        driver,
    };
    let mut all = Tally::default();
    println!(
        "{:<12} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "phase", "samples", "root", "caller", "live", "agree"
    );
    for (name, phase) in PHASES {
        let range = functions::range_of(&modules, *phase as usize);
        let mut tally = Tally::default();
        let snapshot = Snapshot::build(&modules, 2);
        sampler::sample(
            &snapshot,
            || drive(*phase),
            |sample| judge.judge(&sample, &range, &mut tally),
        );
        tally.print(name);
        all.add(&tally);
    }
    all.print("all");
    assert!(
        all.samples > 2000,
        "too few samples to judge: {}",
        all.samples
    );
    assert_eq!(
        all.live, all.samples,
        "a live walk differs from the walk over the copy"
    );
    assert!(all.share(all.root) >= 99.5);
    assert!(all.share(all.caller) >= 99.5);
    assert!(all.share(all.agree) >= 99.8);
}

impl Tally {
    fn share(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.samples.max(1) as f64
    }

    fn add(&mut self, other: &Tally) {
        self.samples += other.samples;
        self.root += other.root;
        self.caller += other.caller;
        self.live += other.live;
        self.agree += other.agree;
    }

    fn print(&self, name: &str) {
        println!(
            "{name:<12} {:>8} {:>7.2}% {:>7.2}% {:>7.2}% {:>7.2}%",
            self.samples,
            self.share(self.root),
            self.share(self.caller),
            self.share(self.live),
            self.share(self.agree)
        );
    }
}
