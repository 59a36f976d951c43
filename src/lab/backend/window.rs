//! What a backend received of any program since a moment: spans of a console or a Jaeger; series and log lines of a
//! console.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::log::LogLine;
use super::span::array;
use super::trace::{Span, Trace};
use super::{BackendAccess, BackendError, QueryApi, encoded};

/// Traces in one answer.
const MOST_TRACES: usize = 1_000;
/// Answers with traces of one service: what is older than they reach is left out.
const MOST_PAGES: usize = 50;
/// The most log lines in one answer, which is the most that is read at once.
pub const MOST_LINES: usize = 5_000;
/// The most series of one metric of one service in one answer.
const MOST_SERIES: usize = 200;

/// A reader of what arrived since a moment.
pub struct WindowReader(QueryApi);

/// One series of a metric with its points since a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSeries {
    /// `service.name` of the resource.
    pub service: String,
    /// The metric's name.
    pub name: String,
    /// Its kind: `counter`, `up_down_counter`, `gauge`, `histogram`, `exponential_histogram`, `summary`.
    pub kind: &'static str,
    /// Its unit.
    pub unit: String,
    /// The series' attributes.
    pub attributes: Map<String, Value>,
    /// Resource and scope, which tell series of several processes apart.
    pub origin: String,
    /// The points since then, oldest first.
    pub points: Vec<WindowPoint>,
    /// The newest value of all.
    pub latest: f64,
}

/// One point of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowPoint {
    /// Microseconds since the epoch, by the sender's clock.
    pub time: u64,
    /// Whether it counts anew instead of going on with the point before.
    pub fresh: bool,
    /// The value; of what counts measurements, how many.
    pub value: f64,
}

impl WindowReader {
    /// The query API at this base URL.
    pub fn new(base: &str) -> Self {
        Self(QueryApi::new(base))
    }

    /// The same, reached in this way.
    pub fn through(self, access: &BackendAccess) -> Self {
        Self(self.0.through(access))
    }

    /// Every service that sent a span.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn services(&self) -> Result<Vec<String>, BackendError> {
        let names = self.0.list("/api/v3/services", "/services", "a list of services").await?;
        Ok(names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    }

    /// The traces in which a service has a span that began at `from` or later, in nanoseconds since the epoch; by their
    /// ids, each with all its spans.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn traces(
        &self,
        service: &str,
        from: u64,
    ) -> Result<BTreeMap<String, Vec<Span>>, BackendError> {
        let mut found: BTreeMap<String, Vec<Span>> = BTreeMap::new();
        // Jaeger wants an end as well.
        let mut until = from.saturating_add(86_400_000_000_000);
        for _ in 0..MOST_PAGES {
            let path = format!(
                "/api/v3/traces?query.serviceName={}&query.startTimeMin={}&query.startTimeMax={}\
                 &query.searchDepth={MOST_TRACES}",
                encoded(service),
                encoded(&time(from)),
                encoded(&time(until))
            );
            let answer = self.0.find(&path).await?.unwrap_or_default();
            let mut page: BTreeMap<String, Vec<Span>> = BTreeMap::new();
            for span in Trace::from_otlp(&answer["result"]).spans {
                page.entry(span.trace.clone()).or_default().push(span);
            }
            page.retain(|id, _| !found.contains_key(id));
            // The newest come first: what an answer has no room for is older than all that is in it.
            let Some(oldest) = page.values().flatten().map(|span| span.start).min() else { break };
            found.append(&mut page);
            until = oldest;
        }
        Ok(found)
    }

    /// The number of the newest log line.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn newest_line(&self) -> Result<u64, BackendError> {
        Ok(self.0.get("/api/logs?limit=1").await?["next"].as_u64().unwrap_or_default())
    }

    /// The log lines that came in after the one with this number, the newest [`MOST_LINES`] at most.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn lines(&self, after: u64) -> Result<Vec<LogLine>, BackendError> {
        let path = format!("/api/logs?after={after}&limit={MOST_LINES}");
        let lines = self.0.list(&path, "/logs", "a list of log lines").await?;
        let line = |line| match line {
            Value::Object(fields) => Some(LogLine { fields }),
            _ => None,
        };
        Ok(lines.into_iter().filter_map(line).collect())
    }

    /// Every metric that was sent: service and name.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn metrics(&self) -> Result<Vec<(String, String)>, BackendError> {
        let all = self.0.list("/api/metrics?limit=2000", "/metrics", "a list of metrics").await?;
        let text = |metric: &Value, key: &str| metric[key].as_str().unwrap_or_default().to_owned();
        let mut names: Vec<_> =
            all.iter().map(|metric| (text(metric, "service"), text(metric, "name"))).collect();
        names.dedup();
        Ok(names)
    }

    /// The series of one metric of a service, with their points from `from` on, in nanoseconds since the epoch.
    ///
    /// # Errors
    /// The backend cannot be read, or the metric has more series than it tells at once.
    pub async fn series(
        &self,
        service: &str,
        name: &str,
        from: u64,
    ) -> Result<Vec<WindowSeries>, BackendError> {
        let path = format!(
            "/api/metrics/{}?service={}&since={}&limit={MOST_SERIES}",
            encoded(name),
            encoded(service),
            encoded(&time(from))
        );
        let Some(answer) = self.0.find(&path).await? else { return Ok(Vec::new()) };
        let found = array(&answer["series"]);
        if answer["matched"].as_u64().is_some_and(|matched| matched > found.len() as u64) {
            let url = format!("{}{path}", self.0.base);
            return Err(BackendError::Unreadable { url, expected: "all series of a metric, 200 at most" });
        }
        Ok(found.iter().filter_map(|series| read_series(service, name, series)).collect())
    }
}

