//! HTTP by hand: for what no client library would send or wait for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A connection of one's own.
pub struct Raw {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

/// An answer as it stood on the wire.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl RawAnswer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

impl Raw {
    /// Connects to the server of a URL.
    pub fn connect(url: &str) -> Self {
        let address = url.trim_start_matches("http://").split('/').next().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { reader: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    /// Connects and sends.
    pub fn sending(url: &str, text: &str) -> Self {
        let mut raw = Self::connect(url);
        raw.send(text);
        raw
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The same, where the connection may have ended.
    pub fn try_send(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    /// Whether the other side has neither ended nor sent anything that nobody asked for.
    pub fn is_open(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let seen = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        seen.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// The next answer; `None` where the connection has ended.
    pub fn answer(&mut self) -> Option<RawAnswer> {
        self.answer_to("GET")
    }

    /// The next answer; one to a HEAD has no body.
    pub fn answer_to(&mut self, method: &str) -> Option<RawAnswer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.filter(|_| method != "HEAD").unwrap_or(0)];
        self.reader.read_exact(&mut body).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(RawAnswer { status, head, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// Goes away in good order: all that came has been read.
    pub fn close(self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// Goes away with a reset: what was sent to us and never read makes the kernel say so. Wants an answer
    /// that has come and was not read.
    pub fn reset(self) {
        self.stream.peek(&mut [0]).unwrap();
    }
}
