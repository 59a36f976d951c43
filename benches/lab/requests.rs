//! Requests one after another on one connection that is kept, as a client with one user makes them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail};

const TIMEOUT: Duration = Duration::from_secs(20);
/// More is no answer of this lab.
const LARGEST_BODY: usize = 1024 * 1024;

/// A connection to the gateway, and the one request that is made on it.
pub struct Connection {
    stream: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Connection {
    /// Connects. With a body, JSON, it is a POST, without a GET.
    pub fn open(port: u16, path: &str, body: Option<&str>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let request = match body {
            None => format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"),
            Some(body) => format!(
                "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            ),
        };
        Ok(Self { stream: BufReader::new(stream), request: request.into_bytes() })
    }

    /// Sends the request and reads the answer, which has to be a 2xx.
    pub fn ask(&mut self) -> anyhow::Result<()> {
        self.stream.get_mut().write_all(&self.request)?;
        let status = self.line()?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').context("a header without a colon")?;
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse::<usize>()?;
            }
        }
        if length > LARGEST_BODY {
            bail!("an answer of {length} bytes");
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        if !status.starts_with("HTTP/1.1 2") {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(())
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the gateway closed the connection");
        }
        Ok(line.trim_end().to_owned())
    }
}
