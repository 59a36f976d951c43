//! The report of a run made up here: its shape and its sums.
#![allow(clippy::unwrap_used)]
use super::super::client::LoadFailure;
use super::super::engine::{LoadOutcome, SentRequest};
use super::super::mix::draw;
use super::super::plan::{DEFAULT, parse};
use super::*;
use crate::config::Mix;

fn recorder() -> LoadRecorder {
    let mut recorder = LoadRecorder::new(6).unwrap();
    for number in 0..200 {
        let case = draw(1, number, Mix::Mixed).case;
        let result = match number {
            0 => Ok(503),
            1 => Err(LoadFailure::Timeout),
            _ => Ok(case.expect[0]),
        };
        let done = SentRequest { case, trace_id: format!("{number:032x}"), result };
        let latency = Duration::from_millis(number + 1);
        recorder.add(&LoadOutcome { done, phase: number as usize % 6, waited: latency / 2, latency });
    }
    recorder.dropped = 4;
    recorder
}

fn with_report<T>(read: impl FnOnce(LoadReport<'_>) -> T) -> T {
    let (recorder, phases) = (recorder(), parse(DEFAULT, Mix::Mixed).unwrap());
    let ended = LoadEnd { elapsed: Duration::from_secs(20), unfinished: 1, interrupted: true };
    read(LoadReport {
        url: "http://h",
        closed: false,
        seed: 9,
        phases: &phases,
        recorder: &recorder,
        ended: &ended,
    })
}

#[test]
fn the_json_report_adds_up() {
    let report = with_report(|report| report.json());
    assert_eq!(report["total"]["count"], 200);
    assert_eq!(report["total"]["ratePerSecond"], 10.0);
    assert_eq!((&report["expected"], &report["unexpected"]), (&json!(198), &json!(2)));
    assert_eq!((&report["dropped"], &report["unfinished"]), (&json!(4), &json!(1)));
    assert_eq!((&report["loop"], &report["interrupted"]), (&json!("open"), &json!(true)));
    for rows in ["routes", "phases"] {
        let rows = report[rows].as_array().unwrap();
        for key in ["count", "ok", "refused", "unexpected", "serverErrors", "timeouts", "connect"] {
            let sum: u64 = rows.iter().map(|row| row[key].as_u64().unwrap()).sum();
            assert_eq!(report["total"][key], sum, "{key}");
        }
    }
    assert_eq!(report["phases"][3]["phase"], "spike");
    assert_eq!(report["slowest"][0]["latencyMs"], 200.0);
    assert_eq!(report["slowest"][0]["waitedMs"], 100.0);
    assert_eq!(report["surprises"].as_array().unwrap().len(), 2);
    let latency = &report["total"]["latencyMs"];
    assert!(latency["p50"].as_f64() < latency["p99"].as_f64(), "{latency}");
}

#[test]
fn the_table_has_a_line_for_each_route_and_phase_and_aligns() {
    let text = with_report(|report| report.text());
    assert!(text.contains("200 sent, 198 as expected, 2 not; 4 dropped, 1 unfinished"), "{text}");
    for expected in
        ["seed 9, 20.0 s, interrupted", "\nPOST /api/orders ", "\nrecovery ", "\nall ", ": no answer in time"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let routes = text.lines().skip_while(|line| !line.starts_with("ROUTE"));
    let widths: Vec<_> = routes.take_while(|line| !line.is_empty()).map(str::len).collect();
    assert!(widths.len() > 8 && widths.iter().all(|width| *width == widths[0]), "{text}");
}
