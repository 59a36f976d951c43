#!/usr/bin/env bash
# Claim: a histogram of the Rust crate `metrics` that metrics-exporter-prometheus renders as a summary (it does where no
#   buckets are set) says that every quantile is 0 once nothing was recorded for a while. Its quantiles cover a sliding
#   window; when that is empty, the client for Go writes NaN, which a graph leaves out and no comparison matches.
#   Here "no requests" is drawn as "every request took no time", and p99 falls to its best when the service is dead.
# Surprises: whoever alerts on or averages such quantiles. Count and sum stay, so rate(sum)/rate(count) is right.
# Seen on: metrics-exporter-prometheus 0.18.3, metrics 0.24.6; github.com/prometheus/client_golang v1.25.0.
# Source: none found; the crate's documentation describes the window and not what is shown once it is empty.
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
use std::{num::NonZeroU32, thread::sleep, time::Duration};

fn main() {
    let window = Duration::from_millis(200);
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new()
        .set_quantiles(&[0.99])
        .and_then(|builder| builder.set_bucket_duration(window))
        .unwrap()
        .set_bucket_count(NonZeroU32::new(2).unwrap())
        .build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || metrics::histogram!("wait_seconds").record(1.5));
    print!("{}", handle.render());
    sleep(5 * window);
    handle.run_upkeep();
    print!("{}", handle.render());
}
RUST
cat >main.go <<'GO'
package main

import (
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

func main() {
	summary := prometheus.NewSummary(prometheus.SummaryOpts{
		Name: "wait_seconds", Objectives: map[float64]float64{0.99: 0.001}, MaxAge: 400 * time.Millisecond, AgeBuckets: 2,
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(summary)
	summary.Observe(1.5)
	for range 2 {
		families, err := registry.Gather()
		if err != nil {
			panic(err)
		}
		if _, err := expfmt.MetricFamilyToText(os.Stdout, families[0]); err != nil {
			panic(err)
		}
		time.Sleep(time.Second)
	}
}
GO
{ go mod init finding && go get github.com/prometheus/client_golang/prometheus@v1.25.0 && go mod tidy; } >go.log 2>&1 || exit 2
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "metrics(-exporter-prometheus)?"' Cargo.lock | grep -v -- -- | paste - -
grep 'client_golang ' go.mod
target/debug/finding | grep '^wait_seconds' >rust.out
go run . | grep '^wait_seconds' >go.out
echo "Rust, with a value of 1.5 in the window, then with an empty window:"
sed 's/^/  /' rust.out
echo "Go, the same:"
sed 's/^/  /' go.out
quantiles() { grep quantile "$1" | awk '{ print $2 }' | paste -s -d ' '; }
[[ "$(quantiles rust.out)" =~ ^1\.[0-9]+\ 0$ ]] && [ "$(quantiles go.out)" = "1.5 NaN" ] || { echo "no longer so" >&2; exit 1; }
echo "still so"
