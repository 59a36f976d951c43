//! Finding messages that are due, and delivering them.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::time::Instant;

use super::Embedded;
use super::file::within;
use super::row::{delivery, millis};
use crate::queue::wire::now_ms;
use crate::queue::worker::LONGEST_RETRY;
use crate::queue::{Delivery, QueueError};

/// Time between two polls of a consumer that is woken when there is something: for what other
/// programs write, and for a file that was replaced.
const HEARD_POLL: Duration = Duration::from_millis(250);
/// The same where it cannot be woken.
const UNHEARD_POLL: Duration = Duration::from_millis(50);

const TAKE: &str = "
    UPDATE messages SET attempt = attempt + 1, due = ?1, receipt = ?2 WHERE seq IN (
        SELECT seq FROM messages WHERE queue = ?3 AND head = 1 AND (due <= ?4 OR due > ?5) ORDER BY seq LIMIT ?6
    ) RETURNING id, key, headers, body, seq, attempt";
const NEXT_DUE: &str = "SELECT min(due) FROM messages WHERE queue = ?1 AND head = 1";

/// State of the queue as far as this process knows it.
#[derive(Clone, Copy)]
pub(super) struct KnownQueue {
    /// Something may be due that `next_due` does not tell of.
    unsure: bool,
    /// When the next message is due, milliseconds since the Unix epoch; `None` without one.
    next_due: Option<i64>,
    /// How far ahead that can be.
    horizon: i64,
}

impl KnownQueue {
    pub(super) fn nothing(visibility_timeout: Duration) -> Self {
        Self { unsure: true, next_due: None, horizon: horizon(visibility_timeout) }
    }

    fn is_due(self) -> bool {
        let now = now_ms();
        self.unsure || self.next_due.is_some_and(|due| due <= now || due > now + self.horizon)
    }

    /// Time until the next message is due, if there is one.
    fn due_in(self) -> Option<Duration> {
        self.next_due.map(|due| Duration::from_millis(u64::try_from(due - now_ms()).unwrap_or_default()))
    }
}

impl Embedded {
    /// Delivers what is due, or else what comes first until the deadline.
    pub(super) async fn take_until(
        &self,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<Delivery>, QueueError> {
        while !self.stopped.is_cancelled() {
            if self.known().is_due() {
                let taken = self.take(max).await?;
                // However often it rings for other queues of the file.
                if !taken.is_empty() || deadline <= Instant::now() {
                    return Ok(taken);
                }
            }
            // The first call has opened the file, and so there is a log to listen at.
            if !self.doorbell.is_heard() && self.doorbell.listen() {
                self.known().unsure = true;
                continue;
            }
            self.wait(deadline).await?;
            if !self.known().is_due() && deadline <= Instant::now() {
                break;
            }
        }
        Ok(Vec::new())
    }

    /// Waits until something may be due, or receiving ends, or the deadline; polls at the end of the
    /// time without a ring.
    async fn wait(&self, deadline: Instant) -> Result<(), QueueError> {
        let poll = if self.doorbell.is_heard() { HEARD_POLL } else { UNHEARD_POLL };
        let wait = self.known().due_in().map_or(poll, |due_in| due_in.min(poll));
        tokio::select! {
            // A ring says where to look, the end of the time does not.
            biased;
            () = self.doorbell.rung() => {
                self.known().unsure = true;
                return Ok(());
            }
            () = self.stopped.cancelled() => return Ok(()),
            () = tokio::time::sleep_until(deadline.min(Instant::now() + wait)) => {}
        }
        if self.known().is_due() {
            return Ok(());
        }
        let replaced = self.doorbell.is_heard() && self.doorbell.listen();
        let queue = self.name.clone();
        let next_due = within(self.file.read(move |connection| Ok(next_due(connection, &queue)?))).await?;
        let mut known = self.known();
        (known.unsure, known.next_due) = (replaced, next_due);
        Ok(())
    }

    /// Delivers up to `max` messages that are due, the oldest first.
    async fn take(&self, max: usize) -> Result<Vec<Delivery>, QueueError> {
        let (queue, visibility_timeout) = (self.name.clone(), millis(self.visibility_timeout));
        let horizon = horizon(self.visibility_timeout);
        // What fails here may be due all the same.
        self.known().unsure = true;
        let taking = self.file.write(move |connection| {
            let (now, token) = (now_ms(), uuid::Uuid::now_v7().to_string());
            let limit = i64::try_from(max).unwrap_or(i64::MAX);
            let mut statement = connection.prepare_cached(TAKE)?;
            let taken = statement.query_map(
                params![now + visibility_timeout, token, queue, now, now + horizon, limit],
                |row| delivery(row, &token),
            )?;
            let mut taken: Vec<(i64, Delivery)> = taken.collect::<rusqlite::Result<_>>()?;
            // RETURNING promises no order.
            taken.sort_by_key(|(seq, _)| *seq);
            // A full batch has probably left some.
            let unsure = taken.len() >= max;
            let next_due = if unsure { None } else { next_due(connection, &queue)? };
            Ok((taken, KnownQueue { unsure, next_due, horizon }))
        });
        let (taken, known) = within(taking).await?;
        *self.known() = known;
        Ok(taken.into_iter().map(|(_, delivery)| delivery).collect())
    }

    fn known(&self) -> MutexGuard<'_, KnownQueue> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The furthest ahead, in milliseconds, that a message can be due.
fn horizon(visibility_timeout: Duration) -> i64 {
    millis(visibility_timeout.max(LONGEST_RETRY))
}

fn next_due(connection: &Connection, queue: &str) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached(NEXT_DUE)?.query_row([queue], |row| row.get(0))
}
