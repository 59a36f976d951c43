//! Metrics: samples of a page in the Prometheus text format, and series that a Prometheus answers a
//! query with.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::{BackendError, QueryApi, encoded, texts};

/// One sample of a `/metrics` page.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSample<'a> {
    /// The name as exposed, such as `http_server_request_duration_seconds_bucket`.
    pub name: &'a str,
    /// Labels in the order of the page, unescaped.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// A finite number.
    pub value: f64,
}

impl<'a> MetricSample<'a> {
    /// `name{label="value",…} number`, or `None` for comments and whatever else is no sample.
    pub fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim();
        if line.starts_with('#') {
            return None;
        }
        let name_end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(name_end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            while !rest.starts_with('}') {
                let (key, tail) = rest.split_once("=\"")?;
                let (value, tail) = quoted(tail)?;
                labels.push((key.trim(), value));
                rest = tail.trim_start_matches([',', ' ']);
            }
            rest = &rest[1..];
        }
        let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
        value.is_finite().then_some(Self { name, labels, value })
    }

    /// A label's value, empty where it has none: to Prometheus that is the same.
    pub fn label(&self, key: &str) -> &str {
        self.labels.iter().find(|(own, _)| *own == key).map_or("", |(_, value)| value)
    }
}

/// The text up to the closing quote, unescaped, and what follows the quote.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = text.find(['"', '\\'])?;
    if text[end..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = text[..end].to_owned();
    let mut chars = text.char_indices().skip_while(|(at, _)| *at < end);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(value), &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

/// The samples of a page; lines that are none are passed over.
pub fn samples(page: &str) -> impl Iterator<Item = MetricSample<'_>> {
    page.lines().filter_map(MetricSample::parse)
}

/// The value of one series on a page, by its name and labels as rendered: `up`, `m{a="b"}`.
pub fn value(page: &str, series: &str) -> Option<f64> {
    let wanted = format!("{series} 0");
    let wanted = MetricSample::parse(&wanted)?;
    samples(page).find(|found| (found.name, &found.labels) == (wanted.name, &wanted.labels)).map(|s| s.value)
}

/// One series of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSeries {
    /// All labels, `__name__` included where the query keeps it.
    pub labels: BTreeMap<String, String>,
    /// The value now; NaN and infinities are values of Prometheus too.
    pub value: f64,
}

/// A reader of metrics.
pub struct MetricReader(QueryApi);

impl MetricReader {
    /// A Prometheus at this base URL.
    pub fn prometheus(base: &str) -> Self {
        Self(QueryApi::new(base))
    }

    /// The series that a PromQL expression finds now; it has to be an instant vector.
    ///
    /// # Errors
    /// The backend cannot be read, or refuses the expression.
    pub async fn query(&self, expr: &str) -> Result<Vec<MetricSeries>, BackendError> {
        let path = format!("/api/v1/query?query={}", encoded(expr));
        let found = self.0.list(&path, "/data/result", "an instant vector").await?;
        Ok(found.iter().filter_map(series).collect())
    }
}

fn series(found: &Value) -> Option<MetricSeries> {
    // [seconds since the epoch, "value"]
    let value = found["value"].get(1)?.as_str()?.parse().ok()?;
    Some(MetricSeries { labels: texts(&found["metric"]), value })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn escapes_in_labels_are_undone_and_nonsense_is_no_sample() {
        let sample = MetricSample::parse(r#"m{a="x\"y\\z\n", b="2"} 1.5 123"#).unwrap();
        assert_eq!((sample.name, sample.value), ("m", 1.5));
        assert_eq!(sample.labels, [("a", "x\"y\\z\n".into()), ("b", "2".into())]);
        assert_eq!((sample.label("b"), sample.label("c")), ("2", ""));
        for wrong in ["", "m", "m{", "m{a", "m{a=\"b", "m{a=\"b\"", "m x", "# TYPE m counter", "m NaN"] {
            assert!(MetricSample::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_series_is_found_by_its_name_and_its_labels_and_not_by_a_part_of_them() {
        let page = "# HELP m x\nm_count 3\nm{a=\"1\",b=\"2\"} 4\nm{a=\"1\"} 5\n";
        assert_eq!(value(page, "m_count"), Some(3.0));
        assert_eq!(value(page, "m{a=\"1\"}"), Some(5.0));
        assert_eq!(value(page, "m{a=\"1\",b=\"2\"}"), Some(4.0));
        assert_eq!(value(page, "m"), None);
    }
}
