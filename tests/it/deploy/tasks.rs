//! The lab with no more than what Terraform's task definitions give: their commands, environments and
//! secrets, as they were asked back from the API after an apply, and the queue that the apply made.
//!
//! What differs from AWS: the private DNS names are ports on this machine, the database is a PostgreSQL
//! here that knows the secret's login, and the function is behind the program's own Invoke API. The
//! credentials are those of each task's role, and the API decides by its policies. `make test-aws` says
//! where the tasks and the API are.

use std::collections::BTreeMap;

use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::{Endpoint, Ports, Role, SERVICES};
use serde::Deserialize;
use serde_json::json;

use crate::helpers::brokers::tls::Proxy;
use crate::helpers::{Postgres, Process, backend, bin, eventually, free_port_base, get, http, post};
use crate::traces::assert_is_the_order_trace;

/// What `tests/tools/aws_check.py tasks` prints of a role.
#[derive(Deserialize)]
struct Task {
    command: Vec<String>,
    /// Secrets included, with their values.
    environment: BTreeMap<String, String>,
}

/// A variable of the script's.
#[track_caller]
fn given(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; `make test-aws` sets it"))
}

/// Where the names of the private DNS are on this machine, and AWS.
struct Neighbours {
    ports: Ports,
    domain: &'static str,
    api: Proxy,
}

impl Neighbours {
    fn here(&self, value: &str) -> String {
        let known = SERVICES.iter().map(|row| (row.command, row.port(), self.ports.of(row.role)));
        known.chain([("jaeger", 4318, self.ports.at(Endpoint::Otlp))]).fold(
            value.to_owned(),
            |value, (name, port, ours)| {
                value.replace(&format!("//{name}.{}:{port}", self.domain), &format!("//127.0.0.1:{ours}"))
            },
        )
    }

    fn url(&self, role: Role, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.of(role))
    }
}

/// The database behind a secret's URL: its login is made known to ours, its address becomes ours.
fn database(postgres: &Postgres, secret: &str) -> String {
    let rest = secret.strip_prefix("postgres://lab:").expect("the login of modules/database");
    let (password, rest) = rest.split_once('@').expect("a password");
    let (_, name) = rest.split_once('/').expect("a database's name");
    assert_eq!(name, "lab?sslmode=require", "over TLS");
    postgres.named("lab").sql(&format!("ALTER ROLE lab PASSWORD '{password}'"));
    format!("postgres://lab:{password}@127.0.0.1:{}/{name}", postgres.port)
}

fn start(role: Role, task: &Task, neighbours: &Neighbours, database_url: &str) -> Process {
    let chosen = task.command.first().or(task.environment.get("O11Y_LAB_ROLE"));
    assert_eq!(chosen.map(String::as_str), Some(role.as_str()));
    let mut command = bin();
    command.args(&task.command);
    for (name, value) in &task.environment {
        let value = neighbours.here(value);
        assert!(!value.contains(neighbours.domain), "{role}: {name} leads to nobody here: {value}");
        command.env(name, if name == "DATABASE_URL" { database_url.to_owned() } else { value });
    }
    // Loopback and free ports instead of a container's, the emulator instead of AWS.
    command.env("HOST", "127.0.0.1").env("PORT", neighbours.ports.of(role).to_string());
    command.env("AWS_ENDPOINT_URL", format!("https://localhost:{}", neighbours.api.port));
    command.env("QUEUE_CA_FILE", &neighbours.api.authority);
    command.env("AWS_ENDPOINT_URL_LAMBDA", neighbours.url(Role::Lambda, ""));
    if !task.environment.contains_key("AWS_REGION") {
        // ECS and Lambda say in which region a task runs.
        command.env("AWS_REGION", given("AWS_REGION"));
    }
    Process::spawn(command)
}

#[test]
#[ignore = "needs an applied deploy/terraform: make test-aws"]
fn the_task_definitions_take_an_order_to_its_notification_in_one_trace() {
    let tasks = std::fs::read_to_string(given("AWS_TASKS")).expect("the tasks");
    let tasks: BTreeMap<String, Task> = serde_json::from_str(&tasks).expect("what aws_check.py prints");
    let base = free_port_base();
    let ports = Ports::from_base(base);
    // Over TLS: no credentials are sent to whoever speaks plain HTTP.
    let folder = tempfile::tempdir().expect("a folder");
    let emulator = given("AWS_ENDPOINT_URL").rsplit(':').next().and_then(|port| port.parse().ok());
    let api = Proxy::before(emulator.expect("a port in AWS_ENDPOINT_URL"), folder.path());
    let neighbours = Neighbours { ports, domain: "o11y-lab.internal", api };
    let postgres = Postgres::start();
    let secret = &tasks["order"].environment["DATABASE_URL"];
    let database_url = database(&postgres, secret);

    let mut console = bin();
    console.arg("console").env("PORT_BASE", base.to_string());
    let _console = Process::spawn(console);
    let running: Vec<_> = SERVICES
        .iter()
        .map(|row| (row.role, start(row.role, &tasks[row.command], &neighbours, &database_url)))
        .collect();
    for (role, process) in &running {
        let url = neighbours.url(*role, "/ready");
        eventually(&format!("{role} is ready; it said {}{}", process.stdout(), process.stderr()), || {
            http::try_send("GET", &url, &[], None).filter(|answer| answer.status == 200)
        });
    }

    let api = |path: &str| neighbours.url(Role::Gateway, path);
    let user = post(&api("/api/users"), &json!({"name": "Ada", "email": "ada@example.com"}));
    assert_eq!(user.status, 201, "{user:?}");
    let order = post(&api("/api/orders"), &json!({"userId": user.id(), "items": ["book"], "total": 49.99}));
    assert_eq!(order.status, 201, "{order:?}");
    let sent = neighbours.url(Role::Notify, &format!("/notifications?orderId={}", order.id()));
    eventually("the order is notified", || (get(&sent).json["count"] == 1).then_some(()));
    let console = format!("http://127.0.0.1:{}", ports.at(Endpoint::Console));
    let mut trace = backend::wait_trace(&console, &order.trace_id(), ORDER_TRACE.len());
    let queue = &tasks["order"].environment["QUEUE_NAME"];
    let producer = trace.span("order-service", &format!("send {queue}")).unwrap();
    assert_eq!(producer.text("messaging.system"), "aws_sqs");
    // The table of expected spans has the queue's default name.
    trace.spans.iter_mut().for_each(|span| span.name = span.name.replace(queue, "notifications"));
    assert_is_the_order_trace(&trace);
    eventually("nothing is left in the queue", || {
        let stats = get(&neighbours.url(Role::Notify, "/stats")).json;
        (stats["transport"] == "sqs" && stats["waiting"] == 0 && stats["inFlight"] == 0 && stats["dead"] == 0)
            .then_some(())
    });
    for (role, mut process) in running {
        assert!(process.stop().success(), "{role}: {}", process.stderr());
    }
}
