#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt;

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn carrier(fields: &[(&str, &str)]) -> HashMap<String, String> {
    fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn extracted(kind: PropagatorKind, fields: &[(&str, &str)]) -> Context {
    Propagators::new(&[kind]).extract_with_context(&Context::new(), &carrier(fields))
}

/// `trace-span-sampled`, or nothing.
fn ids(context: &Context) -> Option<String> {
    let span = context.span();
    let ids = span.span_context();
    ids.is_valid().then(|| format!("{}-{}-{}", ids.trace_id(), ids.span_id(), u8::from(ids.is_sampled())))
}

fn injected(kind: PropagatorKind, context: &Context) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    Propagators::new(&[kind]).inject_context(context, &mut fields);
    fields
}

#[test]
fn a_valid_traceparent_is_continued_with_its_state() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let context =
        extracted(PropagatorKind::TraceContext, &[("traceparent", &parent), ("tracestate", "a=1,b=2")]);
    assert_eq!(ids(&context), Some(format!("{TRACE}-{SPAN}-1")));
    assert_eq!(context.span().span_context().trace_state().header(), "a=1,b=2");
    let written = injected(PropagatorKind::TraceContext, &context);
    assert_eq!(written["traceparent"], parent);
    assert_eq!(written["tracestate"], "a=1,b=2");
    let later = format!("cc-{TRACE}-{SPAN}-01-what-comes-later");
    assert!(ids(&extracted(PropagatorKind::TraceContext, &[("traceparent", &later)])).is_some());
}

#[test]
fn a_malformed_traceparent_counts_as_absent() {
    let zero_trace = "0".repeat(32);
    let upper = TRACE.to_uppercase();
    for bad in [
        String::new(),
        "-".repeat(4),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-01-extra"),
        format!("00-{upper}-{SPAN}-01"),
        format!("00-{zero_trace}-{SPAN}-01"),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("00-{}-{SPAN}-01", &TRACE[1..]),
        format!("00-+{}-{SPAN}-01", &TRACE[1..]),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("+0-{TRACE}-{SPAN}-01"),
        format!("A0-{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-é"),
        format!("00-{TRACE}-{SPAN}"),
    ] {
        assert_eq!(ids(&extracted(PropagatorKind::TraceContext, &[("traceparent", &bad)])), None, "{bad}");
    }
}

#[test]
fn a_bad_tracestate_does_not_cost_the_trace() {
    let parent = format!("00-{TRACE}-{SPAN}-00");
    for bad in ["nonsense", "A=1", "a=1\r\nx: y", "a=é"] {
        let context =
            extracted(PropagatorKind::TraceContext, &[("traceparent", &parent), ("tracestate", bad)]);
        assert_eq!(ids(&context), Some(format!("{TRACE}-{SPAN}-0")), "{bad}");
        assert_eq!(context.span().span_context().trace_state().header(), "", "{bad}");
    }
}

#[test]
fn several_tracestate_fields_are_one_list_and_several_traceparents_are_none() {
    struct Twice(&'static str, String);
    impl Extractor for Twice {
        fn get(&self, key: &str) -> Option<&str> {
            self.get_all(key).and_then(|all| all.first().copied())
        }
        fn get_all(&self, key: &str) -> Option<Vec<&str>> {
            match key {
                _ if key == self.0 => Some(vec!["a=1", "b=2"]),
                "traceparent" => Some(vec![&self.1]),
                _ => None,
            }
        }
        fn keys(&self) -> Vec<&str> {
            vec![]
        }
    }
    let read = |twice| {
        let carrier = Twice(twice, format!("00-{TRACE}-{SPAN}-01"));
        Propagators::new(&[PropagatorKind::TraceContext]).extract_with_context(&Context::new(), &carrier)
    };
    assert_eq!(read("tracestate").span().span_context().trace_state().header(), "a=1,b=2");
    assert_eq!(ids(&read("traceparent")), None);
}

#[test]
fn hostile_baggage_is_bounded_and_cannot_put_a_line_break_into_our_own_headers() {
    let huge = format!("k={}", "x".repeat(9000));
    assert!(extracted(PropagatorKind::Baggage, &[("baggage", &huge)]).baggage().is_empty());
    let many = (0..500).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
    assert!(extracted(PropagatorKind::Baggage, &[("baggage", &many)]).baggage().len() <= 64);
    let context = extracted(PropagatorKind::Baggage, &[("baggage", "k=v;p=a%0d%0aevil:%20yes")]);
    assert!(injected(PropagatorKind::Baggage, &context).is_empty());
    let good = extracted(PropagatorKind::Baggage, &[("baggage", "user=42;p=1")]);
    assert_eq!(injected(PropagatorKind::Baggage, &good)["baggage"], "user=42;p=1");
}

#[test]
fn b3_is_read_in_both_forms_and_written_in_the_configured_one() {
    let single = format!("{TRACE}-{SPAN}-1-00f067aa0ba902b9");
    for kind in [PropagatorKind::B3, PropagatorKind::B3Multi] {
        assert_eq!(ids(&extracted(kind, &[("b3", &single)])), Some(format!("{TRACE}-{SPAN}-1")));
        let multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "0")];
        assert_eq!(ids(&extracted(kind, &multi)), Some(format!("{TRACE}-{SPAN}-0")));
    }
    let context = extracted(PropagatorKind::B3, &[("b3", &single)]);
    assert_eq!(injected(PropagatorKind::B3, &context)["b3"], format!("{TRACE}-{SPAN}-1"));
    let multi = injected(PropagatorKind::B3Multi, &context);
    assert_eq!(
        (&*multi["x-b3-traceid"], &*multi["x-b3-spanid"], &*multi["x-b3-sampled"]),
        (TRACE, SPAN, "1")
    );
    assert!(!multi.contains_key("b3"));
}

