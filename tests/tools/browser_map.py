"""Reads the console's map, faults and alerts in the system's own Chromium, of whatever the caller has sent there.

    browser_map.py --url http://127.0.0.1:3005/ --screenshots target/screenshots \\
        --expect-node order-service --expect-edge "api-gateway|order-service" --expect-literal '<img src=x>'

Prints one line for each expectation that does not hold (`FAILED: ...`) and exits 1, or `OK` and 0.

What it needs from the page: data-testid map with map-node (data-name, data-marks) and map-edge (data-from, data-to), which
are links, map-label of their words, map-edge-row and map-node-row of its tables; fault-active; alert-row (data-name, data-state) with alert-runbook,
alert-traces and runbook; trace-row where a link of the map leads.
"""

import argparse
import sys

from browser import walked
from page_looks import check_overlaps
from watched_page import WatchedPage

LOADED = 20_000


class MapPage(WatchedPage):
    """The map, then what is marked on it."""

    def node(self, name):
        return self.attributed("map-node", data_name=name)

    def edge(self, start, end):
        return self.attributed("map-edge", data_from=start, data_to=end)

    def attributed(self, test_id, **wanted):
        """By comparing here: a name may hold quotes."""
        wanted = {key.replace("_", "-"): value for key, value in wanted.items()}
        for found in self.by_id(test_id).all():
            if all(found.get_attribute(key) == value for key, value in wanted.items()):
                return found
        return None

    def map(self):
        self.page.evaluate("document.activeElement.blur()")
        self.page.keyboard.press("7")
        if not self.expect(self.appears(self.by_id("map-node"), LOADED), "no map behind key 7"):
            return self.screenshot("missing-map")
        for name in self.options.expect_node:
            self.expect(self.polled(lambda name=name: self.node(name), LOADED), f"no node {name!r}")
        for pair in self.options.expect_edge:
            start, _, end = pair.partition("|")
            shown = self.polled(lambda start=start, end=end: self.edge(start, end), LOADED)
            self.expect(shown, f"no edge from {start!r} to {end!r}")
        drawn = [self.by_id(kind).count() for kind in ("map-node", "map-edge")]
        told = [self.by_id(kind).count() for kind in ("map-node-row", "map-edge-row")]
        self.expect(drawn[0] == told[0] and drawn[1] <= told[1], f"the tables tell {told}, drawn are {drawn}")
        for name in self.options.expect_mark:
            service, _, mark = name.partition("|")
            marked = self.polled(lambda s=service, m=mark: m in (self.node(s).get_attribute("data-marks") or ""), LOADED)
            self.expect(marked, f"{service} is not marked with {mark!r}")
        self.labels()
        self.screenshot("map-1280x800")
        self.check_sizes("map")
        self.literals("the map")

    def labels(self):
        """What stands at the edges lies on nothing, and says calls."""
        label = '[data-testid="map-label"]'
        self.expect(self.by_id("map-label").count() > 2, f"{self.by_id('map-label').count()} edges have words")
        check_overlaps(self, "the words of edges", f"{label} rect")
        check_overlaps(self, "the words of edges on nodes", f"{label} rect", '[data-testid="map-node"] rect, .node .mark')
        for words in self.by_id("map-label").all_text_contents():
            self.expect(" call" in words, f"an edge says {words!r}")

    def follow(self):
        """By the keyboard from an edge to its traces."""
        start, _, end = self.options.expect_edge[0].partition("|")
        for _ in range(80):
            at = self.page.evaluate("[document.activeElement.dataset?.from, document.activeElement.dataset?.to]")
            if at == [start, end]:
                break
            self.page.keyboard.press("Tab")
        else:
            return self.expect(False, f"Tab does not reach the edge from {start} to {end}")
        self.page.keyboard.press("Enter")
        self.expect(self.appears(self.by_id("trace-row"), LOADED), "an edge does not lead to its traces")
        self.page.go_back()
        return self.expect(self.appears(self.by_id("map-node"), LOADED), "back does not lead to the map")

    def literals(self, where):
        self.expect(self.page.locator('img[src="x"]').count() == 0, f"{where}: markup in data became an element")

    def faults(self):
        self.page.keyboard.press("6")
        shown = self.polled(lambda: self.by_id("fault-active").count(), LOADED)
        if self.expect(shown, "no active fault"):
            text = self.page.inner_text("main")
            for literal in self.options.expect_literal:
                self.expect(literal in text, f"the faults do not show {literal!r} as it is")
        self.check_sizes("faults-hostile")
        self.literals("the faults")

    def alerts(self):
        self.page.keyboard.press("8")
        rows = self.by_id("alert-row")
        if not self.expect(self.appears(rows, LOADED), "no alert behind key 8"):
            return self.screenshot("missing-alerts")
        text = self.page.inner_text("main")
        for literal in self.options.expect_literal:
            self.expect(literal in text, f"the alerts do not show {literal!r} as it is")
        budgets = self.by_id("budget-row").all_inner_texts()
        self.expect(any("50 %" in row for row in budgets), f"half a budget that is left is not said: {budgets}")
        self.expect(any("used up 114 times over" in row for row in budgets), f"an overspent budget is not said so: {budgets}")
        self.by_id("alert-runbook").first.focus()
        self.page.keyboard.press("Enter")
        self.expect(self.appears(self.by_id("runbook").locator("h4")), "the runbook is not rendered")
        self.literals("the runbook")
        links = self.by_id("runbook").locator("a").evaluate_all("all => all.map((a) => a.protocol)")
        self.expect(all(link in ("http:", "https:") for link in links), f"links of the runbook: {links}")
        self.screenshot("alerts-1280x800")
        self.check_sizes("alerts")
        self.by_id("alert-traces").first.click()
        self.expect(self.appears(self.by_id("filter-service")), "an alert does not lead to the traces")

    def words(self):
        """A word is explained by pointing at it, and the help has all of them; both schemes can be chosen."""
        grounds = []
        for _ in range(3):
            grounds.append(self.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
            self.page.locator("#theme").click()
        self.expect(len(set(grounds)) == 2, f"the button changes no colours: {grounds}")
        self.page.locator("#theme").click()
        chosen = self.page.evaluate("document.documentElement.dataset.theme")
        self.page.reload()
        kept = self.page.evaluate("document.documentElement.dataset.theme")
        self.expect(chosen == "light" and kept == chosen, f"the choice {chosen} is not kept: {kept}")
        self.page.keyboard.press("?")
        self.expect(self.appears(self.page.locator("dialog[open] dt", has_text="burn rate")), "the help has no words")
        self.page.keyboard.press("Escape")

    def walk(self):
        self.map()
        if self.options.expect_edge:
            self.follow()
        if self.options.full:
            self.words()
            self.faults()
            self.alerts()
        self.check_policy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--url", "--screenshots"]:
        parser.add_argument(name, required=True)
    for name in ["node", "edge", "mark", "literal"]:
        parser.add_argument(f"--expect-{name}", action="append", default=[])
    parser.add_argument("--full", action="store_true", help="the faults, the alerts, words and colours too")
    return walked(MapPage, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
