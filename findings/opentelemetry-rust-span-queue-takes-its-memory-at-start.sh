#!/usr/bin/env bash
# Claim: the batch span processor of OpenTelemetry's SDK for Rust takes the memory of its whole queue when it is built, not
#   when spans wait: some 360 bytes for every span that OTEL_BSP_MAX_QUEUE_SIZE allows, written to at once (each place
#   carries a mark), so it is resident memory and not a promise. Room for a million spans, set against the bursts of one
#   day, is a third of a GB in each process from its first second on, whether or not it ever makes a span.
# Surprises: whoever sizes the queue for bursts and takes an empty queue for a free one, as it is in the SDKs whose queue is
#   a list.
# Seen on: opentelemetry_sdk 0.33.0, opentelemetry 0.33.1.
# Source: none found; the specification's maxQueueSize speaks of what is dropped, not of what is reserved.
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
opentelemetry = { version = "=0.33.1", default-features = false }
opentelemetry_sdk = { version = "=0.33.0", default-features = false, features = ["trace"] }
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter};

#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn main() {
    for room in [2_048, 100_000, 1_000_000] {
        let before = resident();
        let config = BatchConfigBuilder::default().with_max_queue_size(room).build();
        let processor = BatchSpanProcessor::builder(Nowhere).with_batch_config(config).build();
        let bytes = (resident() - before) * 1024;
        println!("{room} places: {} bytes each, {} KiB in all, no span yet", bytes / room as u64, bytes / 1024);
        drop(processor);
    }
}
RUST
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "opentelemetry(_sdk)?"' Cargo.lock | grep -v -- -- | paste - -
target/debug/finding | tee out
awk '/^1000000 places/ { found = ($3 >= 200 && $3 <= 600) } END { exit !found }' out || { echo "no longer so" >&2; exit 1; }
echo "still so"
