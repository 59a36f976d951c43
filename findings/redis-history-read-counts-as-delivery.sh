#!/usr/bin/env bash
# Claim: reading one's own pending entries back (XREADGROUP with an id instead of `>`) counts as a delivery: it raises the
#   delivery count of each entry and sets its idle time to zero. A consumer that looks at its backlog from time to time
#   thereby keeps XAUTOCLAIM of the others away, whatever became of the entries, and drives them towards a limit of
#   deliveries. XPENDING looks without touching.
# Surprises: whoever takes the history for a query, or polls it to see whether something is left to do.
# Seen on: Redis 7.0.15 (Debian 12's package 5:7.0.15-1~deb12u10), redis-py 8.1.0.
# Source: none found; XCLAIM's page tells it of XCLAIM, XREADGROUP's tells that the history is re-read and not this.
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
libraries=("$work"/usr/lib/*-linux-gnu)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
LD_LIBRARY_PATH=${libraries[0]} usr/bin/redis-server --bind 127.0.0.1 --port "$port" --save '' --dir "$work" >redis.log &
server=$!
cat >claim.py <<'PY'
import sys, time
import redis

db = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
for _ in range(50):
    try:
        db.ping()
        break
    except redis.ConnectionError:
        time.sleep(0.1)
print("redis", db.info()["redis_version"])
db.xgroup_create("orders", "workers", "0", mkstream=True)
db.xadd("orders", {"n": 1})
db.xreadgroup("workers", "alice", {"orders": ">"})

def pending():
    entry = db.xpending_range("orders", "workers", "-", "+", 1)[0]
    return entry["times_delivered"], entry["time_since_delivered"]

time.sleep(1.5)
before = pending()
db.xreadgroup("workers", "alice", {"orders": "0"})
after = pending()
claimed = db.xautoclaim("orders", "workers", "bob", min_idle_time=1000)[1]
print(f"delivered and left alone: delivery count {before[0]}, idle {before[1]} ms (XPENDING asked)")
print(f"after the history was read: delivery count {after[0]}, idle {after[1]} ms")
print("another consumer's XAUTOCLAIM of what idles for 1000 ms gets:", claimed)
time.sleep(1.5)
later = db.xautoclaim("orders", "workers", "bob", min_idle_time=1000)[1]
print("the same, when nobody read the history meanwhile:", later)
sys.exit(0 if before[0] == 1 and before[1] >= 1500 and after[0] == 2 and after[1] < 1000 and not claimed and later else "no longer so")
PY
venv/bin/python claim.py "$port"
echo "still so"
