"""Makes the pictures of docs/lab-guide.md from a running lab, in the system's own Chromium.

    .tools/venv/bin/python tests/tools/guide_pictures.py --url http://127.0.0.1:3005/ --out docs/guide

Takes each lesson of the guide in the console: begins it, follows its first way to the data, opens the first trace where
that is a list, takes the picture with the question beside the data, and has it solved and repaired. Exits 1 where a
lesson cannot be taken.
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

    def walk(self):
        self.page.set_viewport_size(SIZE)
        for name in LESSONS:
            self.picture(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the console's page")
    parser.add_argument("--out", required=True, help="the folder of the pictures")
    parser.set_defaults(screenshots=None)
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    return walked(GuidePage, options)


sys.exit(main())
