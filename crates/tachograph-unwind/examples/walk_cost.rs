//! Prints what a walk costs at several depths, and what the tables cost.
//!
//! `cargo run --release -p tachograph-unwind --example walk_cost`

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "../tests/common/oracle.rs"]
mod oracle;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() {
    println!("tables are made on linux x86-64 only");
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() {
    linux::main();
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux {
    use std::hint::black_box;
    use std::time::Instant;

    use tachograph_unwind::{
        Registers, RuleCache, Snapshot, StackBounds, Trail, Walk, WalkEnd, loaded_modules,
        self_test, walk, walk_frame_pointers,
    };

    use crate::oracle::Oracle;

    const ROUNDS: usize = 301;
    const WALKS_PER_ROUND: u32 = 200;

    struct Bench {
        snapshot: Snapshot,
        cache: Box<RuleCache>,
        bounds: StackBounds,
        oracle: Oracle,
    }

    pub fn main() {
        let started = Instant::now();
        let modules = loaded_modules();
        let listed = started.elapsed();
        let snapshot = Snapshot::build(&modules, 1);
        let built = started.elapsed() - listed;
        println!(
            "list {listed:.1?}, build {built:.1?}: {} modules, {} rows ({} unsupported), {} KiB",
            modules.len(),
            snapshot.rows(),
            snapshot.unsupported_rows(),
            snapshot.bytes() / 1024
        );
        let rebuilt = median(21, || {
            let started = Instant::now();
            black_box(Snapshot::build(&modules, 2));
            started.elapsed().as_nanos() as f64
        });
        println!(
            "build again, median: {:.2} ms; {:?}",
            rebuilt / 1e6,
            self_test(&snapshot)
        );

        let bounds = StackBounds::of_current_thread().expect("bounds");
        let oracle = Oracle::new(&modules);
        let mut bench = Bench {
            snapshot,
            cache: RuleCache::boxed(),
            bounds,
            oracle,
        };
        println!("\nns per walk (ns per frame), median of {ROUNDS}:");
        println!(
            "{:>7} {:>16} {:>16} {:>16} {:>16} {:>16} {:>16}",
            "frames",
            "table + cache",
            "its trail",
            "cold cache",
            "table only",
            "framehop",
            "frame pointers"
        );
        for depth in [2, 10, 30, 100, 250] {
            recurse(depth, depth, &mut bench);
        }
    }

    /// Goes down through functions of different frames, then measures.
    #[inline(never)]
    fn recurse(depth: u32, seed: u32, bench: &mut Bench) -> u32 {
        if depth == 0 {
            measure(bench);
            return 1;
        }
        match depth.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 7 & 3 {
            0 => plain(depth - 1, seed, bench),
            1 => wide(depth - 1, seed, bench),
            2 => saving(depth - 1, seed, bench),
            _ => through_closure(depth - 1, seed, bench),
        }
    }

    #[inline(never)]
    fn plain(depth: u32, seed: u32, bench: &mut Bench) -> u32 {
        black_box(recurse_or_stop(depth, seed, bench)) + 1
    }

    #[inline(never)]
    fn wide(depth: u32, seed: u32, bench: &mut Bench) -> u32 {
        let room = black_box([seed; 100]);
        recurse_or_stop(depth, seed, bench) + black_box(room)[depth as usize % 100]
    }

    #[inline(never)]
    fn saving(depth: u32, seed: u32, bench: &mut Bench) -> u32 {
        let (a, b, c, d, e) = black_box((seed, depth, seed ^ depth, seed + 1, depth + 1));
        recurse_or_stop(depth, seed, bench) + black_box(a ^ b).wrapping_add(c ^ d).wrapping_mul(e)
    }

    #[inline(never)]
    fn through_closure(depth: u32, seed: u32, bench: &mut Bench) -> u32 {
        let mut call: Box<dyn FnMut(&mut Bench) -> u32> = black_box(Box::new(move |bench| {
            recurse_or_stop(depth, seed, bench) + 1
        }));
        call(bench) + 1
    }

    #[inline(always)]
    fn recurse_or_stop(depth: u32, seed: u32, bench: &mut Bench) -> u32 {
        if depth == 0 {
            measure(bench);
            return 1;
        }
        recurse(depth - 1, seed, bench)
    }

    #[inline(never)]
    fn measure(bench: &mut Bench) {
        let mut out = [0u64; 512];
        let Bench {
            snapshot,
            cache,
            bounds,
            oracle,
        } = bench;
        let (out_at, capacity) = (out.as_mut_ptr(), out.len());
        let registers = Registers::capture();
        let cache: *mut RuleCache = &mut **cache;
        let cached = || {
            // SAFETY: the registers are those of this frame, the bounds those of this thread.
            unsafe { walk(snapshot, cache, registers, *bounds, out_at, capacity) }
        };
        let frames = cached().frames;
        assert_eq!(cached().end, WalkEnd::Root);
        let warm = time(frames, cached);
        let cold = time_cold(frames, || {
            // SAFETY: zeroed memory is an empty cache.
            unsafe { cache.write_bytes(0, 1) };
            let started = Instant::now();
            black_box(cached());
            started.elapsed().as_nanos() as f64
        });
        let table = time(frames, || {
            // SAFETY: as above.
            unsafe {
                walk(
                    snapshot,
                    std::ptr::null_mut(),
                    registers,
                    *bounds,
                    out_at,
                    capacity,
                )
            }
        });
        let mut theirs = [0u64; 512];
        let mut hop = || oracle.walk(registers, |address| Ok(read(address)), &mut theirs);
        let hop_frames = hop().0;
        let hop = time(hop_frames, hop);
        let along = || {
            // SAFETY: as above.
            unsafe { walk_frame_pointers(registers, *bounds, out_at, capacity) }
        };
        let Walk {
            frames: fp_frames, ..
        } = along();
        let along = time(fp_frames, along);
        let mut trail = Trail::default();
        // SAFETY: as above.
        let noted = unsafe { trail.walk(snapshot, cache, registers, *bounds, out_at, capacity) };
        // SAFETY: as above.
        let holds = || unsafe { trail.holds(registers, *bounds) };
        let checked = match holds() {
            true => time(noted.frames, holds),
            false => "too long".to_owned(),
        };
        println!(
            "{frames:>7} {warm:>16} {checked:>16} {cold:>16} {table:>16} {hop:>16} {along:>16} ({fp_frames} frames)"
        );
    }

    fn read(address: u64) -> u64 {
        // SAFETY: framehop follows the tables of this process, over its own stack.
        unsafe { std::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile() }
    }

    fn time<T>(frames: usize, mut walk: impl FnMut() -> T) -> String {
        per_frame(
            frames,
            median(ROUNDS, || {
                let started = Instant::now();
                for _ in 0..WALKS_PER_ROUND {
                    black_box(walk());
                }
                started.elapsed().as_nanos() as f64 / f64::from(WALKS_PER_ROUND)
            }),
        )
    }

    fn time_cold(frames: usize, once: impl FnMut() -> f64) -> String {
        per_frame(frames, median(ROUNDS, once))
    }

    fn per_frame(frames: usize, ns: f64) -> String {
        format!("{ns:.0} ({:.1})", ns / frames as f64)
    }

    fn median(count: usize, mut once: impl FnMut() -> f64) -> f64 {
        let mut samples: Vec<f64> = (0..count).map(|_| once()).collect();
        samples.sort_by(f64::total_cmp);
        samples[count / 2]
    }
}
