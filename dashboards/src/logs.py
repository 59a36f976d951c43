"""Logs and traces: what was said, by service, level and trace, and the traces it belongs to."""

from .grafana import JAEGER, LOKI, choice, dashboard, datasource, logs, panel, query, text

# An empty box matches every line; the beginning of an id is enough.
LINES = '{service=~"$service", level=~"$level"} | traceId=~`$trace.*` |~ `$search`'
SPANS = 'service_name=~"$service"'

lines = [
    panel("Lines by level", "Log lines, by level.", "short",
          logs('sum by (level) (count_over_time({service=~"$service", level=~"$level"}[$__auto]))', "{{level}}"),
          w=12, stack=True),
    panel("Warnings and errors by service", "Log lines at `warn` and `error`.", "short",
          logs('sum by (service) (count_over_time({service=~"$service", level=~"warn|error"}[$__auto]))',
               "{{service}}"), w=12, stack=True),
    panel("Lines", "The lines as they were written. Open one: `traceId` leads to its trace.", "none", logs(LINES),
          kind="logs", w=24, h=14),
]

traces = [
    panel("The trace", "The trace whose id stands above, as a waterfall.", "none",
          {"datasource": JAEGER, "query": "$trace"}, kind="traces", w=24, h=12),
    panel("Newest orders", "Traces of `POST /api/orders` at the gateway.", "none",
          {"datasource": JAEGER, "queryType": "search", "service": "api-gateway", "operation": "POST /api/orders",
           "limit": 20}, kind="table", w=12, h=10),
    panel("Newest errors at the gateway", "Traces whose root failed.", "none",
          {"datasource": JAEGER, "queryType": "search", "service": "api-gateway", "tags": "error=true", "limit": 20},
          kind="table", w=12, h=10),
]

spans = [
    panel("Spans a second", "Made of spans by Jaeger, so with every kind of span and not only HTTP.", "ops",
          query(f"sum by (service_name, span_name) (rate(traces_span_metrics_calls_total{{{SPANS}}}[$i]))",
                "{{service_name}} {{span_name}}")),
    panel("Failed spans a second", "Spans with the status ERROR.", "ops",
          query("sum by (service_name, span_name) (rate(traces_span_metrics_calls_total"
                f'{{{SPANS},status_code="STATUS_CODE_ERROR"}}[$i]))', "{{service_name}} {{span_name}}")),
    panel("Duration of spans, p95", "Each dot is an exemplar: one request, a click away from its trace.", "ms",
          query("histogram_quantile(0.95, sum by (service_name, le) "
                f"(rate(traces_span_metrics_duration_milliseconds_bucket{{{SPANS}}}[$i])))", "{{service_name}}",
                exemplar=True)),
]

VARIABLES = [
    datasource("datasource", "prometheus", "Prometheus"),
    datasource("loki_datasource", "loki", "Loki"),
    datasource("jaeger_datasource", "jaeger", "Jaeger"),
    choice("service", "Service", LOKI, "label_values(service)"),
    choice("level", "Level", LOKI, "label_values(level)"),
    text("trace", "Trace id"),
    text("search", "Text (RE2)"),
]
DASHBOARD = dashboard(
    "o11y-logs", "Logs and traces", "What was said, by service, level and trace, and the traces it belongs to.",
    [("Log lines", lines), ("Traces", traces), ("Spans", spans)], VARIABLES)
