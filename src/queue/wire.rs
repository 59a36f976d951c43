//! Form of a message inside a broker, the same for every transport that has headers.
//!
//! A message's own headers travel under their own names. What the queue adds (id, key, attempts, why
//! a message died) has names with [`OURS`] in front, so that neither can be taken for the other.

use std::collections::BTreeMap;

use super::{DeadLetter, Delivery, MAX_MESSAGE_BYTES, Message, QueueError};

/// Starts the names of all fields that are the queue's and not the message's. Letters and hyphens
/// pass as a header, an attribute or a field of every broker.
pub(super) const OURS: &str = "o11y-lab-";
/// [`Message::id`], where the broker has no place of its own for it.
pub(super) const ID: &str = "o11y-lab-id";
/// [`Message::key`], likewise.
pub(super) const KEY: &str = "o11y-lab-key";
/// [`Delivery::attempt`] so far, where the broker does not count deliveries.
pub(super) const ATTEMPT: &str = "o11y-lab-attempt";
/// [`DeadLetter::reason`].
pub(super) const DEAD_REASON: &str = "o11y-lab-dead-reason";
/// [`DeadLetter::attempts`].
pub(super) const DEAD_ATTEMPTS: &str = "o11y-lab-dead-attempts";
/// [`DeadLetter::died_at_ms`].
pub(super) const DEAD_AT: &str = "o11y-lab-dead-at-ms";

/// What is kept of a reason, in characters.
const REASON_LENGTH: usize = 1000;

/// Refuses what some transport could not carry, whichever is in use: a message that passes on one
/// passes on all.
pub(super) fn check(batch: &[Message]) -> Result<(), QueueError> {
    for message in batch {
        if message.size() > MAX_MESSAGE_BYTES {
            return Err(QueueError::Refused(format!("{} bytes are too many", message.size())));
        }
        if let Some(name) = message.headers.keys().find(|name| !is_header_name(name)) {
            return Err(QueueError::Refused(format!("header name {name:?} cannot travel")));
        }
    }
    Ok(())
}

/// Amazon SQS's rule, the narrowest; names of ours are taken, and so are RabbitMQ's.
fn is_header_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty()
        && name.len() <= 200
        && name.chars().all(allowed)
        && !name.starts_with(OURS)
        && !is_rabbitmqs(name)
}

/// Headers that mean something to RabbitMQ itself: it adds the first and routes by the last.
pub(super) fn is_rabbitmqs(name: &str) -> bool {
    const ADDED: [&str; 5] =
        ["x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count"];
    ADDED.iter().any(|added| name.starts_with(added)) || matches!(name, "CC" | "BCC")
}

/// Headers of the message itself among all fields a broker brings.
pub(super) fn headers(fields: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    fields.into_iter().filter(|(name, _)| !name.starts_with(OURS)).collect()
}

/// Fields a dead letter has beside the message's, to be put where the headers are.
pub(super) fn dead_fields(delivery: &Delivery, reason: &str) -> [(&'static str, String); 3] {
    [
        (DEAD_REASON, kept_of(reason)),
        (DEAD_ATTEMPTS, delivery.attempt.to_string()),
        (DEAD_AT, now_ms().to_string()),
    ]
}

/// Dead letter from its message and its fields. What the broker itself moved there, or another
/// program put there, lacks some: then the reason says so.
pub(super) fn dead_letter(message: Message, field: impl Fn(&str) -> Option<String>) -> DeadLetter {
    let number = |name: &str| field(name).and_then(|text| text.parse::<i64>().ok());
    DeadLetter {
        message,
        reason: field(DEAD_REASON).unwrap_or_else(|| "dead-lettered by the broker".to_owned()),
        attempts: number(DEAD_ATTEMPTS).and_then(|n| u32::try_from(n).ok()).unwrap_or_default(),
        died_at_ms: number(DEAD_AT).unwrap_or_default(),
    }
}

/// Start of a reason: handlers choose its length, brokers limit it.
pub(super) fn kept_of(reason: &str) -> String {
    reason.chars().take(REASON_LENGTH).collect()
}

/// Milliseconds since the Unix epoch.
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(header: &str) -> Message {
        let headers = BTreeMap::from([(header.to_owned(), "v".to_owned())]);
        Message { id: "m".to_owned(), key: "k".to_owned(), headers, body: b"{}".to_vec() }
    }

    #[test]
    fn a_header_that_some_broker_cannot_carry_or_that_is_ours_is_refused_on_all() {
        assert!(check(&[message("traceparent"), message("X-B3.a_b")]).is_ok());
        for bad in ["", "sp ace", "名", "CC", "x-death", ID, "o11y-lab-anything", &"x".repeat(201)] {
            assert!(matches!(check(&[message("ok"), message(bad)]), Err(QueueError::Refused(_))), "{bad}");
        }
    }

    #[test]
    fn a_dead_letter_says_why_even_where_nobody_wrote_it_down() {
        let delivery = Delivery { message: message("a"), attempt: 3, receipt: String::new() };
        let fields = dead_fields(&delivery, &"ü".repeat(2000));
        let find = |name: &str| fields.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone());
        let letter = dead_letter(message("a"), find);
        assert_eq!((letter.reason.chars().count(), letter.attempts), (REASON_LENGTH, 3));
        assert!(letter.died_at_ms > 1_600_000_000_000);
        assert_eq!(dead_letter(message("a"), |_| None).reason, "dead-lettered by the broker");
    }
}
