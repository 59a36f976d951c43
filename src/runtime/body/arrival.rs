//! How long the current request of a connection has waited for its body, and whether it still does.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Known to the connection and to who reads. HTTP/1 has one request at a time. Clones share it.
#[derive(Clone, Default)]
pub struct BodyArrival(Rc<Cell<Option<Instant>>>);

impl BodyArrival {
    /// A request begins, whose body nobody has asked for yet.
    pub fn reset(&self) {
        self.0.set(None);
    }

    /// The body is waited for.
    pub(super) fn begin(&self) {
        self.0.set(Some(Instant::now()));
    }

    /// It is here.
    pub(super) fn complete(&self) {
        self.0.set(None);
    }

    /// How long a body was waited for that has not arrived; `None` where none is missing.
    pub fn missing(&self) -> Option<Duration> {
        self.0.get().map(|since| since.elapsed())
    }
}
