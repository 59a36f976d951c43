//! Connections: opened at the first use, again after they broke, and ended in every case.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use lapin::tcp::RustlsConnector;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties, runtime};
use tokio::sync;
use url::{Host, Url};

use super::refusal::failed;
use crate::config::BrokerConfig;
use crate::queue::QueueError;
use crate::queue::broker::{CALL_TIMEOUT, tls, unavailable, within};

/// Seconds between signs of life where the URL does not say; a broker that gives none for twice as
/// long is gone.
const HEARTBEAT: u16 = 10;
/// AMQP's code for an orderly end.
const SUCCESS: u16 = 200;
/// AmqpAddress of the broker, and how to trust it.
pub(super) struct AmqpAddress {
    uri: AMQPUri,
    tls: Option<RustlsConnector>,
}

impl AmqpAddress {
    pub(super) fn of(config: &BrokerConfig) -> Result<Self, QueueError> {
        let url = config.amqp_url.as_ref().map(|url| url.expose()).unwrap_or_default();
        let mut uri: AMQPUri =
            url.parse().map_err(|_| unavailable("cannot be found: AMQP_URL is not an AMQP URL"))?;
        // The client's parser takes a host in brackets for none, and then the one it needs for localhost.
        if let Some(Host::Ipv6(host)) = Url::parse(url).ok().as_ref().and_then(Url::host) {
            uri.authority.host = host.to_string();
        }
        // A URL that ends in a slash names the virtual host "" by the letter of RabbitMQ's rules, and nobody
        // has that one; most clients take it for the default one.
        if uri.vhost.is_empty() {
            uri.vhost = "/".to_owned();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let tls = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(tls(config.queue_ca_file.as_deref())?.into()),
        };
        Ok(Self { uri, tls })
    }

    /// Not bounded by itself; to drop the future ends the attempt.
    pub(super) async fn connect(&self) -> Result<BrokerLink, QueueError> {
        let (socket, tls) = (Arc::new(Socket::default()), self.tls.clone());
        let ours = Arc::downgrade(&socket);
        let properties = ConnectionProperties::default().with_connection_name("o11y-lab".into());
        let runtime = runtime::default_runtime().map_err(failed)?;
        let connect = Connection::connector(
            self.uri.clone(),
            runtime,
            async move |uri, runtime| {
                let host = uri.authority.host;
                let addresses = runtime.to_socket_addrs((host.clone(), uri.authority.port));
                let stream = AsyncTcpStream::connect(&runtime, addresses);
                let stream = tokio::time::timeout(CALL_TIMEOUT, stream).await.map_err(io::Error::from)??;
                if let AsyncTcpStream::Plain(stream) = &stream {
                    let abandoned = || io::Error::from(io::ErrorKind::ConnectionAborted);
                    let ours = ours.upgrade().ok_or_else(abandoned)?;
                    ours.hold(stream.get_ref().as_fd().try_clone_to_owned()?.into());
                }
                match &tls {
                    Some(tls) => Ok(stream.into_rustls(tls, &host).await?),
                    None => Ok(stream),
                }
            },
            properties,
        );
        Ok(BrokerLink { connection: connect.await.map_err(failed)?, _socket: socket })
    }
}

/// Connection to the broker. Dropping it closes its socket.
pub(super) struct BrokerLink {
    pub(super) connection: Connection,
    _socket: Arc<Socket>,
}

impl BrokerLink {
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        self.connection.create_channel().await.map_err(failed)
    }

    pub(super) fn alive(&self) -> bool {
        self.connection.status().connected()
    }

    /// Says goodbye, so that what was written before has arrived.
    pub(super) async fn close(&self) {
        let close = async { self.connection.close(SUCCESS, "OK".into()).await.map_err(failed) };
        within(CALL_TIMEOUT, close).await.ok();
    }
}

/// The client has a thread for each connection, which waits for the broker even after the connection
/// is no longer wanted. It ends when the socket does, and so the socket ends with this.
#[derive(Default)]
struct Socket(Mutex<Option<TcpStream>>);

