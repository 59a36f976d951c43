#!/usr/bin/env bash
# Claim: OpenTelemetry for JavaScript breaks a trace that it only hands on, when a flag above the lowest four is set. It
#   accepts `traceparent` with flags 10 to ff, as W3C Trace Context says it must, and writes the flags back as a fixed
#   `0` and the number in hexadecimal: three digits. The next service finds the header invalid and begins a new trace.
#   Python, for the same header, hands on what it got.
# Surprises: whoever takes propagation for a copy, and whoever tests with flags 00 and 01 only, where all is well. It needs
#   a hop that makes no span of its own, such as a proxy that only extracts and injects.
# Seen on: @opentelemetry/core 2.12.1, @opentelemetry/api 1.9.1; opentelemetry-api 1.45.2 (Python).
# Source: W3C Trace Context, "trace-flags" (two hexadecimal digits; unknown flags are to be set to zero when handed on).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/core@2.12.1 @opentelemetry/api@1.9.1 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-api==1.45.2 || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep opentelemetry
cat >claim.mjs <<'JS'
import { ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
const propagator = new W3CTraceContextPropagator();
const extract = (headers) => propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);
let broken = 0;
for (const flags of ['00', '01', '0f', '10', '11', 'ff']) {
  const traceparent = `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flags}`;
  const onward = {};
  propagator.inject(extract({ traceparent }), onward, defaultTextMapSetter);
  const next = trace.getSpanContext(extract(onward));
  console.log(`JavaScript, flags ${flags}: ${onward.traceparent}, at the next hop ${next ? 'the same trace' : 'no trace'}`);
  if (flags < '10' ? !next : next === undefined && onward.traceparent.endsWith(`-0${flags}`)) broken++;
}
process.exit(broken === 3 ? 0 : 1);
JS
node claim.mjs
venv/bin/python - <<'PY'
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
propagator, came, onward = TraceContextTextMapPropagator(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", {}
propagator.inject(onward, propagator.extract({"traceparent": came}))
print("Python, flags ff:    ", onward["traceparent"])
raise SystemExit(0 if onward["traceparent"] == came else "no longer so")
PY
echo "still so"
