//! Clients of the scaled-out lab: a steady stream of requests on kept connections, each sent once.
//!
//! A connection that has ended is told before a request is written to it, and another is taken. Nothing else is tried
//! twice, with one exception: a 503 with `Retry-After` from a port that is being closed says that nothing was begun.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::helpers::raw::{Raw, RawAnswer};

/// Time between the beginnings of two requests of one client.
const PACE: Duration = Duration::from_millis(100);
/// Requests on one connection. Then a new one is taken, as clients come and go.
const ON_ONE_CONNECTION: usize = 12;

/// Answers by method, route and status.
pub type Counts = BTreeMap<(String, String, u16), u64>;

/// What one client saw.
#[derive(Default)]
pub struct Seen {
    pub answers: Counts,
    /// Trace of each accepted order, by its id.
    pub orders: BTreeMap<i64, String>,
    /// Answers that say that the lab failed.
    pub failed: Vec<String>,
    /// Requests without an answer.
    pub lost: Vec<String>,
    /// Requests that a port refused while it was closed; they were sent again.
    pub refused: usize,
}

impl Seen {
    pub fn add(&mut self, other: Self) {
        for (key, many) in other.answers {
            *self.answers.entry(key).or_default() += many;
        }
        self.orders.extend(other.orders);
        self.failed.extend(other.failed);
        self.lost.extend(other.lost);
        self.refused += other.refused;
    }
}

/// One client.
pub struct Client {
    address: SocketAddr,
    connection: Option<Raw>,
    on_it: usize,
    pub seen: Seen,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, connection: None, on_it: 0, seen: Seen::default() }
    }

    /// Makes a user; returns its id.
    pub fn user(&mut self) -> Option<i64> {
        let email = format!("{}@example.com", uuid::Uuid::now_v7());
        self.ask("POST", "/api/users", "/api/users", &json!({"name": "Ada", "email": email}))?.json()["id"]
            .as_i64()
    }

    /// Sends the requests of one round, each when it is due, for as long as `go_on` says.
    pub fn work(&mut self, user: i64, go_on: &dyn Fn() -> bool) {
        let mut due = Instant::now();
        let mut order = 0;
        for turn in 0.. {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            due = due.max(Instant::now()) + PACE;
            if !go_on() {
                return;
            }
            match turn % 6 {
                0 | 2 | 4 => order = self.order(user).unwrap_or(order),
                1 => drop(self.ask("GET", "/api/orders/{id}", &format!("/api/orders/{order}"), &Value::Null)),
                3 => self.change(order),
                _ => drop(self.user()),
            }
        }
    }

    fn order(&mut self, user: i64) -> Option<i64> {
        let body = json!({"userId": user, "items": ["book"], "total": 2.5});
        let answer = self.ask("POST", "/api/orders", "/api/orders", &body)?;
        let (id, trace) = (answer.json()["id"].as_i64()?, trace_of(&answer)?);
        self.seen.orders.insert(id, trace);
        Some(id)
    }

    fn change(&mut self, order: i64) {
        let (route, path) = ("/api/orders/{id}/status", format!("/api/orders/{order}/status"));
        self.ask("PATCH", route, &path, &json!({"status": "completed"}));
    }

    /// Sends a request once and counts its answer.
    fn ask(&mut self, method: &str, route: &str, path: &str, body: &Value) -> Option<RawAnswer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: lab\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        loop {
            let mut connection = self.take();
            let answer = connection
                .try_send(&text)
                .and_then(|()| connection.answer().ok_or(ErrorKind::UnexpectedEof.into()));
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    self.seen
                        .lost
                        .push(format!("{method} {path}, request {} of its connection: {error}", self.on_it));
                    return None;
                }
            };
            self.on_it += 1;
            if !answer.head.contains("connection: close") && self.on_it < ON_ONE_CONNECTION {
                self.connection = Some(connection);
            }
            if trace_of(&answer).is_none() && answer.head.contains("retry-after: ") {
                self.seen.refused += 1;
                continue;
            }
            if answer.status >= 500 {
                self.seen
                    .failed
                    .push(format!("{method} {path}: {} {} {}", answer.status, answer.head, answer.body));
            }
            let key = (method.to_owned(), route.to_owned(), answer.status);
            *self.seen.answers.entry(key).or_default() += 1;
            return Some(answer);
        }
    }

    /// The kept connection, unless it has ended meanwhile; else a new one.
    fn take(&mut self) -> Raw {
        if let Some(kept) = self.connection.take().filter(Raw::is_open) {
            return kept;
        }
        self.on_it = 0;
        Raw::connect(&self.address.to_string())
    }
}

/// Of an answer that a role has made.
fn trace_of(answer: &RawAnswer) -> Option<String> {
    let value = answer.head.split("traceresponse: ").nth(1)?;
    value.split('-').nth(1).map(str::to_owned)
}
