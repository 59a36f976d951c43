//! What the requests of one connection and its socket know of each other. HTTP/1 serves one at a time.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::dev::RequestHead;
use actix_web::http::ConnectionType;

/// State of a client's connection, of one thread. Clones share it.
#[derive(Clone, Default)]
pub(super) struct ConnectionState(Rc<KnownConnection>);

#[derive(Default)]
struct KnownConnection {
    /// Requests that have come so far.
    requests: Cell<u64>,
    /// Whether one of them is being served.
    serving: Cell<bool>,
    /// Whether the client or we have said that this request is the last one.
    last: Cell<bool>,
    /// Whether one came after the last one.
    unwanted: Cell<bool>,
}

/// Request that is being served; ends when dropped.
pub(super) struct ServedRequest(ConnectionState);

impl ConnectionState {
    /// A request begins.
    pub(super) fn begin(&self, head: &RequestHead) -> ServedRequest {
        self.0.requests.set(self.0.requests.get() + 1);
        self.0.serving.set(true);
        if head.connection_type() == ConnectionType::Close {
            self.close();
        }
        ServedRequest(self.clone())
    }

    /// The request that is being served is the last one.
    pub(super) fn close(&self) {
        self.0.last.set(true);
    }

    /// Whether a request that comes now comes after the last one.
    pub(super) fn is_over(&self) -> bool {
        self.0.last.get()
    }

    /// A request came after the last one: the socket is to be closed.
    pub(super) fn refuse(&self) {
        self.0.unwanted.set(true);
    }

    pub(super) fn has_refused(&self) -> bool {
        self.0.unwanted.get()
    }

    pub(super) fn is_serving(&self) -> bool {
        self.0.serving.get()
    }

    pub(super) fn requests(&self) -> u64 {
        self.0.requests.get()
    }
}

impl Drop for ServedRequest {
    fn drop(&mut self) {
        self.0.0.serving.set(false);
    }
}
