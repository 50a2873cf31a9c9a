//! Spans and events of `tracing` in a Tachograph trace.
//!
//! **You give** a [`TachographLayer`] to the subscriber that your program has anyway, and start a recording when you want one. **You get**
//! its spans and events in the trace, beside the threads, CPU samples and annotations that are there already:
//!
//! | `tracing` | in the trace |
//! |---|---|
//! | a span without a parent | a user task with the span's name, from the span's creation to its close |
//! | each time a span is entered, until it is exited | a region on that thread, with the span's name, of the task of the span's root |
//! | fields of a span, at its creation and recorded later | a log of that task: category = the span's name, message = `key=value key=value` |
//! | an event | a log of the task that is current: category = level and target (`INFO app::db`), message = the event's, then `key=value` |
//! | `follows_from` | a log of that task: `follows_from=` and the other span's name |
//!
//! **You owe** nothing at run time: while nothing is recorded, each call of `tracing` costs a load and a branch here. **Not for** programs that
//! want their logs somewhere else than in the trace; the layer stands beside any other (`fmt`, OpenTelemetry), and none sees the others.
//!
//! ```
//! use tachograph_recorder::Recorder;
//! use tachograph_tracing::TachographLayer;
//! use tracing_subscriber::prelude::*;
//!
//! let subscriber = tracing_subscriber::registry().with(TachographLayer::new());
//! # let _only_here =
//! tracing::subscriber::set_default(subscriber); // a program says set_global_default(subscriber)?
//!
//! # let sink = std::io::sink();
//! let recording = Recorder::new().start(sink)?; // or File::create("app.trace")?
//! {
//!     let request = tracing::info_span!("request", user = 42).entered();
//!     tracing::info_span!(parent: &request, "parse").in_scope(|| {
//!         tracing::info!(bytes = 512, "header read");
//!     });
//! }
//! let summary = recording.stop()?;
//! assert_eq!(summary.events_lost, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which spans and events
//! Those that reach the layer: there is no filter of its own, because those of `tracing-subscriber` do it well, by level, by target, or by what you
//! write. A filter on this layer alone:
//!
//! ```
//! use tachograph_tracing::TachographLayer;
//! use tracing_core::Level;
//! use tracing_subscriber::filter::{LevelFilter, Targets};
//! use tracing_subscriber::prelude::*;
//!
//! let targets = Targets::new()
//!     .with_default(LevelFilter::INFO)
//!     .with_target("app::db", Level::TRACE)
//!     .with_target("h2", LevelFilter::OFF);
//! let subscriber = tracing_subscriber::registry()
//!     .with(TachographLayer::new().with_filter(targets));
//! # let _ = subscriber;
//! ```
//!
//! A span that is filtered out is not there at all: its children belong to the next span around it that is. Where the layer has the
//! registry to itself, a filter for all (`registry().with(LevelFilter::INFO).with(TachographLayer::new())`) costs less: a filter on one layer
//! looks each span up when it is entered and exited.
//!
//! # Recordings come and go
//! Spans that are open when a recording starts have no task in it: what is entered from then on are regions of no task, and so are
//! spans that are created inside. Spans that are open when it stops are left open in the trace. Neither shows in the recording after.
//!
//! # Async
//! An instrumented future enters its span for each poll, so a poll is a region, on whichever thread it runs. A span may be entered on many
//! threads at once, and many times on one.
//!
//! # Cost
//! `cargo run --release -p tachograph-bench -- tracing` measures it beside the registry alone. Entering and exiting a span that is known
//! to the thread takes no lock and no look into the registry: the thread remembers the last spans that it created or entered. Creating a span
//! adds an allocation, its fields their formatting, up to the 1024 bytes of a log.
//!
//! # Rooms
//! `layer` answers the subscriber's calls. `span` is what the registry keeps with each span; `thread` what each thread knows: its
//! open regions and the spans that it saw last. `message` turns fields into text, `category` names events.
#![forbid(unsafe_code)]

mod category;
mod layer;
mod message;
mod span;
mod thread;

pub use crate::layer::TachographLayer;
