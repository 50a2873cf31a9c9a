//! The service: a listener on the loopback interface, a task per connection, and what handlers need around them.
//!
//! Owns the listener, the connections and the tasks behind them. Called by `service`.
//!
//! # Draining
//! 1. Nobody is accepted any more, and expiry ends.
//! 2. Connections finish the request that they are at. Not before that is over may the state go: its end is the end of the
//!    channel to `origin`, and a request that waits for an answer would get none.
//! 3. The last way to `origin` is gone, so its worker ends.

use super::cache::{Cache, Caretakers};
use super::handlers::{Service, router};
use super::origin::Origin;
use super::tally::Counters;
use super::work::{Chunks, Text};
use super::{joined, told};
use crate::DemoError;
use crate::traced::{self, FutureExt, HyperExecutor};
use axum::Router;
use hyper::rt::Executor;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long connections may take to end; clients have left by then.
const DRAIN: Duration = Duration::from_secs(5);
/// After a failed accept: the system may be short of something.
const BREATHER: Duration = Duration::from_millis(10);

/// The service while it runs.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    service: Arc<Service>,
    accepting: JoinHandle<u64>,
    caretakers: Caretakers,
    origin: JoinHandle<u64>,
}

/// What the service has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Requests.
    pub handled: u64,
    /// Connections.
    pub connections: u64,
    /// Cache entries that became too old.
    pub expired: u64,
}

impl Server {
    /// Listens on a port that the system picks, reachable from this machine only.
    pub async fn open() -> Result<Self, DemoError> {
        let start = |wanted| move |error: io::Error| DemoError::Start { wanted, error };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(start("a listener on 127.0.0.1"))?;
        let address = listener.local_addr().map_err(start("its address"))?;
        let chunks = Chunks::open().map_err(start("this program's file"))?;

        let (stop, stopped) = watch::channel(false);
        let (origin, worker) = Origin::start();
        let cache = Cache::new(origin.clone());
        let caretakers = cache.take_care(stopped.clone());
        let service = Arc::new(Service {
            cache,
            origin,
            chunks,
            text: Text::new(),
            ledger: Mutex::new(0),
            stop: stopped.clone(),
            answered: Counters::default(),
        });
        let accept = accept(listener, router(Arc::clone(&service)), stopped);
        Ok(Self {
            address,
            stop,
            service,
            accepting: traced::spawn(accept.traced("acceptor")),
            caretakers,
            origin: worker,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, as the header says.
    pub async fn drain(self) -> Drained {
        self.stop.send_replace(true);
        let connections = joined(self.accepting).await;
        let expired = self.caretakers.ended().await;
        let handled = self.service.answered.sum();
        drop(self.service);
        joined(self.origin).await;
        Drained {
            handled,
            connections,
            expired,
        }
    }
}

/// Gives each connection a task until told to stop, then waits for them; says how many there were.
async fn accept(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) -> u64 {
    let http = http1::Builder::new();
    let open = GracefulShutdown::new();
    let mut accepted = 0;
    loop {
        let arrival = tokio::select! {
            arrival = listener.accept() => arrival,
            () = told(&mut stop) => break,
        };
        let Ok((stream, _)) = arrival else {
            sleep(BREATHER).await;
            continue;
        };
        // An answer is one small write; what can't be set only costs time.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = open.watch(connection);
        let serve = async move {
            // Clients notice, too, and can say what they had asked for.
            if let Err(error) = connection.await {
                tachograph::log("connection", &error.to_string());
            }
        };
        HyperExecutor.execute(serve.traced("connection"));
        accepted += 1;
    }
    drop(listener);
    if timeout(DRAIN, open.shutdown()).await.is_err() {
        tachograph::log("acceptor", "connections are still open");
    }
    accepted
}
