"""Looks at the console's metrics as a person would, in the system's own Chromium.

    browser_metrics.py --url http://127.0.0.1:3005/ --service SERVICE --metric NAME --trace-id ID --literal TEXT \\
        --screenshots target/screenshots

The metric, a histogram, has one exemplar, of the trace with that id. TEXT is an attribute's value that must be shown
as it is. Prints one line for each expectation that does not hold (`FAILED: ...`) and exits 1, or `OK` and 0.

What it needs from the page: data-testid metric-row (data-name, data-service), metric-series, exemplar (data-trace-id).
"""

import argparse
import sys

from browser import NARROW, WIDE, walked
from watched_page import WatchedPage


class MetricsPage(WatchedPage):
    """A list of metrics, the charts of one, and the way from a dot to its trace."""

    def row(self):
        own = f'[data-name="{self.options.metric}"][data-service="{self.options.service}"]'
        return self.page.locator(f'[data-testid="metric-row"]{own}')

    def walk(self):
        self.page.keyboard.press("4")
        if not self.expect(self.appears(self.row()), "no row for the metric behind key 4"):
            return self.screenshot("missing-metric")
        self.check_filters()
        self.page.keyboard.press("j")
        self.expect(self.row().evaluate("row => row === document.activeElement"), "j does not reach the metric's row")
        self.page.keyboard.press("Enter")
        self.check_chart()
        self.screenshot("metrics-1280x800")
        self.check_accessibility("a metric")
        self.page.set_viewport_size(NARROW)
        self.check_width("a metric at 375 px")
        self.screenshot("metrics-375x800")
        self.page.set_viewport_size(WIDE)
        self.page.locator('nav a[data-view="services"]').click()
        card = self.page.locator(f'[data-testid="service-card"][data-service="{self.options.service}"]')
        self.expect(self.appears(card), "the services do not show who sent the metric")
        self.check_sizes("services that are not of the lab")
        self.page.go_back()
        self.expect(self.appears(self.by_id("exemplar")), "back does not lead to the metric")
        self.by_id("exemplar").first.focus()
        self.page.keyboard.press("Enter")
        self.expect(self.appears(self.by_id("span-row")), "Enter on the exemplar does not open its trace")
        self.expect(f"/trace/{self.options.trace_id}#" in self.page.url, f"the exemplar led to {self.page.url}")
        self.check_policy()

    def check_filters(self):
        text = self.by_id("filter-text").first
        text.fill("nothing-has-this-text")
        self.expect(self.disappears(self.row()), "a text that nothing has leaves the metric in the list")
        text.fill(self.options.metric)
        self.expect(self.appears(self.row()), "its own name does not find the metric")
        self.by_id("filter-service").first.select_option(self.options.service)
        self.expect(self.appears(self.row()), "its own service does not find the metric")
        self.page.evaluate("document.activeElement.blur()")

    def check_chart(self):
        series = self.by_id("metric-series").first
        if not self.expect(self.appears(series), "no series of the chosen metric"):
            return
        label = series.locator("svg").get_attribute("aria-label")
        self.expect("points" in label and "p95" in label, f"the chart says only {label!r} to who cannot see it")
        dot = self.by_id("exemplar").first
        said = dot.get_attribute("aria-label")
        self.expect(self.options.trace_id in said, f"the exemplar says only {said!r}")
        self.expect(series.locator("svg polyline").count() == 3, "there are not three lines, p50, p95 and p99")
        self.expect(self.options.literal in series.inner_text(), f"{self.options.literal!r} is not shown as it is")
        self.expect("false" not in self.page.locator("main").inner_text(), "the page shows a value of its own code")
        series.locator("summary").click()
        self.expect(self.appears(series.locator("table")), "the series has no table")
        series.locator("summary").click()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--url", "--service", "--metric", "--trace-id", "--literal", "--screenshots"]:
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    return walked(MetricsPage, options)


sys.exit(main())
