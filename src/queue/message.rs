//! What travels through a queue, and what is told about it.

use std::collections::BTreeMap;

/// Largest message that every transport takes, headers, key and body together: Amazon SQS's 256 KiB,
/// the narrowest limit, less room for what the queue adds, the reason of a dead letter included. So a
/// message that passes here passes everywhere, there and back.
pub const MAX_MESSAGE_BYTES: usize = 240 * 1024;

/// Message with its headers. They carry the trace context; each transport puts them into its native
/// place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Unique; the consumer's effect happens once for each id.
    pub id: String,
    /// Messages with the same key are delivered in the order they were published, as far as the
    /// transport promises it; see [`Deliver::receive`](super::Deliver::receive).
    pub key: String,
    /// String headers, the W3C trace context among them.
    pub headers: BTreeMap<String, String>,
    /// A JSON document.
    pub body: Vec<u8>,
}

impl Message {
    /// The size that counts against [`MAX_MESSAGE_BYTES`].
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.id.len() + self.key.len() + headers + self.body.len()
    }
}

/// Delivery of a message to one consumer: in flight until the consumer settles it or the visibility
/// timeout ends.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// 1 for the first delivery. Counts deliveries, so one that ended in a crash counts too.
    pub attempt: u32,
    /// What the transport needs to settle it; meaningless to everybody else.
    pub receipt: String,
}

/// Numbers of messages by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Depth {
    /// Not yet delivered to a consumer, messages that wait for a retry included (except on SQS).
    pub waiting: u64,
    /// Delivered and not settled. SQS hides a message that waits for a retry the same way and counts
    /// it here.
    #[serde(rename = "inFlight")]
    pub in_flight: u64,
    /// In the dead-letter queue.
    pub dead: u64,
}

/// Dead-lettered message with the reason.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The message, headers included.
    pub message: Message,
    /// Why it was dead-lettered.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was dead-lettered, milliseconds since the Unix epoch.
    pub died_at_ms: i64,
}
