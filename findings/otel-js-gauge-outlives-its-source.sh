#!/usr/bin/env bash
# Claim: an observable gauge in OpenTelemetry for JavaScript exports an attribute set for ever once its callback has
#   observed it. A queue that was deleted keeps its last depth in every export, as fresh as the others, and an alert on
#   it never resolves. Python exports what the last callback observed.
# Surprises: whoever reports one value for each of a changing set of things from a callback, as one does for a scrape.
# Seen on: @opentelemetry/sdk-metrics 2.12.1; opentelemetry-sdk 1.45.2 (Python).
# Source: Metrics SDK, "Observations inside asynchronous callbacks" (should not be produced);
#   github.com/open-telemetry/opentelemetry-js/issues/4096, open since 2023.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/sdk-metrics@2.12.1 @opentelemetry/api@1.9.1 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep opentelemetry-sdk
cat >gauge.mjs <<'JS'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
class Reader extends MetricReader { async onForceFlush() {} async onShutdown() {} }
const reader = new Reader();
const gauge = new MeterProvider({ readers: [reader] }).getMeter('queues').createObservableGauge('queue.depth');
let queues = { orders: 12, old: 7 };
gauge.addCallback((result) => { for (const [queue, depth] of Object.entries(queues)) result.observe(depth, { queue }); });
async function collect() {
  const { resourceMetrics } = await reader.collect();
  return resourceMetrics.scopeMetrics[0].metrics[0].dataPoints.map((point) => `${point.attributes.queue}=${point.value}`).join(' ');
}
await collect();
queues = { orders: 13 };
for (let round = 0; round < 9; round++) await collect();
console.log(await collect());
JS
cat >gauge.py <<'PY'
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader, queues = InMemoryMetricReader(), {"orders": 12, "old": 7}
MeterProvider([reader]).get_meter("queues").create_observable_gauge(
    "queue.depth", [lambda _: [Observation(depth, {"queue": queue}) for queue, depth in queues.items()]])
def collect():
    points = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    return " ".join(f"{point.attributes['queue']}={point.value}" for point in points)
collect()
queues.clear()
queues["orders"] = 13
print(collect())
PY
js=$(node gauge.mjs)
py=$(venv/bin/python gauge.py)
echo "the callback observed orders=12 old=7, and ever since orders=13 only"
echo "JavaScript, ten collections later: $js"
echo "Python, the next collection:       $py"
[ "$js" = "orders=13 old=7" ] && [ "$py" = "orders=13" ] || { echo "no longer so" >&2; exit 1; }
echo "still so"