impl Socket {
    fn hold(&self, stream: TcpStream) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let held = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = held.take() {
            // It may have ended already.
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

/// BrokerSession on a connection.
pub(super) trait BrokerSession {
    fn alive(&self) -> bool;
}

/// Slot for a session that is opened at the first use and again after it broke.
pub(super) struct SessionSlot<S>(sync::Mutex<Option<Arc<S>>>);

impl<S> Default for SessionSlot<S> {
    fn default() -> Self {
        Self(sync::Mutex::new(None))
    }
}

impl<S: BrokerSession> SessionSlot<S> {
    /// The session, opened where there is none that works.
    pub(super) async fn get(
        &self,
        open: impl Future<Output = Result<S, QueueError>>,
    ) -> Result<Arc<S>, QueueError> {
        let mut slot = self.0.lock().await;
        if let Some(session) = slot.as_ref().filter(|session| session.alive()) {
            return Ok(session.clone());
        }
        *slot = None;
        let session = Arc::new(open.await?);
        *slot = Some(session.clone());
        Ok(session)
    }

    /// The session, if there is one and no task is just opening it.
    pub(super) fn current(&self) -> Option<Arc<S>> {
        self.0.try_lock().ok()?.clone()
    }

    /// Makes the next use open another session.
    pub(super) fn forget(&self, broken: &Arc<S>) {
        // Where it is locked, another task is at it already.
        if let Ok(mut slot) = self.0.try_lock()
            && slot.as_ref().is_some_and(|session| Arc::ptr_eq(session, broken))
        {
            *slot = None;
        }
    }

    pub(super) async fn take(&self) -> Option<Arc<S>> {
        self.0.lock().await.take()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, Instant};

    use super::*;

    #[derive(clap::Parser)]
    struct ParsedAmqp {
        #[command(flatten)]
        broker: BrokerConfig,
    }

    fn config(url: &str) -> BrokerConfig {
        <ParsedAmqp as clap::Parser>::parse_from(["test", "--amqp-url", url]).broker
    }

    fn threads_of_the_client() -> usize {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
        names.filter(|name| name.starts_with("lapin")).count()
    }

    #[tokio::test]
    async fn an_attempt_that_nobody_waits_for_any_more_leaves_no_thread_behind() {
        // The kernel accepts; nobody ever answers.
        let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("amqp://u:p@{}", mute.local_addr().unwrap()).parse().unwrap();
        let address = AmqpAddress { uri, tls: None };
        for _ in 0..3 {
            let attempt = tokio::time::timeout(Duration::from_millis(100), address.connect()).await;
            assert!(attempt.is_err(), "nobody answered");
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while threads_of_the_client() > 0 {
            assert!(Instant::now() < deadline, "{} threads are left", threads_of_the_client());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[test]
    fn a_host_in_brackets_is_that_host_and_a_slash_at_the_end_the_default_virtual_host() {
        let address = |url: &str| AmqpAddress::of(&config(url)).ok().unwrap().uri;
        for (url, host, port) in [
            ("amqp://u:p@[::1]:5672/%2f", "::1", 5672),
            ("amqp://[2001:db8::5]", "2001:db8::5", 5672),
            ("amqps://[::1]/lab", "::1", 5671),
            ("amqp://127.0.0.1", "127.0.0.1", 5672),
            ("amqp://broker.internal:1/", "broker.internal", 1),
        ] {
            let authority = address(url).authority;
            assert_eq!((authority.host.as_str(), authority.port), (host, port), "{url}");
        }
        let vhosts = ["amqp://h", "amqp://h/", "amqp://h/%2f", "amqp://h/lab"].map(|url| address(url).vhost);
        assert_eq!(vhosts, ["/", "/", "/", "lab"]);
    }

    #[test]
    fn an_address_that_is_none_is_one_reason_without_its_text() {
        let said = AmqpAddress::of(&config("amqp://u:hunter2@h:port/")).err().unwrap().to_string();
        assert!(said.contains("AMQP_URL") && !said.contains("hunter2"), "{said}");
        assert_eq!(
            AmqpAddress::of(&config("amqps://h/?heartbeat=3")).ok().unwrap().uri.query.heartbeat,
            Some(3)
        );
    }
}
