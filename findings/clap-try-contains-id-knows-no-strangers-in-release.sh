#!/usr/bin/env bash
# Claim: clap's ArgMatches::try_contains_id and try_get_one say MatchesError::UnknownArgument for an id that the command does not
#   have, in a debug build only. In a release build the same call with the same id is Ok(false) and Ok(None): whoever asks "does
#   this command have such an argument?" that way gets "no" where it was tested and "yes" where it is used.
# Surprises: whoever writes code over several commands (settings shown or shared between them) and tests it with cargo test.
# Seen on: clap 4.6.9, rustc 1.95.0.
# Source: docs.rs/clap, ArgMatches::try_contains_id, "Fallible version of contains_id"; MatchesError::UnknownArgument, "Failed to
#   look up arg, ID must be one of those defined"; neither names the profile.
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
clap = { version = "=4.6.9", default-features = false, features = ["std"] }
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let command = clap::Command::new("tool").arg(clap::Arg::new("known").long("known"));
    let matches = command.get_matches_from(["tool"]);
    println!("{:?} {:?}", matches.try_contains_id("stranger"), matches.try_get_one::<String>("stranger").map(|one| one.cloned()));
}
RUST
said() { CARGO_TARGET_DIR=$work/target cargo run --quiet "$@" 2>errors || { cat errors; exit 2; }; }
debug=$(said)
release=$(said --release)
cargo tree --quiet --depth 1 | tail -n 1
rustc --version
printf 'debug:   %s\nrelease: %s\n' "$debug" "$release"
[[ $debug == 'Err(UnknownArgument'*'Err(UnknownArgument'* && $release == 'Ok(false) Ok(None)' ]] || { echo "no longer so"; exit 1; }
echo "still so"
