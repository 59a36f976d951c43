//! Steps that must happen whole or not at all, as scripts that Redis runs.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use fred::bytes_utils::Str;
use fred::interfaces::LuaInterface;
use fred::types::{FromValue, MultipleKeys, Value};
use sha1::{Digest, Sha1};

use super::{Redis, entry};
use crate::queue::ack_batch::FailedAcks;
use crate::queue::{Delivery, QueueError, wire};

/// Script with the name it has in a server's cache. A static of this type is made at its first use.
pub(super) struct Script {
    text: &'static str,
    /// SHA-1 of the text, in hex.
    digest: Str,
}

impl Script {
    fn of(text: &'static str) -> Self {
        let mut digest = String::with_capacity(40);
        for byte in Sha1::digest(text) {
            // Cannot fail: a string takes everything.
            let _ = write!(digest, "{byte:02x}");
        }
        Self { text, digest: digest.into() }
    }
}

macro_rules! scripts {
    ($($visible:vis $name:ident = $file:literal;)*) => {
        $($visible static $name: LazyLock<Script> =
            LazyLock::new(|| Script::of(concat!(include_str!("common.lua"), include_str!($file))));)*
    };
}

scripts! {
    pub(super) JOIN = "join.lua";
    pub(super) TAKE = "take.lua";
    ACK = "ack.lua";
    pub(super) RETRY = "retry.lua";
    pub(super) DEAD_LETTER = "dead_letter.lua";
    pub(super) HEARTBEAT = "heartbeat.lua";
    pub(super) RELEASE = "release.lua";
    pub(super) DEPTH = "depth.lua";
    pub(super) REPLAY = "replay.lua";
    pub(super) RISKS = "risks.lua";
}

/// Name of the one consumer group.
pub(super) const GROUP: &str = "o11y-lab";
/// Fields that belong to a stay in the stream or in the dead letters and not to the message. The
/// scripts take the first for the attempts.
const PASSING: [&str; 4] = [wire::ATTEMPT, wire::DEAD_REASON, wire::DEAD_ATTEMPTS, wire::DEAD_AT];

/// Keys of one queue. The braces put them into one slot of a cluster.
pub(super) struct QueueKeys {
    /// The stream of messages.
    pub(super) stream: String,
    /// When which entry of `delayed` goes back into the stream: a sorted set.
    due: String,
    /// A stream of messages that wait for a retry.
    delayed: String,
    /// The stream of dead letters.
    pub(super) dead: String,
}

impl QueueKeys {
    pub(super) fn of(queue: &str) -> Self {
        let key = |part: &str| format!("o11y-lab:{{{queue}}}{part}");
        Self { stream: key(""), due: key(":due"), delayed: key(":delayed"), dead: key(":dead") }
    }

    /// What the scripts know as `KEYS`.
    pub(super) fn all(&self) -> MultipleKeys {
        vec![&self.stream, &self.due, &self.delayed, &self.dead].into()
    }
}

/// The words every script begins with, for this consumer.
pub(super) fn first_words(consumer: &str) -> [Value; 3] {
    [GROUP.into(), consumer.into(), PASSING.join(" ").into()]
}

impl Redis {
    /// Runs a script by its digest. A server that does not know it (it restarted, took over, or its
    /// cache was flushed) is sent the text instead, and knows it from then on.
    pub(super) async fn run<T: FromValue + Send>(
        &self,
        script: &'static LazyLock<Script>,
        args: impl IntoIterator<Item = String>,
    ) -> Result<T, QueueError> {
        let words: Vec<Value> =
            self.first_words.iter().cloned().chain(args.into_iter().map(Value::from)).collect();
        let keys = self.script_keys.clone();
        self.work
            .call(Duration::ZERO, |client| async move {
                match client.evalsha(script.digest.clone(), keys.clone(), words.clone()).await {
                    // Not begun, so nothing happens twice.
                    Err(error) if error.details().starts_with("NOSCRIPT") => {
                        client.eval(script.text, keys, words).await
                    }
                    answer => answer,
                }
            })
            .await
    }

    /// Acknowledges those deliveries that are still ours.
    pub(super) async fn acknowledge(&self, receipts: Vec<[String; 2]>) -> Result<FailedAcks, QueueError> {
        let given = receipts.len() as u64;
        let settled: u64 = self.run(&ACK, receipts.into_flattened()).await?;
        if settled < given {
            tracing::debug!(messages = given - settled, "Deliveries are no longer ours");
        }
        Ok(FailedAcks::new())
    }

    /// Runs a script that settles a delivery, or does nothing if it is not ours any more.
    pub(super) async fn settle(
        &self,
        script: &'static LazyLock<Script>,
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