#[test]
fn b3_passes_debug_on_and_pads_short_trace_ids() {
    let short = format!("a3ce929d0e0e4736-{SPAN}-d");
    let context = extracted(PropagatorKind::B3, &[("b3", &short)]);
    assert_eq!(ids(&context), Some(format!("0000000000000000a3ce929d0e0e4736-{SPAN}-1")));
    assert!(injected(PropagatorKind::B3, &context)["b3"].ends_with("-d"));
    let multi = injected(PropagatorKind::B3Multi, &context);
    assert_eq!(multi["x-b3-flags"], "1");
    assert!(!multi.contains_key("x-b3-sampled"));
}

#[test]
fn a_b3_decision_without_ids_or_with_bad_ones_counts_as_absent() {
    let bad_single = [
        "0".to_owned(),
        "d".to_owned(),
        format!("{}-{SPAN}-1", TRACE.to_uppercase()),
        format!("{TRACE}-{SPAN}-x"),
        format!("{TRACE}-{SPAN}-1-bad"),
        format!("{TRACE}-0000000000000000-1"),
        TRACE.to_owned(),
        "-".repeat(100),
    ];
    for bad in bad_single {
        assert_eq!(ids(&extracted(PropagatorKind::B3, &[("b3", &bad)])), None, "{bad}");
    }
    assert_eq!(ids(&extracted(PropagatorKind::B3Multi, &[("x-b3-sampled", "0")])), None);
}

#[test]
fn the_x_ray_header_is_read_and_written() {
    let text = format!("Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent={SPAN};Sampled=1");
    let context =
        extracted(PropagatorKind::XRay, &[("x-amzn-trace-id", &format!("Self=1-2-3; {text};Lineage=x"))]);
    assert_eq!(ids(&context), Some(format!("{TRACE}-{SPAN}-1")));
    assert_eq!(injected(PropagatorKind::XRay, &context)["x-amzn-trace-id"], text);
}

#[test]
fn an_x_ray_header_without_a_parent_or_with_bad_ids_counts_as_absent() {
    for bad in [
        "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736".to_owned(),
        format!("Root=2-4bf92f35-77b34da6a3ce929d0e0e4736;Parent={SPAN}"),
        format!("Root=1-4bf92f3-577b34da6a3ce929d0e0e4736;Parent={SPAN}"),
        format!("Root=1-4BF92F35-77b34da6a3ce929d0e0e4736;Parent={SPAN}"),
        format!("Root=1-00000000-000000000000000000000000;Parent={SPAN}"),
        "Root=1-é".to_owned(),
        ";;=;".to_owned(),
    ] {
        assert_eq!(ids(&extracted(PropagatorKind::XRay, &[("x-amzn-trace-id", &bad)])), None, "{bad}");
    }
}

#[test]
fn propagators_run_in_their_order_and_none_of_them_writes_nothing() {
    let fields = carrier(&[
        ("b3", &format!("{TRACE}-{SPAN}-1")),
        ("traceparent", &format!("00-{TRACE}-00000000000000aa-01")),
    ]);
    let both = |kinds: &[PropagatorKind]| {
        ids(&Propagators::new(kinds).extract_with_context(&Context::new(), &fields)).unwrap()
    };
    assert!(both(&[PropagatorKind::TraceContext, PropagatorKind::B3]).contains(SPAN));
    assert!(both(&[PropagatorKind::B3, PropagatorKind::TraceContext]).contains("00000000000000aa"));
    let mut none = HashMap::new();
    let context = extracted(PropagatorKind::B3, &[("b3", &format!("{TRACE}-{SPAN}-1"))]);
    Propagators::new(&[]).inject_context(&context, &mut none);
    assert!(none.is_empty());
}

#[test]
fn the_flag_of_a_random_trace_id_survives_a_span_of_ours_sampled_or_not_and_no_other_flag_does() {
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    for (flags, passed_on) in
        [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("fd", "01"), ("ff", "03")]
    {
        let parent = format!("00-{TRACE}-{SPAN}-{flags}");
        let context = extracted(PropagatorKind::TraceContext, &[("traceparent", &parent)]);
        let child = context.with_span(tracer.start_with_context("ours", &context));
        let written = injected(PropagatorKind::TraceContext, &child)["traceparent"].clone();
        assert!(written.contains(TRACE) && !written.contains(SPAN), "{written}");
        assert!(written.ends_with(&format!("-{passed_on}")), "{flags}: {written}");
        // A new trace under the same context says nothing of the old one's id.
        let fresh = context.with_span(tracer.start_with_context("root", &Context::new()));
        assert!(injected(PropagatorKind::TraceContext, &fresh)["traceparent"].ends_with("-01"));
    }
}
