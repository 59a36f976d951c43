"""Reads one trace in the console as a person would, in the system's own Chromium.

    browser_trace.py --url http://127.0.0.1:3005/ --otlp http://127.0.0.1:3006 --literal TEXT --trace-id ID --other-id ID \\
        --span ID --screenshots target/screenshots

The trace has four spans: `POST /buy`, below it `charge` (that span's id) and two called TEXT, one of which failed. `charge` has two log lines with TEXT, one of the millisecond in which it starts, and
a span of the other trace, `POST /buy` as well, whose service is TEXT, links to it. Prints one line for each expectation that does not hold
(`FAILED: ...`) and exits 1, or `OK` and 0.

What it needs from the page: data-testid span-row (data-span-id, data-name), span-details, span-logs, linked-from, log-dot, axis, zoom-in, zoom-all, zoom-span,
part-flame, part-statistics, part-compare, flame-part, statistics-row, compare-pick, compare-side, compare-row, download.
"""

import argparse
import json
import sys

from browser import WIDE, walked
from watched_page import WatchedPage

# Of each log line's dot whether it stands within the bar of its span.
INSIDE = """row => {
    const of = (element, name) => Number(element.style.getPropertyValue(name));
    const bar = row.querySelector('.span-bar');
    const [from, until] = [of(bar, '--from'), of(bar, '--from') + of(bar, '--part')];
    return [...row.querySelectorAll('[data-testid=log-dot]')].map((dot) => of(dot, '--from') >= from - 1e-9 && of(dot, '--from') <= until + 1e-9);
}"""

PHONE = {"width": 390, "height": 844}


