//! Messages as Kafka's records: key, value, and headers with UTF-8 text.

use std::collections::BTreeMap;

use rdkafka::message::{Header, Headers, OwnedHeaders};

use crate::queue::{Message, wire};

/// Headers by name, the queue's own among them.
pub(super) type RecordFields = BTreeMap<String, String>;

/// The headers of a record: the message's own, its id and `ours`.
pub(super) fn headers(
    message: &Message,
    ours: impl IntoIterator<Item = (&'static str, String)>,
) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(message.headers.len() + 4);
    for (key, value) in &message.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    headers = headers.insert(Header { key: wire::ID, value: Some(&message.id) });
    for (key, value) in ours {
        headers = headers.insert(Header { key, value: Some(&value) });
    }
    headers
}

/// The message of a record and all its fields. A record that another program wrote has its place as
/// id: the same each time it comes.
pub(super) fn message(record: &impl rdkafka::Message) -> (Message, RecordFields) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut fields = RecordFields::new();
    if let Some(headers) = record.headers() {
        let headers = headers.iter();
        fields.extend(headers.map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default()))));
    }
    let place = || format!("{}-{}-{}", record.topic(), record.partition(), record.offset());
    let message = Message {
        id: fields.get(wire::ID).cloned().unwrap_or_else(place),
        key: text(record.key().unwrap_or_default()),
        headers: wire::headers(fields.clone()),
        body: record.payload().unwrap_or_default().to_vec(),
    };
    (message, fields)
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;

    fn record(headers: Option<OwnedHeaders>, key: Option<Vec<u8>>, body: Option<Vec<u8>>) -> OwnedMessage {
        OwnedMessage::new(body, key, "q".to_owned(), Timestamp::NotAvailable, 2, 7, headers)
    }

    #[test]
    fn a_message_comes_out_of_its_record_as_it_went_in() {
        let sent = Message {
            id: "m-1".to_owned(),
            key: "k".to_owned(),
            headers: BTreeMap::from([("baggage".to_owned(), "who=Zoë".to_owned())]),
            body: b"\xff\x00".to_vec(),
        };
        let headers = headers(&sent, [(wire::DEAD_REASON, "why".to_owned())]);
        let came = record(Some(headers), Some(sent.key.clone().into()), Some(sent.body.clone()));
        let (message, fields) = message(&came);
        assert_eq!((message, fields[wire::DEAD_REASON].as_str()), (sent, "why"));
    }

    #[test]
    fn a_record_of_another_program_is_a_message_with_its_place_as_id() {
        let headers = OwnedHeaders::new().insert(Header { key: "a", value: None::<&str> });
        let (message, _) = message(&record(Some(headers), Some(vec![0xff]), None));
        assert_eq!((message.id.as_str(), message.key.as_str(), message.body.len()), ("q-2-7", "\u{fffd}", 0));
        assert_eq!(message.headers["a"], "");
    }
}
