//! Acknowledgements, as many as there are in one call.

use std::collections::VecDeque;
use std::sync::Mutex;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use tokio::sync::oneshot;

use super::BATCH;
use super::client::{Failure, built, gone};
use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// Deletes that wait for their turn. While one call is on its way the next ones gather, so that a
/// single one waits for nothing and many share a call.
#[derive(Default)]
pub(super) struct Deletes {
    /// At most as many as there are deliveries in hand.
    waiting: Mutex<VecDeque<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    receipt: String,
    done: oneshot::Sender<Result<(), QueueError>>,
}

impl Deletes {
    /// Deletes the message of this receipt; one that is gone already is deleted.
    pub(super) async fn delete(&self, client: &Client, url: &str, receipt: &str) -> Result<(), QueueError> {
        let (done, mut result) = oneshot::channel();
        self.waiting().push_back(Waiting { receipt: receipt.to_owned(), done });
        loop {
            let _turn = self.turn.lock().await;
            match result.try_recv() {
                Ok(deleted) => return deleted,
                // Whoever had it in hand gave up on the call.
                Err(oneshot::error::TryRecvError::Closed) => {
                    return Err(unavailable("did not answer in time"));
                }
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let batch: Vec<_> = {
                let mut waiting = self.waiting();
                let many = waiting.len().min(BATCH);
                waiting.drain(..many).collect()
            };
            delete_batch(client, url, batch).await;
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Tells everybody in the batch what became of theirs.
async fn delete_batch(client: &Client, url: &str, batch: Vec<Waiting>) {
    let receipts: Vec<_> = batch.iter().map(|one| one.receipt.clone()).collect();
    let deleted = delete_all(client, url, receipts).await;
    for (number, one) in batch.into_iter().enumerate() {
        let result = match &deleted {
            Ok(failed) => match failed.iter().find(|(n, _)| *n == number.to_string()) {
                Some((_, code)) => Err(Failure::coded(code).into()),
                None => Ok(()),
            },
            Err(QueueError::Unavailable(reason)) => Err(QueueError::Unavailable(reason.clone())),
            Err(QueueError::Refused(reason)) => Err(QueueError::Refused(reason.clone())),
        };
        // Nobody there any more: then nobody wants to know.
        let _ = one.done.send(result);
    }
}

/// Deletes up to [`BATCH`] messages; returns numbers and codes of those that could not be.
pub(super) async fn delete_all(
    client: &Client,
    url: &str,
    receipts: Vec<String>,
) -> Result<Vec<(String, String)>, QueueError> {
    let entry = |(number, receipt): (usize, String)| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(number.to_string());
        built(entry.receipt_handle(receipt).build())
    };
    let entries = receipts.into_iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
    let call = client.delete_message_batch().queue_url(url).set_entries(Some(entries));
    let deleted = call.send().await.map_err(|error| Failure::of(&error))?;
    let failed = deleted.failed().iter().filter(|entry| !gone(Failure::coded(entry.code()).code()));
    Ok(failed.map(|entry| (entry.id().to_owned(), entry.code().to_owned())).collect())
}
