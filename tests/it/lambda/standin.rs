//! A runtime API (AWS Lambda runtime interface, 2018-06-01) and a collector, both ours, which note in
//! one list what reached them: the freeze after an answer makes the order of things matter.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use o11y_lab::lab::backend::trace::attributes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

use crate::helpers::standin::{response, serve};
use crate::helpers::{Process, bin, eventually};

/// The headers of an invocation that are not the platform's minimum, and its event.
pub type Invocation = (Vec<(&'static str, String)>, Value);

/// What happened.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The collector got these spans.
    Export(Vec<Exported>),
    /// The function registered as an extension.
    Registered,
    /// The function asked for an invocation.
    Asked,
    /// The function answered at this path, with this body.
    Answer(String, Value),
}

/// A span and the resource it is from, attributes unwrapped.
#[derive(Clone, Debug)]
pub struct Exported {
    pub span: Value,
    pub attributes: Value,
    pub resource: Value,
}

/// A function between the two stand-ins.
pub struct Function {
    pub process: Process,
    seen: Arc<Mutex<Vec<Seen>>>,
    open: Arc<AtomicBool>,
}

impl Function {
    /// Starts one that is invoked with `invocations`, one after the other, `request-0` first.
    pub fn start(invocations: Vec<Invocation>, env: &[(&str, &str)]) -> Self {
        let function = Self::start_before_a_mute_collector(invocations, env);
        function.let_the_collector_answer();
        function
    }

    /// The same; the collector takes what it gets and says nothing until it may.
    pub fn start_before_a_mute_collector(invocations: Vec<Invocation>, env: &[(&str, &str)]) -> Self {
        let mut command = bin();
        command.arg("lambda").envs(env.iter().copied());
        Self::of(command, invocations)
    }

    /// A function of any program, before a mute collector.
    pub fn of(mut command: Command, invocations: Vec<Invocation>) -> Self {
        let open = Arc::<AtomicBool>::default();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        command
            .env("AWS_LAMBDA_RUNTIME_API", runtime(invocations, seen.clone()))
            .env("AWS_LAMBDA_FUNCTION_NAME", "order-validator")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_REGION", "eu-west-1")
            .env("PORT", "0")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector(seen.clone(), open.clone())))
            // Long, so that only a flush can have exported what is seen.
            .env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
        Self { process: Process::spawn(command), seen, open }
    }

    pub fn let_the_collector_answer(&self) {
        self.open.store(true, Ordering::SeqCst);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Each answer with the span that was exported before it; fails where none was.
    #[track_caller]
    pub fn answers(&self, expected: usize) -> Vec<(String, Value, Exported)> {
        let seen = eventually(&format!("{expected} answers; {}", self.process.stderr()), || {
            let seen = self.seen();
            let answers = seen.iter().filter(|one| matches!(one, Seen::Answer(..))).count();
            (answers == expected).then_some(seen)
        });
        let (mut spans, mut answers) = (Vec::new(), Vec::new());
        for one in seen {
            match one {
                Seen::Export(more) => spans.extend(more),
                Seen::Registered | Seen::Asked => {}
                Seen::Answer(path, body) => {
                    assert_eq!(spans.len(), 1, "before the answer at {path}: {spans:?}");
                    answers.push((path, body, spans.remove(0)));
                }
            }
        }
        answers
    }
}

fn runtime(invocations: Vec<Invocation>, seen: Arc<Mutex<Vec<Seen>>>) -> String {
    let left = Mutex::new(invocations.into_iter().enumerate());
    serve(move |method, path, body| match (method, path) {
        ("POST", "/2020-01-01/extension/register") => {
            seen.lock().unwrap().push(Seen::Registered);
            Some(response("200 OK", "lambda-extension-identifier: one\r\n", "{}"))
        }
        ("GET", "/2020-01-01/extension/event/next") => None,
        ("GET", "/2018-06-01/runtime/invocation/next") => {
            seen.lock().unwrap().push(Seen::Asked);
            let (number, (headers, event)) = left.lock().unwrap().next()?;
            let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let headers = format!(
                "lambda-runtime-aws-request-id: request-{number}\r\nlambda-runtime-deadline-ms: 4000000000000\r\n\
                 lambda-runtime-invoked-function-arn: \
                 arn:aws:lambda:eu-west-1:123456789012:function:order-validator:live\r\n{more}"
            );
            Some(response("200 OK", &headers, &event.to_string()))
        }
        _ => {
            let body = serde_json::from_slice(body).unwrap_or_default();
            seen.lock().unwrap().push(Seen::Answer(path.to_owned(), body));
            Some(response("202 Accepted", "", ""))
        }
    })
}

fn collector(seen: Arc<Mutex<Vec<Seen>>>, open: Arc<AtomicBool>) -> String {
    serve(move |_, _, body| {
        while !open.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let export = ExportTraceServiceRequest::decode(body).unwrap();
        seen.lock().unwrap().push(Seen::Export(spans(&json!(export))));
        Some(response("200 OK", "content-type: application/x-protobuf\r\n", ""))
    })
}

fn spans(export: &Value) -> Vec<Exported> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for group in list(&export["resourceSpans"]) {
        let resource = json!(attributes(&group["resource"]["attributes"]));
        for span in list(&group["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"])) {
            let attributes = json!(attributes(&span["attributes"]));
            found.push(Exported { span, attributes, resource: resource.clone() });
        }
    }
    found
}
