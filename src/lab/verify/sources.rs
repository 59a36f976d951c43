//! The backends that are asked: those that the user names, else those of this lab that answer.

use std::time::{Duration, Instant};

use crate::config::{BackendSource, VerifyConfig, without_login};
use crate::lab::backend::BackendAccess;
use crate::lab::backend::alert::AlertReader;
use crate::lab::backend::count::CountReader;
use crate::lab::backend::log::LogReader;
use crate::lab::backend::trace::TraceReader;
use crate::runtime::oneshot::OneShot;
use crate::schema::{OtlpMetric, names};

/// How long a backend that nobody named may take to show that it is there.
const THERE_WITHIN: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: usize = 1 << 20;
/// The first metrics of a lab that has just started: `up` has them sent every five seconds.
const METRICS_WITHIN: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(200);

/// A backend and what it is called in the report.
pub(super) struct Named<R> {
    pub(super) label: String,
    /// Its base URL, as it is shown; never with a login. Of a file the path.
    pub(super) base: String,
    pub(super) reader: R,
}

/// All of them.
pub(super) struct Sources {
    pub(super) traces: Vec<Named<TraceReader>>,
    pub(super) counts: Vec<Named<CountReader>>,
    pub(super) logs: Vec<Named<LogReader>>,
    pub(super) alerts: Vec<Named<AlertReader>>,
    /// What the reader of the report should know of them.
    pub(super) notes: Vec<&'static str>,
}

impl Sources {
    /// From the settings; where a signal has none, this lab's own: what cannot be read there is said, not left
    /// out. Of a lab on another machine only what the user names is known.
    ///
    /// # Errors
    /// The settings of how backends are reached cannot be used ([`crate::config::Invalid`]).
    pub(super) async fn find(config: &VerifyConfig) -> anyhow::Result<Self> {
        let console = BackendSource { kind: "console", url: config.console() };
        let roles = BackendSource { kind: "roles", url: String::new() };
        let jaeger = BackendSource { kind: "jaeger", url: VerifyConfig::jaeger() };
        let mut found = (config.traces.clone(), config.metrics.clone(), config.logs.clone());
        let own = config.pipeline.is_none();
        let has_console = own && answers(&format!("{}/api/services", console.url)).await;
        let beside = own && (config.url.is_none() || has_console);
        if found.0.is_empty() {
            if own && !has_console && answers(&format!("{}/api/v3/services", jaeger.url)).await {
                found.0.push(jaeger);
            } else if beside {
                found.0.push(console.clone());
            }
        }
        let mut notes = Vec::new();
        if found.1.is_empty() && beside {
            found.1.push(roles);
            match has_console && sends_metrics(&console.url).await {
                true => found.1.push(console.clone()),
                false => notes.push("the console has no metrics of the roles: only their own pages are read"),
            }
        }
        if found.2.is_empty() && beside {
            found.2.push(console);
        }
        let all = [&found.0, &found.1, &found.2, &config.alerts];
        let secure = all.iter().any(|sources| sources.iter().any(|source| source.url.starts_with("https:")));
        let [traces, metrics, logs, alerts] = BackendAccess::of_signals(&config.access, secure)?;
        // What nobody named is this machine's own, and gets no credentials.
        let to = |named: &[BackendSource], access| {
            if named.is_empty() { BackendAccess::default() } else { access }
        };
        let (traces, metrics) = (to(&config.traces, traces), to(&config.metrics, metrics));
        let logs = to(&config.logs, logs);
        Ok(Self {
            traces: named(&found.0, |source| {
                let reader = match source.kind {
                    "tempo" => TraceReader::tempo(&source.url),
                    "file" => TraceReader::file(&source.url),
                    "console" => TraceReader::console(&source.url),
                    _ => TraceReader::new(&source.url),
                };
                reader.through(&traces)
            }),
            counts: named(&found.1, |source| {
                let reader = match source.kind {
                    "roles" => return CountReader::pages(config.pages()),
                    "prometheus" => CountReader::prometheus(&source.url),
                    "file" => CountReader::file(&source.url),
                    _ => CountReader::console(&source.url),
                };
                reader.through(&metrics)
            }),
            logs: named(&found.2, |source| {
                let reader = match source.kind {
                    "victorialogs" => LogReader::victoria_logs(&source.url),
                    "loki" => LogReader::loki(&source.url),
                    "file" => LogReader::file(&source.url),
                    _ => LogReader::console(&source.url),
                };
                reader.through(&logs)
            }),
            alerts: named(&config.alerts, |source| AlertReader::prometheus(&source.url).through(&alerts)),
            notes,
        })
    }
}

fn named<R>(sources: &[BackendSource], reader: impl Fn(&BackendSource) -> R) -> Vec<Named<R>> {
    let name = |source: &BackendSource| {
        let base = if source.kind == "file" { source.url.clone() } else { without_login(&source.url) };
        let alone = sources.iter().filter(|other| other.kind == source.kind).count() == 1;
        let label = if alone { source.kind.to_owned() } else { format!("{} {base}", source.kind) };
        Named { label, base, reader: reader(source) }
    };
    sources.iter().map(name).collect()
}

async fn answers(url: &str) -> bool {
    let answer = OneShot::new(THERE_WITHIN, LARGEST_ANSWER).get(url).await;
    answer.is_ok_and(|answer| answer.is_success())
}

/// Whether the roles' metrics reach the console: within a little more than their interval, if they do at all.
async fn sends_metrics(console: &str) -> bool {
    let requests = OtlpMetric::of(names::GATEWAY_REQUESTS).map_or("", |metric| metric.name);
    let end = Instant::now() + METRICS_WITHIN;
    loop {
        if answers(&format!("{console}/api/metrics/{requests}")).await {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_a_url_is_never_shown_and_two_of_a_kind_are_told_apart() {
        assert_eq!(without_login("http://user:secret@host:9090/p"), "http://host:9090/p");
        let source = |url: &str| BackendSource { kind: "jaeger", url: url.to_owned() };
        let labels = |sources: &[BackendSource]| {
            named(sources, |_| ()).into_iter().map(|named| named.label).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[source("http://a")]), ["jaeger"]);
        assert_eq!(
            labels(&[source("http://a"), source("http://u:p@b")]),
            ["jaeger http://a", "jaeger http://b"]
        );
    }
}
