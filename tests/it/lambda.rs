//! The lambda role on the Lambda runtime's own interface.
//!
//! The runtime API here is a stand-in of ours (AWS Lambda runtime interface, 2018-06-01): it shows
//! the order of things, export before answer, which is what the freeze after an answer demands.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::helpers::{Process, bin, eventually};

/// What happened, in order: `export` for a trace export, `answer BODY` for a function's answer.
type Seen = Arc<Mutex<Vec<String>>>;

/// Serves HTTP/1.1 on a free port; `answer` gets method, path and body, `None` holds the request.
fn serve(answer: impl Fn(&str, &str, &str) -> Option<String> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || connection(stream, &*answer));
        }
    });
    address
}

fn connection(stream: TcpStream, answer: &dyn Fn(&str, &str, &str) -> Option<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).unwrap();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        match answer(method, path, &String::from_utf8_lossy(&body)) {
            Some(response) => stream.write_all(response.as_bytes()).unwrap(),
            None => std::thread::park(),
        }
    }
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// A runtime API that hands out `events`, one after the other, and a collector; both note what they see.
fn runtime_and_collector(events: Vec<Value>, seen: &Seen) -> (String, String) {
    let (notes, left) = (seen.clone(), Mutex::new(events.into_iter().enumerate()));
    let runtime = serve(move |method, path, body| match (method, path) {
        ("GET", "/2018-06-01/runtime/invocation/next") => {
            let (number, event) = left.lock().unwrap().next()?;
            let headers = format!(
                "lambda-runtime-aws-request-id: request-{number}\r\nlambda-runtime-deadline-ms: 4000000000000\r\n\
                 lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:1:function:order-validator\r\n"
            );
            Some(response("200 OK", &headers, &event.to_string()))
        }
        _ => {
            notes.lock().unwrap().push(format!("{path} {body}"));
            Some(response("202 Accepted", "", ""))
        }
    });
    let notes = seen.clone();
    let collector = serve(move |_, _, _| {
        notes.lock().unwrap().push("export".to_owned());
        Some(response("200 OK", "content-type: application/x-protobuf\r\n", ""))
    });
    (runtime, collector)
}

fn function(runtime: &str, collector: &str) -> Process {
    let mut command = bin();
    command
        .arg("lambda")
        .env("AWS_LAMBDA_RUNTIME_API", runtime)
        .env("AWS_LAMBDA_FUNCTION_NAME", "order-validator")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
        // Long, so that only a flush can have exported what is seen.
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    Process::spawn(command)
}

#[test]
fn trap_4_on_the_lambda_runtime_every_answer_comes_after_its_spans() {
    let order = json!({"userId": 1, "items": ["a"], "total": 1}).to_string();
    let trace = "5af7651916cd43dd8448eb211c80319c";
    let headers = json!({"Traceparent": format!("00-{trace}-b7ad6b7169203331-01")});
    let events = vec![json!({"body": order, "headers": headers}), json!({"body": "{"}), json!({})];
    let seen = Seen::default();
    let (runtime, collector) = runtime_and_collector(events, &seen);
    let mut process = function(&runtime, &collector);
    let seen =
        eventually("three answers", || Some(seen.lock().unwrap().clone()).filter(|seen| seen.len() >= 6));
    for (number, pair) in seen.chunks(2).enumerate() {
        assert_eq!(pair[0], "export", "{seen:?}");
        let (path, body) = pair[1].split_once(' ').unwrap();
        assert_eq!(path, format!("/2018-06-01/runtime/invocation/request-{number}/response"), "{seen:?}");
        let answer: Value = serde_json::from_str(body).unwrap();
        assert_eq!(answer["statusCode"], if number == 0 { 200 } else { 400 }, "{answer}");
        assert!(answer["body"].as_str().unwrap().contains(&format!("request-{number}")), "{answer}");
    }
    let line = eventually("the function's log line", || {
        let text = process.stdout();
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|l| l["message"] == "Order validated")
    });
    assert_eq!((line["traceId"].as_str(), line["requestId"].as_str()), (Some(trace), Some("request-0")));
    process.signal(Signal::SIGTERM);
    assert!(process.wait().success());
}

#[test]
fn an_incomplete_lambda_environment_is_said_and_not_panicked_about() {
    let mut command = bin();
    command.arg("lambda").env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9");
    let mut process = Process::spawn(command);
    assert_eq!(process.wait().code(), Some(1));
    let said = eventually("a message", || Some(process.stderr()).filter(|said| !said.is_empty()));
    assert!(said.contains("AWS_LAMBDA_FUNCTION_NAME") && !said.contains("panicked"), "{said}");
}
