//! What the service does for each route.
//!
//! Owns the state that handlers share, and the user task around each request. Called by axum, through the router that
//! `server` serves.

use super::cache::Cache;
use super::origin::{Closed, Origin};
use super::route::Route;
use super::work::{self, Chunks, Digest, PIECES, Text};
use super::{joined, tally::Counters, told};
use crate::traced::{self, FutureExt};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long a pause may take before the service gives up.
const PATIENCE: Duration = Duration::from_millis(10);
/// Pauses are 1 to so many ms..
const PAUSES_MS: u64 = 5;
/// ..but one in so many is too long.
const LONG_PAUSE_IN: u64 = 16;
const LONG_PAUSE: Duration = Duration::from_millis(50);

/// What handlers share.
pub struct Service {
    pub cache: Arc<Cache>,
    pub origin: Origin,
    pub chunks: Chunks,
    pub text: Text,
    pub ledger: Mutex<u64>,
    /// Turns true when the service is to end.
    pub stop: watch::Receiver<bool>,
    /// Requests that were answered.
    pub answered: Counters,
}

type Shared = State<Arc<Service>>;
type Answer = Result<String, StatusCode>;

/// All routes, each request in a user task.
pub fn router(service: Arc<Service>) -> Router {
    let mut router = Router::new();
    for route in Route::ALL {
        router = router.route(&format!("{route}/{{id}}"), handler(route));
    }
    let around = middleware::from_fn_with_state(Arc::clone(&service), around);
    router.layer(around).with_state(service)
}

fn handler(route: Route) -> MethodRouter<Arc<Service>> {
    match route {
        Route::Cache => get(cache),
        Route::Queue => get(queue),
        Route::Timer => get(timer),
        Route::Blocking => get(blocking),
        Route::InPlace => get(in_place),
        Route::Cpu => get(cpu),
        Route::Stall => get(stall),
    }
}

/// Makes each request a user task and counts it once it is answered.
async fn around(State(service): Shared, request: Request, next: Next) -> Response {
    let Some(route) = Route::of_path(request.uri().path()) else {
        return next.run(request).await;
    };
    let answering = async {
        if tachograph::is_recording() {
            let path = request.uri().path();
            let id = path.rsplit('/').next().unwrap_or(path);
            tachograph::log("id", id);
        }
        let response = next.run(request).await;
        tachograph::log("status", response.status().as_str());
        service.answered.add(route);
        response
    };
    traced::in_task(tachograph::task(route.task()), answering).await
}

async fn cache(State(service): Shared, Path(id): Path<u64>) -> Answer {
    service.cache.value(id).await.map(hex).map_err(closed)
}

async fn queue(State(service): Shared, Path(id): Path<u64>) -> Answer {
    service.origin.ask(id).await.map(hex).map_err(closed)
}

async fn timer(State(service): Shared, Path(id): Path<u64>) -> Answer {
    let mut stop = service.stop.clone();
    let length = match id % LONG_PAUSE_IN {
        0 => LONG_PAUSE,
        _ => Duration::from_millis(1 + id % PAUSES_MS),
    };
    let pause = async {
        tokio::select! {
            () = sleep(length) => "rested",
            () = told(&mut stop) => "interrupted",
        }
    };
    match timeout(PATIENCE, pause.traced("pause")).await {
        Ok(word) => Ok(word.to_owned()),
        Err(_) => Err(StatusCode::GATEWAY_TIMEOUT),
    }
}

async fn blocking(State(service): Shared, Path(id): Path<u64>) -> Answer {
    let read = traced::spawn_blocking(move || service.chunks.digest(id));
    joined(read).await.map(hex).map_err(broken)
}

async fn in_place(State(service): Shared, Path(id): Path<u64>) -> Answer {
    let digest = traced::block_in_place(|| service.chunks.digest(id));
    digest.map(hex).map_err(broken)
}

async fn cpu(State(service): Shared) -> Answer {
    let pieces: [_; PIECES] = std::array::from_fn(|piece| {
        let service = Arc::clone(&service);
        let work = async move { service.text.compressed_len(piece) };
        traced::spawn(work.traced("deflate"))
    });
    let mut length = 0;
    for piece in pieces {
        length += joined(piece).await.map_err(broken)?;
    }
    Ok(length.to_string())
}

async fn stall(State(service): Shared) -> Answer {
    Ok(work::stall(&service.ledger).to_string())
}

fn hex(digest: Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// N.B. only while the service ends; a client that is still there then sees it.
fn closed(_: Closed) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}

fn broken(error: io::Error) -> StatusCode {
    tachograph::log("error", &error.to_string());
    StatusCode::INTERNAL_SERVER_ERROR
}
