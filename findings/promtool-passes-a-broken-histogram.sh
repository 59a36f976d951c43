#!/usr/bin/env bash
# Claim: `promtool check metrics`, which lints a page "for consistency and correctness", passes a histogram whose buckets
#   fall, that has no +Inf bucket and no sum, and whose count is neither, a counter below zero, and the same series twice
#   with two values: exit status 0 and not a word. It judges names, types and help texts. The OpenMetrics parser of the
#   Python client, given that histogram, says what is wrong.
# Surprises: whoever has it in CI in order to know that what is scraped makes sense.
# Seen on: promtool 2.42.0 (Debian 12's package prometheus 2.42.0+ds-5+deb12u1), prometheus_client 0.26.0. The linter it is
#   made of, promlint of client_golang v1.25.0, says nothing of that histogram and that counter either.
# Source: `promtool check metrics --help`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -q -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1 >/dev/null || exit 2
dpkg-deb -x prometheus_*.deb .
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check prometheus_client==0.26.0 || exit 2
usr/bin/promtool --version | head -1
venv/bin/pip freeze | grep prometheus
cat >histogram.txt <<'TXT'
# HELP wait_seconds Time in the queue.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="1"} 5
wait_seconds_bucket{le="2"} 3
wait_seconds_count 9
TXT
cat histogram.txt - >page.txt <<'TXT'
# HELP jobs_total Jobs done.
# TYPE jobs_total counter
jobs_total{queue="orders"} -5
jobs_total{queue="orders"} 7
TXT
cat page.txt
status=0
usr/bin/promtool check metrics <page.txt >lint.txt 2>&1 || status=$?
echo "promtool check metrics: exit status $status, $(wc -c <lint.txt) bytes of output"
{ cat histogram.txt; echo "# EOF"; } >histogram.om
venv/bin/python - <<'PY' | tee parser.txt
from prometheus_client.openmetrics.parser import text_string_to_metric_families
try:
    list(text_string_to_metric_families(open("histogram.om").read()))
    print("OpenMetrics parser: nothing")
except ValueError as error:
    print("OpenMetrics parser:", error)
PY
[ "$status" = 0 ] && [ ! -s lint.txt ] && ! grep -q 'parser: nothing' parser.txt || { echo "no longer so" >&2; exit 1; }
echo "still so"
