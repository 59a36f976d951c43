//! Log lines that nobody reads, or reads slowly: no request, no probe and no signal waits for them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ChildStdout;
use std::time::Duration;

use nix::sys::signal::Signal;
use o11y_lab::schema::{Role, names};
use serde_json::Value;

use crate::helpers::{Lab, Process, bin, eventually, free_port, free_port_base, get, metric, post};

/// Requests that log more than a pipe and the program's buffer hold.
const FLOOD: usize = 6_000;

/// A gateway, whose front page needs nobody else and whose standard output is read by the test alone.
struct Service {
    process: Process,
    stdout: ChildStdout,
    port: u16,
    _temp: tempfile::TempDir,
}

impl Service {
    fn start() -> Self {
        let (temp, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = bin();
        command.arg("gateway").env("PORT", port.to_string()).env("DATA_DIR", temp.path());
        command.env("OTEL_TRACES_EXPORTER", "none");
        let (process, stdout) = Process::spawn_unread(command);
        let service = Self { process, stdout, port, _temp: temp };
        eventually("the service listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        service
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn dropped(&self) -> f64 {
        metric(&get(&self.url("/metrics")).text, names::LOG_LINES_DROPPED).unwrap()
    }
}

/// Sends `count` requests over one connection, many at once, and expects an answer of 200 to each
/// within the test's patience.
#[track_caller]
fn flood(port: u16, path: &str, count: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: lab\r\n\r\n").repeat(10);
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..count / 10 {
        stream.write_all(request.as_bytes()).unwrap();
        (0..10).for_each(|_| answer(&mut answers));
    }
}

#[track_caller]
fn answer(stream: &mut impl BufRead) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "closed after {head:?}");
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    std::io::copy(&mut stream.take(length.unwrap()), &mut std::io::sink()).unwrap();
}

/// Every line whole and a JSON object.
fn parsed(text: &str) -> Vec<Value> {
    assert!(text.ends_with('\n'), "{}", &text[text.len().saturating_sub(200)..]);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Sums what the lines say was dropped.
fn said_dropped(lines: &[Value]) -> f64 {
    let notices =
        lines.iter().filter(|l| l["message"].as_str().unwrap().starts_with("Log lines were dropped"));
    notices.map(|line| line["lines"].as_f64().unwrap()).sum()
}

#[test]
fn a_service_whose_output_nobody_reads_answers_counts_what_it_drops_and_stops() {
    let mut service = Service::start();
    flood(service.port, "/", FLOOD);
    assert_eq!(get(&service.url("/health")).status, 200);
    assert!(service.dropped() > 0.0);
    assert!(service.process.stop().success());
    // What the pipe held is whole up to where the process ended.
    let mut text = String::new();
    service.stdout.read_to_string(&mut text).unwrap();
    let whole = text.rfind('\n').unwrap() + 1;
    assert!(parsed(&text[..whole]).iter().any(|line| line["message"] == "request served"));
}

#[test]
fn a_service_whose_output_is_read_late_says_how_many_lines_are_missing_and_goes_on() {
    let mut service = Service::start();
    flood(service.port, "/", FLOOD);
    let dropped = service.dropped();
    assert!(dropped > 0.0);
    let mut stdout = service.stdout;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text).unwrap()
    });
    // Once the thread has room again, lines are kept.
    eventually("lines are taken again", || {
        let before = metric(
            &get(&format!("http://127.0.0.1:{}/metrics", service.port)).text,
            names::LOG_LINES_DROPPED,
        );
        std::thread::sleep(Duration::from_millis(100));
        flood(service.port, "/", 10);
        let after = metric(
            &get(&format!("http://127.0.0.1:{}/metrics", service.port)).text,
            names::LOG_LINES_DROPPED,
        );
        (before == after).then_some(())
    });
    let page = get(&format!("http://127.0.0.1:{}/metrics", service.port)).text;
    let dropped = metric(&page, names::LOG_LINES_DROPPED).unwrap();
    assert!(service.process.stop().success());
    let lines = parsed(&reader.join().unwrap());
    assert_eq!(said_dropped(&lines), dropped);
    assert_eq!(lines.last().unwrap()["message"], "stopped");
    let times: Vec<_> = lines.iter().map(|line| line["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "out of order");
}

#[test]
fn an_up_that_is_stopped_for_a_while_costs_no_request_of_its_services() {
    let lab = Lab::start();
    lab.up.signal(Signal::SIGSTOP);
    flood(lab.ports().of(Role::Gateway), "/", FLOOD);
    let user = lab.user();
    let order = lab.order(user);
    assert_eq!(lab.wait_notifications(order.id(), 1).len(), 1);
    assert_eq!(post(&lab.api("/api/users"), &serde_json::json!({})).status, 400);
    let dropped = lab.metric(Role::Gateway, names::LOG_LINES_DROPPED).unwrap();
    assert!(dropped > 0.0);
    lab.up.signal(Signal::SIGCONT);
    eventually("the lines that are missing are told of", || {
        let lines = lab.logs();
        let lines: Vec<_> = lines.into_iter().filter(|line| line["service"] == "api-gateway").collect();
        (said_dropped(&lines) == lab.metric(Role::Gateway, names::LOG_LINES_DROPPED)?).then_some(())
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_under_the_log_file_is_said_once_and_the_lab_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let base = free_port_base();
    let mut command = bin();
    command.args(["up", "--role", "lambda", "--logs", "/dev/full", "--port-base", &base.to_string()]);
    command.arg("--data-dir").arg(temp.path());
    let mut up = Process::spawn(command);
    eventually("the table", || up.stdout().contains("Stop:  Ctrl-C").then_some(()));
    let said = "no lines go to /dev/full for now: No space left on device";
    eventually(said, || up.stderr().contains(said).then_some(()));
    assert!(up.stop().success());
    assert_eq!(up.stderr().matches("/dev/full").count(), 1, "{}", up.stderr());
}
