#!/usr/bin/env bash
# Claim: an attribute that is set twice on a span of OpenTelemetry for Rust is exported twice, with both values, and so is a
#   field of a tracing span that is recorded twice: the status of the first attempt and that of the retry, side by side
#   under one key. OTLP says that keys are unique and leaves open which value a receiver shows. JavaScript's and
#   Python's SDKs keep the last one. Each value counts towards the limit of attributes too: a counter that is
#   recorded in a loop pushes out what comes after it.
# Surprises: whoever records a value as it changes, and filters by it later.
# Seen on: opentelemetry_sdk 0.33.1, tracing-opentelemetry 0.34.0; beside it @opentelemetry/sdk-trace 3.1.0, opentelemetry-sdk
#   1.45.2 (Python).
# Source: OpenTelemetry specification, Tracing API, "Set Attributes": the same key should be overwritten.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
opentelemetry = "=0.33.1"
opentelemetry_sdk = { version = "=0.33.1", features = ["testing"] }
tracing = "=0.1.44"
tracing-opentelemetry = { version = "=0.34.0", default-features = false }
tracing-subscriber = { version = "=0.3.23", default-features = false, features = ["registry"] }
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt;

fn main() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let tracer = provider.tracer("finding");
    let mut span = tracer.start("sdk");
    span.set_attribute(KeyValue::new("code", 503));
    span.set_attribute(KeyValue::new("code", 200));
    span.end();
    let layer = tracing_opentelemetry::layer().with_tracer(tracer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = tracing::info_span!("tracing", code = 503);
        span.record("code", 200);
    });
    let mut span = tracer.start("loop");
    (0..200).for_each(|done| span.set_attribute(KeyValue::new("done", done)));
    span.set_attribute(KeyValue::new("code", 200));
    span.end();
    for span in exporter.get_finished_spans().unwrap() {
        let codes = span.attributes.iter().filter(|a| a.key.as_str() == "code");
        let codes: Vec<_> = codes.map(|a| a.value.to_string()).collect();
        println!("{}: code {codes:?}, {} attributes dropped", span.name, span.dropped_attributes_count);
    }
}
RUST
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/sdk-trace@3.1.0 @opentelemetry/api@1.10.0 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 || exit 2
cat >set.mjs <<'JS'
import { TracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
const exporter = new InMemorySpanExporter();
const tracer = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }).getTracer('finding');
tracer.startSpan('sdk').setAttribute('code', 503).setAttribute('code', 200).end();
console.log(JSON.stringify(exporter.getFinishedSpans()[0].attributes));
JS
cat >set.py <<'PY'
import json
from opentelemetry.sdk.trace import TracerProvider
span = TracerProvider().get_tracer("finding").start_span("sdk")
span.set_attribute("code", 503)
span.set_attribute("code", 200)
print(json.dumps(dict(span.attributes), separators=(",", ":")))
PY
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "(tracing-opentelemetry|opentelemetry_sdk)"' Cargo.lock | grep -v -- -- | paste - -
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep opentelemetry-sdk
rust=$(target/debug/finding) js=$(node set.mjs) python=$(venv/bin/python set.py)
printf 'Rust\n%s\nJavaScript\n%s\nPython\n%s\n' "$rust" "$js" "$python"
expected=$'sdk: code ["503", "200"], 0 attributes dropped\ntracing: code ["503", "200"], 0 attributes dropped\nloop: code [], 73 attributes dropped'
[[ $rust == "$expected" && $js == '{"code":200}' && $python == '{"code":200}' ]] || { echo "no longer so"; exit 1; }
echo "still so"
