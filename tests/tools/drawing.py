"""Measures how long the console's pages take to draw what they were answered, in the system's own Chromium, with 50,000 spans kept.

    drawing.py --url http://127.0.0.1:3005/ --otlp http://127.0.0.1:4318 [--ui src/console/ui]

Sends spans of the last quarter of an hour, 12 in each trace, of six services with a database and a queue, and of each service a
histogram by route for the charts. Then it opens list, search, map, charts and one trace, each some times. Prints one line of
JSON: of each page the middle of its times in milliseconds, `draw` from the arrival of the last answer to the frame that shows
it, and `task` the longest time for which the page did nothing else. With `--ui` scripts and styles are those of that folder
and not those in the program.

A frame is one of the browser without a graphics card: what is seen on a screen is there sooner.
"""

import argparse
import json
import random
import statistics
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlsplit

from browser import ARGUMENTS, executable
from playwright.sync_api import sync_playwright

SPANS = 50_000
OF_A_TRACE = 12
TRACES_OF_EXPORT = 150
MINUTES = 15
TIMES = 5
SERVICES = ["shop-front", "shop-cart", "shop-stock", "shop-price", "shop-people", "shop-post"]
ROUTES = 8
# Seconds between two points of a series, as the console keeps them.
STEP = 10
BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
TIMEOUT = 60_000

# Notes when answers of the API have come whole, when what they changed is on the screen, and how long tasks were.
WATCH = """
window.arrived = [];
window.drawn = [];
window.tasks = [];
let waiting = false;
new PerformanceObserver((list) => window.arrived.push(...list.getEntries().filter((one) => one.name.includes('/api/')).map((one) => [one.responseEnd, one.name]))).observe({ type: 'resource', buffered: true });
new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    const from = performance.now();
    // The second frame begins when the first one is done.
    requestAnimationFrame(() => requestAnimationFrame(() => {
        waiting = false;
        window.drawn.push([from, performance.now()]);
    }));
}).observe(document, { childList: true, subtree: true, attributes: true, characterData: true });
new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((task) => [task.startTime, task.duration]))).observe({ type: 'longtask', buffered: true });
"""


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


def grouped(kind, scoped, items):
    """A message of one signal: items by service."""
    groups = [{"resource": {"attributes": [text("service.name", name)]}, scoped: [{kind: all_}]} for name, all_ in items.items()]
    return {f"resource{scoped[5:]}": groups}


