//! Clients that ask one thing after another, as cheaply as can be: the service is what is to be busy.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

const REQUEST: &[u8] =
    b"POST /echo HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: text/plain\r\ncontent-length: 32\r\n\r\n\
      0123456789abcdef0123456789abcdef";
const END_OF_BODY: &[u8] = b"0123456789abcdef";

/// A connection that is kept.
pub struct Client(TcpStream);

impl Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Asks until time is up. How long each answer took, in microseconds.
    pub async fn ask(self, time: Duration) -> io::Result<(Self, Vec<f64>)> {
        let began = Instant::now();
        let mut took = Vec::new();
        let mut asked = began;
        while asked.duration_since(began) < time {
            self.exchange().await?;
            let answered = Instant::now();
            took.push(answered.duration_since(asked).as_nanos() as f64 / 1e3);
            asked = answered;
        }
        Ok((self, took))
    }

    async fn exchange(&self) -> io::Result<()> {
        // One small write at a time always has room.
        if self.0.try_write(REQUEST)? != REQUEST.len() {
            return Err(io::Error::other("a request was written in part"));
        }
        let mut answer = [0; 512];
        let mut len = 0;
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut answer[len..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            if !answer[..len].starts_with(b"HTTP/1.1 200") {
                return Err(io::Error::other("the service did not answer with 200"));
            }
            if answer[..len].ends_with(END_OF_BODY) {
                return Ok(());
            }
        }
    }
}
