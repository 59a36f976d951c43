#!/usr/bin/env bash
# Claim: with OpenTelemetry for Rust a service.name in OTEL_RESOURCE_ATTRIBUTES beats OTEL_SERVICE_NAME, against the
#   specification and the crate's own table of variables ("takes priority over"). The detector that knows the rule runs
#   first, and the plain one that reads OTEL_RESOURCE_ATTRIBUTES runs after it and overwrites. Values stay
#   percent-encoded on the way. OpenTelemetry for Python, with the same variables, does both as specified.
# Surprises: whoever has a platform set OTEL_RESOURCE_ATTRIBUTES for all and each service its OTEL_SERVICE_NAME: every
#   Rust service reports under the platform's name.
# Seen on: opentelemetry_sdk 0.33.1; opentelemetry-sdk 1.45.2 (Python).
# Source: Resource SDK, "Specifying resource information via an environment variable", and "General SDK configuration";
#   github.com/open-telemetry/opentelemetry-rust/pull/3586 for the percent-decoding; none found for the order.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 || exit 2
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
opentelemetry = "=0.33.1"
opentelemetry_sdk = "=0.33.1"
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use opentelemetry::Key;
use opentelemetry_sdk::Resource;

fn main() {
    let resource = Resource::builder().build();
    for key in ["service.name", "team"] {
        println!("{key}={}", resource.get(&Key::new(key)).unwrap());
    }
}
RUST
cat >main.py <<'PY'
from opentelemetry.sdk.resources import Resource
attributes = Resource.create().attributes
for key in ("service.name", "team"):
    print(f"{key}={attributes[key]}")
PY
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 '^name = "opentelemetry_sdk"' Cargo.lock | paste - -
venv/bin/pip freeze | grep opentelemetry-sdk
export OTEL_SERVICE_NAME=orders OTEL_RESOURCE_ATTRIBUTES='service.name=platform,team=a%2Cb'
rust=$(target/debug/finding | paste -s -d ' ')
python=$(venv/bin/python main.py | paste -s -d ' ')
echo "OTEL_SERVICE_NAME=$OTEL_SERVICE_NAME OTEL_RESOURCE_ATTRIBUTES=$OTEL_RESOURCE_ATTRIBUTES"
echo "Rust:   $rust"
echo "Python: $python"
[ "$rust" = 'service.name=platform team=a%2Cb' ] && [ "$python" = 'service.name=orders team=a,b' ] ||
  { echo "no longer so" >&2; exit 1; }
echo "still so"
