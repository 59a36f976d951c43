//! The backends that are asked: those that the user names, else those of this lab that answer.

use std::time::Duration;

use crate::config::{BackendSource, VerifyConfig};
use crate::lab::backend::alert::AlertReader;
use crate::lab::backend::count::CountReader;
use crate::lab::backend::log::LogReader;
use crate::lab::backend::trace::TraceReader;
use crate::runtime::oneshot::OneShot;
use crate::schema::{OtlpMetric, names};

/// How long a backend that nobody named may take to show that it is there.
const THERE_WITHIN: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: usize = 1 << 20;

/// A backend and what it is called in the report.
pub(super) struct Named<R> {
    pub(super) label: String,
    /// Its base URL, as it is shown; never with a login.
    pub(super) base: String,
    pub(super) reader: R,
}

/// All of them.
pub(super) struct Sources {
    pub(super) traces: Vec<Named<TraceReader>>,
    pub(super) counts: Vec<Named<CountReader>>,
    pub(super) logs: Vec<Named<LogReader>>,
    pub(super) alerts: Vec<Named<AlertReader>>,
}

impl Sources {
    /// From the settings; where a signal has none, from what answers on this machine.
    pub(super) async fn find(config: &VerifyConfig) -> Self {
        let console = BackendSource { kind: "console", url: config.console() };
        let roles = BackendSource { kind: "roles", url: String::new() };
        let has_console = answers(&format!("{}/api/services", console.url)).await;
        let mut found = (config.traces.clone(), config.metrics.clone(), config.logs.clone());
        if found.0.is_empty() {
            let jaeger = BackendSource { kind: "jaeger", url: VerifyConfig::jaeger() };
            if has_console {
                found.0.push(console.clone());
            } else if answers(&format!("{}/api/v3/services", jaeger.url)).await {
                found.0.push(jaeger);
            }
        }
        if found.1.is_empty() {
            if all_answer(config).await {
                found.1.push(roles);
            }
            // Roles may send their metrics nowhere.
            let requests = OtlpMetric::of(names::GATEWAY_REQUESTS).map_or("", |metric| metric.name);
            let counts = format!("{}/api/metrics/{}", console.url, requests);
            found.1.extend(answers(&counts).await.then(|| console.clone()));
        }
        if found.2.is_empty() {
            found.2.extend(has_console.then_some(console));
        }
        Self {
            traces: named(&found.0, |source| TraceReader::new(&source.url)),
            counts: named(&found.1, |source| match source.kind {
                "roles" => CountReader::pages(config.pages()),
                "prometheus" => CountReader::prometheus(&source.url),
                _ => CountReader::console(&source.url),
            }),
            logs: named(&found.2, |source| match source.kind {
                "victorialogs" => LogReader::victoria_logs(&source.url),
                "loki" => LogReader::loki(&source.url),
                _ => LogReader::console(&source.url),
            }),
            alerts: named(&config.alerts, |source| AlertReader::prometheus(&source.url)),
        }
    }
}

fn named<R>(sources: &[BackendSource], reader: impl Fn(&BackendSource) -> R) -> Vec<Named<R>> {
    let name = |source: &BackendSource| {
        let base = shown(&source.url);
        let alone = sources.iter().filter(|other| other.kind == source.kind).count() == 1;
        let label = if alone { source.kind.to_owned() } else { format!("{} {base}", source.kind) };
        Named { label, base, reader: reader(source) }
    };
    sources.iter().map(name).collect()
}

/// A URL without the login that it may have.
fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host..])
        }
        None => url.to_owned(),
    }
}

async fn answers(url: &str) -> bool {
    let answer = OneShot::new(THERE_WITHIN, LARGEST_ANSWER).get(url).await;
    answer.is_ok_and(|answer| answer.is_success())
}

async fn all_answer(config: &VerifyConfig) -> bool {
    for (_, page) in config.pages() {
        if !answers(&format!("{page}/health")).await {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_a_url_is_never_shown_and_two_of_a_kind_are_told_apart() {
        assert_eq!(shown("http://user:secret@host:9090/p"), "http://host:9090/p");
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
