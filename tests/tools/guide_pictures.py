"""Makes the pictures of docs/lab-guide.md, and the map of the README, from a running lab, in the system's own Chromium.

    .tools/venv/bin/python tests/tools/guide_pictures.py --url http://127.0.0.1:3005/ --out docs/guide
    .tools/venv/bin/python tests/tools/guide_pictures.py --url http://127.0.0.1:3005/ --map docs/map.png

Takes each lesson of the guide in the console: begins it, follows its first way to the data, opens the first trace where
that is a list, takes the picture with the question beside the data, and has it solved and repaired. Exits 1 where a
lesson cannot be taken. For the map it sends traffic for a while by the button of the page, and takes it as it is drawn.
"""

import argparse
import os
import sys

from browser import walked
from watched_page import WatchedPage

# The guide's sections, in its order.
LESSONS = [
    "waterfall",
    "slow-hop",
    "slow-query",
    "repeated-call",
    "deep-error",
    "user-outage",
    "retry-storm",
    "database-or-network",
]
SIZE = {"width": 1100, "height": 760}
# The map is whole when the consumer, the last of all, is on it; its figures are of some traffic.
LAST_NODE = "notification-service"
TRAFFIC = 20_000
# Milliseconds: a stage waits for whole traces, a repair for the queue.
STAGE_TIMEOUT = 60_000


class GuidePage(WatchedPage):
    """One lesson after the other."""

    def picture(self, name):
        self.page.goto(self.options.url.rstrip("/") + "/lessons", wait_until="load")
        row = self.page.locator(f'[data-testid="lesson-row"][data-name="{name}"]')
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
        self.page.screenshot(path=os.path.join(self.options.out, f"{name}.png"))
        self.by_id("lesson-solve").click()
        repaired = self.by_id("lesson-said").filter(has_text="Repaired:")
        self.expect(self.appears(repaired, STAGE_TIMEOUT), f"{name}: not repaired")

    def map(self):
        self.by_id("start-traffic").click()
        self.page.wait_for_timeout(TRAFFIC)
        self.by_id("start-traffic").click()
        # The last spans come.
        self.page.wait_for_timeout(3_000)
        self.page.goto(self.options.url.rstrip("/") + "/map", wait_until="load")
        last = self.page.locator(f'[data-testid="map-node"][data-name="{LAST_NODE}"]')
        self.expect(self.appears(last, STAGE_TIMEOUT), "the map is not whole")
        self.page.locator('[data-testid="map"] svg').screenshot(path=self.options.map)

    def walk(self):
        self.page.set_viewport_size(SIZE)
        if self.options.map:
            return self.map()
        for name in LESSONS:
            self.picture(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the console's page")
    pictures = parser.add_mutually_exclusive_group(required=True)
    pictures.add_argument("--out", help="the folder of the guide's pictures")
    pictures.add_argument("--map", metavar="FILE", help="the map instead")
    parser.set_defaults(screenshots=None)
    options = parser.parse_args()
    if options.out:
        os.makedirs(options.out, exist_ok=True)
    return walked(GuidePage, options)


sys.exit(main())
