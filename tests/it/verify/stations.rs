//! `verify --station`: by the books of what stands between the lab and its backend, a loss has a place.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::proxy::span_lists;
use super::{Verified, verify};
use crate::helpers::{Lab, send, standin};
use crate::otlp::Console;

/// What a station does to the spans of user-service.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    Honest,
    /// Drops them and does not count them as sent.
    Drops,
    /// Counts them as sent, and loses them behind its back.
    Loses,
    /// Takes them, and does not even count them as received.
    Ignores,
}

/// Stands in for a collector: takes OTLP in JSON, hands it on, and has a page with its books.
struct Station {
    url: String,
    habit: Arc<Mutex<Habit>>,
}

impl Station {
    fn before(receiver: &str) -> Self {
        let habit = Arc::new(Mutex::new(Habit::Honest));
        let (receiver, now) = (receiver.to_owned(), habit.clone());
        let books = Mutex::new(BTreeMap::<(&str, &str), usize>::new());
        let address = standin::serve(move |method, path, body| {
            if method == "GET" {
                let mut page = String::new();
                for ((what, items), count) in &*books.lock().unwrap() {
                    let _ = writeln!(page, "otelcol_{what}_{items}_total{{exporter=\"otlp\"}} {count}");
                }
                return Some(standin::response("200 OK", "", &page));
            }
            let mut export: Value = serde_json::from_slice(body).unwrap();
            let items = match path.rsplit('/').next().unwrap() {
                "traces" => "spans",
                "logs" => "log_records",
                _ => "metric_points",
            };
            let whole = count(&export);
            let habit = *now.lock().unwrap();
            if habit != Habit::Honest {
                span_lists(&mut export, |service, spans| {
                    if service == "user-service" {
                        spans.clear();
                    }
                });
            }
            let left = count(&export);
            let (received, sent) = match habit {
                Habit::Honest | Habit::Loses => (whole, whole),
                Habit::Drops => (whole, left),
                Habit::Ignores => (left, left),
            };
            let answer = send(
                "POST",
                &format!("{receiver}{path}"),
                &[("content-type", "application/json")],
                Some(export.to_string().as_bytes()),
            );
            assert_eq!(answer.status, 200);
            let mut books = books.lock().unwrap();
            *books.entry(("receiver_accepted", items)).or_default() += received;
            *books.entry(("exporter_sent", items)).or_default() += sent;
            Some(standin::response("200 OK", "content-type: application/json\r\n", "{}"))
        });
        Self { url: format!("http://{address}"), habit }
    }
}

/// Spans, log records and data points, wherever they are.
fn count(export: &Value) -> usize {
    match export {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("spans" | "logRecords" | "dataPoints", Value::Array(items)) => items.len(),
                (_, inner) => count(inner),
            })
            .sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

#[test]
fn a_loss_is_placed_before_in_between_or_behind_the_stations_that_it_passes() {
    let console = Console::start(&[]);
    let second = Station::before(&console.otlp(""));
    let first = Station::before(&second.url);
    let lab = Lab::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &first.url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
    ]);
    let run = |within: &str, signals: &[&str]| {
        let mut command = verify(&lab, "2", within);
        for signal in signals {
            command.args([*signal, &format!("console={}", console.page(""))]);
        }
        command.args(["--station", &format!("agent={}", first.url)]);
        Verified::run(command.args(["--station", &format!("gateway={}", second.url)]))
    };
    let green = run("20s", &["--traces", "--logs", "--metrics"]);
    green.assert_green();
    let rows = green.report["claims"].as_array().unwrap();
    let hops = rows.iter().filter(|claim| claim["id"] == "stations.traces").count();
    // From the roles, two stations with the way between them, and to the backend.
    assert_eq!(hops, 5);
    let end = "gateway -> the backend console";
    for (station, habit, place, words) in [
        (&first, Habit::Ignores, "roles -> agent", "received"),
        (&first, Habit::Drops, "agent", "that otlp never saw"),
        (&first, Habit::Loses, "agent -> gateway", "received"),
        (&second, Habit::Drops, "gateway", "that otlp never saw"),
        (&second, Habit::Loses, end, "it lacks"),
    ] {
        *station.habit.lock().unwrap() = habit;
        // The lost spans are waited for in vain; a sample of every role may take longer on a busy machine.
        let verified = run("6s", &["--traces", "--logs"]);
        *station.habit.lock().unwrap() = Habit::Honest;
        let not = verified.not("pass");
        let of = |verdict: &str| {
            let found =
                not.iter().filter(|claim| claim["id"] == "stations.traces" && claim["verdict"] == verdict);
            found
                .map(|claim| (claim["source"].as_str().unwrap(), claim["found"].as_str().unwrap()))
                .collect::<Vec<_>>()
        };
        let [(source, found)] = of("fail")[..] else { panic!("{place}: {not:#?}") };
        assert!(source == place && found.contains(words), "{place}: {source}: {found}");
        let untold: Vec<_> = of("cannot tell").into_iter().map(|(source, _)| source).collect();
        assert_eq!(untold, if place == end { vec![] } else { vec![end] }, "{place}");
        assert!(
            not.iter().all(|claim| claim["id"] == "stations.traces" || claim["id"] == "traces.complete"),
            "{not:#?}"
        );
    }
    run("20s", &["--traces", "--logs", "--metrics"]).assert_green();
}
