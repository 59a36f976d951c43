#!/usr/bin/env bash
# Claim: an alert that is silenced goes on inhibiting others. Silence the critical alert of a service, and the warnings
#   that an inhibition rule holds back because of it stay held back: nothing at all is notified for that service.
#   It is free once the critical alert has resolved.
# Surprises: whoever silences "the noisy one" during work on it and counts on the other alerts of the service.
# Seen on: Alertmanager 0.25.0 (Debian 12's package 0.25.0-1+b4).
# Source: none found; the manual describes inhibition and silences beside each other and not what they do together.
set -euo pipefail
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" || true; wait "$pid" || true; done 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
[ "$(id -u)" = 0 ] || { echo "needs root: the package reads its template under /usr/share, hence a chroot" >&2; exit 2; }
apt-get download -q -o APT::Sandbox::User=root prometheus-alertmanager=0.25.0-1+b4 libc6 >/dev/null || exit 2
for package in *.deb; do dpkg-deb -x "$package" root; done
cat >root/alertmanager.yml <<'YML'
route: {receiver: nobody}
receivers: [{name: nobody}]
inhibit_rules:
  - source_matchers: ['severity="critical"']
    target_matchers: ['severity="warning"']
    equal: [service]
YML
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
chroot root /usr/bin/prometheus-alertmanager --version 2>&1 | head -1
chroot root /usr/bin/prometheus-alertmanager --config.file=/alertmanager.yml --storage.path=/data --cluster.listen-address= \
  --web.listen-address="127.0.0.1:$port" >alertmanager.log 2>&1 &
pids+=("$!")
cat >claim.py <<'PY'
import datetime, json, sys, time, urllib.error, urllib.request

def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/api/v2/{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        text = answer.read()
        return json.loads(text) if text else None

def alert(name, severity, **more):
    return {"labels": {"alertname": name, "severity": severity, "service": "payments"}, **more}

def status(name):
    for _ in range(50):  # the inhibition is worked out shortly after the alert came in
        found = [a["status"] for a in call("alerts") if a["labels"]["alertname"] == name]
        if found and found[0]["state"] != "unprocessed":
            return found[0]
        time.sleep(0.2)

for _ in range(100):
    try:
        call("status")
        break
    except OSError:
        time.sleep(0.2)
now = datetime.datetime.now(datetime.timezone.utc)
call("silences", {"matchers": [{"name": "severity", "value": "critical", "isRegex": False, "isEqual": True}], "createdBy": "lab",
                  "comment": "being repaired", "startsAt": now.isoformat(), "endsAt": (now + datetime.timedelta(hours=1)).isoformat()})
time.sleep(1)
call("alerts", [alert("Down", "critical")])
time.sleep(1)
call("alerts", [alert("Slow", "warning")])
time.sleep(1)
down, slow = status("Down"), status("Slow")
print("Down (critical): silenced by", len(down["silencedBy"]), "silence")
print("Slow (warning): ", slow["state"], "- inhibited by", len(slow["inhibitedBy"]), "alert, silenced by", len(slow["silencedBy"]))
call("alerts", [alert("Down", "critical", endsAt=datetime.datetime.now(datetime.timezone.utc).isoformat())])
time.sleep(2)
free = status("Slow")
print("Slow, once Down has resolved:", free["state"])
sys.exit(0 if down["silencedBy"] and slow["inhibitedBy"] and not slow["silencedBy"] and free["state"] == "active" else "no longer so")
PY
python3 claim.py "$port"
echo "still so"
