//! The report of a run made up here: its shape and its sums.
#![allow(clippy::unwrap_used)]
use super::super::client::LoadFailure;
use super::super::engine::{LoadOutcome, SentRequest};
use super::super::links::TraceLinks;
use super::super::mix::draw;
use super::super::plan::{DEFAULT, parse};
use super::super::span::RequestTrace;
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
        let done = SentRequest { case, trace: RequestTrace::sampled(number), connect: None, result };
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
        arrivals: Some(Arrivals::Even),
        made: json!({ "users": 8, "orders": 3 }),
        links: &TraceLinks::default(),
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

#[test]
fn no_line_is_wider_than_a_hundred_columns_whatever_went_wrong() {
    let mut recorder = recorder();
    let what = LoadFailure::Connect("a reason that goes on and on, ".repeat(9));
    for route in ["PATCH /api/orders/{id}/status", "POST /api/orders/validate"] {
        let case =
            (0..).map(|number| draw(1, number, Mix::Mixed).case).find(|case| case.route == route).unwrap();
        for result in [Ok(500), Ok(302), Ok(200), Err(LoadFailure::Timeout), Err(what.clone())] {
            let done = SentRequest { case, trace: None, connect: Some(Duration::from_secs(3)), result };
            let latency = Duration::from_secs(86_000);
            recorder.add(&LoadOutcome { done, phase: 0, waited: latency / 2, latency });
        }
    }
    let phases = parse(DEFAULT, Mix::Mixed).unwrap();
    let ended = LoadEnd { elapsed: Duration::from_millis(1), unfinished: 1, interrupted: true };
    let text = LoadReport {
        url: "http://h",
        arrivals: Some(Arrivals::Poisson),
        made: json!({}),
        links: &TraceLinks::default(),
        seed: u64::MAX,
        phases: &phases,
        recorder: &recorder,
        ended: &ended,
    }
    .text();
    let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
    assert!(widest.chars().count() <= 100, "{} columns: {widest}", widest.chars().count());
    assert!(text.contains(" goes on and on") && text.contains('…') && text.contains("no trace"), "{text}");
}

#[test]
fn the_parts_of_a_latency_are_told_apart() {
    let mut recorder = LoadRecorder::new(1).unwrap();
    let case = draw(1, 0, Mix::Browse).case;
    let ms = Duration::from_millis;
    for (waited, connect, latency) in [(10, Some(20), 100), (0, None, 50)] {
        let done = SentRequest { case, trace: None, connect: connect.map(ms), result: Ok(200) };
        recorder.add(&LoadOutcome { done, phase: 0, waited: ms(waited), latency: ms(latency) });
    }
    let part = |tally: &Tally| (tally.count(), tally.percentile_ms(100.0).map(f64::round));
    assert_eq!(part(&recorder.waited), (2, Some(10.0)));
    assert_eq!(part(&recorder.connect), (1, Some(20.0)));
    assert_eq!(part(&recorder.answer), (2, Some(70.0)));
    assert_eq!(part(&LoadRecorder::new(1).unwrap().connect), (0, None), "nothing was measured");
}
