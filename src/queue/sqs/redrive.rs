//! Counts of messages, and what the queue's redrive policy says of dead letters.

use std::collections::HashMap;
use std::sync::Mutex;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::Sqs;
use super::answers::SqsFailure;
use crate::queue::{Depth, QueueError};

type AttributeValues = HashMap<QueueAttributeName, String>;

/// Redrive policy: where SQS moves messages that came too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redrive {
    /// The dead-letter queue's URL.
    pub(super) url: String,
    /// Deliveries after which SQS itself moves a message.
    pub(super) max_receive_count: u32,
}

impl Redrive {
    /// A dead-letter queue belongs to the account and region of its queue, so its URL differs in the
    /// name only. SQS writes the count as a number or as text.
    fn parse(policy: &str, queue_url: &str) -> Option<Self> {
        let policy: Value = serde_json::from_str(policy).ok()?;
        let name = policy["deadLetterTargetArn"].as_str()?.rsplit(':').next()?;
        let count = &policy["maxReceiveCount"];
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
        let (folder, _) = queue_url.rsplit_once('/')?;
        Some(Self { url: format!("{folder}/{name}"), max_receive_count: u32::try_from(count).ok()? })
    }
}

/// RedriveWatch over the queue's policy: warns once, and again after each change, where it and
/// `QUEUE_MAX_ATTEMPTS` do not fit.
pub(super) struct RedriveWatch {
    max_attempts: u32,
    seen: Mutex<Option<Option<Redrive>>>,
}

impl RedriveWatch {
    pub(super) fn of(max_attempts: u32) -> Self {
        Self { max_attempts, seen: Mutex::new(None) }
    }

    fn check(&self, redrive: Option<&Redrive>) {
        let now = Some(redrive.cloned());
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if *seen != now {
            *seen = now;
            if let Some(concern) = self.concern(redrive) {
                tracing::warn!(
                    maxReceiveCount = redrive.map(|redrive| redrive.max_receive_count),
                    maxAttempts = self.max_attempts,
                    "{concern}"
                );
            }
        }
    }

    /// At the last attempt the worker moves the message with a reason. SQS only does it for a
    /// consumer that dies in that attempt, if the two numbers are the same.
    fn concern(&self, redrive: Option<&Redrive>) -> Option<&'static str> {
        match redrive.map(|redrive| redrive.max_receive_count) {
            None => Some(
                "The SQS queue has no redrive policy: a message that cannot be handled has nowhere to go and comes again for ever",
            ),
            Some(count) if count < self.max_attempts => Some(
                "The SQS queue's maxReceiveCount is less than QUEUE_MAX_ATTEMPTS: SQS gives messages up before their last attempt, without a reason; set both to the same number",
            ),
            Some(count) if count > self.max_attempts => Some(
                "The SQS queue's maxReceiveCount is more than QUEUE_MAX_ATTEMPTS: a message whose consumer dies is tried more often than one that fails; set both to the same number",
            ),
            Some(_) => None,
        }
    }
}

impl Sqs {
    /// What the queue's policy says now; `None` if it has none.
    pub(super) async fn redrive(&self) -> Result<Option<Redrive>, QueueError> {
        let asked = [QueueAttributeName::RedrivePolicy];
        Ok(self.redrive_in(&self.attributes(&self.url, asked.to_vec()).await?))
    }

    pub(super) async fn count(&self) -> Result<Depth, QueueError> {
        let mut asked = COUNTS.to_vec();
        asked.push(QueueAttributeName::RedrivePolicy);
        let attributes = self.attributes(&self.url, asked).await?;
        let dead = match self.redrive_in(&attributes) {
            Some(redrive) => self.attributes(&redrive.url, COUNTS.to_vec()).await?,
            None => AttributeValues::new(),
        };
        let [visible, delayed, in_flight] = counts(&attributes);
        Ok(Depth { waiting: visible + delayed, in_flight, dead: counts(&dead).iter().sum() })
    }

    fn redrive_in(&self, attributes: &AttributeValues) -> Option<Redrive> {
        let policy = attributes.get(&QueueAttributeName::RedrivePolicy);
        let redrive = policy.and_then(|policy| Redrive::parse(policy, &self.url));
        self.watch.check(redrive.as_ref());
        redrive
    }

    async fn attributes(
        &self,
        url: &str,
        names: Vec<QueueAttributeName>,
    ) -> Result<AttributeValues, QueueError> {
        let call = self.client.get_queue_attributes().queue_url(url).set_attribute_names(Some(names));
        let answer = call.send().await.map_err(|error| SqsFailure::of(&error))?;
        Ok(answer.attributes.unwrap_or_default())
    }
}

/// Waiting, delayed, in flight. A message that waits for a retry is among the last: SQS hides both the
/// same way.
const COUNTS: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
];

fn counts(attributes: &AttributeValues) -> [u64; 3] {
    COUNTS.map(|name| attributes.get(&name).and_then(|text| text.parse().ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const URL: &str = "http://h:1/123/q";

    #[test]
    fn a_policy_names_the_dead_letter_queue_beside_the_queue() {
        for count in ["5", "\"5\""] {
            let policy = format!(
                r#"{{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:123:q-dead","maxReceiveCount":{count}}}"#
            );
            let redrive = Redrive::parse(&policy, URL).unwrap();
            assert_eq!((redrive.url.as_str(), redrive.max_receive_count), ("http://h:1/123/q-dead", 5));
        }
        for bad in ["", "{}", "[]", r#"{"deadLetterTargetArn":"a:b","maxReceiveCount":-1}"#] {
            assert_eq!(Redrive::parse(bad, URL), None, "{bad}");
        }
    }

    #[test]
    fn a_policy_that_disagrees_with_the_worker_is_a_concern() {
        let watch = RedriveWatch::of(5);
        let redrive = |count| Redrive { url: URL.to_owned(), max_receive_count: count };
        assert!(watch.concern(None).unwrap().contains("no redrive policy"));
        assert!(watch.concern(Some(&redrive(3))).unwrap().contains("less"));
        assert!(watch.concern(Some(&redrive(1000))).unwrap().contains("more"));
        assert_eq!(watch.concern(Some(&redrive(5))), None);
    }
}
