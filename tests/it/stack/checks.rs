//! What has to hold of a running stack.

use std::time::{Duration, Instant};

use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::Role;
use serde_json::Value;

use super::compose::{STOPPED_WITHIN, Stack};
use super::{JAEGER, LOKI, PROMETHEUS, VICTORIALOGS};
use crate::helpers::dashboards::{empty_panels, waits_for};
use crate::helpers::{Lab, Process, backend, bin, eventually_within, found_within, get, http};
use crate::traces::assert_is_the_order_trace;

/// The README promises a page within two minutes and its end within a minute and a half; images that are not built for
/// speed and two busy cores take longer.
const PAGE: Duration = Duration::from_secs(240);

/// Every target of Prometheus is up.
pub fn targets() -> String {
    let mut seen = Vec::new();
    let all = found_within(Duration::from_secs(60), || {
        let answer = get(&format!("{PROMETHEUS}/api/v1/targets?state=active")).json;
        let targets = answer["data"]["activeTargets"].as_array()?.clone();
        let name = |target: &Value| format!("{} {}", target["labels"]["job"], target["health"]);
        seen = targets.iter().map(name).collect();
        let up = targets.iter().all(|target| target["health"] == "up");
        (up && targets.len() >= 3).then_some(targets.len())
    });
    format!("{} targets", all.unwrap_or_else(|| panic!("{seen:?}")))
}

/// One order's trace is whole in Jaeger, and its notification is there.
pub fn trace(lab: &Lab) -> String {
    let order = lab.order(lab.user());
    lab.wait_notifications(order.id(), 1);
    let trace = backend::wait_trace(JAEGER, &order.trace_id(), ORDER_TRACE.len());
    assert_is_the_order_trace(&trace);
    format!("{} spans, joined", trace.spans.len())
}

/// How many of Jaeger's spans of an order carry a warning of its own.
pub fn warnings(lab: &Lab) -> String {
    let order = lab.order(lab.user());
    lab.wait_notifications(order.id(), 1);
    let id = order.trace_id();
    backend::wait_trace(JAEGER, &id, ORDER_TRACE.len());
    let first = get(&format!("{JAEGER}/api/traces/{id}")).json;
    let spans = first["data"][0]["spans"].as_array().cloned().unwrap_or_default();
    let marked = |span: &&Value| span["warnings"].as_array().is_some_and(|all| !all.is_empty());
    let third = get(&format!("{JAEGER}/api/v3/traces/{id}")).text;
    let of_third = third.matches("clock skew").count();
    format!("API v1: {} of {} spans marked; v3: {of_third}", spans.iter().filter(marked).count(), spans.len())
}

/// Jaeger's Monitor page has calls and latencies.
pub fn monitor() -> String {
    let asked = |figure: &str| {
        let now = jiff::Timestamp::now().as_millisecond();
        let query = format!("service=order-service&spanKind=server&groupByOperation=true&endTs={now}");
        let query = format!("{query}&lookback=600000&step=5000&ratePer=600000&quantile=0.95");
        let answer = get(&format!("{JAEGER}/api/metrics/{figure}?{query}")).json;
        answer["metrics"].as_array().map_or(0, Vec::len)
    };
    eventually_within(Duration::from_secs(90), "operations of order-service", || {
        let counts = ["calls", "latencies"].map(asked);
        (counts.iter().all(|count| *count > 0)).then(|| format!("{} operations", counts[0]))
    })
}

/// The log store of a stack as `verify` names it, and its name.
pub fn log_store(stack: &Stack) -> (String, &'static str) {
    match stack.has("loki") {
        true => (format!("loki={LOKI}"), "Loki"),
        false => (format!("victorialogs={VICTORIALOGS}"), "VictoriaLogs"),
    }
}

/// The log store finds an order's lines by its trace id.
pub fn logs(lab: &Lab, store: &str) -> String {
    let order = lab.order(lab.user());
    lab.wait_notifications(order.id(), 1);
    let id = order.trace_id();
    let asked = |url: String| get(&url).text.matches(&id).count();
    eventually_within(Duration::from_secs(60), "lines of that trace", || {
        let found = match store.split_once('=') {
            Some(("loki", url)) => {
                let query = format!("{{service=\"order-service\"}} | traceId=\"{id}\"");
                let url = reqwest::Url::parse_with_params(
                    &format!("{url}/loki/api/v1/query_range"),
                    [("query", query)],
                );
                asked(url.expect("a URL").into())
            }
            Some((_, url)) => asked(format!("{url}/select/logsql/query?query=trace_id:={id}&limit=100")),
            None => 0,
        };
        (found > 0).then(|| "found".to_owned())
    })
}

