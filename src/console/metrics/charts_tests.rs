//! The panels from exports as services send them.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::console::metrics::tests::{get, send_of};
use crate::console::params::now;
use crate::console::{sample, state::Console};
use actix_web::web;

const SECOND: u64 = 1_000_000_000;

/// A console, and a whole step that is now for all of a test.
struct Watched {
    console: web::Data<Console>,
    now: u64,
}

impl Watched {
    fn new() -> Self {
        Self { console: sample::console(), now: now() / (10 * SECOND) * 10 * SECOND }
    }

    /// So many ten seconds ago, in nanoseconds.
    fn ago(&self, tens: u64) -> u64 {
        self.now - tens * 10 * SECOND
    }

    /// Requests of a route by status, up to so many ten seconds ago, by duration; counted from two minutes ago on.
    fn served(&self, service: &str, tens: u64, route: &str, status: u32, buckets: [u64; 3]) {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let attributes = [
            text("http.request.method", "GET"),
            text("http.route", route),
            json!({"key": "http.response.status_code", "value": {"intValue": status}}),
        ];
        let point = json!({"startTimeUnixNano": self.ago(12).to_string(), "timeUnixNano": self.ago(tens).to_string(),
            "attributes": attributes, "count": buckets.iter().sum::<u64>(), "bucketCounts": buckets,
            "explicitBounds": [0.1, 0.5]});
        let metric = json!([{"name": "http.server.request.duration", "unit": "s",
            "histogram": {"aggregationTemporality": 2, "dataPoints": [point]}}]);
        send_of(&self.console, service, &metric);
    }

    fn gauge(&self, name: &str, tens: u64, value: f64, attributes: &Value) {
        let time = self.ago(tens).to_string();
        let point = json!({"timeUnixNano": time, "asDouble": value, "attributes": attributes});
        send_of(&self.console, "shop", &json!([{"name": name, "gauge": {"dataPoints": [point]}}]));
    }

    async fn charts(&self, query: &str) -> Value {
        let (status, answer) = get(&self.console, &format!("/api/charts?{query}")).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

fn panel<'a>(charts: &'a Value, id: &str) -> &'a Value {
    let panels = charts["panels"].as_array().unwrap();
    panels.iter().find(|found| found["id"] == id).unwrap_or_else(|| panic!("{id} in {charts}"))
}

/// The values of a line at a time and after it.
fn values(charts: &Value, id: &str, line: &str, from: u64) -> Vec<Value> {
    let panel = panel(charts, id);
    let lines = panel["lines"].as_array().unwrap();
    let line =
        lines.iter().find(|found| found["name"] == line).unwrap_or_else(|| panic!("{line} in {panel}"));
    let (start, step) = (charts["from"].as_u64().unwrap(), charts["step"].as_u64().unwrap());
    let skipped = (from / 1_000 - start) / step - 1;
    line["values"].as_array().unwrap()[skipped as usize..].to_vec()
}

#[actix_web::test]
async fn a_service_has_one_line_and_a_chosen_one_a_line_for_each_route() {
    let watched = Watched::new();
    for (tens, a, b) in [(11, 0, 0), (10, 10, 20), (9, 20, 40), (8, 30, 60)] {
        watched.served("shop", tens, "/a", 200, [a, 0, 0]);
        watched.served("shop", tens, "/b", 200, [b, 0, 0]);
        watched.served("other", tens, "/a", 200, [1, 0, 0]);
    }
    let (from, all) = (watched.ago(10), watched.charts("since=5m").await);
    assert_eq!(values(&all, "requests", "shop", from)[..3], [json!(3.0), json!(3.0), json!(3.0)]);
    assert_eq!(values(&all, "requests", "other", from)[1], json!(0.0));
    // What is not told of is not zero.
    assert_eq!(values(&all, "requests", "shop", from)[3], Value::Null);
    let one = watched.charts("since=5m&service=shop").await;
    assert_eq!(values(&one, "requests", "GET /b", from)[0], json!(2.0));
    assert_eq!(one["panels"][0]["matched"], 2, "{one}");
}

#[actix_web::test]
async fn failures_over_what_the_objective_allows_are_its_burn_rate() {
    let watched = Watched::new();
    for (tens, good, bad) in [(11, 0, 0), (10, 90, 10), (9, 180, 20)] {
        watched.served("api-gateway", tens, "/a", 200, [good, 0, 0]);
        watched.served("api-gateway", tens, "/a", 503, [bad, 0, 0]);
    }
    let all = watched.charts("since=5m").await;
    let near =
        |value: &Value, wanted: f64| assert!((value.as_f64().unwrap() - wanted).abs() < 1e-9, "{value}");
    near(&values(&all, "errors", "api-gateway", watched.ago(9))[0], 0.1);
    near(&values(&all, "burn", "5 min · api-gateway", watched.ago(9))[0], 20.0);
    assert_eq!(panel(&all, "burn")["limits"][0]["value"], 14.4);
}

