//! Runtimes that a program builds by hand: two of them, with names, thread hooks of the program's own, blocking closures.
//!
//! `cargo run --release -p tachograph --features tokio --example hand_built_runtime -- app.trace`, then `go tool trace app.trace`.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tachograph::FutureExt;
use tachograph::tokio::{HandleExt, Instrument, JoinSetExt, block_on};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

async fn produce(jobs: mpsc::Sender<u32>) {
    for job in 0..50 {
        if jobs.send(job).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn consume(mut jobs: mpsc::Receiver<u32>) -> u32 {
    let mut work = JoinSet::new();
    while let Some(job) = jobs.recv().await {
        // A thread of the pool computes, and is a task while it does.
        work.spawn_blocking_traced(move || (0..20_000).fold(job, |sum, i| sum.rotate_left(1) ^ i));
    }
    work.join_all()
        .await
        .into_iter()
        .fold(0, |sum, one| sum ^ one)
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or("app.trace".to_owned());
    let recording = tachograph::Recorder::new()
        .sample_cpu(99)
        .start(File::create(&path)?)?;

    let started = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&started);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_time();
    // The builder has room for one hook of a kind, which is ours: yours goes through us.
    let service = Instrument::new()
        .name("service")
        .on_thread_start(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .apply(&mut builder)
        .build()?;
    let mut builder = Builder::new_current_thread();
    builder.enable_time();
    let local = Instrument::new()
        .name("local")
        .apply(&mut builder)
        .build()?;

    let (sender, receiver) = mpsc::channel(4);
    let sum = service.spawn_traced(consume(receiver).traced("consumer"));
    block_on(&local, produce(sender).traced("producer"));
    let sum = block_on(&service, sum)?;
    println!("{sum:#x} on {} threads", started.load(Ordering::Relaxed));
    drop((service, local));

    println!("{}", recording.stop()?);
    println!("open it with: go tool trace {path}");
    Ok(())
}
