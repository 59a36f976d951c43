#!/usr/bin/env bash
# Claim: a Rust program that is linked statically with glibc takes its random numbers from the file /dev/urandom, on a kernel that
#   has had getrandom(2) for ten years. The crate getrandom asks the dynamic linker whether libc has that function, and a
#   static program has no dynamic linker to answer. The same source linked as usual makes the call and opens no file. Built with
#   --cfg getrandom_backend="linux_getrandom" the static one makes the call too.
# Surprises: whoever ships one static file for a root that has nothing else, and finds that it wants a /dev after all.
# Seen on: getrandom 0.4.3 (rand 0.10 stands on it), target x86_64-unknown-linux-gnu or aarch64-unknown-linux-gnu, -C target-feature=+crt-static.
# Source: getrandom's documentation, "Supported targets" and "Opt-in backends"; dlsym(3).
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
getrandom = "=0.4.3"
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
fn main() {
    getrandom::fill(&mut [0; 16]).unwrap();
    // The crate keeps open what it has opened.
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    let random = open.filter(|file| file.ends_with("urandom")).count();
    println!("{}", if random > 0 { "reads /dev/urandom" } else { "makes the system call" });
}
RUST
target=$(rustc -vV | sed -n 's/^host: //p')
built() {
    RUSTFLAGS=$1 CARGO_TARGET_DIR=$work/target cargo build --quiet --target "$target" || exit 2
    "target/$target/debug/finding"
}
usual=$(built '')
static=$(built '-C target-feature=+crt-static')
told=$(built '-C target-feature=+crt-static --cfg getrandom_backend="linux_getrandom"')
grep -A1 '^name = "getrandom"' Cargo.lock | paste - -
rustc --version
printf 'as usual: %s\nstatic: %s\nstatic, and told so: %s\n' "$usual" "$static" "$told"
[[ $usual == *'system call' && $static == *urandom && $told == *'system call' ]] || { echo "no longer so"; exit 1; }
echo "still so"