#[actix_web::test]
async fn what_is_left_of_the_budget_is_of_all_requests_kept_and_says_of_how_long_that_is() {
    let watched = Watched::new();
    for (tens, good, bad) in [(11, 0, 0), (10, 399, 1), (9, 798, 2), (8, 1196, 4), (7, 1596, 16)] {
        watched.served("api-gateway", tens, "/a", 200, [good, 0, 0]);
        watched.served("api-gateway", tens, "/a", 503, [bad, 0, 0]);
        watched.served("other", tens, "/a", 503, [good, 0, 0]);
    }
    let all = watched.charts("since=5m").await;
    let left = values(&all, "budget", "api-gateway", watched.ago(10));
    // Of 400 requests two may fail, of 1,612 eight.
    for (value, wanted) in left.iter().zip([0.5, 0.5, 1.0 - 4.0 / 6.0, 1.0 - 16.0 / 8.06]) {
        assert!((value.as_f64().unwrap() - wanted).abs() < 1e-9, "{value} for {wanted}");
    }
    let budget = panel(&all, "budget");
    // Since the first counter began, and to the end of the last step.
    assert_eq!((&budget["covers"], &budget["period"]), (&json!(120.0), &json!(2_592_000)));
}

#[actix_web::test]
async fn a_share_is_of_what_came_also_where_the_failures_counter_was_born_late() {
    let watched = Watched::new();
    for (tens, good) in [(11, 0), (6, 500), (1, 990)] {
        watched.served("api-gateway", tens, "/a", 200, [good, 0, 0]);
    }
    for (tens, bad) in [(2, 0), (1, 10)] {
        watched.served("api-gateway", tens, "/a", 503, [bad, 0, 0]);
    }
    let all = watched.charts("since=5m").await;
    let burn = values(&all, "burn", "5 min · api-gateway", watched.ago(1))[0].as_f64().unwrap();
    assert!((burn - 2.0).abs() < 1e-9, "{burn}");
}

#[actix_web::test]
async fn exemplars_of_the_latency_chart_are_the_slowest_of_their_time_and_say_whether_their_trace_is_kept() {
    let watched = Watched::new();
    let exemplar = |tens: u64, value: f64, trace: &str| json!({"timeUnixNano": watched.ago(tens).to_string(), "asDouble": value, "traceId": trace.repeat(32)});
    let exemplars =
        [exemplar(6, 0.2, "a"), exemplar(6, 0.4, "b"), exemplar(3, 0.1, "c"), exemplar(90, 9.0, "d")];
    for (tens, count, exemplars) in [(11, 0, json!([])), (2, 3, json!(exemplars))] {
        let point = json!({"startTimeUnixNano": watched.ago(12).to_string(), "timeUnixNano": watched.ago(tens).to_string(),
            "count": count, "bucketCounts": [0, count, 0], "explicitBounds": [0.1, 0.5], "exemplars": exemplars});
        let metric = json!([{"name": "http.server.request.duration", "unit": "s",
            "histogram": {"aggregationTemporality": 2, "dataPoints": [point]}}]);
        send_of(&watched.console, "shop", &metric);
    }
    let all = watched.charts("since=5m").await;
    let dots = panel(&all, "latency")["exemplars"].as_array().unwrap();
    let told: Vec<_> = dots.iter().map(|dot| (&dot["value"], &dot["traceID"], &dot["service"])).collect();
    let (b, c) = (json!("b".repeat(32)), json!("c".repeat(32)));
    assert_eq!(told, [(&json!(0.4), &b, &json!("shop")), (&json!(0.1), &c, &json!("shop"))]);
    assert_eq!(dots[0]["kept"], false);
}

