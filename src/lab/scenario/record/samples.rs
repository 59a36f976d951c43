//! The pages of all roles over the time of a recording, as a Prometheus would have scraped them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use actix_web::http::Method;

use crate::exposition::{MetricSample, families};
use crate::lab::scenario::scene::nanos_now;
use crate::lab::scenario::target::LessonLab;
use crate::schema::{SERVICES, Service, names};

/// The most scrapes: what is kept and written of them stays within some tens of MiB.
const MOST_SCRAPES: u64 = 60;
/// The least time between two.
const LEAST_PAUSE: Duration = Duration::from_secs(2);
/// The labels of a target.
const TARGET: [&str; 3] = ["job", "service", "instance"];
const OPEN_METRICS: (&str, &str) = ("accept", "application/openmetrics-text; version=1.0.0");

/// The time between two scrapes of a recording that takes so many minutes.
pub(super) fn pause(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60 / MOST_SCRAPES).max(LEAST_PAUSE)
}

/// All samples so far, by family.
pub(super) struct ScrapedSamples {
    families: BTreeMap<String, ScrapedFamily>,
    with_marks: bool,
}

/// One metric of all services.
#[derive(Default)]
struct ScrapedFamily {
    kind: String,
    help: String,
    /// By service, and by the labels that a histogram's buckets share.
    metrics: BTreeMap<(&'static str, String), Vec<ScrapedSeries>>,
}

/// One series with its samples, oldest first.
pub(super) struct ScrapedSeries {
    /// Such as `http_server_request_duration_seconds_bucket`.
    pub(super) name: String,
    /// As they stand on the page, unescaped.
    pub(super) labels: Vec<(String, String)>,
    /// Nanoseconds since the epoch, and the value.
    pub(super) points: Vec<(u64, f64)>,
}

impl ScrapedSeries {
    /// The value at a time.
    pub(super) fn at(&self, time: u64) -> Option<f64> {
        let place = self.points.binary_search_by_key(&time, |(time, _)| *time).ok()?;
        self.points.get(place).map(|(_, value)| *value)
    }
}

/// One scrape: of each service its page as OpenMetrics.
pub(super) struct ScrapedPages(u64, Vec<(&'static Service, String)>);

impl ScrapedPages {
    /// Asks every role.
    pub(super) async fn of(lab: &LessonLab) -> Result<Self, String> {
        let (time, mut pages) = (nanos_now(), Vec::new());
        for service in &SERVICES {
            let url = format!("{}/metrics", lab.config.of(service.role));
            let page = lab.http.send(Method::GET, &url, &[OPEN_METRICS], None).await;
            match page.map_err(|why| format!("{url}: {why}"))? {
                page if page.is_success() => {
                    pages.push((service, String::from_utf8_lossy(&page.body).into_owned()));
                }
                page => return Err(format!("{url} answered {}", page.status)),
            }
        }
        Ok(Self(time, pages))
    }
}

impl ScrapedSamples {
    /// None yet. Without marks what says which fault is set is left out.
    pub(super) fn new(with_marks: bool) -> Self {
        Self { families: BTreeMap::new(), with_marks }
    }

    /// Adds one scrape.
    pub(super) fn add(&mut self, ScrapedPages(time, pages): &ScrapedPages) {
        for (service, page) in pages {
            for family in families(page) {
                let counter = if family.kind == "counter" { "_total" } else { "" };
                if !self.with_marks && family.name == names::FAULT_ACTIVE {
                    continue;
                }
                let own = self.families.entry(format!("{}{counter}", family.name)).or_default();
                (own.kind, own.help) = (family.kind.to_owned(), family.help.to_owned());
                for line in family.lines {
                    let Some(sample) = MetricSample::parse(line) else { continue };
                    // Whoever sets a fault is counted too.
                    if self.with_marks || !sample.label("http_route").starts_with("/faults") {
                        own.add(service.name, *time, &sample);
                    }
                }
            }
        }
    }

    /// The families of a service by their names on the page of the Prometheus text format.
    pub(super) fn of_service<'a>(
        &'a self,
        service: &'static str,
    ) -> impl Iterator<Item = (&'a str, impl Iterator<Item = &'a [ScrapedSeries]>)> {
        self.families.iter().map(move |(name, family)| {
            let own = family.metrics.iter().filter(move |((of, _), metric)| *of == service && counts(metric));
            (name.as_str(), own.map(|(_, series)| series.as_slice()))
        })
    }

    /// When something was scraped.
    pub(super) fn times(&self) -> Vec<u64> {
        let all = self.families.values().flat_map(|family| family.metrics.values().flatten());
        let times: std::collections::BTreeSet<_> =
            all.flat_map(|series| series.points.iter().map(|(time, _)| *time)).collect();
        times.into_iter().collect()
    }

    /// Writes all as OpenMetrics 1.0 with times: `promtool tsdb create-blocks-from openmetrics` reads it.
    pub(super) fn write(&self, lab: &LessonLab, out: &mut impl Write) -> io::Result<()> {
        for (name, family) in &self.families {
            let base = if family.kind == "counter" { name.trim_end_matches("_total") } else { name };
            writeln!(out, "# TYPE {base} {}\n# HELP {base} {}", family.kind, family.help)?;
            for ((service, _), metric) in family.metrics.iter().filter(|(_, metric)| counts(metric)) {
                let target = target(lab, service);
                let times = metric.iter().flat_map(|series| series.points.iter().map(|(time, _)| *time));
                for time in times.collect::<std::collections::BTreeSet<_>>() {
                    for series in metric {
                        let Some(value) = series.at(time) else { continue };
                        let (seconds, milliseconds) = (time / 1_000_000_000, time / 1_000_000 % 1000);
                        let labels = labels(&series.labels);
                        let name = &series.name;
                        writeln!(out, "{name}{{{target}{labels}}} {value} {seconds}.{milliseconds:03}")?;
                    }
                }
            }
        }
        writeln!(out, "# EOF")
    }
}

impl ScrapedFamily {
    fn add(&mut self, service: &'static str, time: u64, sample: &MetricSample<'_>) {
        let own = |(key, value): &(&str, std::borrow::Cow<'_, str>)| ((*key).to_owned(), value.to_string());
        let labels: Vec<_> = sample.labels.iter().map(own).collect();
        let shared: Vec<_> = labels.iter().filter(|(key, _)| key != "le").cloned().collect();
        let metric = self.metrics.entry((service, self::labels(&shared))).or_default();
        let known = metric.iter_mut().find(|one| one.name == sample.name && one.labels == labels);
        match known {
            Some(series) => series.points.push((time, sample.value)),
            None => metric.push(ScrapedSeries {
                name: sample.name.to_owned(),
                labels,
                points: vec![(time, sample.value)],
            }),
        }
    }
}

/// Whether a metric is a number, or a histogram that has ever counted something: most never do, and take most of the room.
fn counts(metric: &[ScrapedSeries]) -> bool {
    metric.len() < 2 || metric.iter().flat_map(|series| &series.points).any(|(_, value)| *value > 0.0)
}

/// The labels that a scrape of the lab's Prometheus adds.
fn target(lab: &LessonLab, service: &str) -> String {
    let row = SERVICES.iter().find(|row| row.name == service);
    let port = row.map_or(0, |row| lab.config.ports.ports().of(row.role));
    format!("job=\"{service}\",service=\"{service}\",instance=\"127.0.0.1:{port}\"")
}

/// Labels behind others.
fn labels(labels: &[(String, String)]) -> String {
    labels.iter().fold(String::new(), |mut text, (key, value)| {
        // As Prometheus names a label of a page that the target has too.
        let exported = if TARGET.contains(&key.as_str()) { "exported_" } else { "" };
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _ = write!(text, ",{exported}{key}=\"{value}\"");
        text
    })
}
