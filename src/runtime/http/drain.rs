//! Graceful stop of a server: no request is cut off.
//!
//! A request is lost in more places than in its handler: in a connection that was accepted and has
//! not been read, and in the kernel's queue of connections not accepted yet. All of
//! them get an answer here.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::runtime::error::PROBLEM_JSON;

/// After a signal the port is served this long, so that load balancers read the 503 of `/ready`
/// and turn elsewhere while requests are still welcome. Whatever is answered meanwhile is the last on its connection, and our
/// own clients use none again that has been idle for as long.
pub(crate) const LAME_DUCK: Duration = Duration::from_millis(250);
/// Time for a connection that has sent nothing yet to send something.
const SILENCE: Duration = Duration::from_secs(1);
/// Time for written answers to leave. What is open after it are idle kept connections.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Time to refuse the last connections, all of them together and each of them.
const LAST_CALL: Duration = Duration::from_secs(1);
const EACH: Duration = Duration::from_millis(50);
/// Time between two polls for connections to refuse.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

const SHUTTING_DOWN: &str = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"shutting down","error":"shutting down"}"#;

/// Connections and requests in flight. Clones share the counts.
#[derive(Clone, Default)]
pub struct ServerInFlight(Arc<InFlightCounts>);

#[derive(Default)]
struct InFlightCounts {
    requests: AtomicUsize,
    /// Connections whose first request has not been read yet.
    fresh: AtomicUsize,
}

/// Request between the first middleware and the answer. Counts down when dropped, so a request that
/// is cancelled is not counted for ever.
pub(super) struct InFlightRequest(ServerInFlight);

/// Open connection, known to each of its requests.
pub(super) struct OpenConnection {
    in_flight: ServerInFlight,
    fresh: AtomicBool,
}

impl ServerInFlight {
    pub(super) fn connected(&self) -> OpenConnection {
        self.0.fresh.fetch_add(1, Ordering::SeqCst);
        OpenConnection { in_flight: self.clone(), fresh: AtomicBool::new(true) }
    }

    pub(super) fn enter(&self, connection: Option<&OpenConnection>) -> InFlightRequest {
        // The request first: between the two a drain must not see neither.
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        if let Some(connection) = connection {
            connection.settle();
        }
        InFlightRequest(self.clone())
    }

    fn requests(&self) -> usize {
        self.0.requests.load(Ordering::SeqCst)
    }

    async fn until(&self, done: impl Fn(&InFlightCounts) -> bool) {
        while !done(&self.0) {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl OpenConnection {
    fn settle(&self) {
        if self.fresh.swap(false, Ordering::SeqCst) {
            self.in_flight.0.fresh.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        self.0.0.requests.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Stops a server: lame duck, no new connections, requests in flight finished by `deadline`. New
/// connections meanwhile are refused with 503. `listener` is a handle of the server's own socket.
pub async fn stop(handle: ServerHandle, listener: TcpListener, in_flight: ServerInFlight, deadline: Instant) {
    let left = || deadline.saturating_duration_since(Instant::now());
    sleep(LAME_DUCK.min(left())).await;
    handle.pause().await;
    let closed = Arc::new(AtomicBool::new(false));
    let refusing = spawn_blocking({
        let closed = closed.clone();
        move || refuse_waiting(&listener, &closed)
    });
    let silent = timeout(SILENCE.min(left()), in_flight.until(|c| c.fresh.load(Ordering::SeqCst) == 0)).await;
    let finished = timeout(left(), in_flight.until(|c| c.requests.load(Ordering::SeqCst) == 0)).await;
    if finished.is_err() {
        tracing::warn!(requests = in_flight.requests(), "grace period over, giving up on requests");
    }
    tracing::debug!(silentConnections = silent.is_err(), "closing connections");
    let _ = timeout(CLOSE_TIMEOUT, handle.stop(true)).await;
    closed.store(true, Ordering::SeqCst);
    let _ = timeout(LAST_CALL, refusing).await;
}

/// Refuses the connections that the kernel took and the server never accepted; closing the socket on them
/// would be a reset, which a client cannot tell from a request that was lost half-way.
///
/// Goes on until `closed`, and then until none is left, within [`LAST_CALL`].
fn refuse_waiting(listener: &TcpListener, closed: &AtomicBool) {
    let mut until = None;
    while until.is_none_or(|until| Instant::now() < until) {
        if until.is_none() && closed.load(Ordering::SeqCst) {
            until = Some(Instant::now() + LAST_CALL);
        }
        // The server made the socket non-blocking: an empty queue is an error of that kind.
        match listener.accept() {
            Ok((stream, _)) => drop(refuse(stream)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) if until.is_some() => return,
            Err(_) => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(EACH))?;
    stream.set_write_timeout(Some(EACH))?;
    // Read first: closing with unread bytes resets the connection and takes the answer along.
    let _ = stream.read(&mut [0; 16 * 1024])?;
    write!(
        stream,
        "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
         content-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\n\r\n{SHUTTING_DOWN}",
        SHUTTING_DOWN.len()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_connection_that_waits_in_the_kernels_queue_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        refuse_waiting(&listener, &AtomicBool::new(true));
        drop(listener);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with(SHUTTING_DOWN), "{answer}");
        assert!(serde_json::from_str::<serde_json::Value>(SHUTTING_DOWN).is_ok());
    }

    #[test]
    fn a_connection_is_fresh_until_its_first_request_or_its_end() {
        let in_flight = ServerInFlight::default();
        let (one, two) = (in_flight.connected(), in_flight.connected());
        assert_eq!(in_flight.0.fresh.load(Ordering::SeqCst), 2);
        let request = in_flight.enter(Some(&one));
        drop(in_flight.enter(Some(&one)));
        assert_eq!((in_flight.0.fresh.load(Ordering::SeqCst), in_flight.requests()), (1, 1));
        drop((one, two, request));
        assert_eq!((in_flight.0.fresh.load(Ordering::SeqCst), in_flight.requests()), (0, 0));
    }
}
