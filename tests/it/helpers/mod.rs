//! The lab as tests see it: real processes of the real binary on free ports, driven from outside.

#![allow(dead_code, unreachable_pub, reason = "one binary: each subject uses its own part of the helpers")]

pub mod backend;
pub mod balancer;
pub mod brokers;
pub mod cgroup;
pub mod dashboards;
pub mod http;
pub mod pgbouncer;
pub mod postgres;
pub mod proc;
pub mod process;
pub mod prometheus;
pub mod promql;
pub mod raw;
pub mod rules;
pub mod standin;
pub mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use o11y_lab::lab::backend::trace::Trace;
use o11y_lab::schema::{Endpoint, Ports, Role};
use serde_json::{Value, json};

pub use http::{Answer, get, post, send};
pub use pgbouncer::PgBouncer;
pub use postgres::{Database, Postgres};
pub use process::{Process, bin};

/// The longest a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Polls until `poll` finds something; panics with `what` when the deadline has passed.
#[track_caller]
pub fn eventually<T>(what: &str, poll: impl FnMut() -> Option<T>) -> T {
    eventually_within(DEADLINE, what, poll)
}

/// [`eventually`] with a deadline of one's own.
#[track_caller]
pub fn eventually_within<T>(deadline: Duration, what: &str, poll: impl FnMut() -> Option<T>) -> T {
    found_within(deadline, poll).unwrap_or_else(|| panic!("not within {deadline:?}: {what}"))
}

