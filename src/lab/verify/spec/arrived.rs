//! What arrived since the start of a run: spans by when they began, lines by when they came, series by their growth.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::super::claim::Claim;
use super::super::untold;
use crate::config::spec::TelemetrySpec;
use crate::config::{BackendSource, Invalid, VerifyConfig, without_login};
use crate::lab::backend::log::LogLine;
use crate::lab::backend::trace::Span;
use crate::lab::backend::window::{MOST_LINES, WindowReader, WindowSeries};
use crate::lab::backend::{BackendAccess, BackendError};

/// A backend of one signal.
struct WindowSource {
    signal: &'static str,
    label: &'static str,
    base: String,
    reader: WindowReader,
}

/// The backends, and what they had when the run began.
pub(super) struct ArrivalWindow {
    pub(super) began: Instant,
    /// Nanoseconds since the epoch; earlier than the start by what clocks may differ.
    from: u64,
    sources: [WindowSource; 3],
    /// Which services count; none where all do.
    services: Option<BTreeSet<String>>,
    /// Which metrics are read: service and name; none where all are.
    names: Option<BTreeSet<(String, String)>>,
    spans: HashSet<(String, String)>,
    series: Vec<WindowSeries>,
    newest_line: u64,
}

/// What has arrived.
#[derive(Default)]
pub(super) struct Arrived {
    /// Spans that began in the run, of every service that counts; in order of their traces and starts.
    pub(super) spans: Vec<Span>,
    /// Service and name of every span in these traces, by trace id and span id.
    pub(super) all: HashMap<(String, String), (String, String)>,
    /// Series with points of the run.
    pub(super) series: Vec<ArrivedSeries>,
    /// Log lines.
    pub(super) lines: Vec<LogLine>,
    /// Every service that is known, by its spans.
    pub(super) services: Vec<String>,
}

/// A series and its growth.
pub(super) struct ArrivedSeries {
    pub(super) series: WindowSeries,
    pub(super) grown: f64,
}

impl Arrived {
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.series.is_empty() && self.lines.is_empty()
    }

    /// The services that something arrived of.
    pub(super) fn of_services(&self) -> BTreeSet<&str> {
        let spans = self.spans.iter().map(|span| span.service.as_str());
        let series = self.series.iter().map(|one| one.series.service.as_str());
        spans.chain(series).chain(self.lines.iter().map(|line| line.text("service"))).collect()
    }

    /// In words.
    pub(super) fn counts(&self) -> String {
        let spans = so_many(self.spans.len(), "span", "spans");
        let lines = so_many(self.lines.len(), "log line", "log lines");
        format!("{spans}, {} series and {lines}", self.series.len())
    }
}

