//! Form of a message in SQS.
//!
//! SQS takes ten attributes and is particular about their names and values. Headers are attributes
//! as far as that goes, the trace context first. One attribute of ours holds everything else as a
//! JSON object: what the queue adds, and the headers that do not fit.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{
    self, MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::BATCH_BYTES;
use super::client::built;
use crate::queue::wire::{self, ATTEMPT, ID, KEY};
use crate::queue::{Delivery, Message, QueueError};

/// Most attributes of a message.
const ATTRIBUTES: usize = 10;
/// The attribute that holds all fields without an attribute of their own.
const FIELDS: &str = "o11y-lab-fields";
/// The field that says how the body is written, where it is not the body itself.
const BODY: &str = "o11y-lab-body";
const BASE64: &str = "base64";
/// In front of a body in base64: SQS takes no empty one.
const ENCODED: &str = "base64,";
/// The header that SQS has a place for, `AWSTraceHeader`.
const XRAY: &str = "x-amzn-trace-id";
/// The only type of attribute used here.
const STRING: &str = "String";

/// SqsFields by their names: a message's headers and, with `wire`'s names, what the queue adds.
pub(super) type SqsFields = BTreeMap<String, String>;

/// A message as SQS takes it.
#[derive(Debug)]
pub(super) struct Packed {
    body: String,
    attributes: Vec<(String, String)>,
    trace: Option<String>,
}

impl Packed {
    /// Packs a message, and what the queue adds beside id and key.
    ///
    /// # Errors
    /// `Refused` if the result is larger than SQS takes.
    pub(super) fn of(
        message: &Message,
        more: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, QueueError> {
        let mut rest: SqsFields = more.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        rest.insert(ID.to_owned(), message.id.clone());
        rest.insert(KEY.to_owned(), message.key.clone());
        let body = match std::str::from_utf8(&message.body).ok().filter(|text| travels(text)) {
            Some(text) => text.to_owned(),
            None => {
                rest.insert(BODY.to_owned(), BASE64.to_owned());
                ENCODED.to_owned() + &BASE64_STANDARD.encode(&message.body)
            }
        };
        let mut headers: Vec<_> = message.headers.iter().collect();
        headers.sort_by_key(|(name, _)| !matches!(name.as_str(), "traceparent" | "tracestate"));
        let mut attributes = Vec::new();
        for (name, value) in headers {
            if attributes.len() + 1 < ATTRIBUTES && names_attribute(name) && travels(value) {
                attributes.push((name.clone(), value.clone()));
            } else {
                rest.insert(name.clone(), value.clone());
            }
        }
        attributes.push((FIELDS.to_owned(), json(&rest)));
        let trace = message.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(XRAY));
        let trace = trace.map(|(_, value)| value.clone()).filter(|value| travels(value));
        let packed = Self { body, attributes, trace };
        match packed.size() {
            size if size > BATCH_BYTES => Err(QueueError::Refused(format!("{size} bytes are too many"))),
            _ => Ok(packed),
        }
    }

    /// The size that SQS counts: body, and names, types and values of the attributes.
    pub(super) fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + STRING.len() + value.len());
        self.body.len() + attributes.sum::<usize>()
    }

    /// The entry of this number in a batch.
    pub(super) fn entry(self, number: usize) -> Result<SendMessageBatchRequestEntry, QueueError> {
        let mut entry =
            SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(self.body);
        for (name, value) in self.attributes {
            let value = MessageAttributeValue::builder().data_type(STRING).string_value(value).build();
            entry = entry.message_attributes(name, built(value)?);
        }
        if let Some(trace) = self.trace {
            let value = MessageSystemAttributeValue::builder().data_type(STRING).string_value(trace).build();
            entry = entry
                .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, built(value)?);
        }
        built(entry.build())
    }
}

/// The message and all its fields. One that another program sent has SQS's id and no key.
pub(super) fn unpack(raw: &types::Message) -> (Message, SqsFields) {
    let mut fields = SqsFields::new();
    if let Some(trace) = system(raw, &MessageSystemAttributeName::AwsTraceHeader) {
        fields.insert(XRAY.to_owned(), trace.to_owned());
    }
    for (name, value) in raw.message_attributes().into_iter().flatten() {
        match value.string_value() {
            Some(text) if name == FIELDS => {
                fields.extend(serde_json::from_str::<SqsFields>(text).unwrap_or_default());
            }
            Some(text) => drop(fields.insert(name.clone(), text.to_owned())),
            None => {}
        }
    }
    let body = raw.body().unwrap_or_default();
    let encoded = fields.get(BODY).is_some_and(|how| how == BASE64);
    let encoded = body.strip_prefix(ENCODED).filter(|_| encoded);
    let decoded = encoded.and_then(|text| BASE64_STANDARD.decode(text).ok());
    let message = Message {
        id: fields.get(ID).map_or_else(|| raw.message_id().unwrap_or_default().to_owned(), Clone::clone),
        key: fields.get(KEY).cloned().unwrap_or_default(),
        headers: wire::headers(fields.clone()),
        body: decoded.unwrap_or_else(|| body.as_bytes().to_vec()),
    };
    (message, fields)
}

