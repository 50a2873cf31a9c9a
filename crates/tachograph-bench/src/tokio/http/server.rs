//! A service on axum and hyper that sends back what it gets; a task for each connection.

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;

use crate::tokio::lane::By;

/// Opens the service on the current runtime; it ends with that. Returns its address.
pub async fn open(by: By) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    drop(by.spawn(accept(listener, by)));
    Ok(address)
}

async fn accept(listener: TcpListener, by: By) {
    let router = Router::new().route("/echo", post(async |body: Bytes| body));
    while let Ok((stream, _)) = listener.accept().await {
        // What can't be set only costs time.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        drop(by.spawn(async move {
            // Clients that hang up are no error.
            let _ = connection.await;
        }));
    }
}
