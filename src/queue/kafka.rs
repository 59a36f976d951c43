//! Kafka: a topic, a consumer group, a dead-letter topic.

use std::time::Duration;

use async_trait::async_trait;

use super::broker::unavailable;
use super::{DeadLetter, Delivery, Depth, Message, Queue, QueueError, wire};
use crate::config::QueueConfig;

/// One process's access to one queue.
pub struct Kafka {
    name: String,
}

impl Kafka {
    /// Connects to nothing yet: the first call does, and each call after the connection was lost.
    ///
    /// # Errors
    /// Settings that can never work, such as an authority's file that cannot be read.
    pub fn open(config: &QueueConfig) -> Result<Self, QueueError> {
        Ok(Self { name: config.queue_name.clone() })
    }
}

#[async_trait]
impl Queue for Kafka {
    fn system(&self) -> &'static str {
        "kafka"
    }

    fn name(&self) -> &str {
        &self.name
    }

    async fn publish(&self, batch: &[Message]) -> Result<(), QueueError> {
        wire::check(batch)?;
        Err(unavailable("is not written yet"))
    }

    async fn receive(&self, _max: usize, _wait: Duration) -> Result<Vec<Delivery>, QueueError> {
        Err(unavailable("is not written yet"))
    }

    async fn ack(&self, _delivery: &Delivery) -> Result<(), QueueError> {
        Err(unavailable("is not written yet"))
    }

    async fn retry(&self, _delivery: &Delivery, _delay: Duration) -> Result<(), QueueError> {
        Err(unavailable("is not written yet"))
    }

    async fn dead_letter(&self, _delivery: &Delivery, _reason: &str) -> Result<(), QueueError> {
        Err(unavailable("is not written yet"))
    }

    async fn heartbeat(&self, _delivery: &Delivery) -> Result<(), QueueError> {
        Err(unavailable("is not written yet"))
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Err(unavailable("is not written yet"))
    }

    async fn dead_letters(&self, _limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        Err(unavailable("is not written yet"))
    }

    async fn replay(&self, _id: Option<&str>) -> Result<u64, QueueError> {
        Err(unavailable("is not written yet"))
    }

    async fn close(&self) {}
}
