//! The fields by which log lines are found, read without building the document.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::ids::{TraceId, parse_trace_id};
use super::params::rfc3339;
use crate::schema::{FAULT_ENDS, FAULT_SET};

/// The levels, least urgent first, each with its names in other logging systems, among them syslog, Python
/// and .NET.
pub(super) const LEVELS: [(&str, &[&str]); 6] = [
    ("trace", &["verbose", "finest"]),
    ("debug", &["fine"]),
    ("info", &["information", "notice"]),
    ("warn", &["warning"]),
    ("error", &["err", "severe"]),
    ("fatal", &["critical", "crit", "alert", "emergency", "emerg", "panic"]),
];
/// What an unknown one counts as.
const INFO: usize = 2;

/// The place among the levels of the one that any logging system's name means; OpenTelemetry's `DEBUG3` is
/// `debug`. An unknown one counts as `info`.
pub(super) fn rank(level: &str) -> usize {
    place(level).unwrap_or(INFO)
}

/// The same of a known one.
pub(super) fn place(level: &str) -> Option<usize> {
    let level = level.trim().trim_end_matches(['1', '2', '3', '4']);
    let means = |name: &str| name.eq_ignore_ascii_case(level);
    LEVELS.iter().position(|(name, others)| means(name) || others.iter().any(|other| means(other)))
}

/// The level that such a name means.
pub(super) fn level_in(text: &str) -> &'static str {
    LEVELS[rank(text)].0
}

/// The fields that log lines are searched by.
#[derive(Debug, PartialEq)]
pub(super) struct LineHead<'a> {
    /// Empty where the line names none.
    pub(super) service: Cow<'a, str>,
    pub(super) level: usize,
    pub(super) trace: Option<TraceId>,
    /// Nanoseconds since the epoch, where the line has a `timestamp` that is a time.
    pub(super) time: Option<u64>,
    message: Cow<'a, str>,
    fault: Cow<'a, str>,
}

impl<'a> LineHead<'a> {
    /// `None` where the text is not one JSON object. Of several fields of one name the last counts.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let head = reader.deserialize_map(HeadVisitor).ok()?;
        reader.end().ok()?;
        Some(head)
    }

    /// The fault that was set (`true`) or has ended at this line.
    pub(super) fn fault(&self) -> Option<(bool, &str)> {
        let set = self.message == FAULT_SET;
        let told = set || FAULT_ENDS.contains(&&*self.message);
        (told && !self.fault.is_empty()).then_some((set, &self.fault))
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = LineHead<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (service, message, fault) = Default::default();
        let mut head = LineHead { service, level: rank(""), trace: None, time: None, message, fault };
        while let Some(key) = map.next_key_seed(AnyValue)? {
            let value = map.next_value_seed(AnyValue)?.unwrap_or_default();
            match key.as_deref() {
                Some("service") => head.service = value,
                Some("level") => head.level = rank(&value),
                Some("traceId") => head.trace = parse_trace_id(&value),
                Some("timestamp") => head.time = rfc3339(&value),
                Some("message") => head.message = value,
                Some("fault") => head.fault = value,
                _ => {}
            }
        }
        Ok(head)
    }
}

/// Reads any value and keeps a text. With the depth limit of a full reader: what is kept goes into
/// answers unchanged, and their readers have one too.
struct AnyValue;

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_key_seed(AnyValue)?.is_some() {
            map.next_value_seed(AnyValue)?;
        }
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element_seed(AnyValue)?.is_some() {}
        Ok(None)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_colours_a_level_by_every_name_that_it_is_ranked_by() {
        let script = include_str!("ui/logs.js");
        for (level, names) in LEVELS {
            let row = format!("{level}: \"{}\"", names.join(" "));
            assert!(script.contains(&row), "logs.js does not have {row}");
        }
    }

    #[test]
    fn a_line_is_taken_exactly_where_a_full_reader_takes_it_as_an_object() {
        let deep = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let (deep, too_deep) = (deep(100), deep(5_000));
        for text in [
            "{}",
            r#"{"a":{"b":[1,-2,3.5,true,null,"x\n",{}]}}"#,
            &deep,
            &too_deep,
            "",
            "[]",
            "1",
            "{",
            r#"{"a":1}{"b":2}"#,
            r#"{"a":1e999}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1,}"#,
            "{\"a\":\"\n\"}",
        ] {
            let full = serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object());
            assert_eq!(LineHead::read(text).is_some(), full, "{:.40}", text);
        }
    }

    #[test]
    fn the_fields_are_texts_and_the_last_of_a_name_counts() {
        let read =
            |text| LineHead::read(text).map(|head| (head.service.into_owned(), head.level, head.trace));
        let line = r#"{"level":"warning","service":"a\u0062","traceId":"0A","n":[{"service":"no"}]}"#;
        assert_eq!(read(line), Some(("ab".to_owned(), 3, Some(10))));
        assert_eq!(read(r#"{"service":"a","service":7,"level":3}"#), Some((String::new(), 2, None)));
    }
}
