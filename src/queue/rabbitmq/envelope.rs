//! Form of a message in RabbitMQ: AMQP headers for headers, `message_id` for the id.

use std::time::Duration;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, MAX_SHORT_STRING_LENGTH, ShortString};

use super::topology::DELIVERY_LIMIT;
use crate::queue::wire::{self, ATTEMPT, DEAD_AT, DEAD_ATTEMPTS, KEY};
use crate::queue::{DeadLetter, Message, QueueError};

/// On disk before it is confirmed, whatever the queue's type.
const PERSISTENT: u8 = 2;
/// The header with the number of deliveries that came before this one and were not settled.
const RETURNS: &str = "x-delivery-count";
/// The header that lists what the broker itself did with a dead letter, the latest first.
const DEATHS: &str = "x-death";
/// Kept free in the frame of the headers, for what is added on the way.
const RESERVED: usize = 8 * 1024;

/// Refuses what does not fit: properties travel in one frame, the id in a short string.
pub(super) fn check(batch: &[Message], frame_max: u32) -> Result<(), QueueError> {
    let room = (frame_max as usize).saturating_sub(RESERVED);
    for message in batch {
        if message.id.len() > MAX_SHORT_STRING_LENGTH {
            return Err(QueueError::Refused("its id is longer than 255 bytes".to_owned()));
        }
        // A length octet, a type octet and four octets of length beside each pair.
        let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
        if headers + message.key.len() > room {
            return Err(QueueError::Refused(format!("{headers} bytes of headers do not fit into one frame")));
        }
    }
    Ok(())
}

/// The message without its body, with further fields of ours.
pub(super) fn properties(
    message: &Message,
    more: impl IntoIterator<Item = (&'static str, String)>,
) -> BasicProperties {
    let mut headers = FieldTable::default();
    let ours = [(KEY, message.key.clone())].into_iter().chain(more);
    let ours = ours.map(|(name, value)| (name.to_owned(), value));
    for (name, value) in message.headers.clone().into_iter().chain(ours) {
        // Another program's name may be too long to be sent; a name of ours never is.
        if let Ok(name) = ShortString::try_new(name) {
            headers.insert(name, AMQPValue::LongString(value.into()));
        }
    }
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    match ShortString::try_new(message.id.as_str()) {
        Ok(id) => properties.with_message_id(id),
        Err(_) => properties,
    }
}

/// The same for a queue that gives it back after `delay`; rounded up, for it may not be early.
pub(super) fn expiring(properties: BasicProperties, delay: Duration) -> BasicProperties {
    properties.with_expiration((delay.as_millis() + 1).to_string().into())
}

/// The message. Headers of another program that are no text are left out.
pub(super) fn message(properties: &BasicProperties, body: Vec<u8>) -> Message {
    let fields = fields(properties).filter(|(name, _)| !wire::is_rabbitmqs(name));
    Message {
        id: properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default(),
        key: field(properties, KEY).unwrap_or_default(),
        headers: wire::headers(fields),
        body,
    }
}

/// Deliveries of this copy before the present one.
pub(super) fn returns(properties: &BasicProperties) -> u32 {
    let count = properties.headers().as_ref().and_then(|headers| headers.inner().get(RETURNS));
    count.and_then(integer).and_then(|count| u32::try_from(count).ok()).unwrap_or_default()
}

/// Which attempt a delivery is: those of earlier copies and of this one.
pub(super) fn attempt(properties: &BasicProperties) -> u32 {
    earlier_attempts(properties).saturating_add(returns(properties)).saturating_add(1)
}

pub(super) fn dead_letter(properties: &BasicProperties, body: Vec<u8>) -> DeadLetter {
    wire::dead_letter(message(properties, body), |name| {
        field(properties, name).or_else(|| {
            let died_at = died_at_ms(properties)?;
            match name {
                DEAD_AT => Some(died_at.to_string()),
                DEAD_ATTEMPTS => {
                    Some(earlier_attempts(properties).saturating_add(DELIVERY_LIMIT + 1).to_string())
                }
                _ => None,
            }
        })
    })
}

/// When the broker itself gave it up, after more than its limit of deliveries.
fn died_at_ms(properties: &BasicProperties) -> Option<u64> {
    let deaths = properties.headers().as_ref()?.inner().get(DEATHS)?.as_array()?;
    let time = deaths.as_slice().first()?.as_field_table()?.inner().get("time")?.as_timestamp()?;
    time.checked_mul(1000)
}

fn earlier_attempts(properties: &BasicProperties) -> u32 {
    field(properties, ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn field(properties: &BasicProperties, name: &str) -> Option<String> {
    text(properties.headers().as_ref()?.inner().get(name)?)
}

fn fields(properties: &BasicProperties) -> impl Iterator<Item = (String, String)> {
    let headers = properties.headers().iter().flat_map(|headers| headers.inner());
    headers.filter_map(|(name, value)| Some((name.to_string(), text(value)?)))
}

fn text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

fn integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(n) => Some(n.into()),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => Some(n.into()),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => Some(n.into()),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::LongLongInt(n) => Some(n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn sent() -> Message {
        let headers = BTreeMap::from([("baggage".to_owned(), "who=Zoë".to_owned())]);
        Message { id: "m".to_owned(), key: "k".to_owned(), headers, body: b"{}".to_vec() }
    }

    #[test]
    fn what_the_broker_adds_is_counted_and_is_no_header_of_the_message() {
        let properties = properties(&sent(), [(ATTEMPT, "2".to_owned())]);
        let mut headers = properties.headers().clone().unwrap();
        let death = FieldTable::from(BTreeMap::from([("time".into(), AMQPValue::Timestamp(7))]));
        headers.insert(DEATHS.into(), AMQPValue::FieldArray(vec![death.into()].into()));
        headers.insert("x-first-death-queue".into(), AMQPValue::LongString("q".into()));
        headers.insert(RETURNS.into(), AMQPValue::LongInt(3));
        let properties = properties.with_headers(headers);
        assert_eq!(message(&properties, b"{}".to_vec()), sent());
        assert_eq!((attempt(&properties), returns(&properties)), (6, 3));
        let letter = dead_letter(&properties, Vec::new());
        assert_eq!((letter.died_at_ms, letter.attempts), (7000, 2 + DELIVERY_LIMIT + 1));
    }

    #[test]
    fn what_does_not_fit_into_one_frame_or_a_short_string_is_refused() {
        let frame = 128 * 1024;
        assert!(check(&[sent()], frame).is_ok());
        let mut large = sent();
        large.headers.insert("x".to_owned(), "v".repeat(frame as usize));
        let long = Message { id: "i".repeat(256), ..sent() };
        for message in [large, long] {
            assert!(matches!(check(&[sent(), message], frame), Err(QueueError::Refused(_))));
        }
    }
}
