//! Where the slowest traces can be seen: the URL that the user names, else the console or Jaeger,
//! whichever has such a trace.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::span::{RequestTrace, Server};
use crate::config::{LoadConfig, TRACE_ID};
use crate::runtime::oneshot::OneShot;
use crate::schema::{Endpoint, JAEGER_PORT};

/// What a backend may take to answer, and spans to arrive there after the last request.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const ARRIVED_WITHIN: Duration = Duration::from_secs(5);
/// A trace has some ten kilobytes.
const LARGEST_TRACE: usize = 4 << 20;

/// How a trace's id becomes a URL.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TraceLinks(Option<String>);

impl TraceLinks {
    /// The user's own, else a backend on this machine that has `trace`; both the console and Jaeger have
    /// a page and an answer in JSON for each. A lab elsewhere is not guessed at.
    pub(super) async fn find(config: &LoadConfig, server: &Server, trace: Option<&RequestTrace>) -> Self {
        let found = match (&config.trace_url, trace) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(trace)) if server.is_local() => {
                let ports = [config.ports.ports().at(Endpoint::Console), JAEGER_PORT];
                let bases: Vec<_> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
                holder(&bases, &trace.id).await.map(|base| format!("{base}/trace/{TRACE_ID}"))
            }
            _ => None,
        };
        Self(found)
    }

    /// The URL of a trace that is recorded.
    pub(super) fn of(&self, trace: Option<&RequestTrace>) -> Option<String> {
        let trace = trace.filter(|trace| trace.sampled)?;
        self.0.as_ref().map(|url| url.replace(TRACE_ID, &trace.id))
    }
}

/// The first of the backends that has the trace, once it has arrived. Where none answers at all, none
/// is waited for.
async fn holder<'a>(bases: &'a [String], id: &str) -> Option<&'a str> {
    let client = OneShot::new(ANSWER_WITHIN, LARGEST_TRACE);
    let end = Instant::now() + ARRIVED_WITHIN;
    loop {
        let mut answers = false;
        for base in bases {
            let answer = client.get(&format!("{base}/api/traces/{id}")).await;
            answers |= answer.is_ok();
            if answer.is_ok_and(|answer| answer.status.is_success()) {
                return Some(base);
            }
        }
        if !answers || Instant::now() >= end {
            return None;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trace_that_is_recorded_has_a_link() {
        let links = TraceLinks(Some("https://jaeger/trace/{traceId}?x=1".to_owned()));
        let trace = RequestTrace::sampled(10);
        let id = format!("{:032x}", 10);
        assert_eq!(links.of(trace.as_ref()), Some(format!("https://jaeger/trace/{id}?x=1")));
        assert_eq!(TraceLinks::default().of(trace.as_ref()), None);
        assert_eq!(links.of(Some(&RequestTrace { id, sampled: false })), None);
        assert_eq!(links.of(None), None);
    }
}