/// The lab's console has got all three signals of an order.
pub fn console(lab: &Lab) -> String {
    let order = lab.order(lab.user());
    lab.wait_notifications(order.id(), 1);
    let id = order.trace_id();
    assert_is_the_order_trace(&lab.trace(&id, ORDER_TRACE.len()));
    let lines = eventually_within(Duration::from_secs(30), "lines of that trace", || {
        let all =
            get(&lab.console(&format!("/api/logs?traceId={id}&limit=100"))).json["logs"].as_array()?.len();
        (all >= 6).then_some(all)
    });
    eventually_within(Duration::from_secs(30), "a metric of order-service", || {
        let answer = get(&lab.console("/api/metrics/orders.created?service=order-service")).json;
        (!answer["series"].as_array()?.is_empty()).then_some(())
    });
    format!("{} spans, {lines} lines, metrics", ORDER_TRACE.len())
}

/// Every panel's query has data but those that wait for an alert or a failure.
pub fn dashboards() -> String {
    let mut left = Vec::new();
    let found = found_within(Duration::from_secs(120), || {
        let empty = empty_panels(PROMETHEUS);
        let waits = |(dashboard, panel, _): &&(String, String, String)| waits_for(dashboard, panel).is_none();
        left = empty.iter().filter(waits).cloned().collect();
        left.is_empty().then_some(empty.len())
    });
    let waiting = found.unwrap_or_else(|| panic!("without data: {left:#?}"));
    format!("all have data but {waiting} that wait for an alert or a failure")
}

/// A page walks from a fault to notification-service, and its end does.
pub fn alert(lab: &Lab) -> String {
    let of_gateway = |args: &[&str]| {
        let mut command = bin();
        command.args(["fault"]).args(args).args(["--role", "gateway", "--port-base", &lab.base.to_string()]);
        let done = command.output().expect("the program");
        assert!(done.status.success(), "{done:?}");
    };
    // The kills before it may have been a page themselves.
    eventually_within(PAGE, "nobody is paged", || {
        let all = backend::alerts(PROMETHEUS);
        all.iter().all(|alert| alert.label("severity") != "critical").then_some(())
    });
    let since = jiff::Timestamp::now();
    let told = |status: &str| {
        let answer = http::try_send("GET", &lab.url(Role::Notify, "/alerts"), &[], None)?;
        let is = |row: &Value| {
            let start = row["startsAt"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let page = row["status"] == status && row["labels"]["alertname"] == "ErrorBudgetFastBurn";
            page && start.is_some_and(|start| start > since)
        };
        answer.json["alerts"].as_array()?.iter().any(is).then_some(())
    };
    let mut traffic = bin();
    traffic.args(["load", "--forever", "--rps", "15", "--port-base", &lab.base.to_string()]);
    traffic.env("OTEL_TRACES_EXPORTER", "none");
    let _traffic = Process::spawn(traffic);
    let began = Instant::now();
    of_gateway(&["set", "error", "--ratio", "0.6", "--seconds", "3600"]);
    let fired = found_within(PAGE, || told("firing"));
    let after = began.elapsed().as_secs();
    of_gateway(&["clear"]);
    assert!(fired.is_some(), "no page: {}", get(&lab.url(Role::Notify, "/alerts")).text);
    let began = Instant::now();
    eventually_within(PAGE, "the page's end", || told("resolved"));
    format!("told after {after} s, its end {} s after the repair", began.elapsed().as_secs())
}

/// No container uses more than three quarters of its limit, and together they use so much.
pub fn memory(stack: &Stack) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    let all = stack.memory();
    let mut rows: Vec<_> = all.iter().collect();
    rows.sort_by(|a, b| (b.1.0 / b.1.1).total_cmp(&(a.1.0 / a.1.1)));
    let shown: Vec<_> = rows
        .iter()
        .map(|(name, (used, limit))| format!("{name} {:.1} of {:.0}", used / MIB, limit / MIB))
        .collect();
    let full = rows.iter().any(|(_, (used, limit))| used / limit > 0.75);
    let sum = all.values().map(|(used, _)| used / MIB).sum::<f64>();
    assert!(!full && !all.is_empty(), "{}", shown.join(", "));
    format!("{sum:.0} MiB in all: {}", shown.join(", "))
}

/// Everything ends within its grace, by itself.
pub fn stop(stack: &Stack) -> String {
    let services = stack.services();
    let began = Instant::now();
    stack.run(STOPPED_WITHIN * 2, &["stop"]);
    let took = began.elapsed().as_secs();
    let mut wrong = Vec::new();
    for service in &services {
        let state = stack.inspect(service)["State"].clone();
        let code = state["ExitCode"].as_i64();
        // Java ends a process that was told to by 128 and the signal's number, whatever its program says.
        let expected = if service == "kafka" { Some(143) } else { Some(0) };
        if (code != expected && code != Some(0)) || state["OOMKilled"] == true {
            wrong.push(format!("{service}: {state}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(took <= STOPPED_WITHIN.into(), "{took} s");
    format!("{took} s, {} containers, none killed", services.len())
}
