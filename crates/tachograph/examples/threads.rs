//! Plain threads: regions, a task across threads, blocking sections, CPU samples.
//!
//! `cargo run --release -p tachograph --example threads -- app.trace`, then `go tool trace app.trace`.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::time::Duration;

fn burn(rounds: u64) -> u64 {
    (0..rounds).fold(1, |sum, i| black_box(sum ^ i).wrapping_mul(0x9e37_79b9))
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or("app.trace".to_owned());
    let recording = tachograph::Recorder::new()
        .sample_cpu(99)
        .start(File::create(&path)?)?;

    let job = tachograph::task("job");
    tachograph::thread::scope(|threads| {
        for worker in 0..2u64 {
            let job = &job;
            threads.spawn(move || {
                let _work = job.region("work");
                for round in 0..200 {
                    let _round = tachograph::region("round");
                    black_box(burn(1_000_000 + worker));
                    if round % 50 == 0 {
                        job.log("progress", &format!("worker {worker}, round {round}"));
                        tachograph::blocking("nap", || {
                            std::thread::sleep(Duration::from_millis(50))
                        });
                    }
                }
            });
        }
    });
    drop(job);

    println!("{}", recording.stop()?);
    println!("open it with: go tool trace {path}");
    Ok(())
}