/// The same, for who has more to say of what was not found.
pub fn found_within<T>(deadline: Duration, mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + deadline;
    loop {
        let found = poll();
        if found.is_some() || Instant::now() >= until {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A base of ten free ports below the ephemeral range; every call gives another one.
pub fn free_port_base() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    // Test binaries may run side by side: start in different places.
    let next = NEXT.get_or_init(|| AtomicU16::new(10_000 + (std::process::id() % 2_000) as u16 * 10));
    loop {
        let mut base = next.fetch_add(10, Ordering::SeqCst);
        if base > 32_000 {
            next.store(10_010, Ordering::SeqCst);
            base = 10_000;
        }
        let free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (base..base + 10).all(free) {
            return base;
        }
    }
}

/// One free port.
pub fn free_port() -> u16 {
    free_port_base()
}

/// A role by itself, with a data folder of its own.
pub fn single(role: Role, env: &[(&str, &str)]) -> (Process, String, tempfile::TempDir) {
    let temp = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = bin();
    command.arg(role.as_str()).env("PORT", port.to_string()).env("DATA_DIR", temp.path());
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").envs(env.iter().copied());
    let process = Process::spawn(command);
    let url = format!("http://127.0.0.1:{port}");
    eventually(&format!("{role} listens; it said {}{}", process.stdout(), process.stderr()), || {
        http::try_send("GET", &format!("{url}/health"), &[], None)
    });
    (process, url, temp)
}

/// A whole lab, started by `o11y-lab up`; stopped when dropped.
pub struct Lab {
    pub up: Process,
    pub base: u16,
    pub dir: PathBuf,
    _temp: Option<tempfile::TempDir>,
}

impl Lab {
    /// Starts a lab of its own for one test.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a lab with further environment variables.
    pub fn start_with(env: &[(&str, &str)]) -> Self {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let dir = temp.path().join("data");
        let mut lab = Self::start_in(&dir, free_port_base(), env);
        lab._temp = Some(temp);
        lab
    }

    /// Starts a lab on a data folder that outlives it.
    pub fn start_in(dir: &Path, base: u16, env: &[(&str, &str)]) -> Self {
        let mut command = bin();
        command.envs(env.iter().copied());
        Self::launch(command, dir, base)
    }

    /// Starts a lab by a command of one's own.
    pub fn launch(mut command: Command, dir: &Path, base: u16) -> Self {
        command.args(["up", "--quiet", "--port-base", &base.to_string(), "--data-dir"]).arg(dir);
        command.arg("--logs").arg(dir.with_extension("log"));
        let up = Process::spawn(command);
        let lab = Self { up, base, dir: dir.to_owned(), _temp: None };
        lab.wait_ready();
        lab
    }

    /// The lab of an `up` that was started in a way of one's own.
    pub fn adopt(up: Process, dir: &Path, base: u16) -> Self {
        let lab = Self { up, base, dir: dir.to_owned(), _temp: None };
        lab.wait_ready();
        lab
    }

    /// The lab that tests share which only add to it: it is started once and never disturbed.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Lab> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Waits until every role says that it is ready.
    pub fn wait_ready(&self) {
        for role in [Role::Gateway, Role::User, Role::Order, Role::Notify, Role::Lambda] {
            self.wait_role(role);
        }
    }

    /// Waits until one role says that it is ready.
    #[track_caller]
    pub fn wait_role(&self, role: Role) {
        let (url, mut last) = (self.url(role, "/ready"), None);
        let ready = found_within(DEADLINE, || {
            last = http::try_send("GET", &url, &[], None);
            last.as_ref().is_some_and(|answer| answer.status == 200).then_some(())
        });
        let said = || last.as_ref().map_or("nothing", |answer| &answer.text);
        assert!(ready.is_some(), "{role} is not ready: {}; up said:\n{}", said(), self.up.stderr());
    }

    pub fn ports(&self) -> Ports {
        Ports::from_base(self.base)
    }

    /// A URL of a role.
    pub fn url(&self, role: Role, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports().of(role))
    }

    /// A URL of the gateway.
    pub fn api(&self, path: &str) -> String {
        self.url(Role::Gateway, path)
    }

    /// A URL of the console.
    pub fn console(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports().at(Endpoint::Console))
    }

    /// The pid of a role's process, a child of `up`.
    pub fn pid(&self, role: Role) -> u32 {
        eventually(&format!("{role} has a process"), || process::child_named(self.up.pid(), role.as_str()))
    }

    /// Creates a user and returns its id.
    pub fn user(&self) -> i64 {
        let email = format!("{}@example.com", uuid::Uuid::now_v7());
        let answer = post(&self.api("/api/users"), &json!({"name": "Ada", "email": email}));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json["id"].as_i64().expect("an id")
    }

    /// Creates an order and returns the answer.
    pub fn order(&self, user: i64) -> Answer {
        let answer =
            post(&self.api("/api/orders"), &json!({"userId": user, "items": ["book"], "total": 49.99}));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }

    /// The notifications of an order.
    pub fn notifications(&self, order: i64) -> Vec<Value> {
        // notify may be one of the processes a test kills: no answer means none so far.
        let url = self.url(Role::Notify, &format!("/notifications?orderId={order}"));
        let answer = http::try_send("GET", &url, &[], None);
        answer.and_then(|answer| answer.json["notifications"].as_array().cloned()).unwrap_or_default()
    }

    /// Waits until an order has as many notifications as expected.
    pub fn wait_notifications(&self, order: i64, expected: usize) -> Vec<Value> {
        eventually(&format!("order {order} has {expected} notifications"), || {
            Some(self.notifications(order)).filter(|all| all.len() >= expected)
        })
    }

    /// What the console received of a trace, as soon as it has `spans` of them and no more come.
    pub fn trace(&self, id: &str, spans: usize) -> Trace {
        backend::wait_trace(&self.console(""), id, spans)
    }

    /// What the console has of a trace now.
    pub fn trace_now(&self, id: &str) -> Trace {
        backend::trace(&self.console(""), id)
    }

    /// The roles' log lines so far, as they were written.
    pub fn logs(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// One series of a role's /metrics, by its exact name and labels as rendered.
    pub fn metric(&self, role: Role, series: &str) -> Option<f64> {
        metric(&get(&self.url(role, "/metrics")).text, series)
    }
}

/// The requests to POST /users that are being served.
pub const ACTIVE_USER_POSTS: &str =
    "http_server_active_requests{http_request_method=\"POST\",http_route=\"/users\"}";

/// The value of one series on a Prometheus page.
pub fn metric(page: &str, series: &str) -> Option<f64> {
    o11y_lab::exposition::value(page, series)
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // awc's connections are tasks of this thread.
    tokio::task::LocalSet::new().block_on(&runtime, future)
}
