"""Looks at each of the console's pages over a slow line and in a browser at 80 %, in the system's own Chromium.

    browser_slow.py --url http://127.0.0.1:3005/ --trace-id ID --screenshots target/screenshots

The lab has served an order, whose trace has that id. Prints one line for each expectation that does not hold (`FAILED: ...`)
and exits 1, or `OK` and 0.

What it needs from the page: data-testid trace-row, log-line, service-card, chart-panel, lesson-row, fault-row, map-node, span-row;
#main, and the views behind the keys 1 to 8.
"""

import argparse
import sys

from browser import walked
from page_looks import check_pressed
from watched_page import WatchedPage

# What stands on the page behind a key when its answer has come.
PAGES = {
    "1": "trace-row",
    "2": "log-line",
    "3": "service-card",
    "4": "chart-panel",
    "5": "lesson-row",
    "6": "fault-row",
    "7": "map-node",
    "8": None,
}
# A telephone far from its mast: milliseconds of delay, bytes a second.
SLOW = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 25_000}
# What a window of 1280 by 800 has at 80 %: more fits in.
ZOOMED = {"width": 1600, "height": 1000}
# Milliseconds: scripts and styles have to come too.
LOADED = 60_000
WRONG = ["does not answer", "Not updated", "Not loaded"]


class SlowPage(WatchedPage):
    """Every page comes whole, however slowly, and nothing on it is called lost meanwhile."""

    def open_page(self):
        page = self.context.new_page()
        protocol = self.context.new_cdp_session(page)
        protocol.send("Network.enable")
        protocol.send("Network.emulateNetworkConditions", SLOW)
        page.set_viewport_size(ZOOMED)
        page.set_default_timeout(LOADED)
        page.on("pageerror", lambda error: self.failures.append(f"script error on the page: {error}"))
        page.on("console", self.on_console)
        page.goto(self.options.url, wait_until="load")
        return page

    def whole(self, what, marker):
        shown = self.appears(self.by_id(marker) if marker else self.page.locator("#main .empty"), LOADED)
        self.expect(shown, f"{what} does not come over a slow line")
        text = self.page.inner_text("#main")
        self.expect(not any(word in text for word in WRONG), f"{what} over a slow line says {text[:200]!r}")
        self.check_width(f"{what} at 80 %")
        check_pressed(self, f"{what} at 80 %")
        self.screenshot(f"slow-{what.replace(' ', '-')}")

    def walk(self):
        for key, marker in PAGES.items():
            self.page.evaluate("document.activeElement.blur()")
            self.page.keyboard.press(key)
            self.expect(self.polled(lambda: self.page.inner_text("#main").strip(), 2_000), f"the page behind {key} is blank while it is on its way")
            self.whole(f"the page behind {key}", marker)
        self.page.goto(f"{self.options.url.rstrip('/')}/trace/{self.options.trace_id}", wait_until="commit")
        self.whole("a trace", "span-row")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--url", "--trace-id", "--screenshots"]:
        parser.add_argument(name, required=True)
    return walked(SlowPage, parser.parse_args())


sys.exit(main())
