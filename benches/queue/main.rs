//! `make bench-queue`: what the worker costs over the bare client, on real brokers.
//!
//! For each transport, on a private broker: the time from publishing to the end of a handler that does
//! nothing, at a steady 500 messages a second, counted from when each was due; and how fast a backlog
//! is drained, beside a loop of the same client on the same broker that only receives and settles; and
//! the CPU time of an idle consumer.
//! Ends with 1 if a goal is missed. Arguments choose transports; without any, all.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "../../tests/it/helpers/mod.rs"]
#[allow(unused_imports, reason = "the tests use all of it")]
mod helpers;
mod idle;
mod measure;
mod raw;
#[path = "../../tests/it/conformance/row.rs"]
#[allow(dead_code, reason = "made for tests")]
mod row;

use std::time::Duration;

use helpers::brokers::{self, Broker};
use measure::{Latency, Subject};

/// Least part of the bare client's rate.
const RATIO: f64 = 0.5;
/// Longest 99th percentile of the time from publishing to processed.
const P99: Duration = Duration::from_millis(25);
/// Most CPU time of an idle consumer, in per cent of a core.
const IDLE: f64 = 1.0;

/// What is measured of one transport.
struct Plan {
    name: &'static str,
    start: fn() -> Box<dyn Broker>,
    /// Messages in the backlog.
    backlog: usize,
    /// Whether the broker can take 500 messages a second, and so whether [`P99`] is asked of it.
    steady: bool,
    p99: bool,
}

const PLANS: &[Plan] = &[
    Plan { name: "embedded", start: brokers::EmbeddedFile::boxed, backlog: 20_000, steady: true, p99: true },
    Plan { name: "redis", start: brokers::RedisServer::boxed, backlog: 20_000, steady: true, p99: true },
    Plan { name: "rabbitmq", start: brokers::RabbitServer::boxed, backlog: 20_000, steady: true, p99: true },
    #[cfg(feature = "kafka")]
    Plan { name: "kafka", start: brokers::KafkaServer::boxed, backlog: 20_000, steady: true, p99: false },
    // An emulator in Python that takes some fifty calls a second: a ratio, and no more than that.
    Plan { name: "sqs", start: brokers::SqsServer::boxed, backlog: 300, steady: false, p99: false },
];

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // `cargo bench` adds an argument of its own.
    let chosen: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let known = |name: &String| PLANS.iter().any(|plan| plan.name == name);
    if let Some(unknown) = chosen.iter().find(|name| !known(name)) {
        eprintln!("there is no transport {unknown}");
        std::process::exit(2);
    }
    println!(
        "| transport | p50, ms | p99, ms | drained, 1/s | bare client, 1/s | ratio | idle, % of a core | goals |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---|");
    let mut missed = false;
    for plan in PLANS.iter().filter(|plan| chosen.is_empty() || chosen.iter().any(|name| name == plan.name)) {
        missed |= !line(plan);
    }
    std::process::exit(i32::from(missed));
}

/// Measures and prints; whether every goal is met.
fn line(plan: &Plan) -> bool {
    let broker = (plan.start)();
    let subject = |visibility| Subject::new(plan.name, &*broker, visibility);
    let latency = plan.steady.then(|| subject(Duration::from_secs(30)).latency());
    let drained = subject(Duration::from_secs(60)).drained(plan.backlog);
    let bare = subject(Duration::from_secs(60)).drained_bare(plan.backlog);
    let ratio = drained / bare;
    let quick = latency.as_ref().is_none_or(|latency| !plan.p99 || latency.p99 < P99);
    let idle = idle::percent(&*broker);
    let met = ratio >= RATIO && quick && idle < IDLE;
    let millis = |of: fn(&Latency) -> Duration| {
        latency.as_ref().map_or("-".to_owned(), |latency| format!("{:.1}", of(latency).as_secs_f64() * 1e3))
    };
    println!(
        "| {} | {} | {} | {drained:.0} | {bare:.0} | {ratio:.2} | {idle:.2} | {} |",
        plan.name,
        millis(|latency| latency.p50),
        millis(|latency| latency.p99),
        if met { "met" } else { "MISSED" },
    );
    met
}
