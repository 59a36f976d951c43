//! Stopping without cutting anybody off.
//!
//! A request is lost in more places than in its handler: in a connection that was accepted and has
//! not been read, and in the kernel's queue of connections that nobody has accepted yet. All of
//! them get an answer here.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::runtime::error::PROBLEM_JSON;
use crate::schema::names;

/// After a signal the port is served this long, so that load balancers read the 503 of `/ready`
/// and turn elsewhere while everybody is still welcome.
const LAME_DUCK: Duration = Duration::from_millis(250);
/// Time for a connection that has sent nothing yet to send something.
const SILENCE: Duration = Duration::from_secs(1);
/// Time for written answers to leave. What is open after it are idle kept connections.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Time to turn away whoever came last, all of them together and each of them.
const LAST_CALL: Duration = Duration::from_secs(1);
const EACH: Duration = Duration::from_millis(100);

const SHUTTING_DOWN: &str = r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"shutting down","error":"shutting down"}"#;

/// What a server has in hand. Clones share the counts.
#[derive(Clone, Default)]
pub struct InHand(Arc<Counts>);

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    /// Connections whose first request has not been read yet.
    fresh: AtomicUsize,
}

/// A request from the first middleware to the answer. Counts down when dropped, so a request that
/// is cancelled is not counted for ever.
pub(super) struct Request(InHand);

/// A connection, known to each of its requests.
pub(super) struct Connection {
    in_hand: InHand,
    fresh: AtomicBool,
}

impl InHand {
    pub(super) fn connected(&self) -> Connection {
        self.0.fresh.fetch_add(1, Ordering::SeqCst);
        Connection { in_hand: self.clone(), fresh: AtomicBool::new(true) }
    }

    pub(super) fn enter(&self, connection: Option<&Connection>) -> Request {
        // The request first: between the two a drain must not see neither.
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        metrics::gauge!(names::HTTP_SERVER_ACTIVE).increment(1.0);
        if let Some(connection) = connection {
            connection.settle();
        }
        Request(self.clone())
    }

    fn requests(&self) -> usize {
        self.0.requests.load(Ordering::SeqCst)
    }

    async fn until(&self, done: impl Fn(&Counts) -> bool) {
        while !done(&self.0) {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Connection {
    fn settle(&self) {
        if self.fresh.swap(false, Ordering::SeqCst) {
            self.in_hand.0.fresh.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.requests.fetch_sub(1, Ordering::SeqCst);
        metrics::gauge!(names::HTTP_SERVER_ACTIVE).decrement(1.0);
    }
}

/// Stops a server: lame duck, no new connections, what is in hand finished within `grace`, the last
/// comers told. `listener` is a handle of the server's own socket.
pub async fn stop(handle: ServerHandle, listener: TcpListener, in_hand: InHand, grace: Duration) {
    let deadline = Instant::now() + grace;
    sleep(LAME_DUCK.min(grace)).await;
    handle.pause().await;
    let silent = timeout(SILENCE.min(grace), in_hand.until(|c| c.fresh.load(Ordering::SeqCst) == 0)).await;
    let finished = timeout_at(deadline, in_hand.until(|c| c.requests.load(Ordering::SeqCst) == 0)).await;
    if finished.is_err() {
        tracing::warn!(requests = in_hand.requests(), "grace period over, giving up on requests");
    }
    tracing::debug!(silentConnections = silent.is_err(), "closing connections");
    let _ = timeout(CLOSE_TIMEOUT, handle.stop(true)).await;
    let _ = tokio::task::spawn_blocking(move || turn_away(&listener)).await;
}

/// Answers the connections that the kernel took and nobody accepted; closing the socket on them
/// would be a reset, which a client cannot tell from a request that was lost half-way.
fn turn_away(listener: &TcpListener) {
    let until = std::time::Instant::now() + LAST_CALL;
    // The server made the socket non-blocking: an empty queue is an error of that kind.
    while std::time::Instant::now() < until {
        match listener.accept() {
            Ok((stream, _)) => drop(tell(stream)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn tell(mut stream: TcpStream) -> std::io::Result<()> {
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
    fn whoever_waits_in_the_kernels_queue_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        turn_away(&listener);
        drop(listener);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with(SHUTTING_DOWN), "{answer}");
        assert!(serde_json::from_str::<serde_json::Value>(SHUTTING_DOWN).is_ok());
    }

    #[test]
    fn a_connection_is_fresh_until_its_first_request_or_its_end() {
        let in_hand = InHand::default();
        let (one, two) = (in_hand.connected(), in_hand.connected());
        assert_eq!(in_hand.0.fresh.load(Ordering::SeqCst), 2);
        let request = in_hand.enter(Some(&one));
        drop(in_hand.enter(Some(&one)));
        assert_eq!((in_hand.0.fresh.load(Ordering::SeqCst), in_hand.requests()), (1, 1));
        drop((one, two, request));
        assert_eq!((in_hand.0.fresh.load(Ordering::SeqCst), in_hand.requests()), (0, 0));
    }
}