/// Delivery of a received message.
pub(super) fn delivery(raw: &types::Message) -> Delivery {
    let deliveries = system(raw, &MessageSystemAttributeName::ApproximateReceiveCount);
    let deliveries: u32 = deliveries.and_then(|count| count.parse().ok()).unwrap_or(1);
    let (message, fields) = unpack(raw);
    // Attempts before a drain requeued it as a copy.
    let before = fields.get(ATTEMPT).and_then(|count| count.parse().ok()).unwrap_or(0);
    Delivery {
        message,
        attempt: deliveries.saturating_add(before),
        receipt: raw.receipt_handle().unwrap_or_default().to_owned(),
    }
}

/// What SQS itself says of a message.
pub(super) fn system<'a>(raw: &'a types::Message, name: &MessageSystemAttributeName) -> Option<&'a str> {
    raw.attributes()?.get(name).map(String::as_str)
}

/// JSON that SQS takes: two characters that JSON allows as they are, SQS does not.
fn json(fields: &SqsFields) -> String {
    let text = serde_json::to_string(fields).unwrap_or_default();
    text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

/// SQS's rule for bodies and values: something, and only the characters that XML has.
fn travels(text: &str) -> bool {
    let allowed = |c: char| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    !text.is_empty() && text.chars().all(allowed)
}

/// SQS's rule for names beyond the one that holds for all transports.
fn names_attribute(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    !reserved && !name.starts_with('.') && !name.ends_with('.') && !name.contains("..")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What SQS would hand out of what it was given.
    fn travelled(entry: &SendMessageBatchRequestEntry) -> types::Message {
        let sent = entry.message_attributes().cloned();
        types::Message::builder().set_message_attributes(sent).body(entry.message_body()).build()
    }

    fn message(headers: &[(&str, &str)], body: &[u8]) -> Message {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Message {
            id: "m".to_owned(),
            key: "k\u{1}".to_owned(),
            headers: headers.collect(),
            body: body.to_vec(),
        }
    }

    #[test]
    fn what_sqs_cannot_carry_as_it_is_arrives_all_the_same() {
        let many: Vec<_> = (0..20).map(|n| format!("h-{n}")).collect();
        let mut headers: Vec<_> = many.iter().map(|name| (name.as_str(), "v")).collect();
        headers.extend([
            ("traceparent", "00-1"),
            ("tracestate", "a=b"),
            ("a-empty", ""),
            ("a-control", "\u{1}\u{fffe}\u{ffff}"),
            ("aws.reserved", "v"),
            ("a..b", "v"),
        ]);
        for body in [&b"{}"[..], b"", b"\xff\xfe", "\u{0}\u{ffff}".as_bytes()] {
            let sent = message(&headers, body);
            let entry = Packed::of(&sent, []).unwrap().entry(0).unwrap();
            let attributes = entry.message_attributes().unwrap();
            assert_eq!(attributes.len(), ATTRIBUTES);
            assert!(attributes.contains_key("traceparent") && attributes.contains_key("tracestate"));
            assert!(
                attributes
                    .iter()
                    .all(|(name, value)| names_attribute(name) && travels(value.string_value().unwrap()))
            );
            assert!(travels(entry.message_body()));
            assert_eq!(unpack(&travelled(&entry)).0, sent);
        }
    }

    #[test]
    fn the_x_ray_header_travels_in_the_place_that_sqs_has_for_it_too() {
        let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
        let entry = Packed::of(&message(&[(XRAY, trace)], b"{}"), []).unwrap().entry(0).unwrap();
        assert_eq!(entry.message_system_attributes().unwrap()[&name].string_value(), Some(trace));
        let entry = Packed::of(&message(&[], b"{}"), []).unwrap().entry(0).unwrap();
        assert!(entry.message_system_attributes().is_none());
        // From a program that sets nothing else.
        let theirs = types::Message::builder()
            .message_id("theirs")
            .attributes(MessageSystemAttributeName::AwsTraceHeader, trace)
            .body("text")
            .build();
        let theirs = unpack(&theirs).0;
        assert_eq!((theirs.id.as_str(), theirs.headers[XRAY].as_str()), ("theirs", trace));
    }

    #[test]
    fn a_message_that_grows_too_large_on_the_way_is_refused() {
        let large = message(&[], &vec![0; BATCH_BYTES * 3 / 4]);
        assert!(matches!(Packed::of(&large, []), Err(QueueError::Refused(_))));
    }
}
