//! The programs of `examples/`, which are there to be copied: each is run, and all that it promises arrives. `cargo test`
//! builds them, and without exporters' intervals: only their ends, and the function's answers, send anything.

use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use o11y_lab::lab::backend::log::LogReader;
use o11y_lab::lab::backend::trace::{SpanKind, Trace};
use serde_json::json;

use crate::helpers::process::{PROGRAM, catches, clean};
use crate::helpers::rules::root;
use crate::helpers::{Process, backend, block_on, eventually, free_port, get, http, send};
use crate::lambda::standin::Function;
use crate::otlp::Console;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// An example that nothing hurries to export.
#[track_caller]
fn example(name: &str) -> Command {
    let program = PathBuf::from(PROGRAM).with_file_name("examples").join(name);
    assert!(program.exists(), "cargo build --examples builds {}", program.display());
    let mut command = clean(Command::new(program));
    for interval in ["OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"] {
        command.env(interval, "3600000");
    }
    command
}

fn sources() -> Vec<(String, String)> {
    let files = std::fs::read_dir(root().join("examples")).unwrap().flatten();
    files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name.trim_end_matches(".rs").to_owned(), std::fs::read_to_string(file.path()).unwrap())
        })
        .collect()
}

#[test]
fn the_service_exports_traces_metrics_and_logs_and_loses_none_at_its_end() {
    let (console, port) = (Console::start(&[]), free_port());
    let mut command = example("service");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", console.otlp("")).env("PORT", port.to_string());
    let mut service = Process::spawn(command);
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    eventually("the service listens", || http::try_send("GET", &url("/health"), &[], None));
    let caller = format!("00-{TRACE}-{CALLER}-01");
    let answer = send("GET", &url("/hello/Ada"), &[("traceparent", &caller)], None);
    assert_eq!((answer.status, answer.text.as_str()), (200, "Hello Ada\n"));
    assert_eq!(get(&url("/hello/no/such")).status, 404);
    assert!(
        backend::trace(&console.page(""), TRACE).spans.is_empty(),
        "so that the end has something to send"
    );
    assert!(service.stop().success(), "{}", service.stderr());

    let trace = backend::wait_trace(&console.page(""), TRACE, 2);
    let server = trace.span("hello-service", "GET /hello/{name}").unwrap();
    assert_eq!((server.parent.as_str(), server.kind), (CALLER, SpanKind::Server));
    assert_eq!(server.text("http.response.status_code"), "200");
    let inside = trace.span("hello-service", "greet").unwrap();
    assert_eq!(inside.parent, server.id);

    let lines = block_on(async { LogReader::console(&console.page("")).of_trace(TRACE, 10).await }).unwrap();
    let greeted: Vec<_> = lines.iter().filter(|line| line.text("message") == "Greeted").collect();
    assert_eq!(greeted.len(), 1, "{lines:?}");
    assert_eq!(
        (greeted[0].text("spanId"), greeted[0].text("service")),
        (inside.id.as_str(), "hello-service")
    );
    assert_eq!(greeted[0].fields["name"], "Ada");

    let metric = get(&console.page("/api/metrics/http.server.request.duration?service=hello-service")).json;
    let routes: Vec<_> = metric["series"].as_array().unwrap().iter().map(|one| &one["attributes"]).collect();
    assert_eq!(routes.len(), 2, "no series for the health check or a path: {metric}");
    for (route, status) in [("/hello/{name}", 200), ("other", 404)] {
        assert!(
            routes.iter().any(|labels| {
                labels["http.route"] == route
                    && labels["http.response.status_code"].to_string().trim_matches('"') == status.to_string()
            }),
            "{metric}"
        );
    }
}

/// The traces of the queue's example, after its end.
fn across_the_queue(mode: &str) -> Vec<Trace> {
    let console = Console::start(&[]);
    let mut command = example("queue_boundary");
    command.arg(mode).env("OTEL_EXPORTER_OTLP_ENDPOINT", console.otlp(""));
    let mut program = Process::spawn(command);
    eventually("it would drain", || catches(program.pid(), Signal::SIGTERM).then_some(()));
    assert!(program.stop().success(), "{}", program.stderr());
    backend::traces_of(&console.page(""), "orders")
}

