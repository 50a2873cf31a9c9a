//! Threads that hash and compress the files of a directory, without a runtime.
//!
//! Owns the time for which they do. `crew` is the threads, `queue` what is between them, `walk` finds the files.

mod crew;
mod queue;
mod walk;

use crate::DemoError;
use crew::Crew;
pub use crew::Work;
use std::path::Path;
use std::time::{Duration, Instant};
pub use walk::refuse_without_files;

/// How often we look whether time is up.
const LOOK: Duration = Duration::from_millis(100);

/// Lets a crew of threads work on the files below `dir` until time is up; `progress` hears how much of it has passed.
///
/// # Errors
/// The directory gives no work, or the system no thread.
pub fn run(
    dir: &Path,
    time: Duration,
    mut progress: impl FnMut(Duration),
) -> Result<Work, DemoError> {
    refuse_without_files(dir)?;
    let started = Instant::now();
    let crew = Crew::start(dir).map_err(|error| DemoError::Start {
        wanted: "a thread",
        error,
    })?;
    loop {
        let left = time.saturating_sub(started.elapsed());
        if left.is_zero() {
            break;
        }
        tachograph::blocking("time to pass", || std::thread::sleep(left.min(LOOK)));
        progress(started.elapsed());
    }
    Ok(crew.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_went_in_is_accounted_for() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut looks = 0;
        let work = run(&dir, Duration::from_millis(250), |_| looks += 1).unwrap();
        assert!(looks > 0);
        assert!(work.files > 0 && work.rounds > 0, "{work:?}");
        assert!(work.different <= work.files, "{work:?}");
        assert_eq!(work.unreadable, 0, "{work:?}");
        assert!(work.compressed < work.bytes, "{work:?}");
    }
}
