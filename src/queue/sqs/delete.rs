//! Acknowledgements, as many as there are in one call.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;

use super::Sqs;
use super::answers::SqsFailure;
use super::client::{built, gone};
use crate::queue::QueueError;
use crate::queue::ack_batch::FailedAcks;

impl Sqs {
    /// Deletes the message of this receipt; one that is gone already is deleted.
    pub(super) async fn delete(&self, receipt: &str) -> Result<(), QueueError> {
        self.deletes.settle(receipt.to_owned(), |all| delete_all(&self.client, &self.url, all)).await
    }
}

/// Deletes up to [`super::BATCH`] messages.
pub(super) async fn delete_all(
    client: &Client,
    url: &str,
    receipts: Vec<String>,
) -> Result<FailedAcks, QueueError> {
    let entry = |(place, receipt): (usize, String)| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string());
        built(entry.receipt_handle(receipt).build())
    };
    let entries = receipts.into_iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
    let call = client.delete_message_batch().queue_url(url).set_entries(Some(entries));
    let deleted = call.send().await.map_err(|error| SqsFailure::of(&error))?;
    let failed = deleted.failed().iter().filter(|entry| !gone(SqsFailure::coded(entry.code()).code()));
    // A place that was never asked about belongs to no receipt.
    let place = |entry: &str| entry.parse().unwrap_or(usize::MAX);
    Ok(failed.map(|entry| (place(entry.id()), SqsFailure::coded(entry.code()).into())).collect())
}
