#!/usr/bin/env bash
# Claim: a profile says strip = "symbols", and the program keeps its symbols, once the same profile has an override of anything,
#   such as its opt-level, for the package that the program is in: Cargo then passes strip=debuginfo. Without the override it
#   passes strip=symbols. A program of many crates is half as large again as its author believes, with no word from Cargo.
# Surprises: whoever builds parts of a release for size by [profile.release.package], and the whole for size by strip.
# Seen on: cargo 1.95.0, rustc 1.95.0; log 0.4.29 stands for any dependency.
# Source: The Cargo Book, "Profiles", sections "strip" and "Overrides", which do not speak of each other.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
echo 'fn main() { println!("{:?}", log::max_level()) }' >src/main.rs
cat >plain.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
log = "=0.4.29"
[profile.release]
strip = "symbols"
TOML
built() {
    cp "$1" Cargo.toml
    CARGO_TARGET_DIR=$work/target cargo build --release --verbose 2>said || { cat said; exit 2; }
    sed -n 's/.*--crate-name finding .*\(strip=[a-z]*\).*/\1/p' said | tail -n 1
}
symbols() { readelf --sections --wide target/release/finding | grep -c ' \.symtab ' || true; }
plain=$(built plain.toml) plain_symbols=$(symbols)
(cat plain.toml && printf '[profile.release.package]\nlog = { opt-level = "s" }\n') >dependency.toml
dependency=$(built dependency.toml) dependency_symbols=$(symbols)
(cat plain.toml && printf '[profile.release.package]\nfinding = { opt-level = "s" }\n') >own.toml
own=$(built own.toml) own_symbols=$(symbols)
cargo --version
printf 'no override: %s, tables of symbols: %s\n' "$plain" "$plain_symbols"
printf 'an override for a dependency: %s, tables of symbols: %s\n' "$dependency" "$dependency_symbols"
printf 'an override for the package itself: %s, tables of symbols: %s\n' "$own" "$own_symbols"
[[ $plain == strip=symbols && $plain_symbols == 0 && $own == strip=debuginfo && $own_symbols == 1 ]] || { echo "no longer so"; exit 1; }
echo "still so"
