//! A Tokio service in one file, traced: an echo server over loopback and a few clients.
//!
//! `cargo run --release -p tachograph --features tokio --example tokio_service`, then `go tool trace app.trace`.
//!
//! What makes it traced: `#[tachograph::main]` in place of `#[tokio::main]`, and `tachograph::spawn` in place of `tokio::spawn`.

use std::io;
use std::time::Duration;

use tachograph::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut line = [0; 64];
    loop {
        let length = stream.read(&mut line).await?;
        if length == 0 {
            return Ok(());
        }
        // What is part of no user task of its own is part of this one, over all awaits.
        let request = tachograph::task("echo");
        request
            .run(async {
                tachograph::log("bytes", &length.to_string());
                sleep(Duration::from_millis(2)).traced("think").await;
                stream.write_all(&line[..length]).await
            })
            .await?;
    }
}

async fn client(address: std::net::SocketAddr, requests: u32) -> io::Result<u32> {
    let mut stream = TcpStream::connect(address).await?;
    let mut answer = [0; 64];
    for _ in 0..requests {
        stream.write_all(b"hello").await?;
        stream.read_exact(&mut answer[..5]).await?;
    }
    Ok(requests)
}

#[tachograph::main(worker_threads = 2, record = "app.trace")]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A name of its own; without, a task is named by its type and place.
            tachograph::spawn(echo(stream).traced("connection"));
        }
    };
    let server = tachograph::spawn(server.traced("acceptor"));

    let clients: Vec<_> = (0..8)
        .map(|_| tachograph::spawn(client(address, 100)))
        .collect();
    let mut answered = 0;
    for client in clients {
        answered += client.await??;
    }
    server.abort();
    println!("{answered} requests answered");
    Ok(())
}
