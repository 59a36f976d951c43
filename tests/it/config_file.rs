//! `OTEL_CONFIG_FILE`: a role does what the file says, or does not start and names the place.

use std::path::Path;

use o11y_lab::schema::{Role, SERVICES};
use serde_json::{Value, json};

use crate::helpers::{Lab, Process, bin, eventually, get, post, single};
use crate::otlp::Console;

fn written(folder: &Path, text: &str) -> String {
    let path = folder.join("otel.yaml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_role_does_what_its_configuration_file_says_and_no_variable_beside_it() {
    let (console, folder) = (Console::start(&[]), tempfile::tempdir().unwrap());
    let file = written(
        folder.path(),
        r#"
file_format: "1.1"
resource:
  attributes: [{name: service.name, value: from.the.file}, {name: team, value: blue}]
propagator: {composite: [b3: ]}
tracer_provider:
  processors:
  - batch:
      schedule_delay: 50
      exporter: {otlp_http: {endpoint: "${RECEIVER}/v1/traces", encoding: json, compression: gzip}}
meter_provider:
  readers:
  - periodic: {interval: 200, exporter: {otlp_http: {endpoint: "${RECEIVER}/v1/metrics"}}}
logger_provider:
  processors: [batch: {schedule_delay: 50, exporter: {otlp_grpc: {endpoint: "${GRPC}"}}}]
instrumentation/development: {}
"#,
    );
    let (process, url, _temp) = single(
        Role::User,
        &[
            ("OTEL_CONFIG_FILE", &file),
            ("RECEIVER", &console.otlp("")),
            ("GRPC", &console.grpc()),
            ("OTEL_SERVICE_NAME", "from-the-variable"),
            ("OTEL_TRACES_EXPORTER", "console"),
        ],
    );
    let made = post(&format!("{url}/users"), &json!({"name": "Ada", "email": "ada@example.com"}));
    assert_eq!(made.status, 201, "{made:?}");
    let trace = eventually("the request's trace", || {
        let found = get(&console.page("/api/traces?service=from.the.file&operation=POST%20/users")).json;
        found["data"].as_array()?.first().cloned()
    });
    let tags = trace["processes"]["p1"]["tags"].as_array().unwrap();
    assert!(tags.iter().any(|tag| tag["key"] == "team" && tag["value"] == "blue"), "{tags:?}");
    let id = trace["traceID"].as_str().unwrap();
    eventually("a record of that trace", || {
        let lines = get(&console.page(&format!("/api/logs?traceId={id}&service=from.the.file"))).json;
        lines["logs"].as_array()?.first().map(|_| ())
    });
    eventually("a metric", || {
        let found = get(&console.page("/api/metrics/users.created?service=from.the.file")).json;
        (found["series"][0]["latest"]["value"].as_f64() == Some(1.0)).then_some(())
    });
    let said = process.stdout();
    let unused = said.lines().find(|line| line.contains("have no effect here")).expect("a line on variables");
    assert!(unused.contains("OTEL_SERVICE_NAME") && unused.contains("OTEL_TRACES_EXPORTER"), "{unused}");
    assert!(said.contains("instrumentation/development has no effect"), "{said}");
    assert!(!said.contains("resourceSpans"), "{said}");
}

#[test]
fn what_a_configuration_file_asks_for_and_is_not_supported_is_refused_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let traces = "file_format: '1.1'\ntracer_provider:\n  processors:\n  - batch:\n";
    for (text, path) in [
        (
            format!("{traces}      exporter: {{zipkin: }}\n"),
            "tracer_provider.processors[0].batch.exporter.zipkin",
        ),
        // Right for the schema and wrong for the setting behind it.
        (
            format!("{traces}      exporter: {{otlp_http: {{compression: brotli}}}}\n"),
            "tracer_provider.processors[0].batch.exporter.otlp_http.compression is neither gzip nor none",
        ),
    ] {
        let mut command = bin();
        command.arg("user").env("PORT", "0").env("DATA_DIR", folder.path());
        command.env("OTEL_CONFIG_FILE", written(folder.path(), &text));
        let mut process = Process::spawn(command);
        assert_eq!(process.wait().code(), Some(2));
        let said = process.stderr();
        assert!(said.contains("OTEL_CONFIG_FILE") && said.contains(path), "{said}");
    }
}

#[test]
fn the_roles_of_up_do_not_warn_of_variables_that_up_chose_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(
        folder.path(),
        r#"
file_format: "1.1"
tracer_provider:
  processors: [batch: {exporter: {otlp_http: {endpoint: "${OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces"}}}]
"#,
    );
    let file = file.as_str();
    let lab = Lab::start_with(&[("OTEL_CONFIG_FILE", file), ("OTEL_BSP_MAX_QUEUE_SIZE", "100")]);
    let warnings = eventually("each role's warning", || {
        let lines = lab.logs();
        let said =
            |line: &&Value| line["message"].as_str().is_some_and(|text| text.contains("have no effect here"));
        let all: Vec<_> = lines.iter().filter(said).map(|line| line["variables"].to_string()).collect();
        (all.len() == SERVICES.len()).then_some(all)
    });
    for variables in warnings {
        assert!(variables.contains("OTEL_BSP_MAX_QUEUE_SIZE"), "what the user set: {variables}");
        assert!(!variables.contains("OTEL_BSP_SCHEDULE_DELAY"), "what up chose: {variables}");
    }
}
