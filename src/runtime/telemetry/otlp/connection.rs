//! How a connection is made: directly or by a proxy, with TLS or without.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
#[cfg(feature = "grpc")]
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::runtime::error::innermost;

/// For the connection with everything that belongs to it: proxy and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The most of a proxy's answer to CONNECT, in bytes.
const LARGEST_HEAD: usize = 8 * 1024;

/// The way to one server.
pub(super) struct ReceiverRoute {
    /// Host without brackets, and port, of the server.
    server: (String, u16),
    server_tls: bool,
    proxy: Option<Proxy>,
    /// For a proxy that is asked for a tunnel.
    pub(super) login: Option<HeaderValue>,
    tls: Option<Arc<ClientConfig>>,
    /// HTTP/2 with prior knowledge, as gRPC wants it.
    http2: bool,
}

/// An open connection.
pub(super) enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    #[cfg(feature = "grpc")]
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// # Errors
    /// It is closed.
    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Http1(requests) => requests.ready().await,
            #[cfg(feature = "grpc")]
            Self::Http2(requests) => requests.ready().await,
        }
    }

    pub(super) async fn send_request(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(requests) => requests.send_request(request).await,
            #[cfg(feature = "grpc")]
            Self::Http2(requests) => requests.send_request(request).await,
        }
    }
}

struct Proxy {
    address: (String, u16),
    tls: bool,
}

trait ReceiverStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ReceiverStream for T {}

impl ReceiverRoute {
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
            http2: false,
        })
    }

    /// The same way, over HTTP/2.
    pub(super) fn over_http2(self) -> Self {
        Self { http2: true, ..self }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.http2
    }

    /// Whether requests go to a proxy as they are, rather than through a tunnel or directly.
    pub(super) fn proxy_takes_requests(&self) -> bool {
        self.proxy.is_some() && !self.server_tls && !self.http2
    }

    /// A connection ready for requests, within [`CONNECT_TIMEOUT`]. An error is its cause.
    pub(super) async fn connect(&self) -> Result<Connection, String> {
        let connecting = async {
            let stream = TokioIo::new(self.stream().await?);
            #[cfg(feature = "grpc")]
            if self.http2 {
                let executor = hyper_util::rt::TokioExecutor::new();
                let (requests, connection) =
                    http2::handshake(executor, stream).await.map_err(io::Error::other)?;
                tokio::spawn(connection);
                return Ok(Connection::Http2(requests));
            }
            let (requests, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
            // It ends with the connection, or with the runtime.
            tokio::spawn(connection);
            Ok::<_, io::Error>(Connection::Http1(requests))
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| innermost(&error)),
            Err(_) => Err("no connection in time".to_owned()),
        }
    }

    async fn stream(&self) -> io::Result<Box<dyn ReceiverStream>> {
        let mut stream = match &self.proxy {
            None => tcp(&self.server).await?,
            Some(proxy) => {
                let stream = tcp(&proxy.address).await?;
                let stream =
                    if proxy.tls { self.encrypted(stream, &proxy.address.0, &[]).await? } else { stream };
                if self.proxy_takes_requests() { stream } else { self.tunnel(stream).await? }
            }
        };
        if self.server_tls {
            let protocols: &[&[u8]] = if self.http2 { &[b"h2"] } else { &[] };
            stream = self.encrypted(stream, &self.server.0, protocols).await?;
        }
        Ok(stream)
    }

    /// TLS, with these protocols to choose from (RFC 7301).
    async fn encrypted(
        &self,
        stream: Box<dyn ReceiverStream>,
        host: &str,
        protocols: &[&[u8]],
    ) -> io::Result<Box<dyn ReceiverStream>> {
        let Some(config) = &self.tls else { return Err(io::Error::other("TLS is not set up")) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(config.clone());
        let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Box::new(connector.with_alpn(protocols).connect(name, stream).await?))
    }

    /// Asks the proxy for a way through to the server.
    async fn tunnel(&self, mut stream: Box<dyn ReceiverStream>) -> io::Result<Box<dyn ReceiverStream>> {
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
async fn tcp(address: &(String, u16)) -> io::Result<Box<dyn ReceiverStream>> {
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
