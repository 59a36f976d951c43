#!/usr/bin/env bash
# Claim: OpenTelemetry for Rust takes a `traceparent` whose ids are too short, reads them as numbers and fills them up with
#   zeros: `00-1-2-01` is trace ...0001. W3C Trace Context wants such a header ignored and a new trace begun, as
#   JavaScript and Python do. A caller that prints its ids without leading zeros (one in sixteen begins with one) is
#   joined by the Rust service, not by the service beside it, and both are called conformant.
# Surprises: whoever tests a hand-made propagator against a Rust service: all is joined, until another language is next in line.
# Seen on: opentelemetry_sdk 0.33.1 (Rust); beside it @opentelemetry/core 3.1.0, opentelemetry-api 1.45.2 (Python).
# Source: W3C Trace Context, "traceparent": trace-id is 16 bytes as 32 hexadecimal characters; invalid ones are ignored.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/core@3.1.0 @opentelemetry/api@1.10.0 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-api==1.45.2 || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep opentelemetry-api
headers=(00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 00-bf92f3577b34da6a3ce929d0e0e4736-f067aa0ba902b7-01 00-1-2-1)
cat >read.py <<'PY'
import sys
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
for header in sys.argv[1:]:
    context = trace.get_current_span(TraceContextTextMapPropagator().extract({"traceparent": header})).get_span_context()
    print(f"{context.trace_id:032x}" if context.is_valid else "ignored")
PY
cat >read.mjs <<'JS'
import { defaultTextMapGetter, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
for (const traceparent of process.argv.slice(2)) {
  const context = new W3CTraceContextPropagator().extract(ROOT_CONTEXT, { traceparent }, defaultTextMapGetter);
  console.log(trace.getSpanContext(context)?.traceId ?? 'ignored');
}
JS
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
opentelemetry = "=0.33.1"
opentelemetry_sdk = { version = "=0.33.1", default-features = false, features = ["trace"] }
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use std::collections::HashMap;

use opentelemetry::{propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;

fn main() {
    for header in std::env::args().skip(1) {
        let carrier = HashMap::from([("traceparent".to_owned(), header)]);
        let context = TraceContextPropagator::new().extract(&carrier);
        let span = context.span().span_context().clone();
        println!("{}", if span.is_valid() { span.trace_id().to_string() } else { "ignored".to_owned() });
    }
}
RUST
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "opentelemetry_sdk"' Cargo.lock | paste - -
seen=$(paste -d ' ' <(printf '%s\n' "${headers[@]}") <(target/debug/finding "${headers[@]}") <(node read.mjs "${headers[@]}") <(venv/bin/python read.py "${headers[@]}"))
printf 'header, and the trace that Rust, JavaScript and Python join\n%s\n' "$seen"
id=4bf92f3577b34da6a3ce929d0e0e4736
expected="${headers[0]} $id $id $id
${headers[1]} 0${id:1} ignored ignored
${headers[2]} 00000000000000000000000000000001 ignored ignored"
[ "$seen" = "$expected" ] || { echo "no longer so" >&2; exit 1; }
echo "still so"
