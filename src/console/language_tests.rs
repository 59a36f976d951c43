//! The query language as a person writes it, right and wrong.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::console::subject::{Comparison, FilterNumber};

fn field(subject: FilterSubject, test: Test, negated: bool) -> Term {
    Term::Field { subject, test, negated }
}

fn attribute(key: &str, test: Test) -> Term {
    field(FilterSubject::Attribute(key.into()), test, false)
}

fn equal(value: &str) -> Test {
    Test::Equal(value.into())
}

fn text(word: &str) -> Term {
    Term::Text(word.into())
}

#[test]
fn every_operator_is_read_with_and_without_spaces_around_it() {
    use Comparison::{Greater, GreaterOrEqual, Less, LessOrEqual};
    let compare = |comparison, number| Test::Compare(comparison, FilterNumber::Whole(number));
    for (query, expected) in [
        ("a.b=c", attribute("a.b", equal("c"))),
        ("a.b = c", attribute("a.b", equal("c"))),
        ("a!=1", field(FilterSubject::Attribute("a".into()), equal("1"), true)),
        ("a~Bc", attribute("a", Test::Contains("bc".into()))),
        ("a !~ b", field(FilterSubject::Attribute("a".into()), Test::Contains("b".into()), true)),
        ("a>5", attribute("a", compare(Greater, 5))),
        ("a >= 5", attribute("a", compare(GreaterOrEqual, 5))),
        ("a<5", attribute("a", compare(Less, 5))),
        ("a<=-5", attribute("a", compare(LessOrEqual, -5))),
        ("a>9007199254740993", attribute("a", compare(Greater, 9_007_199_254_740_993))),
        ("a>0.5", attribute("a", Test::Compare(Greater, FilterNumber::Float(0.5)))),
        ("error.type exists", attribute("error.type", Test::Exists)),
        ("error.type !exists", field(FilterSubject::Attribute("error.type".into()), Test::Exists, true)),
        ("duration>100ms", field(FilterSubject::Duration, compare(Greater, 100_000_000), false)),
        ("Duration < 1.5s", field(FilterSubject::Duration, compare(Less, 1_500_000_000), false)),
        ("span.duration>250", field(FilterSubject::SpanDuration, compare(Greater, 250_000_000), false)),
        ("service=order-service", field(FilterSubject::Service, equal("order-service"), false)),
        ("status=error", field(FilterSubject::Status, equal("error"), false)),
        ("kind=SERVER", field(FilterSubject::Kind, equal("SERVER"), false)),
        ("name=\"POST /api/orders\"", field(FilterSubject::Name, equal("POST /api/orders"), false)),
        ("url.full=http://x/?a=b", attribute("url.full", equal("http://x/?a=b"))),
        (r#"a="say \"hi\" \\""#, attribute("a", equal(r#"say "hi" \"#))),
        (r#""a key"=b"#, attribute("a key", equal("b"))),
    ] {
        assert_eq!(read(query), Ok(vec![expected]), "{query}");
    }
}

#[test]
fn words_and_quoted_texts_stand_beside_terms_in_any_order() {
    let route = || attribute("http.route", equal("/x"));
    assert_eq!(read("POST /api/Orders").unwrap(), [text("post"), text("/api/orders")]);
    assert_eq!(read(" http.route=/x  declined ").unwrap(), [route(), text("declined")]);
    assert_eq!(
        read(r#""two words" http.route = /x "a=b""#).unwrap(),
        [text("two words"), route(), text("a=b")]
    );
    assert_eq!(read(r#"what "exists""#).unwrap(), [text("what"), text("exists")]);
    assert_eq!(read("GET /api/users/{id} !important").unwrap()[2], text("!important"));
    assert_eq!(read("  ").unwrap(), []);
}

#[test]
fn what_is_wrong_is_said_with_the_place_where() {
    for (query, at, why) in [
        ("=x", 1, "a key is missing before '='"),
        ("ä =", 4, "a value is missing after '='"),
        ("a= >5", 4, "a value is missing"),
        ("a>many", 3, "'many' is no number"),
        ("x duration>soon", 12, "'soon' is no duration such as 100ms"),
        ("duration~1", 10, "a duration is compared with"),
        ("status=broken", 8, "'broken' is none of error, ok, unset"),
        ("kind!=web", 7, "'web' is none of internal"),
        ("a=\"open", 3, "the quote that begins here has no end"),
        ("\"open\\", 1, "the quote that begins here has no end"),
        ("a=\"b\"c", 6, "a space is missing after the quoted text"),
        ("<img src=x>", 1, "a key is missing before '<'"),
    ] {
        let error = read(query).unwrap_err();
        assert!(error.at == at && error.why.contains(why), "{query}: {error:?}");
        assert!(error.to_string().starts_with(&format!("filter, character {at}: ")), "{error}");
    }
    assert!(read(&"x ".repeat(MOST_TERMS + 1)).unwrap_err().why.contains("terms at most"));
    assert!(read(&"x".repeat(MOST_BYTES + 1)).unwrap_err().why.contains("bytes long at most"));
}

#[test]
fn whatever_is_written_is_read_or_refused() {
    let signs =
        ["\"", "\\", "=", "!", "~", "<", ">", " ", "a", "é", "1", "exists", "duration", "\u{0}", "👍"];
    for a in signs {
        for b in signs {
            for c in signs {
                for d in signs {
                    let query = [a, b, c, d].concat();
                    if let Err(error) = read(&query) {
                        assert!(error.at <= query.chars().count() + 1, "{query}: {error}");
                    }
                }
            }
        }
    }
}
