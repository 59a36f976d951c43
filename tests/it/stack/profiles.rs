//! The stack with each queue, and the light one.

use std::time::{Duration, Instant};

use super::compose::Stack;
use super::report::Report;
use super::{JAEGER, PROMETHEUS, VICTORIALOGS, checks, kills, with_stand_ins};
use crate::helpers::{Lab, bin};
use crate::queue::stored;
use crate::verify::Verified;

/// How long the heartbeat has gone on when memory is judged, where it is.
const HEARTBEAT: Duration = Duration::from_secs(600);

/// `o11y-lab verify` finds all that it sent, while nobody else sends anything.
fn verify(stack: &mut Stack, sources: &[&str], mode: &'static str) -> String {
    // First: its requests would meet the roles that are made again, and burn the budget.
    stack.run(60, &["stop", "load"]);
    stack.set("QUEUE_TRACE_MODE", mode);
    stack.up_only(&["order", "notify"]);
    let mut command = bin();
    command.args([
        "verify",
        "--orders",
        "20",
        "--within",
        "90s",
        "--settle",
        "3s",
        "--queue-trace-mode",
        mode,
    ]);
    command.args(sources);
    let verified = Verified::run(&mut command);
    stack.run(60, &["start", "load"]);
    verified.assert_green();
    "every claim holds".to_owned()
}

fn with_queue(transport: &'static str, victims: &[&str]) {
    let mut report = Report::of(transport);
    let mut stack = Stack::with_queue(transport);
    let mut lab: Option<Lab> = None;
    report.check("everything is healthy", || {
        let took = stack.up();
        lab = Some(stack.lab());
        format!("{} s, {} containers", took.as_secs(), stack.services().len())
    });
    let Some(lab) = lab else { return report.finish() };
    let began = Instant::now();
    report.check("Prometheus has every target up", checks::targets);
    report.check("an order's trace is whole in Jaeger", || checks::trace(&lab));
    report.check("Jaeger's warnings", || checks::warnings(&lab));
    report.check("Jaeger's Monitor page answers", checks::monitor);
    let (logs, named) = checks::log_store(&stack);
    report.check(&format!("log lines are found by trace id in {named}"), || checks::logs(&lab, &logs));
    // Before anything is broken: what was broken burns the budgets for hours.
    if transport == "redis" {
        let prometheus = format!("prometheus={PROMETHEUS}");
        let traces = format!("jaeger={JAEGER}");
        let sources = [
            "--traces",
            &traces,
            "--metrics",
            &prometheus,
            "--metrics",
            "roles",
            "--alerts",
            &prometheus,
            "--logs",
            &logs,
        ];
        for mode in ["link", "child"] {
            report.check(&format!("verify is green in {mode} mode"), || verify(&mut stack, &sources, mode));
        }
    }
    report.check("orders survive kills", || kills::under_load(&stack, &lab, victims));
    report.check("a page and its end arrive", || checks::alert(&lab));
    if transport == "redis" {
        report.check("every panel has data", checks::dashboards);
        std::thread::sleep(HEARTBEAT.saturating_sub(began.elapsed()));
    }
    let minutes = began.elapsed().as_secs() / 60;
    report.check(&format!("memory after {minutes} minutes"), || checks::memory(&stack));
    end(&mut report, &stack, lab);
    report.finish();
}

/// Stopped in order, and with its volumes it goes on.
fn end(report: &mut Report, stack: &Stack, lab: Lab) {
    let mut before = Vec::new();
    report.check("it stops in order", || {
        before = stored(&lab);
        checks::stop(stack)
    });
    report.check("it goes on with its volumes", || {
        let took = stack.up();
        let after = stored(&lab);
        assert!(before.iter().all(|id| after.binary_search(id).is_ok()), "orders are gone");
        checks::trace(&lab);
        format!("{} orders are there after {} s, and new ones", before.len(), took.as_secs())
    });
}

macro_rules! queues {
    ($($name:ident: $victims:expr),* $(,)?) => {$(
        #[test]
        #[ignore = "needs an engine and its images: make test-stack"]
        fn $name() {
            with_queue(stringify!($name), &$victims);
        }
    )*};
}

queues!(
    redis: ["redis", "order", "notify", "user", "lambda", "gateway", "postgres", "jaeger", "prometheus", "alertmanager"],
    rabbitmq: ["rabbitmq", "order", "notify"],
    kafka: ["kafka", "order", "notify"],
    // moto keeps its messages in memory: killed, it has lost them.
    sqs: ["order", "notify"],
);

#[test]
#[ignore = "needs an engine and its images: make test-stack"]
fn light() {
    let mut report = Report::of("light");
    let mut stack = Stack::light();
    let mut lab: Option<Lab> = None;
    report.check("everything is healthy", || {
        let took = stack.up();
        lab = Some(stack.lab());
        format!("{} s, {} containers", took.as_secs(), stack.services().len())
    });
    let Some(lab) = lab else { return report.finish() };
    let began = Instant::now();
    report.check("no container has the engine's socket", || {
        for service in stack.services() {
            let mounts = stack.inspect(&service)["Mounts"].to_string();
            assert!(!mounts.contains("docker.sock"), "{service}: {mounts}");
        }
        "none of them".to_owned()
    });
    report.check("Prometheus has every target up", checks::targets);
    report.check("an order's trace is whole in Jaeger", || checks::trace(&lab));
    report.check("Jaeger's Monitor page answers", checks::monitor);
    report.check("the console has trace, lines and metrics", || checks::console(&lab));
    let sources = [
        "--traces",
        &format!("jaeger={JAEGER}"),
        "--traces",
        &format!("console={}", lab.console("")),
        "--metrics",
        &format!("prometheus={PROMETHEUS}"),
        "--metrics",
        "roles",
        "--logs",
        &format!("victorialogs={VICTORIALOGS}"),
        "--logs",
        &format!("console={}", lab.console("")),
    ];
    for mode in ["link", "child"] {
        report.check(&format!("verify is green in {mode} mode"), || verify(&mut stack, &sources, mode));
    }
    std::thread::sleep(Duration::from_secs(300).saturating_sub(began.elapsed()));
    let minutes = began.elapsed().as_secs() / 60;
    report.check(&format!("memory after {minutes} minutes"), || {
        let sum = stack.memory().values().map(|(used, _)| used / 1024.0 / 1024.0).sum::<f64>();
        let said = checks::memory(&stack);
        assert!(sum <= 400.0, "{said}");
        said
    });
    end(&mut report, &stack, lab);
    report.finish();
}

/// Said once in the report, so that nobody takes what was not run for what holds.
#[test]
#[ignore = "needs an engine and its images: make test-stack"]
fn left_out() {
    let mut report = Report::of("left-out");
    if with_stand_ins() {
        report.left_out(
            "Grafana, Loki, Alloy, the socket proxy",
            "they have no stand-in, VictoriaLogs is in Loki's place; the workflow `stack` runs them",
        );
    }
    report.finish();
}
