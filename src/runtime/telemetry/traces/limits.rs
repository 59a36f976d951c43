//! `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, which the SDK does not have.

use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// Cuts every text in the attributes of a span, its events and its links to `most` characters.
pub(super) fn cut_texts(span: &mut SpanData, most: usize) {
    let events = span.events.events.iter_mut().flat_map(|e| &mut e.attributes);
    let links = span.links.links.iter_mut().flat_map(|l| &mut l.attributes);
    for attribute in span.attributes.iter_mut().chain(events).chain(links) {
        cut_attribute(attribute, most);
    }
}

fn cut_attribute(attribute: &mut KeyValue, most: usize) {
    match &mut attribute.value {
        Value::String(text) => cut(text, most),
        Value::Array(Array::String(texts)) => texts.iter_mut().for_each(|text| cut(text, most)),
        _ => {}
    }
}

fn cut(text: &mut StringValue, most: usize) {
    let shorter = text.as_str().char_indices().nth(most).map(|(end, _)| text.as_str()[..end].to_owned());
    if let Some(shorter) = shorter {
        *text = shorter.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_characters_and_other_values_stay() {
        let cut = |value: Value| {
            let mut attribute = KeyValue::new("k", value);
            cut_attribute(&mut attribute, 3);
            attribute.value
        };
        assert_eq!(cut("añoñ".into()), "año".into());
        assert_eq!(cut("año".into()), "año".into());
        assert_eq!(cut(12345.into()), 12345.into());
        let texts = Value::Array(Array::String(vec!["abcd".into(), "a".into()]));
        assert_eq!(cut(texts), Value::Array(Array::String(vec!["abc".into(), "a".into()])));
    }
}
