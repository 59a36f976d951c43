#![allow(clippy::unwrap_used)]

use super::*;

fn parsed(text: &str) -> Result<OtelFile, String> {
    let variables = |name: &str| match name {
        "RECEIVER" => Some("http://collector:4318".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    parse(text, &variables)
}

fn config(text: &str) -> OtelConfig {
    let file = parsed(text).unwrap();
    assert!(file.warnings.is_empty(), "{:?}", file.warnings);
    file.config
}

/// The settings that are there, by variable.
fn set(config: &OtelConfig) -> BTreeMap<String, String> {
    let text = format!("{config:#?}");
    let mut found = BTreeMap::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if let Some((name, "Some(")) = line.split_once(": ") {
            let value = lines.peek().unwrap().trim_end_matches(',').trim_matches('"').to_owned();
            found.insert(name.to_owned(), value);
        }
    }
    found
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The least that a signal needs.
const TRACES: &str =
    "file_format: '1.1'\ntracer_provider:\n  processors:\n  - batch:\n      exporter:\n        otlp_http:\n";

#[test]
fn a_file_of_a_usual_form_is_the_variables_that_say_the_same() {
    let text = r#"
file_format: "1.1"
disabled: ${OFF:-false}
log_level: warn2
attribute_limits: {attribute_count_limit: 64, attribute_value_length_limit: null}
resource:
  attributes_list: ${ATTRIBUTES}
  attributes:
  - {name: service.name, value: "${NAME:-unknown_service}"}
  - {name: team, value: "a, b=c", type: string}
  detection/development: {detectors: [service: , host: , process: , container: ]}
propagator: {composite: [tracecontext: , baggage: ], composite_list: b3}
tracer_provider:
  processors:
  - batch:
      schedule_delay: ${DELAY:-100}
      max_queue_size: 0x100
      exporter:
        otlp_http:
          endpoint: ${RECEIVER:-http://localhost:4318}/v1/traces
          headers_list: key=old
          headers: [{name: x-key, value: "a b"}, {name: none, value: }]
          compression: gzip
          timeout: 5000
          encoding: json
          tls: {ca_file: /ca.pem, cert_file: "${EMPTY}", key_file: }
  - batch: {schedule_delay: 100, max_queue_size: 256, exporter: {console: }}
  sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.25}}, local_parent_not_sampled: {always_off: }}}
  limits: {event_count_limit: 7}
meter_provider:
  readers:
  - periodic:
      interval: 1000
      exporter: {otlp_grpc: {endpoint: "http://collector:4317", temporality_preference: low_memory}}
  - pull: {exporter: {prometheus/development: }}
  exemplar_filter: always_off
logger_provider:
  processors: [simple: {exporter: {console: }}]
  limits: {attribute_count_limit: 9}
"#;
    let expected = expected(&[
        ("otel_sdk_disabled", "false"),
        ("otel_log_level", "warn2"),
        ("otel_attribute_count_limit", "64"),
        ("otel_resource_attributes", "team=a%2C%20b%3Dc"),
        ("otel_propagators", "tracecontext,baggage,b3"),
        ("otel_traces_exporter", "otlp,console"),
        ("otel_bsp_schedule_delay", "100"),
        ("otel_bsp_max_queue_size", "256"),
        ("otel_exporter_otlp_traces_protocol", "http/json"),
        ("otel_exporter_otlp_traces_endpoint", "http://collector:4318/v1/traces"),
        ("otel_exporter_otlp_traces_headers", "key=old,x%2Dkey=a%20b"),
        ("otel_exporter_otlp_traces_compression", "gzip"),
        ("otel_exporter_otlp_traces_timeout", "5000"),
        ("otel_exporter_otlp_traces_certificate", "/ca.pem"),
        ("otel_traces_sampler", "parentbased_traceidratio"),
        ("otel_traces_sampler_arg", "0.25"),
        ("otel_span_event_count_limit", "7"),
        ("otel_metrics_exporter", "otlp,prometheus"),
        ("otel_metric_export_interval", "1000"),
        ("otel_exporter_otlp_metrics_protocol", "grpc"),
        ("otel_exporter_otlp_metrics_endpoint", "http://collector:4317"),
        ("otel_exporter_otlp_metrics_temporality_preference", "lowmemory"),
        ("otel_metrics_exemplar_filter", "always_off"),
        ("otel_logs_exporter", "console"),
        ("otel_blrp_schedule_delay", "1"),
        ("otel_logrecord_attribute_count_limit", "9"),
    ]);
    assert_eq!(set(&config(text)), expected);
    let names = parsed(text).unwrap().variables;
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["ATTRIBUTES", "DELAY", "EMPTY", "NAME", "OFF", "RECEIVER"]
    );
}

#[test]
fn what_a_file_leaves_out_is_off_as_the_schema_has_it() {
    let off = |pairs: &[(&str, &str)]| {
        let none =
            ["otel_logs_exporter", "otel_metrics_exporter", "otel_propagators"].map(|name| (name, "none"));
        expected(&[pairs, &none].concat())
    };
    assert_eq!(set(&config("file_format: '1.0'\n")), off(&[("otel_traces_exporter", "none")]));
    let otlp = [("otel_traces_exporter", "otlp"), ("otel_exporter_otlp_traces_protocol", "http/protobuf")];
    assert_eq!(set(&config(TRACES)), off(&otlp));
}

