//! The bars on stderr that say how far a long command has come.
//!
//! Owns when they are shown: on a terminal only, and over bytes only once the command has taken a second.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How long a command may take without saying anything.
const PATIENCE: Duration = Duration::from_secs(1);
/// Redraws per second.
const REDRAW_HZ: u8 = 8;

/// Whether to show how far a command has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bar {
    /// If it takes long.
    Shown,
    /// Never: the terminal is busy with the output.
    Hidden,
}

/// A bar over bytes.
pub struct Progress {
    started: Instant,
    /// How many bytes there are, unless that is unknown.
    total: Option<u64>,
    wanted: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows nothing yet.
    pub fn new(total: Option<u64>) -> Self {
        Self {
            started: Instant::now(),
            total,
            wanted: std::io::stderr().is_terminal(),
            bar: None,
        }
    }

    /// The same, or one that stays hidden.
    pub fn if_shown(mut self, bar: Bar) -> Self {
        self.wanted &= bar == Bar::Shown;
        self
    }

    /// So many bytes are done.
    pub fn at(&mut self, done: u64) {
        if !self.wanted {
            return;
        }
        if self.bar.is_none() && self.started.elapsed() >= PATIENCE {
            self.bar = Some(bar_of(self.total));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar over time.
pub struct Countdown {
    bar: Option<ProgressBar>,
}

impl Countdown {
    /// Says what will take so long; without a terminal that is all it says.
    pub fn new(what: &str, total: Duration) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("{what}, {:.1} s", total.as_secs_f64());
            return Self { bar: None };
        }
        let bar = bar_with(Some(total.as_millis() as u64), "{msg} {wide_bar} {elapsed}");
        Self {
            bar: Some(bar.with_message(what.to_owned())),
        }
    }

    /// So much time is over.
    pub fn at(&self, elapsed: Duration) {
        if let Some(bar) = &self.bar {
            bar.set_position(elapsed.as_millis() as u64);
        }
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar_of(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{wide_bar} {bytes}/{total_bytes} {eta}",
        None => "{spinner} {bytes} {bytes_per_sec}",
    };
    bar_with(total, template)
}

fn bar_with(total: Option<u64>, template: &str) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(REDRAW_HZ);
    let bar = ProgressBar::with_draw_target(total, target);
    // The templates are ours; were one wrong, the plain bar would do.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}
