#!/usr/bin/env bash
# Claim: a counter of OpenTelemetry that gets a status code once as a number and once as a string counts too little in
#   Prometheus, without a word. For the SDK {"code": 200} and {"code": "200"} are two attribute sets; the exporter writes
#   two lines of the very same series; Prometheus keeps the first and drops the second. The target stays up, the log is
#   empty, scrape_samples_scraped counts both.
# Surprises: whoever looks for lost increments in the program: in OTLP, with types, nothing is lost.
# Seen on: opentelemetry-exporter-prometheus 0.66b2 (Python), prometheus_client 0.26.0, Prometheus 2.42.0 (Debian 12's
#   package 2.42.0+ds-5+deb12u1). The exporter for JavaScript, 0.223.0, writes the same two lines.
# Source: none found; the specification ("Prometheus and OpenMetrics compatibility") speaks of keys that collide, not of values.
set -euo pipefail
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" || true; wait "$pid" || true; done 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1 >/dev/null || exit 2
dpkg-deb -x prometheus_*.deb .
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 opentelemetry-exporter-prometheus==0.66b2 \
  prometheus_client==0.26.0 || exit 2
venv/bin/pip freeze | grep -E '^(opentelemetry-(sdk|exporter-prometheus)|prometheus_client)='
usr/bin/prometheus --version | head -1
ports=$(python3 -c 'import socket; s = [socket.socket() for _ in "ab"]; [x.bind(("127.0.0.1", 0)) for x in s]; print(*[x.getsockname()[1] for x in s])')
read -r target prometheus <<<"$ports"
cat >prometheus.yml <<YML
global: {scrape_interval: 1s}
scrape_configs: [{job_name: shop, static_configs: [{targets: ['127.0.0.1:$target']}]}]
YML
usr/bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$prometheus" \
  >prometheus.log 2>&1 &
pids+=("$!")
cat >claim.py <<'PY'
import json, sys, time, urllib.parse, urllib.request
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server

target, prometheus = map(int, sys.argv[1:])
start_http_server(target, addr="127.0.0.1")
answers = MeterProvider([PrometheusMetricReader()]).get_meter("shop").create_counter("answers")
answers.add(10, {"code": 200})
answers.add(7, {"code": "200"})

def value(query):
    url = f"http://127.0.0.1:{prometheus}/api/v1/query?query={urllib.parse.quote(query)}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return [float(series["value"][1]) for series in json.load(answer)["data"]["result"]]

page = urllib.request.urlopen(f"http://127.0.0.1:{target}/metrics", timeout=5).read().decode()
lines = [line for line in page.splitlines() if line.startswith("answers_total{")]
print("added: 10 + 7; the target's page:", *lines, sep="\n  ")
seen = []
for _ in range(150):
    try:
        seen = value("sum(answers_total)")
    except OSError:
        pass
    if seen:
        break
    time.sleep(0.2)
log = [line for line in open("prometheus.log") if "duplicate" in line.lower() or "level=warn" in line]
print("Prometheus: sum", seen, "- up", value("up"), "- lines of its log about it:", len(log))
sys.exit(0 if len(lines) == 2 and seen == [10.0] and value("up") == [1.0] and not log else "no longer so")
PY
venv/bin/python claim.py "$target" "$prometheus"
echo "still so"
