//! hyper spawns tasks by itself (HTTP/2 streams, connections): our executor traces them.
//!
//! `cargo run --release -p tachograph --features hyper --example hyper_executor`, then `go tool trace app.trace`.

use std::convert::Infallible;
use std::error::Error;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tachograph::FutureExt;
use tachograph::tokio::HyperExecutor;
use tokio::net::{TcpListener, TcpStream};

async fn hello(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _region = tachograph::region("hello");
    let answer = format!("hello, {}", request.uri().path());
    Ok(Response::new(Full::new(answer.into())))
}

async fn serve(stream: TcpStream) {
    let connection = hyper::server::conn::http2::Builder::new(HyperExecutor)
        .serve_connection(TokioIo::new(stream), service_fn(hello));
    if let Err(error) = connection.await {
        eprintln!("connection: {error}");
    }
}

#[tachograph::main(record = "app.trace")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tachograph::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            HyperExecutor.execute(serve(stream).traced("connection"));
        }
    });

    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(HyperExecutor, stream).await?;
    let driver = tachograph::spawn(connection.traced("client connection"));
    for request in 0..100 {
        let request =
            Request::get(format!("http://{address}/{request}")).body(Empty::<Bytes>::new())?;
        let answer = client.send_request(request).await?.collect().await?;
        assert!(answer.to_bytes().starts_with(b"hello, /"));
    }
    drop(client);
    driver.await??;
    server.abort();
    println!("100 requests answered");
    Ok(())
}
