//! A lab beside one's own collector: its OTLP port never keeps it from starting.

use std::net::{TcpListener, TcpStream};
use std::path::Path;

use o11y_lab::schema::{Endpoint, Ports, Role};
use serde_json::{Value, json};

use crate::helpers::http::try_send;
use crate::helpers::{Answer, Process, bin, eventually, free_port_base, get, post};

/// A lab of one role, once it is ready.
fn up(dir: &Path, base: u16, env: &[(&str, &str)]) -> Process {
    let mut command = bin();
    command
        .args(["up", "--quiet", "--role", "user", "--port-base", &base.to_string(), "--data-dir"])
        .arg(dir);
    command.envs(env.iter().copied());
    let lab = Process::spawn(command);
    eventually("the lab's table", || lab.stdout().contains("user-service").then_some(()));
    lab
}

fn at(base: u16, endpoint: Endpoint) -> u16 {
    Ports::from_base(base).at(endpoint)
}

fn console(base: u16, path: &str) -> Answer {
    get(&format!("http://127.0.0.1:{}{path}", at(base, Endpoint::Console)))
}

/// Makes a request whose trace somebody has to receive; its id.
fn traced(base: u16) -> String {
    let url = format!("http://127.0.0.1:{}/users", Ports::from_base(base).of(Role::User));
    let answer = post(&url, &json!({"name": "Ada", "email": "ada@example.com"}));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.trace_id()
}

#[test]
fn a_stranger_on_the_otlp_port_is_named_and_the_console_gets_the_traces_on_another() {
    let (base, temp) = (free_port_base(), tempfile::tempdir().unwrap());
    let taken = at(base, Endpoint::Otlp);
    let _stranger = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let lab = up(temp.path(), base, &[]);
    let port = console(base, "/api/overview").json["otlpPort"].as_u64().unwrap();
    let said =
        format!("port {taken} is another program's: the console takes OTLP on http://127.0.0.1:{port}");
    eventually(&said, || lab.stderr().contains(&said).then_some(()));
    let id = traced(base);
    eventually("its trace", || (console(base, &format!("/api/traces/{id}")).status == 200).then_some(()));
}

#[test]
fn traces_that_the_user_sends_to_the_strangers_port_reach_it_and_the_console_opens_none() {
    let (base, temp) = (free_port_base(), tempfile::tempdir().unwrap());
    let taken = at(base, Endpoint::Otlp);
    let collector = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let lab = up(temp.path(), base, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://localhost:{taken}"))]);
    let said = format!("go to localhost:{taken} and not to the console");
    eventually(&said, || lab.stderr().contains(&said).then_some(()));
    assert_eq!(console(base, "/api/overview").json["otlpPort"], Value::Null);
    traced(base);
    collector.set_nonblocking(true).unwrap();
    eventually("an export to the collector", || collector.accept().ok());
}

#[test]
fn where_telemetry_goes_elsewhere_the_otlp_port_is_left_to_others() {
    let (base, temp) = (free_port_base(), tempfile::tempdir().unwrap());
    let lab = up(temp.path(), base, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")]);
    eventually("a sentence", || lab.stderr().contains("go to 127.0.0.1:9 and not").then_some(()));
    assert!(TcpStream::connect(("127.0.0.1", at(base, Endpoint::Otlp))).is_err());
    assert_eq!(console(base, "/health").status, 200);
}

#[test]
fn the_port_for_grpc_is_opened_beside_the_other_and_left_to_a_stranger_who_has_it() {
    let (base, temp) = (free_port_base(), tempfile::tempdir().unwrap());
    let port = at(base, Endpoint::OtlpGrpc);
    let overview = {
        let _lab = up(temp.path(), base, &[]);
        TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
        console(base, "/api/overview").json
    };
    assert_eq!(
        (&overview["otlpPort"], &overview["otlpGrpcPort"]),
        (&json!(at(base, Endpoint::Otlp)), &json!(port))
    );
    let (base, temp) = (free_port_base(), tempfile::tempdir().unwrap());
    let port = at(base, Endpoint::OtlpGrpc);
    let _stranger = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let lab = up(temp.path(), base, &[]);
    let said = format!("port {port} is another program's: the console takes no OTLP over gRPC");
    eventually(&said, || lab.stderr().contains(&said).then_some(()));
    let overview = console(base, "/api/overview").json;
    assert_eq!(
        (&overview["otlpPort"], &overview["otlpGrpcPort"]),
        (&json!(at(base, Endpoint::Otlp)), &Value::Null)
    );
}

#[test]
fn a_console_by_itself_takes_grpc_where_it_is_told_to_and_starts_where_the_usual_port_is_taken() {
    let overview = |port: &str, taken: bool| {
        let base = free_port_base();
        let _stranger =
            taken.then(|| TcpListener::bind(("127.0.0.1", at(base, Endpoint::OtlpGrpc))).unwrap());
        let mut command = bin();
        command.args(["console", "--port-base", &base.to_string()]).env("CONSOLE_OTLP_GRPC_PORT", port);
        let _console = Process::spawn(command);
        let page = format!("http://127.0.0.1:{}/api/overview", at(base, Endpoint::Console));
        eventually("the console serves", || try_send("GET", &page, &[], None)).json
    };
    assert_eq!(overview("0", false)["otlpGrpcPort"], Value::Null);
    assert_eq!(overview("", true)["otlpGrpcPort"], Value::Null);
    let chosen = free_port_base();
    assert_eq!(overview(&chosen.to_string(), true)["otlpGrpcPort"], json!(chosen));
}
