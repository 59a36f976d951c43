#!/usr/bin/env bash
# Claim: with `flatten_event(true)` tracing-subscriber writes a line of JSON that has a key twice when a field has the name of
#   one of its own. Python, JavaScript and jq take the last one, without a word. Time and level are written before the
#   fields and target after them: so the error about a customer with level = "gold" is of level gold and in no
#   search for errors, and a field target = "account 7" is lost. Rust's serde refuses the line when it reads a struct.
# Surprises: whoever flattens because the backend wants it flat, and logs a business level, a target or a time.
# Seen on: tracing-subscriber 0.3.23, tracing 0.1.44, serde_json 1.0.154; Python's json, Node.js' JSON.parse, jq.
# Source: RFC 8259, section 4: names within an object should be unique; the layer's page does not speak of it.
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
serde = { version = "=1.0.229", features = ["derive"] }
serde_json = "=1.0.154"
tracing = "=0.1.44"
tracing-subscriber = { version = "=0.3.23", default-features = false, features = ["fmt", "json"] }
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use tracing_subscriber::{fmt, prelude::*};

#[derive(serde::Deserialize)]
struct Line {
    level: String,
}

fn main() {
    if let Some(line) = std::env::args().nth(1) {
        match serde_json::from_str::<Line>(&line) {
            Ok(line) => println!("level {}", line.level),
            Err(error) => println!("refused: {error}"),
        }
        return;
    }
    let flat = fmt::layer().json().flatten_event(true).without_time().with_writer(std::io::stdout);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(flat), || {
        tracing::error!(target: "payments", level = "gold", target = "account 7", "refund failed");
    });
}
RUST
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "(tracing|tracing-subscriber|serde_json)"' Cargo.lock | grep -v -- -- | paste - -
line=$(target/debug/finding)
py=$(python3 -c 'import json, sys; line = json.loads(sys.argv[1]); print(line["level"], "/", line["target"])' "$line")
js=$(node -e 'const line = JSON.parse(process.argv[1]); console.log(line.level, "/", line.target)' "$line")
rust=$(target/debug/finding "$line")
jq=$(jq -r '.level + " / " + .target' <<<"$line")
printf 'written:     %s\nPython:      %s\nJavaScript:  %s\njq:          %s\nserde:       %s\n' "$line" "$py" "$js" "$jq" "$rust"
[ "$py" = "gold / payments" ] && [ "$js" = "$py" ] && [ "$jq" = "$py" ] && [[ $rust == "refused: duplicate field"* ]] || { echo "no longer so" >&2; exit 1; }
echo "still so"
