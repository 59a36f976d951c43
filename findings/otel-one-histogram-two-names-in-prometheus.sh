#!/usr/bin/env bash
# Claim: the instrument that the conventions name for every HTTP server, http.server.request.duration in s, is called
#   http_server_request_duration on the page of a JavaScript service and http_server_request_duration_seconds on that of a
#   Python service. JavaScript's exporter leaves the unit out of the name and writes "# UNIT ... s" above it, Python's
#   adds the word. Counters of bytes likewise. A rule or panel for all services finds half of them, and an absent
#   series is no error in PromQL.
# Surprises: whoever takes a dashboard from one service to the next because both follow the semantic conventions.
# Seen on: @opentelemetry/exporter-prometheus 0.301.0, @opentelemetry/sdk-metrics 3.1.0; opentelemetry-exporter-prometheus
#   0.66b2, opentelemetry-sdk 1.45.2 (Python).
# Source: OpenTelemetry specification, Prometheus and OpenMetrics Compatibility: the unit should be added as a suffix, in
#   Prometheus' words; its UNIT line stands where the name ends in the unit.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/exporter-prometheus@0.301.0 \
  @opentelemetry/sdk-metrics@3.1.0 @opentelemetry/api@1.10.0 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-exporter-prometheus==0.66b2 opentelemetry-sdk==1.45.2 || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep -E 'opentelemetry-(exporter|sdk)'
cat >page.mjs <<'JS'
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
const exporter = new PrometheusExporter({ preventServerStart: true });
const meter = new MeterProvider({ readers: [exporter] }).getMeter('finding');
meter.createHistogram('http.server.request.duration', { unit: 's' }).record(0.5);
meter.createCounter('backup.written', { unit: 'By' }).add(5);
meter.createCounter('orders', { unit: '{order}' }).add(5);
console.log(new PrometheusSerializer().serialize((await exporter.collect()).resourceMetrics));
JS
cat >page.py <<'PY'
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import generate_latest
meter = MeterProvider([PrometheusMetricReader()]).get_meter("finding")
meter.create_histogram("http.server.request.duration", unit="s").record(0.5)
meter.create_counter("backup.written", unit="By").add(5)
meter.create_counter("orders", unit="{order}").add(5)
print(generate_latest().decode())
PY
names() { grep -oE '^(http_server_request_duration[a-z_]*_sum|backup[a-z_]*|orders[a-z_]*)' | sort; }
node page.mjs >js.txt
venv/bin/python page.py >py.txt
js=$(names <js.txt)
py=$(names <py.txt)
printf 'JavaScript\n%s\n%s\nPython\n%s\n' "$js" "$(grep UNIT js.txt)" "$py"
[ "$js" = "$(printf '%s\n' backup_written_total http_server_request_duration_sum orders_total)" ] &&
  [ "$py" = "$(printf '%s\n' backup_written_bytes_total http_server_request_duration_seconds_sum orders_total)" ] &&
  grep -qx '# UNIT http_server_request_duration s' js.txt || { echo "no longer so" >&2; exit 1; }
echo "still so"
