"""Looks at the console's charts and log lines as a person would, in the system's own Chromium.

    browser_board.py --url http://127.0.0.1:3005/ --service SERVICE --trace-id ID --literal TEXT --screenshots target/screenshots

The service sent requests of one route, named TEXT, with an exemplar of the trace with that id and a fault set meanwhile; the
gateway served and failed some, slower than its last bound. The service sent log lines too of one minute, the last but
one of which has a field `shelf` with TEXT and the name of an event, `book.sold`; another line is of a service with a long name. Prints one line for each expectation that does
not hold (`FAILED: ...`) and exits 1, or `OK` and 0.

What it needs from the page: data-testid chart-panel (data-panel), exemplar (data-trace-id), span-row, chart-values, chart-moment, moments, log-line, log-bar,
log-around, log-all, column-chip, log-column, filter-service, filter-since.
"""

import argparse
import sys

from browser import NARROW, WIDE, walked
from page_looks import check_charts, check_overlaps
from watched_page import WatchedPage


# The service of another line.
LONG_NAME = "a-service-with-a-name-that-is-too-long-for-a-line"


class BoardPage(WatchedPage):
    """The charts of all services, then the lines."""

    def walk(self):
        self.page.keyboard.press("4")
        requests = self.page.locator('[data-testid="chart-panel"][data-panel="requests"]')
        if not self.expect(self.appears(requests), "no chart of requests"):
            return self.screenshot("missing-chart")
        self.read_values(requests)
        self.read_percentiles()
        self.read_budget()
        self.expect(self.by_id("chart-moment").count() > 0, "the fault is no line in the charts")
        said = self.by_id("moments").inner_text()
        self.expect("fault set latency" in said, f"the fault is not told in words: {said!r}")
        self.by_id("filter-service").first.select_option(self.options.service)
        literal = requests.get_by_text(f"GET {self.options.literal}")
        self.expect(self.appears(literal), "a chosen service has no line for its route")
        self.check_sizes("charts of a service")
        self.screenshot("charts-1280x800")
        self.page.set_viewport_size(NARROW)
        self.check_width("the charts at 375 px")
        self.page.set_viewport_size(WIDE)
        check_charts(self)
        self.read_lines()
        self.check_policy()

    def read_values(self, panel):
        panel.locator(".plot").focus()
        self.page.keyboard.press("ArrowLeft")
        values = panel.get_by_test_id("chart-values")
        self.expect(self.appears(values), "the arrow keys show no values")
        found = self.polled(lambda: self.earlier(values), 5_000)
        self.expect(found, f"no step has a value of the service: {values.inner_text()!r}")
        self.page.keyboard.press("Escape")
        self.expect(self.disappears(values), "Escape does not take the values away")

    def panel(self, name):
        return self.page.locator(f'[data-testid="chart-panel"][data-panel="{name}"]')

    def read_percentiles(self):
        """Three lines of each service, each value a bound, and the way from a dot to its trace."""
        panel = self.panel("latency")
        keys = panel.locator(".legend .key").all_inner_texts()
        self.expect(keys == ["p50", "p95", "p99", "api-gateway", self.options.service], f"the legend says {keys}")
        self.expect(panel.locator("svg polyline").count() == 6, "there are not three lines of each service")
        label = panel.locator("svg").get_attribute("aria-label")
        self.expect("p95 · api-gateway > 100 ms" in label, f"beyond the last bound the chart says {label!r}")
        self.expect(f"p99 · {self.options.service} ≤ 100 ms" in label, f"of a bound the chart says {label!r}")
        dot = panel.locator(f'[data-testid="exemplar"][data-trace-id="{self.options.trace_id}"]')
        if not self.expect(dot.count() == 1, f"{dot.count()} dots of the exemplar"):
            return
        dot.click()
        self.expect(self.appears(self.by_id("span-row")), "a click on the dot does not open its trace")
        self.page.go_back()
        self.expect(self.appears(self.panel("latency")), "back does not lead to the charts")

    def read_budget(self):
        budget = self.panel("budget")
        about = budget.locator(".note").first.inner_text()
        self.expect("of data kept here" in about and "over 30 days" in about, f"the budget is said to be {about!r}")
        label = budget.locator("svg").get_attribute("aria-label")
        # One of 401 failed, where one of 200 may.
        self.expect("api-gateway 50.1 %" in label, f"of the budget the chart says {label!r}")

    def earlier(self, values):
        if self.options.service in values.inner_text():
            return True
        self.page.keyboard.press("ArrowLeft")
        return False

    def read_lines(self):
        self.page.evaluate("document.activeElement.blur()")
        self.page.keyboard.press("2")
        lines = self.by_id("log-line")
        if not self.expect(self.appears(lines), "no log lines"):
            return
        self.expect(self.appears(lines.get_by_text("book.sold")), "the name of the event is not shown")
        self.check_sizes("log lines")
        check_overlaps(self, "log lines", ".log .chip", ".log .text")
        long = lines.get_by_title(LONG_NAME)
        cut = long.evaluate("chip => chip.scrollWidth > chip.clientWidth && getComputedStyle(chip).textOverflow")
        self.expect(cut == "ellipsis", f"a name that is too long ends with no ellipsis: {cut}")
        lines.get_by_role("button", name="shelf=").first.click()
        self.expect(self.appears(self.by_id("column-chip")), "a field that is clicked is no column")
        column = self.by_id("log-column").get_by_text(self.options.literal, exact=True)
        self.expect(self.appears(column), "the column does not show the value as it is")
        self.page.set_viewport_size(NARROW)
        self.check_width("the lines at 375 px")
        self.page.set_viewport_size(WIDE)
        self.screenshot("logs-1280x800")
        self.by_id("log-around").first.click()
        chosen = self.page.locator('[data-testid="log-line"][aria-current]')
        self.expect(self.appears(chosen), "no line is marked among its neighbours")
        self.page.keyboard.press("Escape")
        bar = self.by_id("log-bar")
        self.expect(self.appears(bar), "there is no histogram of the lines")
        bar.last.click()
        self.expect("since=" in self.page.url and "until=" in self.page.url, f"a bar is no time range: {self.page.url}")
        self.expect(self.appears(lines), "no line lies in the time of the bar")
        self.by_id("column-chip").click()
        self.expect(self.disappears(self.by_id("column-chip")), "the column stays")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--url", "--service", "--trace-id", "--literal", "--screenshots"]:
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    return walked(BoardPage, options)


sys.exit(main())
