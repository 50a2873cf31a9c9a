//! The load: clients, and what tells them when to hurry.
//!
//! Owns the clients' number, the rhythm of calm and burst, and the end. Called by `service`, on a runtime of its own.

use super::client::Client;
use super::joined;
use super::tally::Tally;
use crate::DemoError;
use crate::traced::{self, FutureExt};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Clients; also the most requests that are on their way at a time.
const CLIENTS: usize = 16;
/// How often the phase is decided anew, and progress told.
const LOOK: Duration = Duration::from_millis(100);
/// One look in so many begins a burst.
const LOOKS_TO_A_BURST: u32 = 5;

/// What clients are to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Think between requests.
    Calm,
    /// Don't.
    Burst,
    /// Leave.
    Over,
}

/// What came of it.
pub struct Load {
    /// How many clients there were.
    pub clients: usize,
    /// What they have seen, together.
    pub tally: Tally,
}

/// Lets clients ask for as long as `time`, or until one fails.
pub async fn run(
    address: SocketAddr,
    time: Duration,
    mut progress: impl FnMut(Duration),
) -> Result<Load, DemoError> {
    let (phase, heard) = watch::channel(Phase::Calm);
    let clients: Vec<_> = (0..CLIENTS as u64)
        .map(|number| {
            let client = Client::new(number, address, heard.clone());
            traced::spawn(client.run().traced(format!("client {number}")))
        })
        .collect();
    let started = Instant::now();
    for look in 1.. {
        let left = time.saturating_sub(started.elapsed());
        // Clients don't leave by themselves: one that has is one that failed.
        if left.is_zero() || clients.iter().any(|client| client.is_finished()) {
            break;
        }
        sleep(left.min(LOOK)).await;
        progress(started.elapsed());
        set(&phase, phase_at(look));
    }
    set(&phase, Phase::Over);

    let mut tally = Tally::new();
    let mut failure = None;
    for client in clients {
        match joined(client).await {
            Ok(seen) => tally.merge(&seen),
            // The first one; those after it are likely to follow from it.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        None => Ok(Load {
            clients: CLIENTS,
            tally,
        }),
        Some(error) => Err(error),
    }
}

fn phase_at(look: u32) -> Phase {
    match look % LOOKS_TO_A_BURST {
        0 => Phase::Burst,
        _ => Phase::Calm,
    }
}

/// Wakes clients only if it changes something for them.
fn set(phase: &watch::Sender<Phase>, next: Phase) {
    phase.send_if_modified(|now| std::mem::replace(now, next) != next);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_end() {
        let phases: Vec<_> = (1..=11).map(phase_at).collect();
        let bursts = phases
            .iter()
            .filter(|phase| **phase == Phase::Burst)
            .count();
        assert_eq!(bursts, 2);
        assert_eq!(phases[4..6], [Phase::Burst, Phase::Calm]);
    }

    #[tokio::test]
    async fn a_client_that_fails_ends_the_load() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let started = Instant::now();
        let result = run(address, Duration::from_secs(600), |_| {}).await;
        assert!(matches!(result, Err(DemoError::Connect { .. })));
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
