//! How a connection is made: directly or by a proxy, with TLS or without.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::client::innermost;

/// For the connection with everything that belongs to it: proxy and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most of a proxy's answer to CONNECT, in bytes.
const LARGEST_HEAD: usize = 8 * 1024;

/// The way to one server.
pub(super) struct Route {
    /// Host without brackets, and port, of the server.
    server: (String, u16),
    server_tls: bool,
    proxy: Option<Proxy>,
    /// For a proxy that is asked for a tunnel.
    pub(super) login: Option<HeaderValue>,
    tls: Option<Arc<ClientConfig>>,
}

struct Proxy {
    address: (String, u16),
    tls: bool,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Route {
    /// # Errors
    /// The URL or the proxy's has no host.
    pub(super) fn new(url: &Url, proxy: Option<&Uri>, tls: Option<Arc<ClientConfig>>) -> Result<Self> {
        let host = url.host_str().context("the OTLP endpoint has no host")?;
        let port = url.port_or_known_default().context("the OTLP endpoint has no port")?;
        let proxy = proxy.map(|uri| {
            let tls = uri.scheme_str() == Some("https");
            let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
            Ok(Proxy { address: (bare(uri.host().context("the proxy has no host")?), port), tls })
        });
        Ok(Self {
            server: (bare(host), port),
            server_tls: url.scheme() == "https",
            proxy: proxy.transpose().map_err(|error: anyhow::Error| error)?,
            login: None,
            tls,
        })
    }

    /// Whether requests go to a proxy as they are, rather than through a tunnel or directly.
    pub(super) fn proxy_takes_requests(&self) -> bool {
        self.proxy.is_some() && !self.server_tls
    }

    /// A connection ready for requests, within [`CONNECT_TIMEOUT`]. An error is its cause.
    pub(super) async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let connecting = async {
            let stream = self.stream().await?;
            let (requests, connection) =
                http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            // It ends with the connection, or with the runtime.
            tokio::spawn(connection);
            Ok::<_, io::Error>(requests)
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| innermost(&error)),
            Err(_) => Err("no connection in time".to_owned()),
        }
    }

    async fn stream(&self) -> io::Result<Box<dyn Stream>> {
        let mut stream = match &self.proxy {
            None => tcp(&self.server).await?,
            Some(proxy) => {
                let stream = tcp(&proxy.address).await?;
                let stream = if proxy.tls { self.encrypted(stream, &proxy.address.0).await? } else { stream };
                if self.server_tls { self.tunnel(stream).await? } else { stream }
            }
        };
        if self.server_tls {
            stream = self.encrypted(stream, &self.server.0).await?;
        }
        Ok(stream)
    }

    async fn encrypted(&self, stream: Box<dyn Stream>, host: &str) -> io::Result<Box<dyn Stream>> {
        let Some(config) = &self.tls else { return Err(io::Error::other("TLS is not set up")) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(config.clone()).connect(name, stream).await?))
    }

    /// Asks the proxy for a way through to the server.
    async fn tunnel(&self, mut stream: Box<dyn Stream>) -> io::Result<Box<dyn Stream>> {
        let (host, port) = &self.server;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
        if let Some(login) = &self.login {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(login.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        stream.flush().await?;
        let mut head = Vec::new();
        // Byte by byte: what follows the head belongs to the server.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == LARGEST_HEAD {
                return Err(io::Error::other("the proxy's answer is too long"));
            }
            head.push(stream.read_u8().await?);
        }
        let status = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        match status {
            [b'2', _, _] => Ok(stream),
            status => {
                Err(io::Error::other(format!("the proxy answered {}", String::from_utf8_lossy(status))))
            }
        }
    }
}

/// The first of the host's addresses that takes a connection; each has its share of the time.
async fn tcp(address: &(String, u16)) -> io::Result<Box<dyn Stream>> {
    let addresses: Vec<_> = tokio::net::lookup_host((address.0.as_str(), address.1)).await?.collect();
    let share = CONNECT_TIMEOUT / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut last = io::Error::other("the host has no address");
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// An IPv6 address stands in brackets in a URL, and nowhere else.
fn bare(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}
