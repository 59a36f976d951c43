//! Dead-lettering, browsing and replaying.
//!
//! SQS cannot browse without taking: to browse hides the letters, and shows them again when done. Two
//! that browse at the same time each see a part.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws_sdk_sqs::types::{self, ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName};

use super::answers::SqsFailure;
use super::client::built;
use super::delete::delete_all;
use super::message::{Packed, system, unpack};
use super::redrive::Redrive;
use super::{BATCH, Sqs};
use crate::queue::broker::{CALL_TIMEOUT, unavailable, within};
use crate::queue::wire::{self, DEAD_ATTEMPTS, dead_fields};
use crate::queue::{DeadLetter, Delivery, QueueError};

/// Time for which letters stay hidden if the process that browses them dies.
const BROWSE_HIDDEN: Duration = Duration::from_secs(60);
/// Seconds to wait for letters: a call that does not wait asks only some of SQS's servers.
const WAIT: u64 = 1;

impl Sqs {
    pub(super) async fn move_to_dead(&self, delivery: &Delivery, reason: &str) -> Result<(), QueueError> {
        let Some(redrive) = self.redrive().await? else {
            return Err(unavailable("has no dead-letter queue for this queue: it has no redrive policy"));
        };
        self.move_to(delivery, &redrive.url, dead_fields(delivery, reason)).await
    }

    pub(super) async fn browse_dead(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let Some(redrive) = within(CALL_TIMEOUT, self.redrive()).await? else { return Ok(Vec::new()) };
        let mut seen = BTreeMap::new();
        let browsed = self.browse(&redrive, limit, &mut seen).await;
        self.show_again(&redrive, seen.values().filter_map(types::Message::receipt_handle)).await;
        browsed?;
        let mut letters: Vec<_> = seen.values().map(|raw| (age(raw), letter(raw, &redrive))).collect();
        letters.sort_by_key(|(sent, _)| *sent);
        Ok(letters.into_iter().map(|(_, letter)| letter).collect())
    }

    /// Takes letters until there are no more, or only such as were taken before.
    async fn browse(
        &self,
        redrive: &Redrive,
        limit: usize,
        seen: &mut BTreeMap<String, types::Message>,
    ) -> Result<(), QueueError> {
        let mut before = None;
        while seen.len() < limit && before != Some(seen.len()) {
            before = Some(seen.len());
            let taken = self.take(&redrive.url, limit - seen.len(), WAIT, BROWSE_HIDDEN).await?;
            seen.extend(taken.into_iter().map(|raw| (raw.message_id().unwrap_or_default().to_owned(), raw)));
        }
        Ok(())
    }

    /// Makes letters visible again. Where that fails they are when [`BROWSE_HIDDEN`] is over.
    async fn show_again(&self, redrive: &Redrive, receipts: impl Iterator<Item = &str>) {
        let receipts: Vec<_> = receipts.collect();
        for batch in receipts.chunks(BATCH) {
            let shown = within(CALL_TIMEOUT, async {
                let entry = |(number, receipt): (usize, &&str)| {
                    let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(number.to_string());
                    built(entry.receipt_handle(*receipt).visibility_timeout(0).build())
                };
                let entries = batch.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
                let call = self.client.change_message_visibility_batch().queue_url(&redrive.url);
                let shown = call.set_entries(Some(entries)).send().await;
                shown.map_err(|error| QueueError::from(SqsFailure::of(&error)))
            });
            if let Err(error) = shown.await {
                tracing::debug!(reason = %error, "Dead letters stay hidden for a while");
            }
        }
    }

    pub(super) async fn replay_dead(&self, id: Option<&str>) -> Result<u64, QueueError> {
        let Some(redrive) = within(CALL_TIMEOUT, self.redrive()).await? else { return Ok(0) };
        let mut held = Vec::new();
        let sent = self.replay_from(&redrive, id, &mut held).await;
        self.show_again(&redrive, held.iter().map(String::as_str)).await;
        sent
    }

    /// Letters that are not wanted end up in `held`. A message that fails again at once is back among
    /// the letters while others are on their way: each id is sent back once, or this might not end.
    async fn replay_from(
        &self,
        redrive: &Redrive,
        id: Option<&str>,
        held: &mut Vec<String>,
    ) -> Result<u64, QueueError> {
        let mut seen = HashSet::new();
        let mut sent = 0;
        loop {
            let taken = self.take(&redrive.url, BATCH, WAIT, BROWSE_HIDDEN).await?;
            let known = seen.len();
            let (mut messages, mut receipts) = (Vec::new(), Vec::new());
            for raw in taken {
                let message = unpack(&raw).0;
                let receipt = raw.receipt_handle.unwrap_or_default();
                let wanted = id.is_none_or(|id| id == message.id);
                match seen.insert(message.id.clone()) && wanted {
                    true => {
                        messages.push(message);
                        receipts.push(receipt);
                    }
                    false => held.push(receipt),
                }
            }
            if !messages.is_empty() {
                sent += messages.len() as u64;
                within(CALL_TIMEOUT, self.move_back(redrive, messages, receipts)).await?;
            }
            if seen.len() == known || (id.is_some() && sent > 0) {
                return Ok(sent);
            }
        }
    }

    async fn move_back(
        &self,
        redrive: &Redrive,
        messages: Vec<crate::queue::Message>,
        receipts: Vec<String>,
    ) -> Result<(), QueueError> {
        let packed = messages.iter().map(|message| Packed::of(message, [])).collect::<Result<_, _>>()?;
        self.send(&self.url, packed).await?;
        match delete_all(&self.client, &redrive.url, receipts).await?.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

fn letter(raw: &types::Message, redrive: &Redrive) -> DeadLetter {
    let (message, fields) = unpack(raw);
    wire::dead_letter(message, |name| match fields.get(name) {
        // What SQS itself moved has no fields of a dead letter, but it is known when SQS does that.
        None if name == DEAD_ATTEMPTS => Some(redrive.max_receive_count.to_string()),
        field => field.cloned(),
    })
}

/// When it was sent here, or, if SQS moved it, when it was sent at all: milliseconds since the Unix
/// epoch.
fn age(raw: &types::Message) -> u64 {
    let sent = system(raw, &MessageSystemAttributeName::SentTimestamp);
    sent.and_then(|text| text.parse().ok()).unwrap_or_default()
}
