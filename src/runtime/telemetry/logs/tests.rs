#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// What `f` logs through a subscriber as `start` builds it.
fn logged(level: &str, format: Format, f: impl FnOnce()) -> String {
    logged_at(level, None, format, f)
}

/// The same where telemetry itself has a level of its own.
fn logged_at(level: &str, own: Option<LevelFilter>, format: Format, f: impl FnOnce()) -> String {
    let memory = Arc::<Mutex<Vec<u8>>>::default();
    let lines = memory.clone();
    let write = move |line: &[u8]| lines.lock().unwrap().extend([line, b"\n"].concat());
    let layer = LogLayer { form: Form::new("order-service", format, "standard output"), write, export: None };
    let provider = SdkTracerProvider::builder().build();
    let subscriber = tracing_subscriber::registry()
        .with(layer.with_filter(filter(level, own).unwrap()))
        .with(crate::runtime::telemetry::span_layer(provider.tracer("test")));
    tracing::subscriber::with_default(subscriber, f);
    String::from_utf8(memory.lock().unwrap().clone()).unwrap()
}

fn one(f: impl FnOnce()) -> Value {
    let text = logged("info", Format::Json, f);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.len() <= LONGEST_LINE + 1);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_line_is_one_json_object_with_the_keys_in_their_order() {
    let text = logged("info", Format::Json, || tracing::info!(orderId = 3, total = 49.99, "Order created"));
    let expected =
        r#","level":"info","message":"Order created","service":"order-service","orderId":3,"total":49.99}"#;
    assert!(text.trim_end().ends_with(expected), "{text}");
    let line: Value = serde_json::from_str(&text).unwrap();
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.parse::<jiff::Timestamp>().is_ok());
    assert_eq!((timestamp.len(), timestamp.ends_with('Z')), (24, true));
    assert!(line.get("traceId").is_none());
}

#[test]
fn inside_a_span_a_line_carries_its_ids_even_where_the_level_hides_the_span() {
    let text = logged("warn", Format::Json, || {
        let span = tracing::info_span!("outer");
        let _entered = span.enter();
        tracing::warn!("first");
        tracing::info_span!("inner").in_scope(|| tracing::warn!("second"));
    });
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["traceId"].as_str().unwrap().len(), 32);
    assert_eq!(lines[0]["spanId"].as_str().unwrap().len(), 16);
    assert_eq!(lines[0]["traceId"], lines[1]["traceId"]);
    assert_ne!(lines[0]["spanId"], lines[1]["spanId"]);
}

#[test]
fn no_span_means_no_ids() {
    let line = one(|| {
        let none = tracing::Span::none();
        none.in_scope(|| tracing::info!("health"));
    });
    assert!(line.get("traceId").is_none() && line.get("spanId").is_none());
}

#[test]
fn no_input_can_forge_a_line_or_a_key() {
    let evil = "a\n{\"level\":\"error\"}\r\u{2028}\u{85}\u{1b}[2J\u{0}\"\\";
    let text = logged("info", Format::Json, || {
        tracing::info!(name = evil, level = "fake", traceId = "fake", "{evil}")
    });
    let raw = text.trim_end_matches('\n');
    assert!(!raw.chars().any(|c| c.is_control() || c == '\u{2028}'), "{raw:?}");
    let line: Value = serde_json::from_str(raw).unwrap();
    assert_eq!((line["message"].as_str(), line["name"].as_str()), (Some(evil), Some(evil)));
    assert_eq!((line["level"].as_str(), line["level_"].as_str()), (Some("info"), Some("fake")));
    assert!(line.get("traceId").is_none());
}

#[test]
fn a_line_stays_within_its_bound_and_says_that_it_was_cut() {
    let long = "x\n".repeat(100_000);
    let line = one(|| tracing::info!(a = %long, b = ?long, c = 1, "{long}"));
    assert!(line["message"].as_str().unwrap().ends_with('…'));
    assert!(line["a"].as_str().unwrap().ends_with('…'));
}

