//! The books of an OpenTelemetry Collector: what its own metrics say that it received, dropped, sent and failed to send.
//!
//! <https://opentelemetry.io/docs/collector/internal-telemetry/> lists them. With or without `_total`: that is a setting.

use std::collections::BTreeMap;

use super::{BackendError, LARGEST_ANSWER, QUERY_WITHIN};
use crate::config::without_login;
use crate::exposition::{MetricSample, samples};
use crate::runtime::oneshot::OneShot;

/// The signals in the order of [`StationPage`], and what a collector calls their items.
pub const STATION_SIGNALS: [(&str, &str); 3] =
    [("traces", "spans"), ("metrics", "metric_points"), ("logs", "log_records")];

/// What one exporter did with the items of a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExporterBook {
    /// Accepted where they were sent.
    pub sent: f64,
    /// Not accepted, and not tried again.
    pub failed: f64,
    /// Not taken into its full queue.
    pub rejected: f64,
}

/// What a collector did with the items of one signal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StationBook {
    /// Taken by its receivers.
    pub received: f64,
    /// Not taken: the sender was told.
    pub refused: f64,
    /// Thrown away, by processor, as far as that one counts.
    pub dropped: BTreeMap<String, f64>,
    /// By exporter.
    pub exporters: BTreeMap<String, ExporterBook>,
}

/// The books of one moment: traces, metrics, logs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StationPage(pub [StationBook; 3]);

impl StationPage {
    /// What a collector at this URL of its metrics says now.
    ///
    /// # Errors
    /// The page cannot be read, or holds no metric of a collector.
    pub async fn read(url: &str) -> Result<Self, BackendError> {
        let shown = without_login(url);
        let answer = match OneShot::new(QUERY_WITHIN, LARGEST_ANSWER).get(url).await {
            Ok(answer) if answer.is_success() => answer,
            Ok(answer) => {
                return Err(BackendError::Refused { url: shown, status: answer.status.as_u16() });
            }
            Err(why) => return Err(BackendError::Unanswered { url: shown, why }),
        };
        let page = String::from_utf8_lossy(&answer.body);
        let expected = "a page with metrics of a collector (otelcol_…)";
        Self::parse(&page).ok_or(BackendError::Unreadable { url: shown, expected })
    }

    /// The books on a page in the Prometheus format; `None` where nothing on it is a collector's.
    pub fn parse(page: &str) -> Option<Self> {
        let mut books = Self::default();
        let mut is_collector = false;
        for sample in samples(page) {
            let Some(name) = sample.name.strip_prefix("otelcol_") else { continue };
            is_collector = true;
            books.note(name.strip_suffix("_total").unwrap_or(name), &sample);
        }
        is_collector.then_some(books)
    }

    fn note(&mut self, name: &str, sample: &MetricSample<'_>) {
        for (book, (signal, items)) in self.0.iter_mut().zip(STATION_SIGNALS) {
            let value = sample.value;
            let processor = || sample.label("processor").to_owned();
            // Items that a processor took and did not hand on were dropped by it.
            match name {
                "processor_incoming_items" if sample.label("otel_signal") == signal => {
                    *book.dropped.entry(processor()).or_default() += value;
                }
                "processor_outgoing_items" if sample.label("otel_signal") == signal => {
                    *book.dropped.entry(processor()).or_default() -= value;
                }
                _ => {}
            }
            let Some(what) = name.strip_suffix(items) else { continue };
            let exporter = || sample.label("exporter").to_owned();
            match what {
                "receiver_accepted_" => book.received += value,
                "receiver_refused_" | "receiver_failed_" => book.refused += value,
                "processor_dropped_" => *book.dropped.entry(processor()).or_default() += value,
                "exporter_sent_" => book.exporters.entry(exporter()).or_default().sent += value,
                "exporter_send_failed_" => book.exporters.entry(exporter()).or_default().failed += value,
                "exporter_enqueue_failed_" => book.exporters.entry(exporter()).or_default().rejected += value,
                _ => {}
            }
        }
    }
}

impl StationBook {
    /// What happened since an earlier moment; `None` where something went back, as after a restart.
    pub fn since(&self, before: &Self) -> Option<Self> {
        let mut grown = self.clone();
        grown.received -= before.received;
        grown.refused -= before.refused;
        for (processor, dropped) in &before.dropped {
            *grown.dropped.entry(processor.clone()).or_default() -= dropped;
        }
        for (exporter, book) in &before.exporters {
            let now = grown.exporters.entry(exporter.clone()).or_default();
            now.sent -= book.sent;
            now.failed -= book.failed;
            now.rejected -= book.rejected;
        }
        let all = grown.exporters.values().flat_map(|book| [book.sent, book.failed, book.rejected]);
        let back = all.chain([grown.received, grown.refused]).any(|value| value < 0.0);
        (!back).then_some(grown)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Recorded from a Collector 0.161 that was sent three spans, of which its tail sampling kept one, and a log record
    /// that its exporter could not hand on; without the labels of the scope.
    const RECORDED: &str = r#"
# TYPE otelcol_exporter_sent_spans counter
otelcol_exporter_sent_spans{exporter="file/traces"} 1
otelcol_exporter_sent_log_records{exporter="otlphttp/away",server_address="127.0.0.1",server_port="21009",url_path="/v1/logs"} 0
otelcol_exporter_send_failed_log_records{error_permanent="false",error_type="_OTHER",exporter="otlphttp/away",server_address="127.0.0.1",server_port="21009",url_path="/v1/logs"} 1
otelcol_processor_incoming_items{otel_signal="logs",processor="memory_limiter"} 1
otelcol_processor_incoming_items{otel_signal="traces",processor="memory_limiter"} 3
otelcol_processor_outgoing_items{otel_signal="logs",processor="memory_limiter"} 1
otelcol_processor_outgoing_items{otel_signal="traces",processor="memory_limiter"} 3
otelcol_receiver_accepted_log_records{receiver="otlp",transport="http"} 1
otelcol_receiver_accepted_spans{receiver="otlp",transport="http"} 3
otelcol_receiver_refused_spans{receiver="otlp",transport="http"} 0
"#;

    #[test]
    fn the_books_of_a_recorded_page_are_read_with_and_without_the_suffix_of_counters() {
        let StationPage([traces, metrics, logs]) = StationPage::parse(RECORDED).unwrap();
        assert_eq!((traces.received, traces.refused, traces.dropped["memory_limiter"]), (3.0, 0.0, 0.0));
        assert_eq!(traces.exporters["file/traces"].sent, 1.0);
        assert_eq!(logs.exporters["otlphttp/away"], ExporterBook { sent: 0.0, failed: 1.0, rejected: 0.0 });
        assert_eq!(metrics, StationBook::default());
        let suffixed = RECORDED.replace("_spans{", "_spans_total{").replace("_items{", "_items_total{");
        assert_eq!(StationPage::parse(&suffixed).unwrap().0[0], traces);
        assert!(StationPage::parse("up 1\n").is_none());
    }

    #[test]
    fn books_grow_and_a_counter_that_went_back_is_a_restart() {
        let before = StationPage::parse(RECORDED).unwrap().0[0].clone();
        let page = RECORDED.replace("transport=\"http\"} 3", "transport=\"http\"} 10");
        let after = StationPage::parse(&page).unwrap().0[0].clone();
        assert_eq!(after.since(&before).unwrap().received, 7.0);
        assert_eq!(before.since(&after), None);
    }
}
