//! The history of alerts: what a Prometheus evaluated, and what Alertmanager sent to notification-service.

use std::time::Duration;

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::lab::scenario::scene::nanos_now;
use crate::lab::scenario::target::LessonLab;
use crate::schema::{Endpoint, Role};

/// Between two samples of one alert lies no more, or it ended: several evaluations.
const GAP_SECONDS: f64 = 90.0;
/// How old the newest sample of an alert that is still there may be.
const STILL: Duration = Duration::from_secs(90);

/// Both since then, in nanoseconds since the epoch. What is not there is explained.
pub(super) async fn history(lab: &LessonLab, since: u64) -> Value {
    let own = format!("http://127.0.0.1:{}", lab.config.ports.ports().at(Endpoint::Prometheus));
    let prometheus = lab.prometheus.clone().unwrap_or(own);
    let (evaluated, note) = match evaluated(lab, &prometheus, since).await {
        Ok(alerts) => (alerts, "evaluated by Prometheus; received by notification-service from Alertmanager"),
        Err(why) => (Vec::new(), why),
    };
    json!({"note": note, "evaluated": evaluated, "received": received(lab, since).await})
}

/// From the series `ALERTS`, which a Prometheus writes of every alert at each evaluation.
async fn evaluated(lab: &LessonLab, base: &str, since: u64) -> Result<Vec<Value>, &'static str> {
    const NONE: &str = "no Prometheus answers, so no rule was evaluated: name one with --prometheus, or start the lab with \
                        `o11y-lab up --with prometheus,alertmanager`";
    let seconds = nanos_now().saturating_sub(since) / 1_000_000_000 + 1;
    let url = format!("{base}/api/v1/query?query=ALERTS%5B{seconds}s%5D");
    let answer = lab.http.send(Method::GET, &url, &[], None).await.map_err(|_| NONE)?;
    if !answer.is_success() {
        return Err("Prometheus refuses the question for the series ALERTS");
    }
    let answer: Value = answer.json().ok_or("Prometheus answers no JSON")?;
    let series = answer["data"]["result"].as_array().ok_or("Prometheus answers no list of series")?;
    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let still = (nanos_now() / 1_000_000_000) as f64 - STILL.as_secs_f64();
    Ok(series.iter().flat_map(|one| spells(one, still)).collect())
}

/// The times in which one alert was in one state.
fn spells(series: &Value, still: f64) -> Vec<Value> {
    let mut labels = series["metric"].clone();
    let state = labels.as_object_mut().and_then(|labels| {
        labels.remove("__name__");
        labels.remove("alertstate")
    });
    let times = series["values"].as_array().into_iter().flatten().filter_map(|value| value[0].as_f64());
    let mut spells: Vec<(f64, f64)> = Vec::new();
    for time in times {
        match spells.last_mut().filter(|(_, last)| time - *last <= GAP_SECONDS) {
            Some((_, last)) => *last = time,
            None => spells.push((time, time)),
        }
    }
    let spell = |(first, last): (f64, f64)| {
        let end = (last < still).then(|| time(last));
        json!({"labels": labels, "state": state, "startsAt": time(first), "endsAt": end})
    };
    spells.into_iter().map(spell).collect()
}

/// RFC 3339, from seconds since 1970.
fn time(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "milliseconds since 1970")]
    let time = jiff::Timestamp::from_millisecond((seconds * 1e3) as i64);
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// The webhook list: what was told since then, or is not over.
async fn received(lab: &LessonLab, since: u64) -> Vec<Value> {
    let url = format!("{}/alerts", lab.config.of(Role::Notify));
    let answer = lab.http.get(&url).await.ok().filter(|answer| answer.is_success());
    let answer: Value = answer.and_then(|answer| answer.json()).unwrap_or_default();
    let told = |alert: &&Value| {
        let told = alert["updatedAt"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        alert["status"] == "firing" || told.is_some_and(|told| told.as_nanosecond() >= i128::from(since))
    };
    answer["alerts"].as_array().into_iter().flatten().filter(told).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_an_alert_that_follow_each_other_are_one_spell_and_the_last_one_may_go_on() {
        let series = json!({"metric": {"__name__": "ALERTS", "alertname": "A", "alertstate": "firing"},
            "values": [[1000, "1"], [1015, "1"], [2000, "1"], [2015, "1"]]});
        let found = spells(&series, 2010.0);
        let expected = |start: &str, end: Value| json!({"labels": {"alertname": "A"}, "state": "firing", "startsAt": start, "endsAt": end});
        assert_eq!(
            found,
            [
                expected("1970-01-01T00:16:40Z", json!("1970-01-01T00:16:55Z")),
                expected("1970-01-01T00:33:20Z", Value::Null)
            ]
        );
    }
}
