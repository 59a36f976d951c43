#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod limits;

use super::*;

fn read(set: impl FnOnce(&mut OtelConfig)) -> Settings {
    let mut config = OtelConfig::default();
    set(&mut config);
    Settings::read("order-service", &config)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn without_any_variable_the_specification_s_defaults_hold_and_nothing_is_reported() {
    let s = read(|_| {});
    let export = s.export.unwrap();
    assert!(!s.disabled);
    assert_eq!(s.service_name, "order-service");
    assert_eq!(export.endpoint.as_str(), "http://localhost:4318/v1/traces");
    assert_eq!(export.timeout, Duration::from_secs(10));
    assert_eq!(s.propagators, [PropagatorKind::TraceContext, PropagatorKind::Baggage]);
    assert_eq!(format!("{:?}", s.sampler), "ParentBased(AlwaysOn)");
    assert_eq!(s.batch, Batch { queue: 2048, size: 512, delay: Duration::from_secs(5) });
    assert_eq!(s.limits.max_attributes_per_span, 128);
    assert!(s.notes.0.is_empty(), "{:?}", s.notes);
}

#[test]
fn an_empty_value_counts_as_not_set() {
    let s = read(|c| {
        c.otel_sdk_disabled = some("");
        c.otel_propagators = some(" ");
        c.otel_bsp_max_queue_size = some("");
        c.otel_exporter_otlp_endpoint = some("");
    });
    assert_eq!(s.propagators.len(), 2);
    assert_eq!(s.export.unwrap().endpoint.as_str(), DEFAULT);
    assert!(s.notes.0.is_empty(), "{:?}", s.notes);
}

#[test]
fn each_signal_has_its_own_variables_and_the_general_ones_behind_them() {
    let s = read(|c| {
        c.otel_exporter_otlp_endpoint = some("http://general:1/base/");
        c.otel_exporter_otlp_headers = some("a=1");
        c.logs.otel_exporter_otlp_logs_headers = some("b=2");
        c.metrics.otel_exporter_otlp_metrics_endpoint = some("http://own:2/x");
        c.metrics.otel_metric_export_interval = some("250");
    });
    let (logs, metrics) = (s.logs.unwrap(), s.metrics.export.unwrap());
    assert_eq!(logs.export.endpoint.as_str(), "http://general:1/base/v1/logs");
    assert_eq!(metrics.endpoint.as_str(), "http://own:2/x");
    assert!(logs.export.headers.contains_key("b") && !logs.export.headers.contains_key("a"));
    assert!(metrics.headers.contains_key("a"));
    assert_eq!(logs.batch, Batch { queue: 2048, size: 512, delay: Duration::from_secs(1) });
    assert!(s.notes.0.is_empty(), "{:?}", s.notes);
}

#[test]
fn a_base_that_ends_in_one_signals_path_is_a_base_for_the_others() {
    let s = read(|c| c.otel_exporter_otlp_endpoint = some("http://c:1/v1/traces"));
    assert_eq!(s.logs.unwrap().export.endpoint.as_str(), "http://c:1/v1/logs");
    assert_eq!(s.metrics.export.unwrap().endpoint.as_str(), "http://c:1/v1/metrics");
}

#[test]
fn each_protocol_has_its_own_default_port_and_path() {
    let of = |protocol: &str, endpoint: Option<&str>| {
        let s = read(|c| {
            c.otel_exporter_otlp_protocol = some(protocol);
            c.otel_exporter_otlp_endpoint = endpoint.map(str::to_owned);
        });
        (s.export.unwrap(), s.notes.0.len())
    };
    let (json, notes) = of("HTTP/JSON", None);
    assert_eq!((json.protocol, json.endpoint.as_str(), notes), (Protocol::HttpJson, DEFAULT, 0));
    let (grpc, notes) = of("grpc", None);
    if cfg!(feature = "grpc") {
        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        assert_eq!(grpc.endpoint.as_str(), format!("http://localhost:4317{path}"));
        let (grpc, _) = of("grpc", Some("https://c:443/ignored?x=1"));
        assert_eq!((grpc.endpoint.as_str(), notes), (format!("https://c{path}").as_str(), 0));
    } else {
        assert_eq!((grpc.protocol, notes), (Protocol::HttpProtobuf, 1));
    }
}

#[test]
fn metrics_are_exported_unless_only_prometheus_or_none_is_named() {
    for (names, exported) in
        [("otlp", true), ("prometheus, OTLP", true), ("prometheus", false), ("none", false)]
    {
        let s = read(|c| c.metrics.otel_metrics_exporter = some(names));
        assert_eq!(s.metrics.export.is_some(), exported, "{names}");
        assert!(s.notes.0.is_empty(), "{:?}", s.notes);
    }
    let odd = read(|c| {
        c.metrics.otel_metrics_exporter = some("statsd");
        c.metrics.otel_exporter_otlp_metrics_temporality_preference = some("both");
    });
    assert!(odd.metrics.export.is_some());
    assert_eq!(odd.notes.0.len(), 2, "{:?}", odd.notes);
}

#[test]
fn an_exporter_that_is_not_known_is_ignored_alone_and_what_is_used_is_said() {
    let of = |names: &str| {
        let s = read(|c| c.otel_traces_exporter = some(names));
        let (otlp, console) = s.export.map_or((false, false), |export| (export.otlp, export.console));
        (otlp, console, s.notes.0.join("; "))
    };
    let said = |what: &str| format!("OTEL_TRACES_EXPORTER {what}");
    let ignored = "names an exporter that is not known here; ignoring that one, using";
    assert_eq!(of("console,foo"), (false, true, said(&format!("{ignored} console"))));
    assert_eq!(of("otlp,foo"), (true, false, said(&format!("{ignored} otlp"))));
    assert_eq!(of("none,foo"), (false, false, said(&format!("{ignored} none"))));
    assert_eq!(of("foo,bar"), (true, false, said("is neither otlp, console nor none; using otlp")));
    let beside = said("names none beside others, which has no effect; using otlp");
    assert_eq!(of("none,otlp"), (true, false, beside));
    assert_eq!(of("otlp,,console"), (true, true, String::new()));
    let scraped = read(|c| c.metrics.otel_metrics_exporter = some("prometheus,statsd"));
    assert!(scraped.metrics.export.is_none());
    assert!(scraped.notes.0[0].ends_with("using prometheus"), "{:?}", scraped.notes);
}

#[test]
fn an_exporter_may_be_the_console_alone_or_beside_otlp_for_each_signal() {
    for (names, otlp, console) in [
        ("console", false, true),
        ("otlp, Console", true, true),
        ("otlp", true, false),
        ("console,none", false, true),
    ] {
        let s = read(|c| {
            c.otel_traces_exporter = some(names);
            c.logs.otel_logs_exporter = some(names);
            c.metrics.otel_metrics_exporter = some(names);
        });
        for export in [s.export.unwrap(), s.logs.unwrap().export, s.metrics.export.unwrap()] {
            assert_eq!((export.otlp, export.console), (otlp, console), "{names}");
        }
        // `none` beside another one is said to have no effect.
        assert_eq!(s.notes.0.is_empty(), !names.contains("none"), "{:?}", s.notes);
    }
}

#[test]
fn the_level_of_telemetrys_own_log_is_any_sdks_word_for_it_and_an_unknown_one_is_reported_and_ignored() {
    let level = |word: &str| read(|c| c.otel_log_level = some(word)).log_level;
    for (word, expected) in [
        ("none", LevelFilter::OFF),
        ("ERROR", LevelFilter::ERROR),
        ("fatal4", LevelFilter::ERROR),
        ("Warning", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug2", LevelFilter::DEBUG),
        ("VERBOSE", LevelFilter::TRACE),
    ] {
        assert_eq!(level(word), Some(expected), "{word}");
    }
    assert_eq!(read(|_| {}).log_level, None);
    let odd = read(|c| c.otel_log_level = some("loud"));
    assert_eq!(odd.log_level, None);
    assert!(odd.notes.0[0].starts_with("OTEL_LOG_LEVEL is none of"), "{:?}", odd.notes);
}

const DEFAULT: &str = "http://localhost:4318/v1/traces";

#[test]
fn only_the_word_true_disables_the_sdk() {
    assert!(read(|c| c.otel_sdk_disabled = some("TRUE")).disabled);
    let odd = read(|c| c.otel_sdk_disabled = some("1"));
    assert!(!odd.disabled);
    assert!(odd.notes.0[0].starts_with("OTEL_SDK_DISABLED "), "{:?}", odd.notes);
    assert!(read(|c| c.otel_sdk_disabled = some("False")).notes.0.is_empty());
}

#[test]
fn the_service_name_variable_wins_over_the_resource_attributes_and_those_over_the_role() {
    let attributes = some("service.name=from%20attributes,team=a%2Cb");
    let s = read(|c| c.otel_resource_attributes = attributes.clone());
    assert_eq!(s.service_name, "from attributes");
    assert_eq!(s.attributes, [("team".to_owned(), "a,b".to_owned())]);
    let s = read(|c| {
        c.otel_resource_attributes = attributes;
        c.otel_service_name = some("named");
    });
    assert_eq!(s.service_name, "named");
}

#[test]
fn resource_attributes_that_cannot_be_decoded_are_discarded_as_a_whole() {
    for bad in ["a=1,b", "a=1,b=%zz", "a=1,b=%f", "a=1,=2", "a=1,b=%ff"] {
        let s = read(|c| c.otel_resource_attributes = some(bad));
        assert!(s.attributes.is_empty(), "{bad}");
        assert_eq!(s.notes.0.len(), 1, "{bad}");
    }
}

#[test]
fn the_general_endpoint_is_a_base_and_the_one_for_traces_is_used_as_it_is() {
    let base = |text: &str| read(|c| c.otel_exporter_otlp_endpoint = some(text)).export.unwrap().endpoint;
    assert_eq!(base("http://c:4318").as_str(), "http://c:4318/v1/traces");
    assert_eq!(base("http://c:4318/").as_str(), "http://c:4318/v1/traces");
    assert_eq!(base("https://c/otlp/").as_str(), "https://c/otlp/v1/traces");
    let s = read(|c| {
        c.otel_exporter_otlp_endpoint = some("http://general:1");
        c.otel_exporter_otlp_traces_endpoint = some("http://traces:2");
    });
    assert_eq!(s.export.unwrap().endpoint.as_str(), "http://traces:2/");
    for bad in ["localhost:4318", "grpc://c:4317", "nonsense", "http://"] {
        let s = read(|c| c.otel_exporter_otlp_endpoint = some(bad));
        assert_eq!(s.export.unwrap().endpoint.as_str(), DEFAULT, "{bad}");
        assert_eq!(s.notes.0.len(), 1, "{bad}");
    }
}

#[test]
fn headers_are_decoded_and_their_values_never_appear_in_a_note_or_a_debug_line() {
    let s = read(|c| {
        c.otel_exporter_otlp_headers = some("general=no");
        c.otel_exporter_otlp_traces_headers =
            some("Authorization=Basic%20c2VjcmV0Og==,bad key=hush,content-type=hush,x=hush%0d%0a");
    });
    let export = s.export.unwrap();
    assert_eq!(export.headers.len(), 1);
    assert_eq!(export.headers["authorization"], "Basic c2VjcmV0Og==");
    assert_eq!(s.notes.0.len(), 3);
    assert!(!format!("{:?} {:?}", s.notes, export).contains("hush"));
    assert!(!format!("{export:?}").contains("c2VjcmV0"));
}

#[test]
fn an_unknown_name_is_reported_and_the_default_stays() {
    let s = read(|c| {
        c.otel_traces_exporter = some("zipkin");
        c.otel_exporter_otlp_protocol = some("thrift");
        c.otel_exporter_otlp_compression = some("brotli");
        c.otel_traces_sampler = some("jaeger_remote");
        c.otel_propagators = some("jaeger");
    });
    assert!(s.export.is_some_and(|e| !e.gzip));
    assert_eq!(format!("{:?}", s.sampler), "ParentBased(AlwaysOn)");
    assert_eq!(s.propagators, [PropagatorKind::TraceContext, PropagatorKind::Baggage]);
    let notes = s.notes.0.join("\n");
    for name in ["TRACES_EXPORTER", "OTLP_PROTOCOL", "COMPRESSION", "TRACES_SAMPLER", "PROPAGATORS"] {
        assert!(notes.contains(name), "{name} in {notes}");
    }
}

#[test]
fn propagators_keep_their_order_lose_duplicates_and_can_be_none() {
    let of = |text: &str| read(|c| c.otel_propagators = some(text)).propagators;
    assert_eq!(
        of("xray, B3,xray,b3multi"),
        [PropagatorKind::XRay, PropagatorKind::B3, PropagatorKind::B3Multi]
    );
    assert_eq!(of("none"), []);
    assert_eq!(of("none,b3"), [PropagatorKind::B3]);
}

#[test]
fn a_ratio_outside_0_to_1_is_reported_and_everything_is_sampled() {
    for (arg, ratio, notes) in [("0.25", "0.25", 0), ("1.5", "1.0", 1), ("NaN", "1.0", 1), ("half", "1.0", 1)]
    {
        let s = read(|c| {
            c.otel_traces_sampler = some("parentbased_traceidratio");
            c.otel_traces_sampler_arg = some(arg);
        });
        assert_eq!(format!("{:?}", s.sampler), format!("ParentBased(TraceIdRatioBased({ratio}))"));
        assert_eq!(s.notes.0.len(), notes, "{arg}");
    }
}

#[test]
fn batch_settings_that_make_no_sense_fall_back_to_their_defaults() {
    let s = read(|c| {
        c.otel_bsp_max_queue_size = some("99999999999999");
        c.otel_bsp_max_export_batch_size = some("0");
        c.otel_bsp_schedule_delay = some("-1");
    });
    assert_eq!(s.batch, Batch { queue: 2048, size: 512, delay: Duration::from_secs(5) });
    assert_eq!(s.notes.0.len(), 3);
    let small = read(|c| c.otel_bsp_max_queue_size = some("10"));
    assert_eq!((small.batch.size, small.notes.0.len()), (10, 0));
}

#[test]
fn a_signal_s_own_timeout_and_limits_win_over_the_general_ones() {
    let s = read(|c| {
        c.otel_exporter_otlp_timeout = some("1");
        c.otel_exporter_otlp_traces_timeout = some("2500");
        c.otel_attribute_count_limit = some("7");
        c.otel_span_attribute_count_limit = some("9");
        c.otel_attribute_value_length_limit = some("100");
        c.otel_span_attribute_value_length_limit = some("50");
    });
    assert_eq!(s.export.unwrap().timeout, Duration::from_millis(2500));
    assert_eq!((s.limits.max_attributes_per_span, s.limits.max_attributes_per_event), (9, 7));
    assert_eq!(s.value_length, Some(50));
}

#[test]
fn a_base_that_ends_in_the_signals_path_already_is_noticed_and_used_as_it_is() {
    for (text, endpoint) in [
        ("http://c:4318/v1/traces", "http://c:4318/v1/traces"),
        ("http://c/otlp/v1/traces/", "http://c/otlp/v1/traces"),
    ] {
        let s = read(|c| c.otel_exporter_otlp_endpoint = some(text));
        assert_eq!(s.export.unwrap().endpoint.as_str(), endpoint);
        assert_eq!(s.notes.0.len(), 1);
        assert!(s.notes.0[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT is a base"), "{:?}", s.notes);
    }
    let own = read(|c| c.otel_exporter_otlp_traces_endpoint = some("http://c:4318/v1/traces"));
    assert!(own.notes.0.is_empty(), "{:?}", own.notes);
}
