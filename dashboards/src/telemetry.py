"""Telemetry health: whether what the other dashboards show can be believed."""

from .grafana import GREEN, ORANGE, RED, dashboard, panel, query, stat

scraping = [
    stat("Targets up", "1 where Prometheus' last scrape of a process worked.", "short",
         query("min by (job) (up{@})", "{{job}}"), w=24, most=1, steps=[(None, RED), (1, GREEN)]),
    panel("Scrape duration", "Time that a scrape took. Near the interval, points go missing.", "s",
          query("max by (job) (scrape_duration_seconds{@})", "{{job}}")),
    panel("Series exposed", "Samples in a scrape. All series exist from start-up and labels are closed sets, so this "
          "is flat: a line that climbs is a label that is not closed.", "short",
          query("max by (job) (scrape_samples_scraped{@})", "{{job}}")),
    panel("New series", "Series that a scrape brought for the first time.", "short",
          query("sum by (job) (scrape_series_added{@})", "{{job}}")),
]

traces = [
    stat("Spans that arrived", "Share of finished spans that the trace backend accepted; 100 % where none was dropped.",
         "percentunit",
         query("1 - sum by (job) (rate(telemetry_spans_dropped_total{@}[$i])) / clamp_min("
               "sum by (job) (rate(telemetry_spans_dropped_total{@}[$i])) "
               "+ sum by (job) (rate(telemetry_spans_exported_total{@}[$i])), 1e-9)", "{{job}}"),
         w=24, most=1, steps=[(None, RED), (0.99, ORANGE), (1, GREEN)]),
    panel("Spans exported", "Spans per second that the trace backend accepted.", "ops",
          query("sum by (job) (rate(telemetry_spans_exported_total{@}[$i]))", "{{job}}")),
    panel("Spans dropped", "Spans per second thrown away because the export queue was full.", "ops",
          query("sum by (job) (rate(telemetry_spans_dropped_total{@}[$i]))", "{{job}}")),
    panel("Exports that failed", "Batches per second that the trace backend did not accept.", "ops",
          query("sum by (job) (rate(telemetry_export_failures_total{@}[$i]))", "{{job}}")),
]

DASHBOARD = dashboard(
    "o11y-telemetry", "Telemetry health", "Whether what the other dashboards show can be believed.",
    [("Metrics", scraping), ("Traces", traces)])
