#!/usr/bin/env bash
# Claim: one attribute of a JavaScript service changes its type from span to span: 0.5 leaves as a double and 1.0 as an
#   integer, because the exporter asks whether the number is whole. And its two encodings disagree: 1e300 is whole too, and
#   leaves in JSON as "intValue":1e+300, which is no 64-bit integer, in protobuf as a double. Python's exporter keeps
#   a float a double.
# Surprises: whoever has a store that gives a key one type (the first that comes), or sums a column of doubles: values that
#   happen to be whole are missing there. It is not visible in the program, where there is one kind of number.
# Seen on: @opentelemetry/otlp-transformer 0.301.0, @opentelemetry/sdk-trace 3.1.0; opentelemetry-exporter-otlp-proto-common
#   1.45.2 (Python).
# Source: opentelemetry/proto/common/v1/common.proto (AnyValue: int64 int_value, double double_value).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/otlp-transformer@0.301.0 @opentelemetry/sdk-trace@3.1.0 @opentelemetry/api@1.10.0 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-exporter-otlp-proto-common==1.45.2 opentelemetry-sdk==1.45.2 || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep -E 'proto-common|sdk'
cat >js.mjs <<'JS'
import { writeFileSync } from 'node:fs';
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { TracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
const exporter = new InMemorySpanExporter();
const tracer = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }).getTracer('finding');
for (const ratio of [0.5, 1.0, 1e300]) tracer.startSpan('s').setAttribute('ratio', ratio).end();
const spans = exporter.getFinishedSpans();
const json = JSON.parse(new TextDecoder().decode(JsonTraceSerializer.serializeRequest(spans)));
console.log('JavaScript, JSON:', json.resourceSpans[0].scopeSpans[0].spans.map((s) => JSON.stringify(s.attributes[0].value)).join(' '));
writeFileSync('js.bin', ProtobufTraceSerializer.serializeRequest(spans));
JS
cat >py.py <<'PY'
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider

def values(export):
    spans = export.resource_spans[0].scope_spans[0].spans
    return " ".join(str(span.attributes[0].value).strip() for span in spans)

export = ExportTraceServiceRequest()
export.ParseFromString(open("js.bin", "rb").read())
print("JavaScript, protobuf:", values(export))
tracer = TracerProvider().get_tracer("finding")
spans = []
for ratio in (0.5, 1.0, 1e300):
    span = tracer.start_span("s")
    span.set_attribute("ratio", ratio)
    span.end()
    spans.append(span)
print("Python:", values(encode_spans(spans)))
PY
node js.mjs | tee out
venv/bin/python py.py | tee -a out
expected='JavaScript, JSON: {"doubleValue":0.5} {"intValue":1} {"intValue":1e+300}
JavaScript, protobuf: double_value: 0.5 int_value: 1 double_value: 1e+300
Python: double_value: 0.5 double_value: 1 double_value: 1e+300'
[[ $(<out) == "$expected" ]] || { echo "no longer so"; exit 1; }
echo "still so"