class TracePage(WatchedPage):
    """The page of one trace."""

    def walk(self):
        options = self.options
        self.page.goto(f"{options.url}trace/{options.trace_id}#{options.span}")
        self.check_address()
        self.check_logs_and_links()
        self.check_zoom()
        self.check_parts()
        self.check_compare()
        self.check_download()
        self.check_accessibility("a trace with all its parts open")
        # The dark that was chosen where the system is light.
        self.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        self.check_rules("a trace in the dark that was chosen")
        self.page.evaluate("delete document.documentElement.dataset.theme")
        self.page.set_viewport_size(PHONE)
        self.check_width("a trace with all its parts open at 390 px")
        self.screenshot("trace-parts-390x844")
        self.check_accessibility("the same at 390 px")
        self.page.set_viewport_size(WIDE)
        self.check_way_back()
        self.expect(self.page.locator('img[src="x"]').count() == 0, "markup in data became an element")
        self.check_policy()

    def row(self, span):
        return self.page.locator(f'[data-testid="span-row"][data-span-id="{span}"]')

    def details(self):
        return self.by_id("span-details")

    def check_address(self):
        """The address names a span: it is open and has the focus; what is opened next is in the address."""
        self.expect(self.appears(self.details().filter(has_text="charge")), "the span of the address is not open")
        focused = self.polled(lambda: self.row(self.options.span).evaluate("row => row === document.activeElement"), 5_000)
        self.expect(focused, "the span of the address has not the focus")
        self.page.keyboard.press("k")
        self.page.keyboard.press("Enter")
        self.expect(self.appears(self.details().filter(has_text="POST /buy")), "Enter does not open the span above")
        first = self.by_id("span-row").first.get_attribute("data-span-id")
        self.expect(self.page.url.endswith(f"#{first}"), f"what is open is not in the address {self.page.url}")
        self.page.keyboard.press("Escape")
        self.expect("#" not in self.page.url, f"a closed span stays in the address {self.page.url}")
        self.row(self.options.span).click()

    def check_logs_and_links(self):
        self.expect(self.row(self.options.span).locator('[data-testid="log-dot"]').count() == 2, "not two dots for two log lines")
        inside = self.row(self.options.span).evaluate(INSIDE)
        self.expect(inside == [True, True], f"log lines of the span have dots inside its bar: {inside}")
        lines = self.by_id("span-logs").locator('[data-testid="log-line"]')
        self.expect(self.appears(lines) and lines.count() == 2, f"{lines.count()} log lines of the span")
        self.expect(self.options.literal in lines.first.inner_text(), "a log line of the span is not shown as it is")
        linked = self.by_id("linked-from")
        self.expect(self.appears(linked) and self.options.literal in linked.inner_text(), "who links to the span is not shown")
        big = self.details().get_by_text("9007199254740993")
        self.expect(self.appears(big), "a number beyond 2^53 lost its digits")
        self.screenshot("trace-span-open")

    def check_zoom(self):
        """By keys, by a button, by a drag along the axis."""
        zoomed = self.page.locator(".waterfall.zoomed")
        whole = self.by_id("axis").inner_text()
        self.row(self.options.span).focus()
        self.page.keyboard.press("+")
        self.expect(self.appears(zoomed) and self.by_id("axis").inner_text() != whole, "+ does not zoom in")
        self.page.keyboard.press("0")
        self.expect(self.by_id("axis").inner_text() == whole, "0 does not show the whole trace again")
        self.by_id("zoom-span").click()
        self.expect("400 ms" in self.by_id("axis").inner_text(), f"zoomed to the span, the axis says {self.by_id('axis').inner_text()!r}")
        self.by_id("zoom-all").click()
        place = self.by_id("axis").bounding_box()
        middle = place["y"] + place["height"] / 2
        self.page.mouse.move(place["x"] + place["width"] * 0.5, middle)
        self.page.mouse.down()
        self.page.mouse.move(place["x"] + place["width"] * 0.75, middle, steps=3)
        self.page.mouse.up()
        self.expect(self.by_id("axis").inner_text().startswith("500 ms"), f"after a drag the axis says {self.by_id('axis').inner_text()!r}")
        self.by_id("zoom-all").click()

    def open(self, part):
        summary = self.by_id(part).locator("summary")
        summary.focus()
        self.page.keyboard.press("Enter")

    def check_parts(self):
        self.open("part-statistics")
        rows = self.by_id("statistics-row")
        self.expect(self.appears(rows) and rows.count() == 3, f"{rows.count()} rows of statistics")
        both = rows.filter(has_text=self.options.literal).inner_text().split("\t")
        self.expect(both[1:3] == ["2", "1"], f"the statistics of two spans, one failed: {both}")
        self.open("part-flame")
        parts = self.by_id("flame-part")
        self.expect(self.appears(parts) and parts.count() == 3, f"{parts.count()} parts of the flame graph")
        parts.filter(has_text="charge").click()
        focused = self.row(self.options.span).evaluate("row => row === document.activeElement")
        self.expect(focused, "a part of the flame graph does not lead to its span")

    def check_compare(self):
        self.open("part-compare")
        pick = self.by_id("compare-pick")
        other = self.options.other_id
        self.expect(self.polled(lambda: pick.locator(f'option[value="{other}"]').count(), 5_000), "the other trace is not offered")
        pick.select_option(other)
        self.expect(self.appears(self.by_id("compare-side").nth(1)), "the traces do not stand side by side")
        self.expect(self.by_id("compare-row").filter(has_text="charge").get_by_text("not there").count() == 1, "what only one has is not said")
        self.page.reload()
        self.expect(self.appears(self.by_id("compare-side").nth(1)), "the address does not keep the comparison")
        self.open("part-statistics")
        self.open("part-flame")
        self.expect(self.appears(self.by_id("flame-part")), "the flame graph does not open again")

    def check_download(self):
        with self.page.expect_download() as download:
            self.by_id("download").click()
        with open(download.value.path(), encoding="utf-8") as file:
            groups = json.load(file)["resourceSpans"]
        spans = [span for group in groups for scope in group["scopeSpans"] for span in scope["spans"]]
        self.expect(len(spans) == 4, f"{len(spans)} spans in the file")

    def check_way_back(self):
        self.row(self.options.span).click()
        if not self.appears(self.by_id("linked-from")):
            self.row(self.options.span).click()
        link = self.by_id("linked-from").locator("a")
        link.click()
        self.expect(self.appears(self.details().filter(has_text="resume")), "a link from elsewhere does not lead to its span")
        self.expect(f"/trace/{self.options.other_id}#" in self.page.url, f"it led to {self.page.url}")
        forward = self.details().locator(f'a[href="/trace/{self.options.trace_id}#{self.options.span}"]')
        forward.click()
        self.expect(self.appears(self.details().filter(has_text="charge")), "a link does not lead to its span")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--url", "--otlp", "--literal", "--trace-id", "--other-id", "--span", "--screenshots"]:
        parser.add_argument(name, required=True)
    return walked(TracePage, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
