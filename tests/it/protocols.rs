//! What a role exports over each protocol, as receivers that are not ours read it.

use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::helpers::tools::tool;
use crate::helpers::{Process, eventually, get, metric, post, single};
use crate::otlp::Console;

/// gRPC's own server; what it was sent, as `tests/tools/otlp_grpc.py` prints it.
struct GrpcReceiver(Process, u16);

impl GrpcReceiver {
    fn start(args: &[&str]) -> Self {
        let mut command = tool("otlp_grpc.py");
        command.args(args);
        let process = Process::spawn(command);
        let port = eventually("the receiver listens", || {
            process.stdout().lines().find_map(|line| line.strip_prefix("listening ")?.parse().ok())
        });
        Self(process, port)
    }

    fn exports(&self, signal: &str) -> Vec<Value> {
        let lines = self.0.stdout();
        let exports = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        exports.filter(|export| export["signal"] == signal).collect()
    }
}

/// Everything of this list in all exports.
fn all(exports: &[Value], list: &str) -> Vec<String> {
    let lists = exports.iter().filter_map(|export| export[list].as_array());
    lists.flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The user role with these variables, after a user was made there.
fn user_made(env: &[(&str, &str)]) -> (Process, String, tempfile::TempDir) {
    let common = [("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let (process, url, temp) = single(Role::User, &[&common, env].concat());
    let made = post(&format!("{url}/users"), &json!({"name": "Ada", "email": "ada@example.com"}));
    assert_eq!(made.status, 201, "{made:?}");
    (process, url, temp)
}

fn counted(url: &str, series: &str) -> f64 {
    metric(&get(&format!("{url}/metrics")).text, series).unwrap_or_else(|| panic!("{series} is not there"))
}

#[test]
fn over_grpc_spans_and_logs_arrive_joined_packed_or_not_and_what_is_unavailable_is_sent_again() {
    for compression in ["none", "gzip"] {
        let receiver = GrpcReceiver::start(&["--unavailable", "1"]);
        let endpoint = format!("http://127.0.0.1:{}/ignored", receiver.1);
        let (_process, url, _temp) = user_made(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=a%20b"),
        ]);
        let spans = eventually("the request's span", || {
            let exports = receiver.exports("traces");
            all(&exports, "names").contains(&"POST /users".to_owned()).then_some(exports)
        });
        let logs = eventually("a line of that trace", || {
            let exports = receiver.exports("logs");
            let traces = all(&spans, "traces");
            all(&exports, "traces").iter().any(|id| traces.contains(id)).then_some(exports)
        });
        for export in spans.iter().chain(&logs) {
            assert_eq!(export["services"], json!(["user-service"]), "{export}");
            assert_eq!(export["metadata"]["x-api-key"], "a b", "{export}");
        }
        let unsettled = |signal: &str| {
            counted(&url, &format!("telemetry_batches_failed_total{{signal=\"{signal}\"}}"))
                + counted(&url, &format!("telemetry_items_dropped_total{{signal=\"{signal}\"}}"))
        };
        assert_eq!(["traces", "logs"].map(unsettled), [0.0, 0.0], "{compression}");
        let exported = || counted(&url, "telemetry_items_exported_total{signal=\"traces\"}");
        let received = || all(&receiver.exports("traces"), "names").len() as f64;
        eventually("both count alike", || (exported() == received()).then_some(()));
    }
}

#[test]
fn what_a_grpc_receiver_rejects_is_counted_and_said() {
    let receiver = GrpcReceiver::start(&["--reject", "1"]);
    let endpoint = format!("http://127.0.0.1:{}", receiver.1);
    let (process, url, _temp) = user_made(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ]);
    eventually("it is said", || process.stdout().contains("on purpose").then_some(()));
    assert!(counted(&url, "telemetry_batches_failed_total{signal=\"traces\"}") >= 1.0);
    assert!(counted(&url, "telemetry_items_lost_total{signal=\"traces\"}") >= 1.0);
}

#[test]
fn over_http_in_json_nothing_is_lost_or_changed() {
    let console = Console::start(&[]);
    let (_process, url, _temp) = user_made(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &console.otlp("")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ]);
    let trace = eventually("the request's trace", || {
        let answer = get(&console.page("/api/traces?service=user-service&operation=POST%20/users")).json;
        answer["data"].as_array()?.first().cloned()
    });
    let span =
        trace["spans"].as_array().unwrap().iter().find(|s| s["operationName"] == "POST /users").unwrap();
    let status =
        span["tags"].as_array().unwrap().iter().find(|tag| tag["key"] == "http.response.status_code");
    assert_eq!(
        status.map(|tag| (&tag["type"], &tag["value"])),
        Some((&json!("int64"), &json!(201))),
        "{span}"
    );
    let id = trace["traceID"].as_str().unwrap();
    eventually("a line of that trace", || {
        let lines = get(&console.page(&format!("/api/logs?text={id}"))).json;
        let line = lines["logs"].as_array()?.first()?.clone();
        (line["service"] == "user-service" && line["level"] == "info").then_some(())
    });
    assert_eq!(counted(&url, "telemetry_batches_failed_total{signal=\"logs\"}"), 0.0);
}

