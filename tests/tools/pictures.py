"""Makes every picture of README and docs, each of a running lab, in the system's own Chromium.

    .tools/venv/bin/python tests/tools/pictures.py --program target/release/o11y-lab [--out docs] [--only console,map]

Starts a lab of its own on free ports with an empty data folder, and stops it at the end. The console: the trace of an order,
with its log lines. The map: after some traffic, as it is drawn. The guide: each lesson is begun, its first way to the data
followed, the first trace opened where that is a list, the picture taken with the question beside the data, and it is solved and
repaired. Prints what it made with its size. Exits 1 where a picture cannot be made. `make pictures` runs it.
"""

import argparse
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from browser import walked
from watched_page import WatchedPage

# Below docs, in the order in which they are made; those of the guide are its sections.
PICTURES = [
    "console",
    "map",
    "guide/waterfall",
    "guide/slow-hop",
    "guide/slow-query",
    "guide/repeated-call",
    "guide/deep-error",
    "guide/user-outage",
    "guide/retry-storm",
    "guide/database-or-network",
]
WIDE = {"width": 1280, "height": 945}
SIZE = {"width": 1100, "height": 760}
# The map is whole when the consumer, the last of all, is on it; its figures are of some traffic.
LAST_NODE = "notification-service"
TRAFFIC = 20_000
# The spans of an order, down to the notification.
SPANS = 12
# Milliseconds: a stage waits for whole traces, a repair for the queue.
STAGE_TIMEOUT = 60_000
# Seconds.
READY_WITHIN = 60
STOPPED_WITHIN = 60
# As many ports as a lab has.
PORTS = 10


class PicturedPage(WatchedPage):
    """One picture after the other."""

    def save(self, name, of):
        path = Path(self.options.out) / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        of.screenshot(path=path)
        print(f"{path}: {path.stat().st_size // 1024} KiB", flush=True)

    def goto(self, path):
        self.page.goto(self.options.url.rstrip("/") + path, wait_until="load")

    def console(self, name):
        """Of the second order: the first one meets a lab that has only just been started."""
        for _ in range(2):
            self.goto("/")
            self.by_id("start-order").click()
            trace = self.by_id("start-trace")
            if not self.expect(self.appears(trace, STAGE_TIMEOUT), f"{name}: no trace of the order"):
                return
            address = trace.get_attribute("href")
        for _ in range(STAGE_TIMEOUT // 1_000):
            self.goto(address)
            self.appears(self.by_id("span-row"))
            if self.by_id("span-row").count() == SPANS:
                break
            self.page.wait_for_timeout(1_000)
        self.expect(self.by_id("span-row").count() == SPANS, f"{name}: the trace is not whole")
        self.expect(self.appears(self.by_id("log-line")), f"{name}: no log lines")
        self.page.set_viewport_size(WIDE)
        self.save(name, self.page)
        self.page.set_viewport_size(SIZE)

    def map(self, name):
        self.goto("/")
        self.by_id("start-traffic").click()
        self.page.wait_for_timeout(TRAFFIC)
        self.by_id("start-traffic").click()
        # The last spans come.
        self.page.wait_for_timeout(3_000)
        self.goto("/map")
        last = self.page.locator(f'[data-testid="map-node"][data-name="{LAST_NODE}"]')
        self.expect(self.appears(last, STAGE_TIMEOUT), f"{name}: the map is not whole")
        # Held as it is: it would be drawn anew while the picture is taken, once a second at most.
        self.page.keyboard.press("p")
        self.page.wait_for_timeout(3_000)
        self.save(name, self.page.locator('[data-testid="map"] svg'))

    def lesson(self, name):
        lesson = name.removeprefix("guide/")
        self.goto("/lessons")
        row = self.page.locator(f'[data-testid="lesson-row"][data-name="{lesson}"]')
        self.appears(row)
        row.get_by_test_id("lesson-start").click()
        look = self.by_id("lesson-look").first
        if not self.expect(self.appears(look, STAGE_TIMEOUT), f"{name}: no way to the data"):
            return
        look.click()
        if self.appears(self.by_id("trace-row"), 5_000):
            self.by_id("trace-row").first.click()
        self.expect(self.appears(self.by_id("span-row")), f"{name}: no trace")
        self.page.evaluate("document.activeElement.blur()")
        self.save(name, self.page)
        self.by_id("lesson-solve").click()
        repaired = self.by_id("lesson-said").filter(has_text="Repaired:")
        self.expect(self.appears(repaired, STAGE_TIMEOUT), f"{name}: not repaired")

    def walk(self):
        self.page.set_viewport_size(SIZE)
        for name in self.options.only:
            make = {"console": self.console, "map": self.map}.get(name, self.lesson)
            make(name)


def free_base():
    """The first of some free ports in a row."""
    for _ in range(100):
        base = random.randrange(20_000, 30_000, PORTS)
        with contextlib.suppress(OSError), contextlib.ExitStack() as taken:
            for port in range(base, base + PORTS):
                taken.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base
    raise SystemExit("pictures.py: no free ports")


def is_ready(url):
    try:
        with urllib.request.urlopen(f"{url}/api/overview", timeout=2) as answer:
            return all(service["up"] for service in json.load(answer)["services"])
    except OSError:
        return False


@contextlib.contextmanager
def lab(program):
    """The page of a lab that runs meanwhile."""
    base = free_base()
    url = f"http://127.0.0.1:{base + 5}"
    with tempfile.TemporaryDirectory() as data:
        # It ends with its standard input, too: whatever becomes of this program.
        command = [program, "up", "--port-base", str(base), "--data-dir", data]
        up = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + READY_WITHIN
            while not is_ready(url):
                if time.monotonic() > until or up.poll() is not None:
                    raise SystemExit(f"pictures.py: the lab is not ready: {' '.join(command)}")
                time.sleep(0.2)
            yield url
        finally:
            up.terminate()
            up.wait(STOPPED_WITHIN)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="o11y-lab")
    parser.add_argument("--out", default="docs", help="the folder of the pictures")
    parser.add_argument("--only", default=",".join(PICTURES), help="some of them, with commas")
    parser.set_defaults(screenshots=None)
    options = parser.parse_args()
    options.only = options.only.split(",")
    unknown = [name for name in options.only if name not in PICTURES]
    if unknown:
        parser.error(f"no such picture: {', '.join(unknown)}")
    with lab(os.path.abspath(options.program)) as options.url:
        return walked(PicturedPage, options)


sys.exit(main())