/// `1 row`, `2 rows`.
pub(super) fn so_many(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

impl ArrivalWindow {
    /// From now on: what is there already does not count. Without a file, all services do.
    ///
    /// # Errors
    /// Backends that this cannot read ([`Invalid`]); one that does not answer.
    pub(super) async fn open(config: &VerifyConfig, spec: Option<&TelemetrySpec>) -> anyhow::Result<Self> {
        let sources = sources(config)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let from = u64::try_from(now.saturating_sub(config.clock_tolerance).as_nanos()).unwrap_or_default();
        let mut window = Self {
            began: Instant::now(),
            from,
            sources,
            services: spec.map(services).or_else(|| recorded(config)),
            names: spec.map(names),
            spans: HashSet::new(),
            series: Vec::new(),
            newest_line: 0,
        };
        window.before().await.map_err(|error| {
            untold(&format!("what has arrived cannot be read; does `o11y-lab console` run? {error}"))
        })?;
        Ok(window)
    }

    async fn before(&mut self) -> Result<(), BackendError> {
        let [traces, metrics, logs] = &self.sources;
        let (_, spans) = self.spans_of(&traces.reader).await?;
        let mut series = Vec::new();
        for (service, name) in self.metric_names(&metrics.reader).await? {
            series.extend(metrics.reader.series(&service, &name, self.from).await?);
        }
        self.newest_line = logs.reader.newest_line().await?;
        self.spans = spans.into_iter().map(|span| (span.trace, span.id)).collect();
        self.series = series;
        Ok(())
    }

    /// What has arrived until now.
    ///
    /// # Errors
    /// A row that says which backend cannot be read, and why.
    pub(super) async fn read(&self) -> Result<Arrived, Claim> {
        let [traces, metrics, logs] = &self.sources;
        let unread = |source: &WindowSource, why: String| Claim::unread(source.signal, source.label, why);
        let (services, found) =
            self.spans_of(&traces.reader).await.map_err(|error| unread(traces, error.to_string()))?;
        let series = self.grown(&metrics.reader).await.map_err(|error| unread(metrics, error.to_string()))?;
        let lines =
            logs.reader.lines(self.newest_line).await.map_err(|error| unread(logs, error.to_string()))?;
        if lines.len() >= MOST_LINES {
            return Err(unread(logs, format!("more than {MOST_LINES} log lines arrived in the run")));
        }
        let all = found
            .iter()
            .map(|span| ((span.trace.clone(), span.id.clone()), (span.service.clone(), span.name.clone())));
        let all = all.collect();
        let counts = |span: &Span| {
            span.start >= self.from
                && self.counts(&span.service)
                && !self.spans.contains(&(span.trace.clone(), span.id.clone()))
        };
        let mut spans: Vec<_> = found.into_iter().filter(counts).collect();
        spans.sort_by(|a, b| (a.start, &a.trace, &a.id).cmp(&(b.start, &b.trace, &b.id)));
        let lines = lines.into_iter().filter(|line| self.counts(line.text("service"))).collect();
        Ok(Arrived { spans, all, series, lines, services })
    }

    /// What a signal's backend is called, and its base URL.
    pub(super) fn source(&self, signal: &str) -> (&str, &str) {
        let found = self.sources.iter().find(|source| source.signal == signal);
        found.map_or(("", ""), |source| (source.label, source.base.as_str()))
    }

    fn counts(&self, service: &str) -> bool {
        self.services.as_ref().is_none_or(|services| services.contains(service))
    }

    /// Every service, and all spans of traces in which one that counts has a span of the run.
    async fn spans_of(&self, reader: &WindowReader) -> Result<(Vec<String>, Vec<Span>), BackendError> {
        let services = reader.services().await?;
        let mut traces = BTreeMap::new();
        for service in services.iter().filter(|service| self.counts(service)) {
            // The same trace again may have more spans by now.
            traces.extend(reader.traces(service, self.from).await?);
        }
        Ok((services, traces.into_values().flatten().collect()))
    }

    async fn metric_names(&self, reader: &WindowReader) -> Result<BTreeSet<(String, String)>, BackendError> {
        match &self.names {
            Some(names) => Ok(names.clone()),
            None => {
                let all = reader.metrics().await?.into_iter();
                Ok(all.filter(|(service, _)| self.counts(service)).collect())
            }
        }
    }

    async fn grown(&self, reader: &WindowReader) -> Result<Vec<ArrivedSeries>, BackendError> {
        let mut grown = Vec::new();
        for (service, name) in self.metric_names(reader).await? {
            for series in reader.series(&service, &name, self.from).await? {
                let before = self.series.iter().find(|before| before.is(&series));
                grown.extend(series.grown(before).map(|grown| ArrivedSeries { series, grown }));
            }
        }
        Ok(grown)
    }
}

/// Of each signal one: the console, which gets no credentials, or what the settings name.
fn sources(config: &VerifyConfig) -> anyhow::Result<[WindowSource; 3]> {
    let named = [&config.traces, &config.metrics, &config.logs];
    let secure = named.iter().any(|named| named.iter().any(|source| source.url.starts_with("https:")));
    let [traces, metrics, logs, _] = BackendAccess::of_signals(&config.access, secure)?;
    let source = |signal, named: &[BackendSource], access: &BackendAccess, kinds: &[&'static str]| {
        let (url, kind, access) = match named {
            [] => (config.console(), "console", &BackendAccess::default()),
            [one] if kinds.contains(&one.kind) => (one.url.clone(), one.kind, access),
            [_] => {
                let kinds = kinds.join(" or a ");
                return Err(Invalid(format!(
                    "--spec and --record read {signal} from a {kinds} only: send it to an `o11y-lab console`, whose --forward \
                     passes it on"
                )));
            }
            _ => return Err(Invalid(format!("--spec and --record read {signal} from one backend only"))),
        };
        let reader = WindowReader::new(&url).through(access);
        Ok(WindowSource { signal, label: kind, base: without_login(&url), reader })
    };
    Ok([
        source("spans", &config.traces, &traces, &["console", "jaeger"])?,
        source("metrics", &config.metrics, &metrics, &["console"])?,
        source("logs", &config.logs, &logs, &["console"])?,
    ])
}

/// The services that `--record` is about, where it names any.
fn recorded(config: &VerifyConfig) -> Option<BTreeSet<String>> {
    let named = &config.other.services;
    (!named.is_empty()).then(|| named.iter().cloned().collect())
}

fn services(spec: &TelemetrySpec) -> BTreeSet<String> {
    let own = spec.spans.iter().map(|row| row.service.as_deref());
    let own = own.chain(spec.metrics.iter().map(|row| row.service.as_deref()));
    let own = own.chain(spec.logs.iter().map(|row| row.service.as_deref()));
    own.map(|own| spec.service_of(own).to_owned()).collect()
}

fn names(spec: &TelemetrySpec) -> BTreeSet<(String, String)> {
    let name = |row: &crate::config::spec::SpecMetric| {
        (spec.service_of(row.service.as_deref()).to_owned(), row.name.clone())
    };
    spec.metrics.iter().map(name).collect()
}
