//! Waits for the network, in the trace. The kernel ends them: a runtime's driver wakes the task, in no task's name.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream as StdUnixStream;

use tachograph_e2e::record::turn;
use tachograph_e2e::stage::{KINDS, Kind, play};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.expect("a connection").0
}

async fn read_five(stream: &mut TcpStream) {
    let mut word = [0; 5];
    assert_eq!(stream.read(&mut word).await.expect("bytes"), 5);
    assert_eq!(&word, b"hello");
}

/// Its writes never wait: a turn of the driver that tells of bytes to read has told of room to write.
async fn serve(listener: TcpListener) {
    let mut stream = accept(&listener).await;
    for _ in 0..2 {
        read_five(&mut stream).await;
        stream.write_all(b"aloha").await.expect("it is there");
    }
}

#[test]
fn tcp_waits_are_ended_by_nobody() {
    let _turn = turn();
    play(
        "tcp server",
        &KINDS,
        |stage| {
            let context = stage.handle().enter();
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("an address");
            listener.set_nonblocking(true).expect("it can");
            let listener = TcpListener::from_std(listener).expect("a driver");
            drop(context);
            let server = stage.spawn("server", serve(listener));
            server.paused(1);
            let mut client = std::net::TcpStream::connect(address).expect("it listens");
            for pause in [2, 3] {
                server.paused(pause);
                client.write_all(b"hello").expect("it reads");
                let mut word = [0; 5];
                client.read_exact(&mut word).expect("it writes");
                assert_eq!(&word, b"aloha");
            }
            assert!(server.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "server",
                &[
                    "create by driver",
                    "start",
                    "block in accept: tcp accept",
                    "wake by -: I/O driver",
                    "start",
                    "block in read_five: tcp read",
                    "wake by -: I/O driver",
                    "start",
                    "block in read_five: tcp read",
                    "wake by -: I/O driver",
                    "start",
                    "end",
                ],
            );
        },
    );
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("it listens")
}

async fn ask(address: SocketAddr) {
    let mut stream = connect(address).await;
    stream.write_all(b"aloha").await.expect("it reads");
    read_five(&mut stream).await;
}

#[test]
fn a_tcp_client_waits_for_the_connection_and_the_answer() {
    let _turn = turn();
    // One thread: with another one in the driver, a connection may be there before its first poll.
    play(
        "tcp client",
        &[Kind::CurrentThread, Kind::Workers(1)],
        |stage| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("an address");
            let client = stage.spawn("client", ask(address));
            let (mut stream, _) = listener.accept().expect("it connects");
            let mut word = [0; 5];
            stream.read_exact(&mut word).expect("it writes");
            assert_eq!(&word, b"aloha");
            client.paused(2);
            stream.write_all(b"hello").expect("it reads");
            assert!(client.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "client",
                &[
                    "create by driver",
                    "start",
                    "block in connect: tcp connect",
                    "wake by -: I/O driver",
                    "start",
                    "block in read_five: tcp read",
                    "wake by -: I/O driver",
                    "start",
                    "end",
                ],
            );
        },
    );
}

async fn read_to_the_end(mut stream: UnixStream) {
    let mut bytes = [0; 16];
    assert_eq!(stream.read(&mut bytes).await.expect("bytes"), 3);
    assert_eq!(stream.read(&mut bytes).await.expect("the end"), 0);
}

#[test]
fn unix_stream_waits_are_ended_by_nobody() {
    let _turn = turn();
    play(
        "unix stream",
        &KINDS,
        |stage| {
            let (mut ours, theirs) = StdUnixStream::pair().expect("a pair");
            theirs.set_nonblocking(true).expect("it can");
            let context = stage.handle().enter();
            let theirs = UnixStream::from_std(theirs).expect("a driver");
            drop(context);
            let reader = stage.spawn("reader", read_to_the_end(theirs));
            reader.paused(1);
            ours.write_all(b"abc").expect("it reads");
            reader.paused(2);
            drop(ours);
            assert!(reader.ended().is_some());
        },
        |seen, ()| {
            seen.expect(
                "reader",
                &[
                    "create by driver",
                    "start",
                    "block in read_to_the_end: unix read",
                    "wake by -: I/O driver",
                    "start",
                    "block in read_to_the_end: unix read",
                    "wake by -: I/O driver",
                    "start",
                    "end",
                ],
            );
        },
    );
}
