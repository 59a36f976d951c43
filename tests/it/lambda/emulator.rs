//! The function on cargo-lambda, an emulator of Lambda that others wrote, invoked by the gateway of a
//! lab that has no lambda role of its own.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use o11y_lab::lab::backend::trace::SpanStatus;
use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::helpers::brokers::server::{Server, program};
use crate::helpers::{Answer, Lab, Process, bin, eventually, free_port, free_port_base, http, post};
use crate::traces::assert_is_the_order_trace;

/// From the Python package of that name; scripts/provision installs it.
const CARGO_LAMBDA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/venv/bin/cargo-lambda");
/// What the emulator calls a function that it did not start itself, and where its runtime API is.
const FUNCTION: &str = "_";
const RUNTIME_API: &str = ".rt";
const SERVICE: &str = "order-validator";

/// Dropped in this order: the lab first, the emulator last.
struct Emulated {
    lab: Lab,
    function: Process,
    endpoint: String,
    _emulator: Server,
    _folder: tempfile::TempDir,
    _data: tempfile::TempDir,
}

impl Emulated {
    fn start() -> Self {
        let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (port, base) = (free_port(), free_port_base());
        let endpoint = format!("http://127.0.0.1:{port}");
        let emulator = emulator(folder.path(), port);
        let function = function(&format!("{endpoint}/{RUNTIME_API}"), base);
        let mut command = bin();
        command
            .env("UP_ROLES", "gateway,user,order,notify")
            .env("AWS_ENDPOINT_URL_LAMBDA", &endpoint)
            .env("LAMBDA_FUNCTION_NAME", FUNCTION);
        let lab = Lab::launch(command, &data.path().join("data"), base);
        Self { lab, function, endpoint, _emulator: emulator, _folder: folder, _data: data }
    }

    /// Invokes the function past the gateway.
    fn invoke(&self, event: &Value) -> Answer {
        post(&format!("{}/2015-03-31/functions/{FUNCTION}/invocations", self.endpoint), event)
    }

    fn skipped(&self, reason: &str) -> Option<f64> {
        self.lab.metric(Role::Gateway, &format!("gateway_validation_skipped_total{{reason=\"{reason}\"}}"))
    }
}

/// The APIs only: a project's name is all that it needs of one.
fn emulator(folder: &Path, port: u16) -> Server {
    let manifest = format!("[package]\nname = \"{SERVICE}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/main.rs"), "fn main() {}\n").unwrap();
    let there = Path::new(CARGO_LAMBDA).is_file().then(|| CARGO_LAMBDA.into());
    let found = program("cargo-lambda (.tools/venv)", there);
    let manifest = folder.join("Cargo.toml");
    let command = move || {
        let mut command = Command::new(&found);
        command.args(["lambda", "watch", "--only-lambda-apis", "--invoke-address", "127.0.0.1"]);
        command.args(["--invoke-port", &port.to_string(), "--manifest-path"]).arg(&manifest);
        command
    };
    let listens = move || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    Server::start("cargo-lambda", folder, command, listens)
}

/// Where faults are possible it also listens, in the place of the lab's own lambda role.
fn function(runtime_api: &str, base: u16) -> Process {
    let mut command = bin();
    command
        .arg("lambda")
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_FUNCTION_NAME", FUNCTION)
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("FAULTS_ENABLED", "true")
        .env("PORT", (base + 4).to_string())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", base + 6))
        // Long, so that only a flush can have exported what is seen.
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    Process::spawn(command)
}

#[test]
fn invoked_by_the_gateway_its_span_is_exported_when_the_answer_is_there_and_joins_the_trace() {
    let emulated = Emulated::start();
    let lab = &emulated.lab;
    for cold in ["true", "false"] {
        let verdict =
            post(&lab.api("/api/orders/validate"), &json!({"userId": 1, "items": ["a"], "total": 1}));
        assert_eq!((verdict.status, &verdict.json["valid"]), (200, &json!(true)), "{verdict:?}");
        // No waiting: the answer is here, so the span has to be there.
        let there = lab.trace_now(&verdict.trace_id());
        let span = there.span(SERVICE, SERVICE).unwrap();
        assert_eq!(span.text("faas.coldstart"), cold);
        assert_eq!(span.text("faas.invocation_id"), verdict.json["requestId"]);
        assert_eq!(span.resource["cloud.platform"], "aws_lambda");
        let id = json!(verdict.json["requestId"]);
        let line = eventually("the function's line", || {
            let text = emulated.function.stdout();
            text.lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .find(|line| line["requestId"] == id)
        });
        assert_eq!(line["traceId"], verdict.trace_id());
    }
    let order = lab.order(lab.user());
    assert_is_the_order_trace(&lab.trace(&order.trace_id(), ORDER_TRACE.len()));
    assert_eq!(emulated.skipped("unreachable"), Some(0.0));
}

#[test]
fn bad_events_are_answered_with_400_by_a_function_that_goes_on() {
    let emulated = Emulated::start();
    for event in [
        json!({}),
        json!({"body": null}),
        json!({"httpMethod": "POST", "body": "{"}),
        json!({"body": "not base64!", "isBase64Encoded": true}),
        json!({"version": "2.0", "requestContext": {"http": {"method": "POST"}}}),
        json!([1, 2]),
    ] {
        let answer = emulated.invoke(&event);
        assert_eq!((answer.status, &answer.json["statusCode"]), (200, &json!(400)), "{event}: {answer:?}");
        let body: Value = serde_json::from_str(answer.json["body"].as_str().unwrap()).unwrap();
        assert!(body["error"].is_string() && body["requestId"].is_string(), "{body}");
    }
    let sound = json!({"body": "{\"userId\":1,\"items\":[\"a\"],\"total\":1}"});
    assert_eq!(emulated.invoke(&sound).json["statusCode"], 200);
}

#[test]
fn a_crash_is_a_function_error_and_orders_go_on_without_the_verdict() {
    let mut emulated = Emulated::start();
    let user = emulated.lab.user();
    let faults = emulated.lab.url(Role::Lambda, "/faults");
    let set = http::post(&faults, &json!({"fault": "error"}));
    assert!(set.status < 300, "{set:?}");

    let reported = emulated.invoke(&json!({"body": "{}"}));
    assert_eq!(reported.json["errorType"], "Function.Failed", "{reported:?}");
    let order = emulated.lab.order(user);
    assert_eq!(emulated.skipped("function_error"), Some(1.0));
    let trace = emulated.lab.trace(&order.trace_id(), ORDER_TRACE.len());
    assert_eq!(
        trace.span("api-gateway", "invoke order-validator").unwrap().text("error.type"),
        "function_error"
    );
    let failed: Vec<_> = trace.spans.iter().filter(|span| span.service == SERVICE).collect();
    assert!(
        failed.iter().all(|span| span.status == SpanStatus::Error && span.events.len() == 1),
        "{failed:?}"
    );
    let told = post(&emulated.lab.api("/api/orders/validate"), &json!({}));
    assert_eq!((told.status, &told.json["detail"]), (503, &json!("the validator failed")), "{told:?}");

    // Nobody is left to answer: that is another thing, and is called so.
    emulated.function.signal(Signal::SIGKILL);
    emulated.function.wait();
    emulated.lab.order(user);
    assert_eq!((emulated.skipped("function_error"), emulated.skipped("timeout")), (Some(1.0), Some(1.0)));
}
