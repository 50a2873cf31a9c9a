//! Values that were asked for lately, behind one lock.
//!
//! Owns the entries and the tasks around them. Called by `handlers` and `server`.
//!
//! ```text
//! expiry --"key 7 is gone"--> refresher   asks for popular keys again
//!                         '-> journal     counts
//! ```
//! Expiry ends when told to stop; that closes the broadcast, which ends the other two.

use super::origin::{Closed, Origin};
use super::work::Digest;
use super::{joined, told};
use crate::traced::{self, FutureExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Different keys.
const KEYS: u64 = 64;
/// Keys below are fetched again before somebody asks.
const POPULAR_KEYS: u64 = 16;
/// How long an entry is good for.
const LIFETIME: Duration = Duration::from_millis(200);
/// How often old entries are looked for.
const EXPIRY: Duration = Duration::from_millis(40);
/// News of expired entries that a slow listener may be behind; all of them fit.
const NEWS: usize = KEYS as usize;

/// The entries.
pub struct Cache {
    entries: Mutex<HashMap<u64, Entry>>,
    origin: Origin,
}

struct Entry {
    value: Digest,
    since: Instant,
}

/// The tasks around a cache.
pub struct Caretakers {
    expiry: JoinHandle<()>,
    refresher: JoinHandle<()>,
    journal: JoinHandle<u64>,
}

impl Cache {
    /// An empty cache in front of `origin`.
    pub fn new(origin: Origin) -> Arc<Self> {
        Arc::new(Self {
            entries: Mutex::new(HashMap::new()),
            origin,
        })
    }

    /// The value of the key that a request's id stands for.
    pub async fn value(&self, id: u64) -> Result<Digest, Closed> {
        let key = id % KEYS;
        let mut entries = self.entries.lock().traced("cache lock").await;
        if let Some(entry) = entries.get(&key) {
            return Ok(entry.value);
        }
        // N.B. the lock is held meanwhile, so nobody fetches the same value twice, and everybody waits for one. That is
        // what the trace is there to show.
        let value = self.origin.ask(key).traced("fetch").await?;
        let since = Instant::now();
        entries.insert(key, Entry { value, since });
        Ok(value)
    }

    /// Starts the tasks around it; they end once `stop` turns true.
    pub fn take_care(self: &Arc<Self>, stop: watch::Receiver<bool>) -> Caretakers {
        let (news, to_refresher) = broadcast::channel(NEWS);
        let to_journal = news.subscribe();
        let [one, other] = [(); 2].map(|()| Arc::clone(self));
        Caretakers {
            expiry: traced::spawn(expire(one, news, stop).traced("expiry")),
            refresher: traced::spawn(refresh(other, to_refresher).traced("refresher")),
            journal: traced::spawn(count(to_journal).traced("journal")),
        }
    }

    /// Takes out what is too old.
    async fn take_old(&self, now: Instant) -> Vec<u64> {
        let mut entries = self.entries.lock().await;
        let _region = tachograph::region("take old entries");
        entries
            .extract_if(|_, entry| now.duration_since(entry.since) >= LIFETIME)
            .map(|(key, _)| key)
            .collect()
    }
}

impl Caretakers {
    /// Waits for the tasks to end; says how many entries have expired.
    pub async fn ended(self) -> u64 {
        joined(self.expiry).await;
        joined(self.refresher).await;
        joined(self.journal).await
    }
}

async fn expire(cache: Arc<Cache>, news: broadcast::Sender<u64>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(EXPIRY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            now = ticks.tick() => {
                for key in cache.take_old(now).await {
                    // Nobody listening is no reason to keep old entries.
                    let _ = news.send(key);
                }
            }
            () = told(&mut stop) => return,
        }
    }
}

async fn refresh(cache: Arc<Cache>, mut news: broadcast::Receiver<u64>) {
    loop {
        match news.recv().await {
            Ok(key) if key < POPULAR_KEYS => {
                if cache.value(key).await == Err(Closed) {
                    return;
                }
            }
            // What was missed is fetched when asked for.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

async fn count(mut news: broadcast::Receiver<u64>) -> u64 {
    let mut expired = 0;
    loop {
        match news.recv().await {
            Ok(_) => expired += 1,
            Err(broadcast::error::RecvError::Lagged(missed)) => expired += missed,
            Err(broadcast::error::RecvError::Closed) => return expired,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::work::value_of;

    #[tokio::test]
    async fn entries_expire_and_popular_ones_come_back() {
        let (origin, worker) = Origin::start();
        let cache = Cache::new(origin);
        let (stop, stopped) = watch::channel(false);
        let caretakers = cache.take_care(stopped);
        let (popular, other) = (3, POPULAR_KEYS + 3);
        for id in [popular, other, popular, other, other + KEYS] {
            assert_eq!(cache.value(id).await, Ok(value_of(id % KEYS)));
        }
        let gone = |entries: &HashMap<u64, Entry>| {
            !entries.contains_key(&other) && entries.contains_key(&popular)
        };
        while !gone(&*cache.entries.lock().await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send_replace(true);
        assert!(caretakers.ended().await >= 2);
        drop(cache);
        assert!(worker.await.unwrap() >= 3, "two fetched, one again");
    }
}
