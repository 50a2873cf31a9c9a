//! A program with `tracing` spans, recorded: requests as user tasks, their steps as regions, events as logs.
//!
//! `cargo run --release -p tachograph --features tracing --example tracing_layer -- app.trace`, then `go tool trace app.trace`.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::thread;

use tachograph::Recorder;
use tachograph::tracing::TachographLayer;
use tracing::{Span, debug, field, info, info_span};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

fn work(rounds: u64) -> u64 {
    let span = info_span!("work", rounds).entered();
    let sum = (0..rounds).fold(1, |sum, i| black_box(sum ^ i).wrapping_mul(0x9e37_79b9));
    debug!(parent: &span, "left out by the filter");
    sum
}

fn serve(request: u64) {
    // Without a parent: a user task of its own.
    let span = info_span!(parent: None, "request", request, status = field::Empty).entered();
    let sum = work(100_000 * (1 + request % 3));
    info!(sum, path = "/index.html", "served");
    span.record("status", 200);
    // The rest of the request, on another thread.
    let request = span.exit();
    let audit = thread::spawn(move || request.in_scope(audit));
    audit.join().expect("the audit does not panic");
}

fn audit() {
    info_span!("audit").in_scope(|| work(50_000));
    info!(
        in_span = Span::current().metadata().map(|span| span.name()),
        "audited"
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or("app.trace".to_owned());
    let targets = Targets::new().with_default(LevelFilter::INFO);
    let layer = TachographLayer::new().with_filter(targets);
    tracing_subscriber::registry().with(layer).try_init()?;

    let recording = Recorder::new().sample_cpu(99).start(File::create(&path)?)?;
    (0..100).for_each(serve);
    println!("{}", recording.stop()?);
    println!("open it with: go tool trace {path}");
    Ok(())
}