#[test]
fn numbers_that_json_lacks_become_text() {
    let line = one(|| tracing::info!(nan = f64::NAN, inf = f64::INFINITY, big = u64::MAX, yes = true, "x"));
    assert_eq!((line["nan"].as_str(), line["inf"].as_str()), (Some("NaN"), Some("inf")));
    assert_eq!((line["big"].as_u64(), line["yes"].as_bool()), (Some(u64::MAX), Some(true)));
}

#[test]
fn pretty_lines_are_readable_and_pass_no_escape_sequence_on() {
    let say = || tracing::warn!(orderId = 3, who = "a b", "Order\x1b[31m created");
    let plain = logged("info", Format::Pretty { colours: false }, say);
    assert!(
        plain.contains(" WARN o11y_lab::runtime::telemetry::logs::tests: Order\\u{1b}[31m created"),
        "{plain}"
    );
    assert!(plain.contains("orderId=3 who=\"a b\""), "{plain}");
    assert!(!plain.contains('\x1b'));
    assert!(logged("info", Format::Pretty { colours: true }, say).contains("\x1b[33m WARN\x1b[0m"));
}

#[test]
fn no_control_character_and_no_mark_of_direction_reaches_a_terminal_from_a_pretty_line() {
    let evil = "\u{9b}31m\u{202e}\u{2066}\u{61c}\u{85}\n";
    let line = logged("info", Format::Pretty { colours: false }, || tracing::info!(who = evil, "{evil}"));
    assert!(!line.trim_end_matches('\n').contains(crate::terminal::is_unsafe), "{line:?}");
    assert!(line.contains("\\u{9b}31m\\u{202e}"), "{line:?}");
}

#[test]
fn the_sdk_s_own_lines_stay_out_unless_they_are_asked_for() {
    let say = || tracing::error!(target: "opentelemetry_sdk", "export failed");
    assert_eq!(logged("info", Format::Json, say), "");
    assert!(!logged("info,opentelemetry_sdk=warn", Format::Json, say).is_empty());
}

#[test]
fn a_closed_output_is_no_reason_to_die() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let form = Form::new("x", Format::Json, "standard output");
    let writer = LossyWriter::start(Closed, form.clone()).unwrap();
    let layer = LogLayer { form, write: move |line: &[u8]| writer.line(line), export: None };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || tracing::info!("x"));
}

#[test]
fn what_was_dropped_is_said_in_a_line_like_any_other() {
    let form = |format| Form::new("order-service", format, "standard output");
    let line: Value = serde_json::from_str(&form(Format::Json).notice(7).unwrap()).unwrap();
    assert_eq!(
        (&line["level"], &line["service"], &line["lines"]),
        (&"warn".into(), &"order-service".into(), &7.into())
    );
    assert!(form(Format::Pretty { colours: false }).notice(7).unwrap().ends_with(" lines=7"));
}

#[test]
fn the_level_of_telemetry_itself_holds_unless_the_logs_level_names_that_part() {
    let shown = |level: &str, own: Option<LevelFilter>| {
        let text = logged_at(level, own, Format::Json, || {
            tracing::info!(target: "o11y_lab::runtime::telemetry::otlp", "own");
            tracing::info!(target: "o11y_lab::roles", "others");
        });
        ["own", "others"].map(|word| text.contains(&format!("\"{word}\"")))
    };
    assert_eq!(shown("info", None), [true, true]);
    assert_eq!(shown("info", Some(LevelFilter::WARN)), [false, true]);
    assert_eq!(shown("info", Some(LevelFilter::OFF)), [false, true]);
    assert_eq!(shown("warn", Some(LevelFilter::DEBUG)), [true, false]);
    assert_eq!(shown("warn,o11y_lab::runtime::telemetry=off", Some(LevelFilter::DEBUG)), [false, false]);
}
