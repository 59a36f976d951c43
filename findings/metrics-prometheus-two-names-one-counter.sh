#!/usr/bin/env bash
# Claim: of two counters of the Rust crate `metrics` whose names differ in a dot and an underscore only, the page of
#   metrics-exporter-prometheus shows one and is silent about the other: the names become one, and the one that comes
#   last by hash overwrites. Which of the two it is changes from start to start of the same program, so a restart moves
#   the number without a reset that rate() could see. Neither is summed, and nothing is logged. A gauge beside a
#   counter of one name is not merged: both are written, under two TYPE lines of one name.
# Surprises: whoever has a library count `cache.hits` and counts `cache_hits` themselves.
# Seen on: metrics-exporter-prometheus 0.18.3, metrics 0.24.6.
# Source: the crate's documentation says that names are sanitized and not what becomes of two that are then one.
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
metrics = "=0.24.6"
metrics-exporter-prometheus = { version = "=0.18.3", default-features = false }
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use metrics_exporter_prometheus::PrometheusBuilder;

fn main() {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!("cache.hits").increment(1000);
        metrics::counter!("cache_hits").increment(7);
        metrics::counter!("queue.depth").increment(3);
        metrics::gauge!("queue_depth").set(5.0);
    });
    print!("{}", recorder.handle().render());
}
RUST
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "(metrics|metrics-exporter-prometheus)"' Cargo.lock | grep -v -- -- | paste - -
page=$(target/debug/finding)
echo "cache.hits was counted to 1000, cache_hits to 7, queue.depth as a counter to 3, queue_depth as a gauge set to 5:"
printf '%s\n' "$page"
[ "$(grep -c '^cache_hits ' <<<"$page")" = 1 ] && [ "$(grep -c '^# TYPE queue_depth ' <<<"$page")" = 2 ] || { echo "no longer so" >&2; exit 1; }
echo "in a hundred starts:"
seen=$(for _ in $(seq 100); do target/debug/finding | grep '^cache_hits '; done | sort | uniq -c)
printf '%s\n' "$seen"
[ "$(sed -E 's/^ *[0-9]+ //' <<<"$seen")" = "$(printf 'cache_hits 1000\ncache_hits 7')" ] || { echo "no longer so" >&2; exit 1; }
echo "still so"