#[actix_web::test]
async fn a_quantile_is_of_all_that_a_line_joins_and_of_what_came_in_its_minute_alone() {
    let watched = Watched::new();
    // Before: all slow. In the last minute: 97 fast ones of one route, 3 slow ones of the other.
    for (tens, a, b) in [(11, [0, 0, 0], [0, 0, 0]), (10, [0, 0, 50], [0, 0, 0]), (3, [97, 0, 50], [0, 3, 0])]
    {
        watched.served("shop", tens, "/a", 200, a);
        watched.served("shop", tens, "/b", 200, b);
    }
    let all = watched.charts("since=5m").await;
    let at =
        |charts: &Value, line: &str, tens: u64| values(charts, "latency", line, watched.ago(tens))[0].clone();
    assert_eq!([3, 10].map(|tens| at(&all, "p95 · shop", tens)), [json!(0.1), json!(0.5)]);
    assert_eq!([at(&all, "p50 · shop", 3), at(&all, "p99 · shop", 3)], [json!(0.1), json!(0.5)]);
    // Beyond the last bound nobody has counted: it is more than that.
    let line = panel(&all, "latency")["lines"][0].clone();
    assert_eq!(
        (&line["bound"], &line["of"], &line["percentile"]),
        (&json!("at most"), &json!("shop"), &json!("p50"))
    );
    let step = line["values"].as_array().unwrap().iter().position(|value| *value == 0.5).unwrap();
    assert_eq!(line["beyond"][0], step);
    let one = watched.charts("since=5m&service=shop").await;
    assert_eq!(at(&one, "p95", 3), json!(0.1));
    assert_eq!(values(&one, "routes", "GET /b", watched.ago(3))[0], json!(0.5));
    assert!(all["panels"].as_array().unwrap().iter().all(|panel| panel["id"] != "routes"), "{all}");
}

#[actix_web::test]
async fn a_fault_a_version_and_a_new_process_are_moments() {
    let watched = Watched::new();
    let latency = json!([{"key": "fault", "value": {"stringValue": "latency"}}]);
    for (tens, active, started) in [(9, 0.0, 5.0), (8, 1.0, 5.0), (7, 1.0, 6.0), (6, 0.0, 6.0)] {
        watched.gauge("fault.active", tens, active, &latency);
        watched.gauge("process.start_time", tens, started, &json!([]));
    }
    let all = watched.charts("since=5m").await;
    let moments: Vec<_> =
        all["moments"].as_array().unwrap().iter().map(|m| (&m["what"], &m["which"])).collect();
    let expected = [("fault set", "latency"), ("restart", ""), ("fault ended", "latency")]
        .map(|(what, which)| (json!(what), json!(which)));
    assert_eq!(moments, expected.iter().map(|(what, which)| (what, which)).collect::<Vec<_>>());
    assert_eq!(all["moments"][0]["time"], watched.ago(8) / 1_000);
}

#[actix_web::test]
async fn a_fault_is_marked_when_its_log_line_says_and_not_at_the_next_export() {
    let watched = Watched::new();
    let fault = |name: &str| json!([{"key": "fault", "value": {"stringValue": name}}]);
    for (tens, active) in [(9, 0.0), (8, 1.0), (6, 1.0), (5, 0.0)] {
        watched.gauge("fault.active", tens, active, &fault("latency"));
        watched.gauge("fault.active", tens, active, &fault("error"));
    }
    let line = |nanos: u64, message: &str, service: &str| {
        let time = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
        let line = json!({"timestamp": time.to_string(), "service": service, "message": message, "fault": "latency"});
        watched.console.take_line(Some(&line.to_string()));
    };
    let (set, ended) = (watched.ago(9) + 250_000_000, watched.ago(6) + SECOND);
    line(set, "Fault set", "shop");
    line(ended, "Fault expired", "shop");
    // Not yet exported; long ago; of another service.
    line(watched.ago(1), "Fault set", "shop");
    line(watched.ago(90), "Fault set", "shop");
    line(watched.ago(2), "Fault cleared", "other");
    let moments = |charts: &Value| -> Vec<(u64, String, String)> {
        let text = |moment: &Value, key: &str| moment[key].as_str().unwrap().to_owned();
        let moments = charts["moments"].as_array().unwrap().iter();
        moments.map(|one| (one["time"].as_u64().unwrap(), text(one, "what"), text(one, "which"))).collect()
    };
    let told = [
        (set, "fault set", "latency"),
        (watched.ago(8), "fault set", "error"),
        (ended, "fault ended", "latency"),
        (watched.ago(5), "fault ended", "error"),
        (watched.ago(1), "fault set", "latency"),
    ]
    .map(|(time, what, which)| (time / 1_000, what.to_owned(), which.to_owned()));
    assert_eq!(moments(&watched.charts("since=5m&service=shop").await), told);
    assert_eq!(moments(&watched.charts("since=5m").await).len(), told.len() + 1);
}

#[actix_web::test]
async fn a_day_has_no_more_steps_than_a_quarter_of_an_hour_and_a_wrong_time_is_refused() {
    let watched = Watched::new();
    for tens in [200, 170, 140, 110, 80, 50, 20] {
        watched.gauge("queue.consumer.lag", tens, 7.0, &json!([]));
    }
    let day = watched.charts("since=24h").await;
    assert_eq!(
        (day["step"].as_u64(), day["panels"][0]["lines"][0]["values"].as_array().unwrap().len()),
        (Some(720_000_000), 120)
    );
    let (status, _) = get(&watched.console, "/api/charts?since=tomorrow").await;
    assert_eq!(status, 400);
}
