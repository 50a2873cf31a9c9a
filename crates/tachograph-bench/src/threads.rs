//! `threads`: events per second and CPU time per event with more and more threads.
//!
//! If threads shared a cache line in the event path, CPU time per event would rise with the threads that run at once. The reference loop
//! runs in turn with ours: what rises for both is the machine.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use tachograph::region;

use crate::args::Args;
use crate::event::{recorder, reference};
use crate::failure::Failure;
use crate::machine;
use crate::measure::Series;
use crate::sink::CountingSink;
use crate::sys::thread_cpu_ns;

const DEFAULT_ROUNDS: u64 = 7;
const THREADS: [usize; 5] = [1, 2, 4, 8, 16];
const RUN: Duration = Duration::from_millis(100);
/// Events between two looks at the clock.
const STRIDE: u64 = 1000;
/// CPU time per event may differ from that of one thread by this factor: noise of a shared machine, not a shared cache line, which costs
/// several times an event.
const FLAT: f64 = 1.5;

/// What one thread did.
struct Work {
    events: u64,
    cpu_ns: u64,
}

/// All rounds with one number of threads.
#[derive(Default)]
struct Count {
    per_second: Series,
    cpu_ns: Series,
    worst_cpu_ns: Series,
}

/// Measures and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let rounds = args.only("--rounds", DEFAULT_ROUNDS)?;
    machine::print();
    let mut counts: Vec<_> = THREADS
        .iter()
        .map(|&threads| (threads, Count::default(), Count::default()))
        .collect();
    let (mut gaps, mut lost) = (0, 0);
    for _ in 0..rounds {
        for (threads, reference, ours) in &mut counts {
            reference.add(&together(*threads, || {
                reference::plain(17, 3, 9);
                reference::plain(18, 3, 9);
            }));
            let recording = recorder().start(CountingSink::default())?;
            ours.add(&together(*threads, || drop(region("bench"))));
            let summary = recording.stop()?;
            gaps += summary.gaps;
            lost += summary.events_lost;
        }
    }
    println!(
        "{gaps} gaps, {lost} events lost; a pair of events is a region's begin and end; medians of {rounds} rounds of {RUN:?}\n"
    );
    print(&counts);
    Ok(())
}

/// Runs `pair`, two events, on `threads` threads at once.
fn together(threads: usize, pair: impl Fn() + Sync) -> (Vec<Work>, Duration) {
    let barrier = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&barrier, &pair)))
            .collect();
        barrier.wait();
        let start = Instant::now();
        let works = workers
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .collect();
        (works, start.elapsed())
    })
}

fn work(barrier: &Barrier, pair: &impl Fn()) -> Work {
    // The first event registers the thread.
    pair();
    barrier.wait();
    let (start, start_cpu_ns) = (Instant::now(), thread_cpu_ns());
    let mut events = 0;
    while start.elapsed() < RUN {
        for _ in 0..STRIDE / 2 {
            pair();
        }
        events += STRIDE;
    }
    Work {
        events,
        cpu_ns: thread_cpu_ns() - start_cpu_ns,
    }
}

impl Count {
    fn add(&mut self, (works, elapsed): &(Vec<Work>, Duration)) {
        let events: u64 = works.iter().map(|work| work.events).sum();
        let cpu_ns: u64 = works.iter().map(|work| work.cpu_ns).sum();
        let per_thread = works
            .iter()
            .map(|work| work.cpu_ns as f64 / work.events.max(1) as f64);
        self.per_second.push(events as f64 / elapsed.as_secs_f64());
        self.cpu_ns.push(cpu_ns as f64 / events.max(1) as f64);
        self.worst_cpu_ns.push(per_thread.fold(0.0, f64::max));
    }
}

fn print(counts: &[(usize, Count, Count)]) {
    println!("            ours                                          reference loop");
    println!(
        "threads     M events/s  CPU ns/event  worst thread  x of 1     M events/s  CPU ns/event  x of 1"
    );
    let median = |series: &Series| series.median().unwrap_or(f64::NAN);
    let single = counts
        .first()
        .map(|(_, reference, ours)| (median(&reference.cpu_ns), median(&ours.cpu_ns)));
    let (reference_1, ours_1) = single.unwrap_or((f64::NAN, f64::NAN));
    let mut worst: f64 = 0.0;
    for (threads, reference, ours) in counts {
        let (reference_ns, ours_ns) = (median(&reference.cpu_ns), median(&ours.cpu_ns));
        worst = worst.max(ours_ns / ours_1);
        println!(
            "{threads:>7}  {:>13.1}  {ours_ns:>12.1}  {:>12.1}  {:>6.2}  {:>13.1}  {reference_ns:>12.1}  {:>6.2}",
            median(&ours.per_second) / 1e6,
            median(&ours.worst_cpu_ns),
            ours_ns / ours_1,
            median(&reference.per_second) / 1e6,
            reference_ns / reference_1,
        );
    }
    let verdict = if worst <= FLAT { "met" } else { "MISSED" };
    println!(
        "goal: CPU time per event stays within {FLAT}x of one thread's: {worst:.2}x, {verdict}"
    );
}
