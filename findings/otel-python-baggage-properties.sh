#!/usr/bin/env bash
# Claim: a property in W3C Baggage (`tenant=acme;ttl=60`) becomes part of the value in OpenTelemetry for Python: code that
#   asks for the tenant gets "acme;ttl=60". Handed on, its separators are percent-encoded, so that every later service,
#   whatever its language, sees one long value and no property. JavaScript gets "acme" and keeps the property.
# Surprises: whoever labels or routes by a baggage entry: the service that adds a property is not the one that breaks.
# Seen on: opentelemetry-api 1.45.2 (Python); @opentelemetry/core 2.12.1, @opentelemetry/api 1.9.1.
# Source: W3C Baggage, "property"; github.com/open-telemetry/opentelemetry-dotnet/issues/5677 tells the same of .NET.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init --yes >npm.log && npm install --silent --no-fund --no-audit @opentelemetry/core@2.12.1 @opentelemetry/api@1.9.1 || exit 2
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-api==1.45.2 || exit 2
npm ls --depth=0 | tail -n +2
venv/bin/pip freeze | grep opentelemetry
cat >hop.mjs <<'JS'
import { ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter, propagation } from '@opentelemetry/api';
import { W3CBaggagePropagator } from '@opentelemetry/core';
const propagator = new W3CBaggagePropagator();
const context = propagator.extract(ROOT_CONTEXT, { baggage: process.argv[2] }, defaultTextMapGetter);
const onward = {};
propagator.inject(context, onward, defaultTextMapSetter);
console.log(propagation.getBaggage(context).getEntry('tenant').value);
console.log(onward.baggage);
JS
cat >hop.py <<'PY'
import sys
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
propagator, onward = W3CBaggagePropagator(), {}
context = propagator.extract({"baggage": sys.argv[1]})
propagator.inject(onward, context)
print(baggage.get_baggage("tenant", context))
print(onward["baggage"])
PY
came='tenant=acme;ttl=60'
echo "the header: $came"
mapfile -t js < <(node hop.mjs "$came")
mapfile -t py < <(venv/bin/python hop.py "$came")
mapfile -t later < <(node hop.mjs "${py[1]}")
echo "JavaScript:              tenant is \"${js[0]}\", handed on: ${js[1]}"
echo "Python:                  tenant is \"${py[0]}\", handed on: ${py[1]}"
echo "JavaScript after Python: tenant is \"${later[0]}\""
[ "${js[0]}" = acme ] && [ "${js[1]}" = "$came" ] && [ "${py[0]}" = "acme;ttl=60" ] && [ "${later[0]}" = "acme;ttl=60" ] ||
  { echo "no longer so" >&2; exit 1; }
echo "still so"
