"""A baseline for root-cause answers: whose own time grew most, and where red begins.

    python baseline_solver.py DIR... > answers.json     DIR is a data set of `o11y-lab scenario record`
    o11y-lab scenario score answers.json

It takes the first half of the traces for "as ever". A span's own time is what its children leave of it; a span that is red
and has no red child counts as a second of growth. The calls of a consumer that polls are left out: they wait for messages.
"""

import collections
import json
import pathlib
import statistics
import sys

RED = 2  # OTLP's STATUS_CODE_ERROR
CLIENT, CONSUMER = 3, 5
SECOND = 1e9


def spans_of(line):
    """Every span of a message, with its service."""
    for resource in json.loads(line)["resourceSpans"]:
        pairs = {a["key"]: a["value"] for a in resource["resource"]["attributes"]}
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span["service"] = pairs["service.name"]["stringValue"]
                span["start"], span["end"] = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
                yield span


def traces_of(folder):
    traces = collections.defaultdict(list)
    for line in (folder / "traces.jsonl").read_text().splitlines():
        for span in spans_of(line):
            if not waits(span):
                traces[span["traceId"]].append(span)
    return sorted(traces.values(), key=lambda spans: min(span["start"] for span in spans))


def waits(span):
    polls = ("receive", "settle")
    return any(a["key"] == "messaging.operation.type" and a["value"]["stringValue"] in polls for a in span["attributes"])


def own_time(span, children):
    """What no child covers, in nanoseconds."""
    left, reached = 0, span["start"]
    for child in sorted(children, key=lambda child: child["start"]):
        left += max(0, min(child["start"], span["end"]) - reached)
        reached = max(reached, min(child["end"], span["end"]))
    return left + max(0, span["end"] - reached)


def symptoms(trace):
    """Of each kind of span in a trace: own time, and how many are red with nothing red below."""
    children = collections.defaultdict(list)
    for span in trace:
        children[span.get("parentSpanId")].append(span)
    found = collections.defaultdict(lambda: [0, 0])
    for span in trace:
        below = children[span["spanId"]]
        red = span.get("status", {}).get("code") == RED and not any(c.get("status", {}).get("code") == RED for c in below)
        database = any(a["key"] == "db.system.name" for a in span["attributes"])
        seen = found[span["service"], span["kind"], span["name"], database]
        seen[0] += own_time(span, below)
        seen[1] += red
    return found


def fault_of(kind, database, red):
    if red:
        return "handler-error" if kind == CONSUMER else "error"
    return "slow-db" if database else "slow-network" if kind == CLIENT else "latency"


def solve(folder):
    traces = traces_of(folder)
    told = [(min(span["start"] for span in trace), symptoms(trace)) for trace in traces]
    half = len(told) // 2
    usual = collections.defaultdict(list)
    for _, found in told[:half]:
        for key, (own, _) in found.items():
            usual[key].append(own)
    growth, red, since = collections.Counter(), collections.Counter(), {}
    for start, found in told[half:]:
        for key, (own, reds) in found.items():
            mean = statistics.fmean(usual[key]) if usual[key] else 0
            grown = max(0, own - mean) + reds * SECOND
            growth[key] += grown
            red[key] += reds
            if grown > max(2 * mean, SECOND / 50):
                since.setdefault(key, start)
    candidates = []
    for key, _ in growth.most_common():
        service, kind, _, database = key
        if key in since and not any(candidate["service"] == service for candidate in candidates):
            fault = fault_of(kind, database, red[key])
            candidates.append({"service": service, "fault": fault, "startUnixNano": str(since[key])})
    return {"incident": str(folder.resolve()), "candidates": candidates[:3]}


print(json.dumps([solve(pathlib.Path(folder)) for folder in sys.argv[1:]], indent=1))
