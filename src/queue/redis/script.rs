//! The steps that must happen whole or not at all, as scripts that Redis runs.

use std::time::Duration;

use fred::interfaces::LuaInterface;
use fred::types::FromValue;

use super::{Redis, entry};
use crate::queue::together::Failed;
use crate::queue::{Delivery, QueueError, wire};

macro_rules! script {
    ($name:literal) => {
        concat!(include_str!("common.lua"), include_str!($name))
    };
}

pub(super) const JOIN: &str = script!("join.lua");
pub(super) const TAKE: &str = script!("take.lua");
const ACK: &str = script!("ack.lua");
pub(super) const RETRY: &str = script!("retry.lua");
pub(super) const DEAD_LETTER: &str = script!("dead_letter.lua");
pub(super) const HEARTBEAT: &str = script!("heartbeat.lua");
pub(super) const GIVE_BACK: &str = script!("give_back.lua");
pub(super) const DEPTH: &str = script!("depth.lua");
pub(super) const REPLAY: &str = script!("replay.lua");

/// The one consumer group.
pub(super) const GROUP: &str = "o11y-lab";
/// The fields that belong to a stay in the stream or in the dead letters and not to the message. The
/// scripts take the first for the attempts.
const PASSING: [&str; 4] = [wire::ATTEMPT, wire::DEAD_REASON, wire::DEAD_ATTEMPTS, wire::DEAD_AT];

/// The keys of one queue. The braces put them into one slot of a cluster.
pub(super) struct Keys {
    /// The stream of messages.
    pub(super) stream: String,
    /// When which entry of `delayed` goes back into the stream: a sorted set.
    due: String,
    /// A stream of messages that wait for a retry.
    delayed: String,
    /// The stream of dead letters.
    pub(super) dead: String,
}

impl Keys {
    pub(super) fn of(queue: &str) -> Self {
        let key = |part: &str| format!("o11y-lab:{{{queue}}}{part}");
        Self { stream: key(""), due: key(":due"), delayed: key(":delayed"), dead: key(":dead") }
    }

    fn all(&self) -> Vec<String> {
        [&self.stream, &self.due, &self.delayed, &self.dead].map(Clone::clone).into()
    }
}

impl Redis {
    /// Runs a script. Its text travels each time: then a server that restarted or took over knows it.
    pub(super) async fn run<T: FromValue + Send>(
        &self,
        script: &'static str,
        args: impl IntoIterator<Item = String>,
    ) -> Result<T, QueueError> {
        let mut words = vec![GROUP.to_owned(), self.consumer.clone(), PASSING.join(" ")];
        words.extend(args);
        let keys = self.keys.all();
        self.work.call(Duration::ZERO, |client| async move { client.eval(script, keys, words).await }).await
    }

    /// Acknowledges those deliveries that are still ours.
    pub(super) async fn acknowledge(&self, receipts: Vec<[String; 2]>) -> Result<Failed, QueueError> {
        let given = receipts.len() as u64;
        let settled: u64 = self.run(ACK, receipts.into_flattened()).await?;
        if settled < given {
            tracing::debug!(messages = given - settled, "Deliveries are no longer ours");
        }
        Ok(Failed::new())
    }

    /// Runs a script that settles a delivery, or does nothing if it is not ours any more.
    pub(super) async fn settle(
        &self,
        script: &'static str,
        delivery: &Delivery,
        args: impl IntoIterator<Item = String>,
    ) -> Result<(), QueueError> {
        let Some(receipt) = entry::receipt(delivery) else { return Ok(()) };
        let settled: i64 = self.run(script, receipt.into_iter().chain(args)).await?;
        if settled == 0 {
            tracing::debug!(messageId = delivery.message.id, "Delivery is no longer ours");
        }
        Ok(())
    }
}
