#!/usr/bin/env bash
# Claim: a span of OpenTelemetry for Rust that is told of two errors keeps the text that comes later in the alphabet, whichever
#   was told last. The SDK lets a status only rise (Unset, Error, Ok), and orders two errors by their descriptions:
#   "timed out" is never replaced by "out of stock", and "out of stock" always by "timed out". JavaScript's and Python's
#   keep the last one, as the specification has it.
# Surprises: whoever sets a general error first and the cause once it is known, and reads another one in the trace.
# Seen on: opentelemetry_sdk 0.33.1; beside it @opentelemetry/sdk-trace 3.1.0, opentelemetry-sdk 1.45.2 (Python).
# Source: OpenTelemetry specification, Tracing API, "Set Status": only Ok is final.
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
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use opentelemetry::trace::{Span, Status, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

fn main() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    for texts in [["timed out", "out of stock"], ["out of stock", "timed out"]] {
        let mut span = provider.tracer("finding").start(texts.join(", then "));
        for text in texts {
            span.set_status(Status::error(text));
        }
        span.end();
    }
    for span in exporter.get_finished_spans().unwrap() {
        if let Status::Error { description } = span.status {
            println!("{}: {description}", span.name);
        }
    }
}
RUST
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/sdk-trace@3.1.0 @opentelemetry/api@1.10.0 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 || exit 2
cat >told.mjs <<'JS'
import { TracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
const exporter = new InMemorySpanExporter();
const tracer = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }).getTracer('finding');
for (const texts of [['timed out', 'out of stock'], ['out of stock', 'timed out']]) {
  const span = tracer.startSpan(texts.join(', then '));
  texts.forEach((message) => span.setStatus({ code: 2, message }));
  span.end();
}
for (const span of exporter.getFinishedSpans()) console.log(`${span.name}: ${span.status.message}`);
JS
cat >told.py <<'PY'
import logging
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode
tracer = TracerProvider().get_tracer("finding")
for texts in (["timed out", "out of stock"], ["out of stock", "timed out"]):
    span = tracer.start_span(", then ".join(texts))
    for text in texts:
        span.set_status(Status(StatusCode.ERROR, text))
    print(f"{span.name}: {span.status.description}")
PY
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "opentelemetry_sdk"' Cargo.lock | paste - -
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep opentelemetry-sdk
last=$'timed out, then out of stock: out of stock\nout of stock, then timed out: timed out'
rust=$(target/debug/finding)
printf 'Rust\n%s\n' "$rust"
for other in "node told.mjs" "venv/bin/python told.py"; do
  said=$($other)
  printf '%s\n%s\n' "$other" "$said"
  [[ $said == "$last" ]] || { echo "no longer so"; exit 1; }
done
[[ $rust == $'timed out, then out of stock: timed out\nout of stock, then timed out: timed out' ]] || { echo "no longer so"; exit 1; }
echo "still so"
