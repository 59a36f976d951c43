#!/usr/bin/env bash
# Claim: one counter that gets two attributes whose keys differ in a dot and an underscore only (user.tier from a library,
#   user_tier from one's own code) takes every metric of a Node.js process away: the exporter writes one series with the
#   same label twice, and Prometheus refuses the whole page for it, those of other meters too. Python's exporter writes
#   the label once with the value of the key that came last, and says nothing of the other. The specification wants
#   neither: values of keys that become one label are joined with a semicolon, in the order of the keys.
# Surprises: whoever names attributes by the conventions beside older ones of their own: by OTLP both arrive.
# Seen on: @opentelemetry/exporter-prometheus 0.301.0, @opentelemetry/sdk-metrics 3.1.0; opentelemetry-exporter-prometheus
#   0.66b2 (Python), prometheus_client 0.26.0; Prometheus 2.42.0 (Debian 12's package 2.42.0+ds-5+deb12u1).
# Source: OpenTelemetry specification, Prometheus and OpenMetrics Compatibility, "Metric Attributes".
set -euo pipefail
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" || true; wait "$pid" || true; done 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1 >/dev/null || exit 2
dpkg-deb -x prometheus_*.deb .
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/exporter-prometheus@0.301.0 @opentelemetry/sdk-metrics@3.1.0 @opentelemetry/api@1.10.0 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 opentelemetry-exporter-prometheus==0.66b2 \
  prometheus_client==0.26.0 || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep -E '^(opentelemetry-(sdk|exporter-prometheus)|prometheus_client)='
usr/bin/prometheus --version | head -1
ports=$(python3 -c 'import socket; s = [socket.socket() for _ in "abc"]; [x.bind(("127.0.0.1", 0)) for x in s]; print(*[x.getsockname()[1] for x in s])')
read -r node python prometheus <<<"$ports"
cat >node.mjs <<'JS'
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
const reader = new PrometheusExporter({ host: '127.0.0.1', port: Number(process.argv[2]) });
const provider = new MeterProvider({ readers: [reader] });
provider.getMeter('shop').createCounter('logins').add(3, { 'user.tier': 'gold', user_tier: 'trial' });
provider.getMeter('another').createCounter('parcels').add(5);
setTimeout(() => {}, 600_000);
JS
cat >python.py <<'PY'
import sys, time
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server
provider = MeterProvider([PrometheusMetricReader()])
start_http_server(int(sys.argv[1]), addr="127.0.0.1")
provider.get_meter("shop").create_counter("logins").add(3, {"user.tier": "gold", "user_tier": "trial"})
provider.get_meter("another").create_counter("parcels").add(5)
time.sleep(600)
PY
cat >prometheus.yml <<YML
global: {scrape_interval: 1s}
scrape_configs:
  - {job_name: node, static_configs: [{targets: ['127.0.0.1:$node']}]}
  - {job_name: python, static_configs: [{targets: ['127.0.0.1:$python']}]}
YML
node node.mjs "$node" &
pids+=("$!")
venv/bin/python python.py "$python" &
pids+=("$!")
usr/bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data --web.listen-address="127.0.0.1:$prometheus" \
  >prometheus.log 2>&1 &
pids+=("$!")
cat >claim.py <<'PY'
import json, sys, time, urllib.parse, urllib.request

node, python, prometheus = sys.argv[1:]

def get(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()

def series(query):
    url = f"http://127.0.0.1:{prometheus}/api/v1/query?query={urllib.parse.quote(query)}"
    return [one["metric"] for one in json.loads(get(url))["data"]["result"]]

def targets():
    found = json.loads(get(f"http://127.0.0.1:{prometheus}/api/v1/targets"))["data"]["activeTargets"]
    return {t["labels"]["job"]: (t["health"], t["lastError"].replace(node, "PORT")) for t in found}

state = {}
for _ in range(300):
    try:
        state = targets()
        if state["python"][0] == "up" and state["node"][1] and "refused" not in state["node"][1]:
            break
    except (OSError, KeyError):
        pass
    time.sleep(0.2)
for name, port in (("Node.js", node), ("Python", python)):
    page = get(f"http://127.0.0.1:{port}/metrics").splitlines()
    line = next(line for line in page if line.startswith("logins_total{"))
    print(f"{name}'s page:", line, "and", sum(line.startswith("parcels_total") for line in page), "line of parcels_total")
print("targets:", state)
parcels = sorted(one["job"] for one in series("parcels_total"))
tiers = [one.get("user_tier") for one in series("logins_total")]
print("parcels_total is there of:", parcels, "- logins_total has user_tier", tiers)
holds = state["node"][0] == "down" and "not unique" in state["node"][1] and parcels == ["python"] and tiers == ["trial"]
sys.exit(0 if holds else "no longer so")
PY
venv/bin/python claim.py "$node" "$python" "$prometheus"
echo "still so"
