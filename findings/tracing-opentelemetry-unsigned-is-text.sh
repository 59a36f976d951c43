#!/usr/bin/env bash
# Claim: tracing-opentelemetry exports an unsigned integer as a string. `status = 200_u16` and `len = items.len()` arrive as
#   "200" and "3", while `200_i64` arrives as a number: tracing widens u8 to usize to u64, for which the layer has no case,
#   and its last resort is the Debug text. A backend's numeric filter or sum does not find them, and the conventions
#   want http.response.status_code to be an int.
# Surprises: whoever writes status codes, sizes and ports as the HTTP libraries hand them over. The cure is `i64::from`.
# Seen on: tracing-opentelemetry 0.34.0, tracing 0.1.44, opentelemetry_sdk 0.33.1.
# Source: github.com/tokio-rs/tracing-opentelemetry/pull/267 (open); not in the crate's documentation.
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
use opentelemetry::{Value, trace::TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing_subscriber::layer::SubscriberExt;

fn main() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("finding"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let items = [1, 2, 3];
        tracing::info_span!("request", unsigned = 200_u16, signed = 200_i64, small = 200_i16, length = items.len());
    });
    let spans = exporter.get_finished_spans().unwrap();
    let mut seen = 0;
    for attribute in &spans[0].attributes {
        let (name, text) = (attribute.key.as_str(), matches!(attribute.value, Value::String(_)));
        if ["unsigned", "signed", "small", "length"].contains(&name) {
            println!("{name}: {} {}", attribute.value, if text { "(string)" } else { "(integer)" });
            seen += i32::from(text == ["unsigned", "length"].contains(&name));
        }
    }
    std::process::exit(i32::from(seen != 4));
}
RUST
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "(tracing|tracing-opentelemetry|opentelemetry_sdk)"' Cargo.lock | grep -v -- -- | paste - -
target/debug/finding
echo "still so"
