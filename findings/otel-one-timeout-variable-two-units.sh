#!/usr/bin/env bash
# Claim: OTEL_EXPORTER_OTLP_TIMEOUT=900 in the environment of two services is 0.9 seconds for the one in JavaScript and a
#   quarter of an hour for the one in Python, whose exporter takes the number for seconds. So the value that the
#   specification gives as its default, written out, lets a Python service's export to a backend that hangs wait
#   for hours, and a value that suits Python (1) leaves JavaScript a millisecond.
# Surprises: whoever sets the variable once for all services of a compose file, in milliseconds as the specification has it.
# Seen on: @opentelemetry/exporter-trace-otlp-proto 0.301.0, opentelemetry-exporter-otlp-proto-http 1.45.1 (Python).
# Source: OpenTelemetry specification, Protocol Exporter: the timeout variables are in milliseconds.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/exporter-trace-otlp-proto@0.301.0 @opentelemetry/sdk-trace@3.1.0 @opentelemetry/api@1.10.0 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-exporter-otlp-proto-http==1.45.1 opentelemetry-sdk==1.45.1 || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep otlp-proto-http
cat >send.mjs <<'JS'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { TracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
const kept = new InMemorySpanExporter();
new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: kept })] }).getTracer('x').startSpan('order').end();
if (kept.getFinishedSpans().length !== 1) throw new Error('no span to send');
const began = performance.now();
new OTLPTraceExporter().export(kept.getFinishedSpans(), () => {
  console.log(((performance.now() - began) / 1000).toFixed(3));
  process.exit(0);
});
JS
cat >send.py <<'PY'
import logging, time
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

logging.disable()
kept, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
provider.get_tracer("x").start_span("order").end()
began = time.monotonic()
OTLPSpanExporter().export(kept.get_finished_spans())
print(f"{time.monotonic() - began:.3f}")
PY
venv/bin/python - <<'PY'
import os, socket, subprocess

# A receiver that takes connections and says nothing.
silent = socket.create_server(("127.0.0.1", 0), backlog=64)
endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"

def seconds(command, timeout):
    env = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": timeout}
    try:
        done = subprocess.run(command, env=env, text=True, check=True, stdout=subprocess.PIPE, timeout=20)
    except subprocess.TimeoutExpired:
        return None
    return float(done.stdout.split()[-1])

javascript, python = seconds(["node", "send.mjs"], "900"), seconds(["venv/bin/python", "send.py"], "900")
say = lambda took: "still waits after 20 s" if took is None else f"gives the export up after {took} s"
print(f"OTEL_EXPORTER_OTLP_TIMEOUT=900: JavaScript {say(javascript)}, Python {say(python)}")
one = seconds(["venv/bin/python", "send.py"], "1")
print(f"OTEL_EXPORTER_OTLP_TIMEOUT=1: Python {say(one)}")
as_seen = javascript is not None and 0.5 < javascript < 10 and python is None and one is not None and 0.5 < one < 10
raise SystemExit(0 if as_seen else "no longer so")
PY
echo "still so"