/// What a role has printed: the lines of its log, and what its `console` exporters put between them.
fn printed(process: &Process) -> (Vec<Value>, Vec<Value>) {
    let text = process.stdout();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    lines.partition(|line| line.get("message").is_some())
}

/// The items of one kind among exports of one item each, which must be of this service.
fn items(exports: &[Value], service: &str, path: [&str; 3]) -> Vec<Value> {
    let groups = exports.iter().filter_map(|export| export.get(path[0])?.get(0));
    let items = groups.map(|group| {
        let attributes = group["resource"]["attributes"].as_array().unwrap();
        let name = attributes.iter().find(|pair| pair["key"] == "service.name").unwrap();
        assert_eq!(name["value"]["stringValue"], service, "{group}");
        let items = group[path[1]][0][path[2]].as_array().unwrap();
        assert_eq!(items.len(), 1, "{group}");
        items[0].clone()
    });
    items.collect()
}

#[test]
fn what_is_exported_to_the_console_is_lines_of_otlp_json_between_those_of_the_log() {
    let (process, url, _temp) = user_made(&[
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "200"),
    ]);
    let all = || {
        let (log, exports) = printed(&process);
        let of = |path| items(&exports, "user-service", path);
        let spans = of(["resourceSpans", "scopeSpans", "spans"]);
        let records = of(["resourceLogs", "scopeLogs", "logRecords"]);
        (log, spans, records, of(["resourceMetrics", "scopeMetrics", "metrics"]))
    };
    eventually("the request's span, record, line and count", || {
        let (log, spans, records, metrics) = all();
        let span = spans.iter().find(|span| span["name"] == "POST /users")?;
        let of_it = |item: &&Value| item["traceId"] == span["traceId"];
        let (line, record) = (log.iter().find(of_it)?, records.iter().find(of_it)?);
        assert_eq!(record["body"]["stringValue"], line["message"], "{record}");
        let created = metrics.iter().rfind(|metric| metric["name"] == "users.created")?;
        (created["sum"]["dataPoints"][0]["asInt"] == "1"
            || created["sum"]["dataPoints"][0]["asDouble"] == 1.0)
            .then_some(())
    });
    // Nothing is sent to the endpoint, where nobody is.
    for signal in ["traces", "logs", "metrics"] {
        assert_eq!(counted(&url, &format!("telemetry_batches_failed_total{{signal=\"{signal}\"}}")), 0.0);
        assert!(counted(&url, &format!("telemetry_items_exported_total{{signal=\"{signal}\"}}")) > 0.0);
    }
}

#[test]
fn beside_otlp_the_console_exporter_prints_what_is_sent() {
    let console = Console::start(&[]);
    let (process, _url, _temp) = user_made(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &console.otlp("")),
        ("OTEL_TRACES_EXPORTER", "otlp,console"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ]);
    let id = eventually("the span's line", || {
        let spans = items(&printed(&process).1, "user-service", ["resourceSpans", "scopeSpans", "spans"]);
        let span = spans.into_iter().find(|span| span["name"] == "POST /users")?;
        span["traceId"].as_str().map(str::to_owned)
    });
    eventually("its trace", || {
        (get(&console.page(&format!("/api/traces/{id}"))).status == 200).then_some(())
    });
}

#[test]
fn what_telemetry_says_of_itself_has_a_level_of_its_own_and_the_rest_keeps_that_of_the_log() {
    // Nobody is at the endpoint of a role by itself.
    for (level, failed, done) in [("", true, false), ("none", false, false), ("debug", true, true)] {
        let (mut process, url, _temp) = user_made(&[
            ("OTEL_LOG_LEVEL", level),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
        ]);
        eventually("a batch is lost", || {
            let lost = counted(&url, "telemetry_batches_failed_total{signal=\"traces\"}");
            (lost >= 1.0).then_some(())
        });
        assert!(process.stop().success());
        let text = process.stdout();
        assert_eq!(text.contains("Trace export failed"), failed, "{level}: {text}");
        assert_eq!(text.contains("Trace export done"), done, "{level}: {text}");
        assert!(text.contains("User created"), "{level}: {text}");
    }
}