/// RFC 3339, from nanoseconds since the epoch.
fn time(nanos: u64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanos))
        .map_or_else(|_| String::new(), |time| time.to_string())
}

fn read_series(service: &str, name: &str, series: &Value) -> Option<WindowSeries> {
    let (kind, field) = match series["kind"].as_str()? {
        "counter" => ("counter", "value"),
        "upDownCounter" => ("up_down_counter", "value"),
        "gauge" => ("gauge", "value"),
        "histogram" => ("histogram", "count"),
        "exponentialHistogram" => ("exponential_histogram", "count"),
        _ => ("summary", "count"),
    };
    let number = |point: &Value| point[field].as_f64().unwrap_or(f64::NAN);
    let point = |point: &Value| WindowPoint {
        time: point["time"].as_u64().unwrap_or_default(),
        fresh: point["fresh"] == true,
        value: number(point),
    };
    Some(WindowSeries {
        service: service.to_owned(),
        name: name.to_owned(),
        kind,
        unit: series["unit"].as_str().unwrap_or_default().to_owned(),
        attributes: series["attributes"].as_object().cloned().unwrap_or_default(),
        origin: format!("{} {}", series["resource"], series["scope"]),
        points: array(&series["points"]).iter().map(point).collect(),
        latest: number(&series["latest"]),
    })
}

impl WindowSeries {
    /// Whether another one, read at another time, is the same series.
    pub fn is(&self, other: &Self) -> bool {
        (&self.name, &self.service, self.kind, &self.unit)
            == (&other.name, &other.service, other.kind, &other.unit)
            && self.attributes == other.attributes
            && self.origin == other.origin
    }

    /// By how much it has grown since it was read before, if it was there then; none where no point has come since.
    /// One that was not there grew from 0.
    pub fn grown(&self, before: Option<&Self>) -> Option<f64> {
        let seen = before.and_then(|before| before.points.last()).map_or(0, |point| point.time);
        let mut from = before.map_or(0.0, |before| before.latest);
        let mut grown = None;
        for point in self.points.iter().filter(|point| point.time > seen) {
            let base = if point.fresh { 0.0 } else { from };
            *grown.get_or_insert(0.0) += point.value - base;
            from = point.value;
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn series(points: &[(u64, bool, f64)]) -> WindowSeries {
        let point =
            |(time, fresh, value): &(u64, bool, f64)| json!({"time": time, "fresh": fresh, "value": value});
        let all: Vec<_> = points.iter().map(point).collect();
        let series = json!({"kind": "counter", "unit": "1", "points": all, "latest": {"value": points.last().map(|p| p.2)}});
        read_series("a", "b", &series).unwrap_or_else(|| unreachable!())
    }

    #[test]
    fn a_series_grows_from_what_it_was_and_from_nothing_where_a_process_counts_anew() {
        let before = series(&[(5, true, 3.0)]);
        assert_eq!(series(&[(5, true, 3.0)]).grown(Some(&before)), None);
        assert_eq!(series(&[(5, true, 3.0), (6, false, 7.0)]).grown(Some(&before)), Some(4.0));
        assert_eq!(
            series(&[(6, false, 7.0), (8, true, 2.0), (9, false, 3.0)]).grown(Some(&before)),
            Some(7.0)
        );
        assert_eq!(series(&[(6, true, 2.0), (9, false, 3.0)]).grown(None), Some(3.0));
    }
}
