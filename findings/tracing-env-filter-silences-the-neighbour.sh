#!/usr/bin/env bash
# Claim: a directive of tracing-subscriber's EnvFilter and Targets that names a crate applies to every crate whose name begins
#   with it: a target is compared as text, and not module by module. `info,hyper=off` takes away the errors of
#   hyper_util, and `warn,order=debug` opens order_validator too. There is no way to mean the one crate: the longer
#   name wins where it is given as well, so each neighbour has to be named to be left as it was.
# Surprises: whoever quiets one noisy crate and finds out in an incident that others were quiet as well.
# Seen on: tracing-subscriber 0.3.23, tracing 0.1.44.
# Source: EnvFilter's page gives `h2` and `tokio::net` as examples, "the module path and/or crate name"; Targets' calls them
#   prefixes.
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
tracing = "=0.1.44"
tracing-subscriber = { version = "=0.3.23", default-features = false, features = ["env-filter", "fmt"] }
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use tracing_subscriber::{EnvFilter, Layer, filter::Targets, fmt, prelude::*};

fn lines(filter: impl Layer<tracing_subscriber::Registry> + Send + Sync) {
    let plain = fmt::layer().without_time().with_ansi(false).with_writer(std::io::stdout);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(filter).with(plain), || {
        tracing::error!(target: "hyper_util::client", "connection lost");
        tracing::debug!(target: "order_validator", "a detail");
    });
}

fn main() {
    for directives in ["info", "info,hyper=off", "info,hyper=off,hyper_util=info", "warn,order=debug"] {
        println!("EnvFilter {directives}");
        lines(EnvFilter::new(directives));
    }
    println!("Targets info,hyper=off");
    lines("info,hyper=off".parse::<Targets>().unwrap());
}
RUST
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "tracing(-subscriber)?"' Cargo.lock | grep -v -- -- | paste - -
seen=$(target/debug/finding)
printf '%s\n' "$seen"
expected=$(cat <<'TEXT'
EnvFilter info
ERROR hyper_util::client: connection lost
EnvFilter info,hyper=off
EnvFilter info,hyper=off,hyper_util=info
ERROR hyper_util::client: connection lost
EnvFilter warn,order=debug
ERROR hyper_util::client: connection lost
DEBUG order_validator: a detail
Targets info,hyper=off
TEXT
)
[ "$(sed -E 's/^ +//' <<<"$seen")" = "$expected" ] || { echo "no longer so" >&2; exit 1; }
echo "still so"
