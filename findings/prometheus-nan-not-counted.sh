#!/usr/bin/env bash
# Claim: one NaN observed by a histogram (0/0 somewhere in a ratio) is counted by the Prometheus client for Go, in the
#   +Inf bucket, and not by the one for Python, whose count stays behind the number of observations. The sum is NaN in
#   both from then on, for the life of the process: no later observation repairs it, and an average over it is NaN.
# Surprises: whoever compares counts of one histogram across services, or takes `_count` for the number of calls.
# Seen on: prometheus_client 0.26.0 (Python), github.com/prometheus/client_golang v1.25.0 (Go).
# Source: none found; the client guidelines do not speak of NaN.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check prometheus_client==0.26.0 || exit 2
cat >main.go <<'GO'
package main

import (
	"math"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

func main() {
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "share", Buckets: []float64{0.5, 1}})
	registry := prometheus.NewRegistry()
	registry.MustRegister(histogram)
	for _, value := range []float64{0.25, math.NaN(), 0.75} {
		histogram.Observe(value)
	}
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	if _, err := expfmt.MetricFamilyToText(os.Stdout, families[0]); err != nil {
		panic(err)
	}
}
GO
{ go mod init finding && go get github.com/prometheus/client_golang/prometheus@v1.25.0 && go mod tidy; } >go.log 2>&1 || exit 2
cat >main.py <<'PY'
import math
from prometheus_client import CollectorRegistry, Histogram, generate_latest
registry = CollectorRegistry()
histogram = Histogram("share", "", registry=registry, buckets=(0.5, 1))
for value in (0.25, math.nan, 0.75):
    histogram.observe(value)
print(generate_latest(registry).decode())
PY
grep 'client_golang ' go.mod
venv/bin/pip freeze | grep prometheus
go run . | grep '^share_' | sed 's/^/Go:     /' | tee go.out
venv/bin/python main.py | grep -E '^share_(bucket|count|sum)' | sed 's/^/Python: /' | tee py.out
grep -q 'share_count 3$' go.out && grep -q 'share_sum NaN' go.out && grep -q 'share_count 2.0' py.out && grep -q 'share_sum NaN' py.out ||
  { echo "no longer so" >&2; exit 1; }
echo "still so: three observations"
