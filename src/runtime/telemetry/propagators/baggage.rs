//! W3C Baggage.
//!
//! The SDK's own propagator reads the first of several headers only and of a value only what stands
//! before its second "=", writes a percent sign bare, and decodes properties without encoding them
//! again. Here properties travel as they came.

use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::printable;

const FIELD: &str = "baggage";
static FIELDS: LazyLock<[String; 1]> = LazyLock::new(|| [FIELD.to_owned()]);
/// The most that the specification wants passed on, of all headers together.
const LONGEST: usize = 8192;
const MOST_MEMBERS: usize = 64;
/// What a value may not hold bare, and "=", which not every reader expects there.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%').add(b'=');

/// The header of that name.
#[derive(Debug)]
pub(super) struct Baggage;

impl TextMapPropagator for Baggage {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let members = context.baggage().iter().map(|(key, (value, properties))| {
            let value = utf8_percent_encode(value.as_str(), ENCODED);
            let separator = if properties.as_str().is_empty() { "" } else { ";" };
            format!("{key}={value}{separator}{}", properties.as_str())
        });
        let mut header = String::new();
        for member in members {
            // What came in within the limit may be longer once it is encoded again.
            if header.len() + member.len() < LONGEST {
                if !header.is_empty() {
                    header.push(',');
                }
                header.push_str(&member);
            }
        }
        if !header.is_empty() {
            injector.set(FIELD, header);
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let header = extractor.get_all(FIELD).unwrap_or_default().join(",");
        if header.is_empty() || header.len() > LONGEST {
            return context.clone();
        }
        context.with_baggage(header.split(',').take(MOST_MEMBERS).filter_map(member))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(FIELDS.as_ref())
    }
}

/// `key=value;property;property=value`. What is malformed is left out alone; the SDK judges the key.
fn member(text: &str) -> Option<KeyValueMetadata> {
    let (pair, properties) = text.split_once(';').unwrap_or((text, ""));
    let (key, value) = pair.split_once('=')?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    let properties = properties.trim();
    // Whoever decodes them must not find a line break in them.
    let decoded = percent_decode_str(properties).decode_utf8().ok()?;
    (!decoded.contains(char::is_control) && printable(properties))
        .then(|| KeyValueMetadata::new(key.trim().to_owned(), value.into_owned(), properties))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn extracted(header: &str) -> Context {
        let carrier = HashMap::from([(FIELD.to_owned(), header.to_owned())]);
        Baggage.extract_with_context(&Context::new(), &carrier)
    }

    fn injected(context: &Context) -> String {
        let mut carrier = HashMap::new();
        Baggage.inject_context(context, &mut carrier);
        carrier.remove(FIELD).unwrap_or_default()
    }

    /// A carrier in which one field stands several times.
    struct Several(&'static str, Vec<&'static str>);

    impl Extractor for Several {
        fn get(&self, key: &str) -> Option<&str> {
            self.get_all(key).and_then(|all| all.first().copied())
        }
        fn get_all(&self, key: &str) -> Option<Vec<&str>> {
            (key == self.0).then(|| self.1.clone())
        }
        fn keys(&self) -> Vec<&str> {
            vec![self.0]
        }
    }

    #[test]
    fn several_baggage_headers_are_one_list_and_together_within_the_limit() {
        let read = |headers| {
            let carrier = Several("baggage", headers);
            Baggage.extract_with_context(&Context::new(), &carrier)
        };
        let context = read(vec!["a=1,b=2", "c=3"]);
        let values = ["a", "b", "c"].map(|key| context.baggage().get(key).map(ToString::to_string));
        assert_eq!(values, ["1", "2", "3"].map(|value| Some(value.to_owned())));
        let half: &'static str = format!("k={}", "x".repeat(5000)).leak();
        assert!(read(vec![half, half]).baggage().is_empty());
    }

    #[test]
    fn what_is_longer_once_it_is_encoded_again_still_stays_within_the_limit() {
        let sent: Vec<_> = (0..7).map(|n| format!("k{n}={}", "=".repeat(1_000))).collect();
        let written = injected(&extracted(&sent.join(",")));
        assert!((3_000..=LONGEST).contains(&written.len()), "{}", written.len());
        assert!(written.starts_with('k') && written.contains(",k"), "{written:.80}");
    }

    #[test]
    fn a_value_in_baggage_keeps_its_equals_signs_and_percent_signs_and_properties_travel_as_they_came() {
        let sent = "token=YWJj==,share=50%25,who=Zo%C3%AB;p=a%3Bb;secret,bad%key,=x,no value";
        let context = extracted(sent);
        let value = |key: &str| context.baggage().get(key).map(ToString::to_string);
        assert_eq!(value("token").as_deref(), Some("YWJj=="));
        assert_eq!(value("share").as_deref(), Some("50%"));
        assert_eq!(value("who").as_deref(), Some("Zoë"));
        assert_eq!(context.baggage().len(), 3);
        let written = injected(&context);
        let mut members: Vec<_> = written.split(',').collect();
        members.sort_unstable();
        assert_eq!(members, ["share=50%25", "token=YWJj%3D%3D", "who=Zo%C3%AB;p=a%3Bb;secret"]);
        let again = extracted(&written);
        assert_eq!(again.baggage().get("token").map(ToString::to_string).as_deref(), Some("YWJj=="));
    }
}