#[test]
fn what_is_wrong_or_not_supported_is_an_error_with_its_path() {
    let traces = |more: &str| format!("{TRACES}{more}");
    let provider = |sampler: &str| traces(&format!("  sampler: {sampler}\n"));
    for (text, says) in [
        ("a: [", "the file is not YAML"),
        ("[]", "the file is not a mapping"),
        ("{}", "file_format is missing"),
        ("file_format: '2.0'", "file_format is not a version"),
        ("file_format: 1.1", "file_format is not a text"),
        ("file_format: '1.1'\ndisabled: maybe", "disabled is neither true nor false"),
        ("file_format: '1.1'\nlog_level: loud", "log_level is none of"),
        (
            "file_format: '1.1'\nresource: {schema_url: x}",
            "resource.schema_url is not known, or not supported",
        ),
        (
            "file_format: '1.1'\nresource: {attributes: [{name: a, value: 1, type: int}]}",
            "resource.attributes[0].type is another type",
        ),
        (
            "file_format: '1.1'\nresource: {detection/development: {detectors: [aws: ]}}",
            "resource.detection/development.detectors[0].aws is not supported here",
        ),
        ("file_format: '1.1'\ntracer_provider: {}", "tracer_provider.processors is missing"),
        ("file_format: '1.1'\ntracer_provider: {processors: []}", "tracer_provider.processors is not a list"),
        (
            "file_format: '1.1'\ntracer_provider: {processors: [batch: {exporter: {zipkin: }}]}",
            "tracer_provider.processors[0].batch.exporter.zipkin is not an exporter",
        ),
        (
            "file_format: '1.1'\nlogger_provider: {processors: [simple: {exporter: {otlp_http: }}]}",
            "logger_provider.processors[0].simple is supported here for console alone",
        ),
        (&traces("          endpont: x"), "otlp_http.endpont is not known"),
        (&traces("          timeout: fast"), "otlp_http.timeout is not a whole number"),
        (&traces("          endpoint: ${A B}"), "otlp_http.endpoint has a reference that is none"),
        (&traces("          tls: {ca_file: ca.pem}"), "otlp_http.tls.ca_file is not an absolute path"),
        (&traces("          max_request_size: 1"), "otlp_http.max_request_size is not known"),
        (
            &traces("  - batch: {exporter: {otlp_grpc: }}"),
            "[1].batch.exporter.otlp_grpc is the second of its kind",
        ),
        (
            &traces("  - batch: {schedule_delay: 1, exporter: {console: }}"),
            "tracer_provider.processors[1].batch differs from the one before",
        ),
        (&provider("{jaeger_remote/development: {}}"), "sampler.jaeger_remote/development is not a sampler"),
        (&provider("{always_on: , always_off: }"), "tracer_provider.sampler does not have exactly one key"),
        (
            &provider("{parent_based: {remote_parent_sampled: {always_off: }}}"),
            "parent_based.remote_parent_sampled.always_off is not supported here",
        ),
        (&traces("  tracer_configurator/development: {}"), "is in development in the specification"),
        (
            "file_format: '1.1'\nmeter_provider: {readers: [pull: {exporter: {prometheus/development: {port: 1}}}]}",
            "prometheus/development.port is not known, or not supported",
        ),
        (
            "file_format: '1.1'\nmeter_provider: {readers: [pull: {exporter: {prometheus/development: }}], views: []}",
            "meter_provider.views is not known",
        ),
    ] {
        let said = parsed(text).err().unwrap_or_default();
        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn what_stands_beside_the_schema_and_a_newer_minor_version_are_warnings() {
    let file =
        parsed("file_format: '1.7'\ndistribution: {a: {}}\ninstrumentation/development: {}\n").unwrap();
    let said = file.warnings.join("\n");
    for path in
        ["file_format is newer", "distribution has no effect", "instrumentation/development has no effect"]
    {
        assert!(said.contains(path), "{said}");
    }
}

#[test]
fn what_is_wrong_with_a_variable_is_told_of_the_path_that_said_it() {
    let file = parsed(&format!("{TRACES}          endpoint: ftp://x\n")).unwrap();
    let said = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not an http or https URL; using http://localhost:4318";
    let error = file.refuse(&[said.to_owned()]).unwrap_err().to_string();
    let expected = "--otel-config-file (OTEL_CONFIG_FILE): tracer_provider.processors[0].batch.exporter.otlp_http.endpoint \
                    is not an http or https URL";
    assert_eq!(error, expected);
    assert!(file.refuse(&[]).is_ok());
}

#[test]
fn a_file_that_is_not_there_or_no_yaml_by_its_name_is_an_error() {
    let of = |name: &str| {
        let config = OtelConfig { otel_config_file: Some(name.to_owned()), ..OtelConfig::default() };
        config.file().unwrap_err().to_string()
    };
    assert!(of("/nowhere/otel.yaml").contains("No such file"), "{}", of("/nowhere/otel.yaml"));
    assert!(of("/etc/hosts").contains(".yaml or .yml"));
    assert!(OtelConfig::default().file().unwrap().is_none());
}
