//! The producer: idempotent, and done with a record only when all in-sync replicas have it.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use super::answers::failed;
use super::client::{Access, OwnedClient, Quiet};
use super::record;
use crate::queue::broker::unavailable;
use crate::queue::{Message, QueueError};

/// Records in the producer's queue at once; it holds more.
const PAGE: usize = 1000;

/// One record on its way to a topic.
pub(super) struct OutgoingRecord {
    topic: String,
    key: String,
    headers: OwnedHeaders,
    body: Vec<u8>,
}

impl OutgoingRecord {
    /// `ours` are the queue's own fields, put where the headers are.
    pub(super) fn of(
        topic: &str,
        message: &Message,
        ours: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            key: message.key.clone(),
            headers: record::headers(message, ours),
            body: message.body.clone(),
        }
    }
}

pub(super) struct Outgoing {
    producer: OwnedClient<FutureProducer<Quiet>>,
    /// It could not bring a record to the broker. It would go on in a new epoch of its id, which not
    /// every broker with this protocol takes from it; a new producer has a new id.
    gave_up: AtomicBool,
}

impl Outgoing {
    pub(super) fn open(access: &Access) -> Result<Self, QueueError> {
        let mut config: ClientConfig = access.config();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // It ends before the call does; the relay sends the batch again.
            .set("message.timeout.ms", "3000")
            .set("request.timeout.ms", "3000")
            .set("linger.ms", "1")
            .set("queue.buffering.max.messages", (PAGE * 10).to_string())
            .set("queue.buffering.max.kbytes", "65536")
            // The partition of a key is the one that Kafka's own clients choose.
            .set("partitioner", "murmur2");
        let producer = config.create_with_context(Quiet).map_err(failed)?;
        Ok(Self { producer: OwnedClient::of(producer), gave_up: AtomicBool::new(false) })
    }

    /// After a fatal error, such as a broker that has forgotten the producer, only a new one helps.
    pub(super) fn usable(&self) -> bool {
        let sound = |producer: &FutureProducer<Quiet>| producer.client().fatal_error().is_none();
        !self.gave_up.load(Ordering::Relaxed) && self.producer.as_ref().is_some_and(sound)
    }

    /// In order; `Ok` means that the broker has all of them.
    pub(super) async fn send(&self, records: Vec<OutgoingRecord>) -> Result<(), QueueError> {
        let producer = self.producer.as_ref().ok_or_else(|| unavailable("is no longer used"))?;
        for page in records.chunks(PAGE) {
            let mut sent = Vec::with_capacity(page.len());
            for record in page {
                let to_send = FutureRecord::to(&record.topic)
                    .key(&record.key)
                    .headers(record.headers.clone())
                    .payload(&record.body);
                sent.push(producer.send_result(to_send).map_err(|(error, _)| refused(error))?);
            }
            for arrived in future::join_all(sent).await {
                let arrived = arrived.map_err(|_| unavailable("was not waited for"))?;
                arrived.map_err(|(error, _)| {
                    self.gave_up.store(true, Ordering::Relaxed);
                    refused(error)
                })?;
            }
        }
        Ok(())
    }
}

fn refused(error: KafkaError) -> QueueError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidRecord) => {
            QueueError::Refused("the broker's topic takes no such record".to_owned())
        }
        _ => failed(error),
    }
}
