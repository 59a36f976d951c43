//! Messages as entries of a stream, and back.

use std::collections::HashMap;

use crate::queue::{DeadLetter, Delivery, Message, QueueError, wire};

/// [`Message::body`].
const BODY: &str = "o11y-lab-body";
/// Most headers of a message: a script hands all fields of an entry to one command, and Lua's stack
/// has room for a few thousand words.
const MOST_HEADERS: usize = 1000;

/// EntryFields of an entry as Redis lists them, name and value in turn.
pub(super) type EntryFields = Vec<Vec<u8>>;

/// Refuses what can never be read again.
pub(super) fn check(batch: &[Message]) -> Result<(), QueueError> {
    wire::check(batch)?;
    match batch.iter().map(|message| message.headers.len()).find(|count| *count > MOST_HEADERS) {
        Some(count) => Err(QueueError::Refused(format!("{count} headers are too many"))),
        None => Ok(()),
    }
}

/// EntryFields of a message.
pub(super) fn fields(message: &Message) -> Vec<(&str, &[u8])> {
    let own = [(wire::ID, message.id.as_bytes()), (wire::KEY, message.key.as_bytes()), (BODY, &message.body)];
    let headers = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    own.into_iter().chain(headers).collect()
}

/// Delivery of an entry that was delivered `count` times.
pub(super) fn delivery(entry: &str, count: u32, fields: EntryFields) -> Delivery {
    let fields = by_name(fields);
    let before = text(&fields, wire::ATTEMPT).and_then(|n| n.parse::<u32>().ok()).unwrap_or_default();
    Delivery {
        message: message(entry, fields),
        attempt: before.saturating_add(count),
        receipt: format!("{entry} {count}"),
    }
}

/// Entry's id and count of [`delivery`]; `None` for a receipt of another transport.
pub(super) fn receipt(delivery: &Delivery) -> Option<[String; 2]> {
    delivery.receipt.split_once(' ').map(|(entry, count)| [entry.to_owned(), count.to_owned()])
}

/// Entry of the dead letters.
pub(super) fn dead_letter(entry: &str, fields: EntryFields) -> DeadLetter {
    let fields = by_name(fields);
    wire::dead_letter(message(entry, fields.clone()), |name| text(&fields, name))
}

/// Another program may have put anything there. Without an id it has its entry's; a body that cannot
/// be read is the handler's to judge.
fn message(entry: &str, mut fields: HashMap<String, Vec<u8>>) -> Message {
    Message {
        id: text(&fields, wire::ID).unwrap_or_else(|| entry.to_owned()),
        key: text(&fields, wire::KEY).unwrap_or_default(),
        body: fields.remove(BODY).unwrap_or_default(),
        headers: wire::headers(fields.into_iter().map(|(name, value)| (name, lossy(&value)))),
    }
}

fn by_name(fields: EntryFields) -> HashMap<String, Vec<u8>> {
    let mut fields = fields.into_iter();
    let mut named = HashMap::new();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        named.insert(lossy(&name), value);
    }
    named
}

fn text(fields: &HashMap<String, Vec<u8>>, name: &str) -> Option<String> {
    fields.get(name).map(|value| lossy(value))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn flat(fields: &[(&str, &[u8])]) -> EntryFields {
        fields.iter().flat_map(|(name, value)| [name.as_bytes().to_vec(), value.to_vec()]).collect()
    }

    #[test]
    fn what_another_program_put_there_is_a_message_too() {
        let odd = delivery("5-1", 1, flat(&[("x", &[0xff, 0xfe]), (wire::ATTEMPT, b"many")]));
        assert_eq!((odd.message.id.as_str(), odd.attempt, odd.message.body.len()), ("5-1", 1, 0));
        assert_eq!(odd.message.headers.keys().collect::<Vec<_>>(), ["x"]);
        let half = dead_letter("6-1", vec![b"name without a value".to_vec()]);
        assert_eq!(half.reason, "dead-lettered by the broker");
    }

    #[test]
    fn earlier_deliveries_count_and_a_receipt_names_this_one() {
        let message =
            Message { id: "m".into(), key: "k".into(), headers: BTreeMap::new(), body: vec![0xff, 0] };
        let mut sent = fields(&message);
        sent.push((wire::ATTEMPT, b"3"));
        let got = delivery("7-0", 2, flat(&sent));
        assert_eq!((&got.message, got.attempt), (&message, 5));
        assert_eq!(receipt(&got).unwrap(), ["7-0".to_owned(), "2".to_owned()]);
        assert!(receipt(&Delivery { receipt: "x".into(), ..got }).is_none());
    }

    #[test]
    fn more_headers_than_a_script_can_handle_are_refused() {
        let headers = |count: usize| (0..count).map(|n| (format!("h{n}"), String::new())).collect();
        let message =
            |count| Message { id: "m".into(), key: "k".into(), headers: headers(count), body: vec![] };
        assert!(check(&[message(MOST_HEADERS)]).is_ok());
        assert!(matches!(check(&[message(MOST_HEADERS + 1)]), Err(QueueError::Refused(_))));
    }
}
