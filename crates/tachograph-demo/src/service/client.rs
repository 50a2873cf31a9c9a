//! One client: a connection that it keeps, and one request at a time over it.
//!
//! Owns what it asks for and when. Called by `load`, a task each.

use super::dice::Dice;
use super::joined;
use super::load::Phase;
use super::route::Route;
use super::tally::Tally;
use crate::DemoError;
use crate::traced::{self, FutureExt};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// No answer takes so long, not even in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// A client thinks for 0 to so many us between an answer and its next request, unless there is a burst.
const MOST_THOUGHT_US: u32 = 3_000;
/// Ids of different clients are this far apart.
const ID_STRIDE: u64 = 1_000_000_000;

/// A client of the service.
pub struct Client {
    number: u64,
    address: SocketAddr,
    phase: watch::Receiver<Phase>,
    dice: Dice,
    tally: Tally,
}

/// A connection to the service.
struct Line {
    requests: SendRequest<Empty<Bytes>>,
    driver: JoinHandle<hyper::Result<()>>,
}

impl Client {
    /// The client with this number; equal numbers ask for the same.
    pub fn new(number: u64, address: SocketAddr, phase: watch::Receiver<Phase>) -> Self {
        Self {
            number,
            address,
            phase,
            dice: Dice::new(number),
            tally: Tally::new(),
        }
    }

    /// Asks until the load is over; says what it has seen.
    pub async fn run(mut self) -> Result<Tally, DemoError> {
        let mut line = Line::open(self.address).await?;
        // The first request goes by number, so that no route is left out in a short run.
        let mut route = Route::ALL[self.number as usize % Route::ALL.len()];
        for count in 0.. {
            let id = self.number * ID_STRIDE + count;
            let asked = Instant::now();
            let status = line.ask(self.address, route, id).await?;
            let late = is_late(route, status)?;
            self.tally.add(route, asked.elapsed(), late);
            if self.think().await == Phase::Over {
                break;
            }
            route = self.choose();
        }
        line.close().await?;
        Ok(self.tally)
    }

    /// Waits a little, except in a burst; says what is on afterwards.
    async fn think(&mut self) -> Phase {
        let now = *self.phase.borrow_and_update();
        if now != Phase::Calm {
            return now;
        }
        let thought = Duration::from_micros(self.dice.below(MOST_THOUGHT_US).into());
        tokio::select! {
            () = sleep(thought) => now,
            // All clients wake at once: that is the burst. Who can't hear of an end any more has come to it.
            changed = self.phase.changed() => match changed {
                Ok(()) => *self.phase.borrow_and_update(),
                Err(_) => Phase::Over,
            },
        }
    }

    fn choose(&mut self) -> Route {
        let all = Route::ALL.iter().map(|route| route.weight()).sum();
        let mut left = self.dice.below(all);
        for route in Route::ALL {
            match left.checked_sub(route.weight()) {
                None => return route,
                Some(rest) => left = rest,
            }
        }
        unreachable!("less than all weights together was thrown")
    }
}

impl Line {
    async fn open(address: SocketAddr) -> Result<Self, DemoError> {
        let connect = |error| DemoError::Connect { error };
        let stream = TcpStream::connect(address).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| DemoError::Exchange { route: None, error })?;
        let driver = traced::spawn(connection.traced("client connection"));
        Ok(Self { requests, driver })
    }

    /// Asks, and reads the answer to its end.
    async fn ask(
        &mut self,
        host: SocketAddr,
        route: Route,
        id: u64,
    ) -> Result<StatusCode, DemoError> {
        let request = Request::get(format!("{route}/{id}"))
            .header(header::HOST, host.to_string())
            .body(Empty::new())
            .expect("a path and an address make a request");
        let answer = async {
            self.requests.ready().await?;
            let response = self.requests.send_request(request).await?;
            let status = response.status();
            response.into_body().collect().await?;
            Ok(status)
        };
        match timeout(PATIENCE, answer.traced(route.task())).await {
            Ok(answer) => answer.map_err(|error| DemoError::Exchange {
                route: Some(route),
                error,
            }),
            Err(_) => Err(DemoError::Silent {
                route,
                waited: PATIENCE,
            }),
        }
    }

    /// Hangs up; what went wrong meanwhile comes out here.
    async fn close(self) -> Result<(), DemoError> {
        drop(self.requests);
        joined(self.driver)
            .await
            .map_err(|error| DemoError::Exchange { route: None, error })
    }
}

/// Whether the service gave up; any other status than that and 200 is an error.
fn is_late(route: Route, status: StatusCode) -> Result<bool, DemoError> {
    match status {
        StatusCode::OK => Ok(false),
        StatusCode::GATEWAY_TIMEOUT if route.may_be_late() => Ok(true),
        _ => Err(DemoError::Status {
            route,
            status: status.as_u16(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_chosen_by_weight() {
        let (_phase, heard) = watch::channel(Phase::Calm);
        let mut client = Client::new(1, SocketAddr::from(([127, 0, 0, 1], 1)), heard);
        let mut chosen = [0_u32; Route::ALL.len()];
        for _ in 0..100_000 {
            chosen[client.choose().index()] += 1;
        }
        let all: u32 = Route::ALL.iter().map(|route| route.weight()).sum();
        for route in Route::ALL {
            let wanted = 100_000 * route.weight() / all;
            let found = chosen[route.index()];
            assert!(
                found.abs_diff(wanted) < 100 + wanted / 20,
                "{route}: {found}, not {wanted}"
            );
        }
    }

    #[test]
    fn a_status_that_the_route_never_gives_is_an_error() {
        let late = StatusCode::GATEWAY_TIMEOUT;
        assert!(is_late(Route::Timer, late).unwrap());
        assert!(!is_late(Route::Cache, StatusCode::OK).unwrap());
        let error = is_late(Route::Cache, late).unwrap_err();
        assert_eq!(error.to_string(), "/cache: status 504, wanted 200");
    }

    #[tokio::test]
    async fn nobody_at_the_other_end_is_an_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let (_phase, heard) = watch::channel(Phase::Calm);
        let result = Client::new(0, address, heard).run().await;
        assert!(matches!(result, Err(DemoError::Connect { .. })));
    }
}