#[test]
fn a_consumer_in_child_mode_continues_the_trace_of_whoever_sent_the_message() {
    let traces = across_the_queue("child");
    assert_eq!(traces.len(), 1);
    let spans = &traces[0].spans;
    assert_eq!(spans.len(), 5, "{}", traces[0].drawing());
    for consumer in spans.iter().filter(|span| span.kind == SpanKind::Consumer) {
        let sender = traces[0].parent(consumer).unwrap();
        assert_eq!((sender.kind, sender.name.as_str()), (SpanKind::Producer, "send orders"));
        assert_eq!(traces[0].parent(sender).unwrap().name, "POST /orders");
    }
    assert_eq!(spans.iter().filter(|span| span.kind == SpanKind::Consumer).count(), 2);
}

#[test]
fn a_consumer_in_link_mode_begins_a_trace_that_leads_to_the_senders() {
    let traces = across_the_queue("link");
    assert_eq!(traces.len(), 3);
    let sent = traces.iter().find(|trace| trace.spans.len() == 3).expect("the request and what it sent");
    for trace in traces.iter().filter(|trace| trace.spans.len() == 1) {
        let consumer = &trace.spans[0];
        assert_eq!((consumer.kind, consumer.parent.as_str()), (SpanKind::Consumer, ""));
        let [link] = &consumer.links[..] else { panic!("{consumer:?}") };
        let sender = sent.spans.iter().find(|span| span.id == link.span).expect("the sender's span");
        assert_eq!((sender.kind, &sender.trace), (SpanKind::Producer, &link.trace));
    }
}

#[test]
fn the_function_exports_each_span_before_its_answer_and_continues_the_callers_trace() {
    let headers = json!({"Traceparent": format!("00-{TRACE}-{CALLER}-01")});
    let good = json!({"headers": headers, "body": "{\"total\": 49.99}"});
    let events = [good, json!({"body": "{"}), json!([])].map(|event| (Vec::new(), event));
    let function = Function::of(example("lambda"), events.into());
    function.let_the_collector_answer();
    // It fails where no span came before an answer.
    let answers = function.answers(3);
    for (number, (path, answer, exported)) in answers.iter().enumerate() {
        assert_eq!(*path, format!("/2018-06-01/runtime/invocation/request-{number}/response"));
        assert_eq!(answer["statusCode"], if number == 0 { 200 } else { 400 }, "{answer}");
        assert_eq!(exported.attributes["faas.invocation_id"], format!("request-{number}"));
        assert_eq!(exported.attributes["faas.coldstart"], number == 0);
        assert_eq!(exported.resource["cloud.platform"], "aws_lambda");
    }
    let first = &answers[0].2.span;
    assert_eq!((&first["traceId"], &first["parentSpanId"]), (&json!(TRACE), &json!(CALLER)));
    assert_eq!(first["name"], "order-validator");
}

#[test]
fn a_collector_that_says_nothing_holds_up_no_answer_of_the_function() {
    let mut function = Function::of(example("lambda"), vec![(Vec::new(), json!({}))]);
    eventually("an answer", || {
        let seen = function.seen();
        seen.iter().any(|one| matches!(one, crate::lambda::standin::Seen::Answer(..))).then_some(())
    });
    function.process.signal(Signal::SIGTERM);
    function.process.wait();
}

#[test]
fn an_example_can_be_copied_as_it_is_and_leads_to_the_files_that_do_it_in_full() {
    let (page, sources) = (std::fs::read_to_string(root().join("docs/copy-this.md")).unwrap(), sources());
    assert_eq!(sources.len(), 3);
    let code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    for (name, text) in sources {
        assert!(!text.contains("o11y_lab"), "{name} needs the lab");
        let links: Vec<_> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(links.len() >= 4, "{name}: {links:?}");
        for link in links {
            assert!(root().join("examples").join(link).exists(), "{name}: {link}");
        }
        assert!(page.contains(&format!("(../examples/{name}.rs)")), "{name}");
        let lines = text.lines().filter(code).count();
        assert!(
            page.contains(&format!(" {name} {lines}")),
            "{name}: docs/copy-this.md counts other than {lines} lines"
        );
        assert!(lines <= 120, "{name} is no longer small: {lines} lines");
        assert!(page.contains(&format!("cargo run --example {name}")) || name == "lambda", "{name}");
    }
}
