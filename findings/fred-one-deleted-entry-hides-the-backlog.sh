#!/usr/bin/env bash
# Claim: a consumer that reads its own pending entries back with fred (xreadgroup_map with the id 0, as the manual tells a
#   consumer to do when it starts) gets an error instead of all of them once one of them is no longer in the stream:
#   "Cannot convert to map". Redis answers such an entry with its id and nil, and the typed reply knows no nil. One
#   XDEL, or XADD with MAXLEN while messages were in flight, and the consumer fails at each start until somebody
#   acknowledges that id by hand. redis-py, beside it, shows the entry with no fields.
# Surprises: whoever trims streams by length and uses the typed functions, all of whose tests pass.
# Seen on: fred 10.1.0, Redis 7.0.15 (Debian 12's package 5:7.0.15-1~deb12u10), redis-py 8.1.0.
# Source: none found; fred's page of xreadgroup_map does not speak of deleted entries. xautoclaim_values leaves them out, as
#   Redis 7 does.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server"; wait "$server" || true; }; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q -o APT::Sandbox::User=root redis-tools=5:7.0.15-1~deb12u10 libjemalloc2 liblzf1 >/dev/null || exit 2
for package in *.deb; do dpkg-deb -x "$package" .; done
ln -s redis-check-rdb usr/bin/redis-server # one executable, which goes by its name
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check redis==8.1.0 || exit 2
venv/bin/pip freeze | grep redis
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
edition = "2024"
[dependencies]
fred = { version = "=10.1.0", default-features = false, features = ["i-keys", "i-streams"] }
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
[profile.dev]
debug = false
TOML
cat >src/main.rs <<'RUST'
use fred::prelude::*;
use fred::types::streams::XReadResponse;

type Entries = XReadResponse<String, String, String, String>;

async fn read(client: &Client, from: &str) -> Result<Entries, Error> {
    client.xreadgroup_map("workers", "alice", None, None, false, "orders", from).await
}

fn told(what: &str, read: Result<Entries, Error>) {
    match read {
        Ok(streams) => println!("{what}: {} entries", streams.values().map(Vec::len).sum::<usize>()),
        Err(error) => println!("{what}: {}", error.details()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let port = std::env::args().nth(1).unwrap();
    let client = Builder::from_config(Config::from_url(&format!("redis://127.0.0.1:{port}"))?).build()?;
    client.init().await?;
    let _: Value = client.xgroup_create("orders", "workers", "0", true).await?;
    let mut ids: Vec<String> = Vec::new();
    for n in 0..3 {
        ids.push(client.xadd("orders", false, None::<()>, "*", vec![("n", n)]).await?);
    }
    told("delivered", read(&client, ">").await);
    told("read back", read(&client, "0").await);
    let _: Value = client.xdel("orders", ids[1].as_str()).await?;
    told("read back, one of them deleted", read(&client, "0").await);
    let _: Value = client.xack("orders", "workers", ids[1].as_str()).await?;
    told("read back, that one acknowledged", read(&client, "0").await);
    let _: Value = client.xdel("orders", ids[2].as_str()).await?;
    Ok(())
}
RUST
CARGO_TARGET_DIR=$work/target cargo build --quiet || exit 2
grep -A1 -E '^name = "fred"' Cargo.lock | paste - -
libraries=("$work"/usr/lib/*-linux-gnu)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
LD_LIBRARY_PATH=${libraries[0]} usr/bin/redis-server --bind 127.0.0.1 --port "$port" --save '' --dir "$work" >redis.log &
server=$!
cat >back.py <<'PY'
import sys
import redis

db = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
if sys.argv[2:] == ["wait"]:
    from redis.backoff import ConstantBackoff
    from redis.retry import Retry
    db = redis.Redis(port=int(sys.argv[1]), decode_responses=True, retry=Retry(ConstantBackoff(0.1), 50))
    print("redis", db.info()["redis_version"])
else:
    [[_, entries]] = db.xreadgroup("workers", "alice", {"orders": "0"})
    print("redis-py, the last one deleted:", *(fields or "no fields" for _, fields in entries))
PY
venv/bin/python back.py "$port" wait
seen=$(target/debug/finding "$port"; venv/bin/python back.py "$port")
printf '%s\n' "$seen"
expected="delivered: 3 entries
read back: 3 entries
read back, one of them deleted: Cannot convert to map.
read back, that one acknowledged: 2 entries
redis-py, the last one deleted: {'n': '0'} no fields"
[ "$seen" = "$expected" ] || { echo "no longer so" >&2; exit 1; }
echo "still so"