class Shop:
    """What six services did in a quarter of an hour; the same on every run, but for the time."""

    def __init__(self):
        self.dice = random.Random(1)
        self.now = time.time_ns()
        self.ids = 0

    def new_id(self, digits):
        return f"{self.dice.getrandbits(4 * digits - 1) + 1:0{digits}x}"

    def span(self, trace, parent, start, length, **more):
        return {"traceId": trace, "spanId": self.new_id(16), "parentSpanId": parent, "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + length), **more}

    def trace(self, spans):
        """A request through some of the services, each with calls to the next and to the database."""
        start = self.now - self.dice.randrange(MINUTES * 60 * 10**9)
        length = int(10 ** self.dice.uniform(6, 9.5))
        trace, parent = self.new_id(32), ""
        failed = self.dice.random() < 0.03
        for depth in range(OF_A_TRACE // 3):
            name = SERVICES[0] if depth == 0 else self.dice.choice(SERVICES[1:])
            route = f"/{name}/{self.dice.randrange(ROUTES)}/{{id}}"
            attributes = [text("http.request.method", "GET"), text("http.route", route), text("url.path", route.replace("{id}", str(self.dice.randrange(10_000)))),
                          {"key": "http.response.status_code", "value": {"intValue": 500 if failed else 200}}]
            status = {"code": 2} if failed else {}
            served = self.span(trace, parent, start, length, name=f"GET {route}", kind=2, attributes=attributes, status=status)
            asked = self.span(trace, served["spanId"], start + length // 20, length // 5, name="SELECT things", kind=3, attributes=[
                text("db.system.name", "postgresql"), text("db.namespace", name), text("db.query.text", f"SELECT * FROM things WHERE id = {depth}")])
            called = self.span(trace, served["spanId"], start + length // 3, length // 2, name="GET", kind=3, attributes=attributes[:1], status=status)
            spans.setdefault(name, []).extend([served, asked, called])
            parent, start, length = called["spanId"], start + length // 3 + length // 50, length // 2 - length // 25

    def exports(self):
        for _ in range(SPANS // OF_A_TRACE // TRACES_OF_EXPORT + 1):
            spans = {}
            for _ in range(TRACES_OF_EXPORT):
                self.trace(spans)
            yield "/v1/traces", grouped("spans", "scopeSpans", spans)

    def metrics(self):
        """Of each route how long its requests took so far."""
        counts = {(name, route, status): [0] * (len(BOUNDS) + 1) for name in SERVICES for route in range(ROUTES) for status in (200, 500)}
        start = self.now - MINUTES * 60 * 10**9
        for step in range(MINUTES * 60 // STEP):
            at = start + step * STEP * 10**9
            points = {}
            for (name, route, status), buckets in counts.items():
                if status == 200 or self.dice.random() < 0.1:
                    buckets[self.dice.randrange(2, len(buckets) - 2)] += self.dice.randrange(1, 9)
                attributes = [text("http.request.method", "GET"), text("http.route", f"/{name}/{route}/{{id}}"), {"key": "http.response.status_code", "value": {"intValue": status}}]
                exemplar = {"timeUnixNano": str(at), "asDouble": self.dice.uniform(0.001, 1), "traceId": self.new_id(32), "spanId": self.new_id(16)}
                points.setdefault(name, []).append({"startTimeUnixNano": str(start), "timeUnixNano": str(at), "count": sum(buckets), "bucketCounts": buckets[:], "explicitBounds": BOUNDS,
                                                    "attributes": attributes, "exemplars": [exemplar]})
            histograms = {name: [{"name": "http.server.request.duration", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": all_}}] for name, all_ in points.items()}
            yield "/v1/metrics", grouped("metrics", "scopeMetrics", histograms)


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT / 1_000) as answer:
        said = json.load(answer)
    if said.get("partialSuccess"):
        raise SystemExit(f"drawing.py: {url}: {said}")


def fill(otlp):
    shop = Shop()
    for exports in (shop.exports(), shop.metrics()):
        for path, body in exports:
            post(otlp + path, body)


class Pages:
    """What is measured: a page, and the answers that it draws."""

    def __init__(self, options, browser):
        self.options = options
        self.context = browser.new_context(viewport={"width": 1280, "height": 800})
        self.context.add_init_script(WATCH)
        if options.ui:
            folder = Path(options.ui)
            self.context.route("**/assets/*", lambda route: route.fulfill(path=folder / urlsplit(route.request.url).path.rsplit("/", 1)[1]))
        self.page = None

    def measured(self, path, answers, act=None):
        """Of one opening: milliseconds until all is drawn, and of the longest task after the first answer."""
        self.page = self.context.new_page()
        self.page.set_default_timeout(TIMEOUT)
        self.page.goto(self.options.url.rstrip("/") + path, wait_until="load")
        if act:
            self.settled()
            self.page.evaluate("window.arrived = []; window.drawn = []; window.tasks = []")
            act(self.page)
        self.until("(answers) => answers.every((answer) => window.arrived.some(([, path]) => path.includes(answer)))", answers, path)
        self.settled()
        seen = self.page.evaluate("({arrived: window.arrived, drawn: window.drawn, tasks: window.tasks})")
        self.page.close()
        arrived = [min(at for at, path in seen["arrived"] if answer in path) for answer in answers]
        shown = [min((end for begun, end in seen["drawn"] if begun >= at - 1), default=None) for at in arrived]
        if None in shown:
            raise SystemExit(f"drawing.py: {path}: an answer changed nothing: {seen}")
        draw = max(end - at for at, end in zip(arrived, shown))
        return draw, max((length for at, length in seen["tasks"] if at + length >= min(arrived)), default=0)

    def settled(self):
        """Nothing was drawn for half a second."""
        self.until("window.drawn.length > 0 && performance.now() - window.drawn.at(-1)[1] > 500")

    def until(self, holds, argument=None, what=""):
        """By asking from here: the page's policy lets nothing be evaluated in it."""
        end = time.monotonic() + TIMEOUT / 1_000
        while not self.page.evaluate(holds, argument):
            if time.monotonic() > end:
                raise SystemExit(f"drawing.py: {what}: waited in vain: {self.page.evaluate('window.arrived')}")
            self.page.wait_for_timeout(50)

    def figures(self, trace):
        def search(page):
            page.get_by_test_id("filter-text").first.fill("http.route=/shop-cart/3/{id}")

        summaries = ["limit=100", "points=true"]
        pages = {
            "list": ("/", summaries, None),
            "search": ("/", summaries, search),
            "map": ("/map", ["/api/map"], None),
            "charts": ("/metrics", ["/api/charts"], None),
            "trace": (f"/trace/{trace}", ["/api/view/"], None),
        }
        found = {}
        for name, (path, answers, act) in pages.items():
            times = [self.measured(path, answers, act) for _ in range(TIMES)]
            found[name] = {"draw": round(statistics.median(draw for draw, _ in times), 1), "task": round(statistics.median(task for _, task in times), 1)}
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the console's page")
    parser.add_argument("--otlp", required=True, help="where it takes OTLP over HTTP")
    parser.add_argument("--ui", help="a folder with scripts and styles in the place of the program's")
    parser.add_argument("--filled", action="store_true", help="the spans are there already")
    options = parser.parse_args()
    if not options.filled:
        fill(options.otlp.rstrip("/"))
    with urllib.request.urlopen(options.url.rstrip("/") + "/api/summaries?limit=1&text=" + quote("service=shop-front"), timeout=TIMEOUT / 1_000) as answer:
        trace = json.load(answer)["traces"][0]["traceID"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        found = Pages(options, browser).figures(trace)
        browser.close()
    print(json.dumps(found))
    return 0


sys.exit(main())
