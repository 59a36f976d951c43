//! Pages in the Prometheus text format: their families and their samples.

use std::borrow::Cow;

/// One family of a page: a metric with all its series.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricFamily<'a> {
    /// The name in HELP and TYPE.
    pub name: &'a str,
    /// `counter`, `gauge`, `histogram` or another word of the format; empty where the page has no TYPE.
    pub kind: &'a str,
    /// The text of HELP as it is escaped on the page; empty where it has none.
    pub help: &'a str,
    /// The lines of its samples, in the order of the page.
    pub lines: Vec<&'a str>,
}

/// The families of a page, in its order. Samples above the first HELP or TYPE belong to none.
pub fn families(page: &str) -> Vec<MetricFamily<'_>> {
    let mut all: Vec<MetricFamily<'_>> = Vec::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        let comment = line.strip_prefix("# ").and_then(|rest| {
            let (keyword, rest) = rest.split_once(' ')?;
            let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
            matches!(keyword, "HELP" | "TYPE").then_some((keyword, name, text))
        });
        let Some((keyword, name, text)) = comment else {
            if let Some(family) = all.last_mut().filter(|_| !line.starts_with('#')) {
                family.lines.push(line);
            }
            continue;
        };
        if all.last().is_none_or(|family| family.name != name) {
            all.push(MetricFamily { name, kind: "", help: "", lines: Vec::new() });
        }
        if let Some(family) = all.last_mut() {
            *(if keyword == "HELP" { &mut family.help } else { &mut family.kind }) = text;
        }
    }
    all
}

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
    #[test]
    fn families_have_what_their_comments_say_and_their_own_samples() {
        let page = "stray 1\n# HELP a_total A \\n thing\n# TYPE a_total counter\na_total{x=\"# y\"} 1\na_total 2\n\n\
            # a word\n# TYPE b gauge\nb 3\n";
        let found = families(page);
        let shown: Vec<_> = found.iter().map(|f| (f.name, f.kind, f.help, f.lines.len())).collect();
        assert_eq!(shown, [("a_total", "counter", "A \\n thing", 2), ("b", "gauge", "", 1)]);
        assert_eq!(found[0].lines, ["a_total{x=\"# y\"} 1", "a_total 2"]);
    }
}
