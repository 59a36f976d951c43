//! Finding messages that are due, and giving them out.

use std::time::Duration;

use tokio::time::Instant;

use super::Embedded;
use super::file::{Open, within};
use super::row::{delivery, millis};
use crate::queue::wire::now_ms;
use crate::queue::{Delivery, QueueError};

/// Time between two looks for news: a tenth of the silence so far, within these bounds. A message
/// after a short silence is found at once, and a long silence costs twenty looks a second.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl Embedded {
    /// Gives out up to `max` messages that are due, the oldest first.
    pub(super) async fn take(&self, max: usize) -> Result<Vec<Delivery>, QueueError> {
        let now = now_ms();
        let token = uuid::Uuid::now_v7().to_string();
        let rows = within(async {
            let mut file = self.work.open().await?;
            let taken = sqlx::query(
                "UPDATE messages SET attempt = attempt + 1, due = $1, receipt = $2 WHERE seq IN (
                     SELECT seq FROM messages WHERE queue = $3 AND head = 1 AND due <= $4
                     ORDER BY seq LIMIT $5
                 ) RETURNING seq, id, key, headers, body, attempt",
            )
            .bind(now + millis(self.visibility_timeout))
            .bind(&token)
            .bind(&self.name)
            .bind(now)
            .bind(i64::try_from(max).unwrap_or(i64::MAX));
            let taken = taken.fetch_all(&mut file.db).await.and_then(|rows| {
                let mut rows: Vec<(i64, Delivery)> =
                    rows.iter().map(|row| delivery(row, &token)).collect::<sqlx::Result<_>>()?;
                // RETURNING promises no order.
                rows.sort_by_key(|(seq, _)| *seq);
                Ok(rows)
            });
            file.check(taken)
        });
        Ok(rows.await?.into_iter().map(|(_, delivery)| delivery).collect())
    }

    /// Waits until something may be due; false if the deadline or the end of receiving comes first.
    /// Cheap: while nobody writes, a look is one comparison in shared memory.
    pub(super) async fn wait(&self, deadline: Instant) -> Result<bool, QueueError> {
        let mut file = within(self.look.open()).await?;
        let mut version = None;
        let mut due = None;
        while !self.stopped.is_cancelled() {
            // The version first: what changes after it shows in the next look.
            let newest = within(data_version(&mut file)).await?;
            if version.replace(newest) != Some(newest) {
                due = within(self.next_due(&mut file)).await?;
            }
            if due.is_some_and(|due| due <= now_ms()) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                break;
            }
            let silence = self.quiet_since().unwrap_or_else(Instant::now).elapsed();
            let wake = (Instant::now() + (silence / 10).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).min(deadline);
            tokio::select! { () = tokio::time::sleep_until(wake) => {}, () = self.stopped.cancelled() => {} }
            if !self.look.is_current(&file) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn quiet_since(&self) -> Option<Instant> {
        *self.quiet.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn note_traffic(&self, any: bool) {
        let mut quiet = self.quiet.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *quiet = if any { None } else { Some(quiet.unwrap_or_else(Instant::now)) };
    }

    async fn next_due(&self, file: &mut Open) -> Result<Option<i64>, QueueError> {
        let due = sqlx::query_scalar("SELECT min(due) FROM messages WHERE queue = $1 AND head = 1")
            .bind(&self.name)
            .fetch_one(&mut file.db)
            .await;
        file.check(due)
    }
}

/// Changes whenever another connection, of this process or another, has committed something.
async fn data_version(file: &mut Open) -> Result<i64, QueueError> {
    let version = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut file.db).await;
    file.check(version)
}
