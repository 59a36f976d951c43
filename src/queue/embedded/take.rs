//! Finding messages that are due, and giving them out.

use std::time::Duration;

use tokio::time::Instant;

use super::Embedded;
use super::file::{Open, within};
use super::row::{delivery, millis};
use crate::queue::wire::now_ms;
use crate::queue::{Delivery, QueueError};

/// Time between two looks for news: short after traffic, doubling while there is none.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

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

    /// Waits until something may be due. Cheap: while nobody writes, a look is one comparison in
    /// shared memory.
    pub(super) async fn wait(&self, deadline: Instant) -> Result<(), QueueError> {
        let Ok(file) = tokio::time::timeout_at(deadline, within(self.look.open())).await else {
            return Ok(());
        };
        let mut file = file?;
        let mut version = None;
        let mut due = None;
        let mut pause = SHORTEST_PAUSE;
        while Instant::now() < deadline && !self.stopped.is_cancelled() {
            // The version first: what changes after it shows in the next look.
            let newest = within(async { data_version(&mut file).await }).await?;
            if version.replace(newest) != Some(newest) {
                due = within(async { self.next_due(&mut file).await }).await?;
            }
            if due.is_some_and(|due| due <= now_ms()) {
                return Ok(());
            }
            let wake = (Instant::now() + pause).min(deadline);
            tokio::select! { () = tokio::time::sleep_until(wake) => {}, () = self.stopped.cancelled() => {} }
            pause = (pause * 2).min(LONGEST_PAUSE);
            if !self.look.is_current(&file) {
                return Ok(());
            }
        }
        Ok(())
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
