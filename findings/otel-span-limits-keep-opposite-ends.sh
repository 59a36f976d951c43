#!/usr/bin/env bash
# Claim: what is left of a span that has more than its limits allow depends on the language, and within one language on what is
#   counted. Of attributes Python keeps the last ones and loses those that the span began with, JavaScript and Rust
#   keep the first. Of events Python and JavaScript keep the last ones, Rust the first: the exception at the end of a
#   long span is there in two of three. Of links likewise. A specification that wants the attribute which
#   exceeds the limit discarded is met by two.
# Surprises: whoever reads dropped_attributes_count as "something minor is missing": in Python it is the method, the route, the
#   user, which were set when the span was started.
# Seen on: opentelemetry-sdk 1.45.2 (Python), @opentelemetry/sdk-trace 3.1.0, opentelemetry_sdk 0.33.1 (Rust).
# Source: OpenTelemetry specification, Common, "Attribute Limits"; of events and links the Trace SDK says only that they may
#   be discarded.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/sdk-trace@3.1.0 @opentelemetry/api@1.10.0 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep opentelemetry-sdk
# Each span: at most three of each kind; attributes 1 and 2 at its start and 3 to 5 later, events 1 to 5, links 1 to 5.
cat >span.py <<'PY'
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext
exporter = InMemorySpanExporter()
provider = TracerProvider(span_limits=SpanLimits(max_span_attributes=3, max_events=3, max_links=3))
provider.add_span_processor(SimpleSpanProcessor(exporter))
links = [Link(SpanContext(n, n, is_remote=True)) for n in range(1, 6)]
span = provider.get_tracer("finding").start_span("request", attributes={"1": "a", "2": "a"}, links=links)
for name in "345":
    span.set_attribute(name, "a")
for name in "12345":
    span.add_event(name)
span.end()
[span] = exporter.get_finished_spans()
print("attributes", *span.attributes, "events", *(e.name for e in span.events), "links", *(link.context.span_id for link in span.links))
PY
cat >span.mjs <<'JS'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({
  spanLimits: { attributeCountLimit: 3, eventCountLimit: 3, linkCountLimit: 3 },
  spanProcessors: [new SimpleSpanProcessor({ exporter })],
});
const links = [1, 2, 3, 4, 5].map((n) => ({ context: { traceId: `${n}`.padStart(32, '0'), spanId: `${n}`.padStart(16, '0'), traceFlags: 1 } }));
const span = provider.getTracer('finding').startSpan('request', { attributes: { 1: 'a', 2: 'a' }, links });
for (const name of '345') span.setAttribute(name, 'a');
for (const name of '12345') span.addEvent(name);
span.end();
const [seen] = exporter.getFinishedSpans();
console.log('attributes', ...Object.keys(seen.attributes), 'events', ...seen.events.map((e) => e.name), 'links', ...seen.links.map((l) => Number(l.context.spanId).toString()));
JS
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
opentelemetry = "=0.33.1"
opentelemetry_sdk = { version = "=0.33.1", default-features = false, features = ["trace", "testing"] }
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use opentelemetry::trace::{Link, Span as _, SpanContext, SpanId, TraceFlags, TraceId, TraceState, Tracer as _, TracerProvider as _};
use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

fn main() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .with_max_attributes_per_span(3)
        .with_max_events_per_span(3)
        .with_max_links_per_span(3)
        .build();
    let link = |n: u8| {
        let (trace, span) = (TraceId::from(u128::from(n)), SpanId::from(u64::from(n)));
        Link::with_context(SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default()))
    };
    let tracer = provider.tracer("finding");
    let begun = tracer.span_builder("request").with_attributes(["1", "2"].map(|name| KeyValue::new(name, "a")));
    let mut span = begun.with_links((1..6).map(link).collect()).start(&tracer);
    ["3", "4", "5"].into_iter().for_each(|name| span.set_attribute(KeyValue::new(name, "a")));
    ["1", "2", "3", "4", "5"].into_iter().for_each(|name| span.add_event(name, vec![]));
    span.end();
    let span = &exporter.get_finished_spans().unwrap()[0];
    let attributes = span.attributes.iter().map(|attribute| attribute.key.to_string());
    let events = span.events.iter().map(|event| event.name.to_string());
    let links = span.links.iter().map(|link| u64::from_be_bytes(link.span_context.span_id().to_bytes()).to_string());
    let joined = |values: Vec<String>| values.join(" ");
    println!("attributes {} events {} links {}", joined(attributes.collect()), joined(events.collect()), joined(links.collect()));
}
RUST
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "opentelemetry_sdk"' Cargo.lock | paste - -
py=$(venv/bin/python span.py 2>py.log)
js=$(node span.mjs)
rust=$(target/debug/finding)
echo "of five attributes (two at the start), five events and five links, three of each are allowed; left are"
printf 'Python:     %s\nJavaScript: %s\nRust:       %s\n' "$py" "$js" "$rust"
[ "$py" = "attributes 3 4 5 events 3 4 5 links 3 4 5" ] && [ "$js" = "attributes 1 2 3 events 3 4 5 links 3 4 5" ] &&
  [ "$rust" = "attributes 1 2 3 events 1 2 3 links 1 2 3" ] || { echo "no longer so" >&2; exit 1; }
echo "still so"
