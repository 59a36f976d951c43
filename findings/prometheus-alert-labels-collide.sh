#!/usr/bin/env bash
# Claim: a second failing instance makes Prometheus stop sending the alert of the first, so that Alertmanager resolves
#   the page while both are down. It takes a rule label that overwrites the label that tells the instances apart: with
#   one instance down the rule fires, with two it is an evaluation error. promtool's `check rules` and `check config`
#   pass it; /api/v1/alerts and ALERTS go on showing the alert as firing.
# Surprises: whoever reads "firing" in Prometheus and wonders who resolved the page; whoever tested with one failure.
# Seen on: Prometheus 2.42.0 (Debian 12's package 2.42.0+ds-5+deb12u1).
# Source: the error is known (github.com/prometheus/prometheus/pull/6469); what it does to an alert that fires is not told.
set -euo pipefail
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" || true; wait "$pid" || true; done 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1 >/dev/null || exit 2
dpkg-deb -x prometheus_*.deb .
usr/bin/prometheus --version | head -1

cat >alert.yml <<'YML'
groups:
  - name: targets
    rules:
      - alert: TargetDown
        expr: up == 0
        labels: {instance: all, severity: page}
YML
# Three servers in one program: two targets, which answer 500 once told to, and an Alertmanager that only counts.
cat >servers.py <<'PY'
import http.server, json, threading, time, urllib.request

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(500) if self.server.down else self.answer(200, b"x 1\n")
    def do_POST(self):
        alerts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.sent += [alert["endsAt"] for alert in alerts]
        self.answer(200)

def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.down, server.sent = False, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

def api(prometheus, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{prometheus}/api/v1/{path}", timeout=5) as answer:
        return json.load(answer)["data"]

def until(what, condition):
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"no longer so: waited in vain until {what}")
        time.sleep(0.2)

first, second, alertmanager = serve(), serve(), serve()
print(first.server_port, second.server_port, alertmanager.server_port, flush=True)
prometheus = int(input())

def rule():
    return api(prometheus, "rules")["groups"][0]["rules"][0]

until("both targets are up", lambda: len(api(prometheus, "query?query=up==1")["result"]) == 2)
first.down = True
until("the alert was sent three times", lambda: len(alertmanager.sent) >= 3)
print("one target down:  health", rule()["health"], "- alerts sent:", len(alertmanager.sent), flush=True)
second.down = True
until("the rule fails", lambda: rule()["health"] == "err")
before = len(alertmanager.sent)
ends = max(alertmanager.sent)
time.sleep(8)  # Prometheus sends every two seconds here, and says that an alert ends four seconds after that
now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
firing = api(prometheus, "query?query=ALERTS{alertstate='firing'}".replace("'", "%22"))["result"]
print("both targets down:", rule()["lastError"])
print(f"  sent since: {len(alertmanager.sent) - before}; the last said it ends at {ends}, now is {now}")
print(f"  Prometheus's own view: {api(prometheus, 'alerts')['alerts'][0]['state']}, ALERTS has {len(firing)} firing")
raise SystemExit(0 if len(alertmanager.sent) == before and ends < now and firing else "no longer so")
PY
mkfifo ask tell
python3 servers.py <tell >ask &
servers=$!
pids+=("$servers")
exec 3>tell 4<ask
read -r first second alertmanager <&4
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >prometheus.yml <<YML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alert.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:$alertmanager']}]}]}
scrape_configs: [{job_name: lab, static_configs: [{targets: ['127.0.0.1:$first', '127.0.0.1:$second']}]}]
YML
usr/bin/promtool check config prometheus.yml
usr/bin/prometheus --config.file=prometheus.yml --storage.tsdb.path=data --rules.alert.resend-delay=1s \
  --web.listen-address="127.0.0.1:$port" >prometheus.log 2>&1 &
pids+=("$!")
for _ in {1..100}; do python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/-/ready', timeout=1)" 2>/dev/null && break || sleep 0.2; done
echo "$port" >&3
cat <&4
wait "$servers"
echo "still so"
