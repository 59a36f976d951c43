"""Looks at the console as a person would, in the system's own Chromium, and checks what it shows.

    browser.py --url http://127.0.0.1:3005/ --trace-id ID --order-path "POST /api/orders" \\
        --expect-span "api-gateway|POST /api/orders" --expect-span "order-service|POST /orders" \\
        --expect-log "Order created" --expect-literal '<img src=x onerror=alert(1)>' \\
        --check-filters --screenshots target/screenshots

Prints `READY` when the page is open; only then should the caller make the trace with that id, for
its row has to appear without a reload. Then one line for each expectation that does not hold
(`FAILED: ...`) and exit code 1, or `OK` and 0; 2 where it cannot run at all.

What it needs from the page is a handful of `data-testid` attributes, not its markup:

    trace-row (data-trace-id)   span-row (data-service, data-name, data-span-id)
    span-details   log-line   filter-service   filter-text

A trace row opens its trace by a click; a span row shows its details by a click, and by Enter
where it has the focus.
"""

import argparse
import os
import shutil
import sys

from page_numbers import check_numbers
from playwright.sync_api import Error, sync_playwright
from watched_page import WIDE, WatchedPage

# The same names as has_browser in scripts/provision.
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
NARROW = {"width": 375, "height": 800}
# Milliseconds. The trace has to travel through export batches and the queue first.
TRACE_TIMEOUT = 30_000


class ConsolePage(WatchedPage):
    """What the console must show of one trace."""

    def trace_row(self):
        return self.page.locator(f'[data-testid="trace-row"][data-trace-id="{self.options.trace_id}"]')

    def span_row(self, service, name):
        """The row of a span; compared here rather than by a selector, since a name may hold quotes."""
        for row in self.by_id("span-row").all():
            if (row.get_attribute("data-service"), row.get_attribute("data-name")) == (service, name):
                return row
        return None

    def check_row_appears(self):
        self.expect(self.trace_row().count() == 0, "the trace was there before it was made")
        print("READY", flush=True)
        shown = self.appears(self.trace_row(), TRACE_TIMEOUT)
        if self.expect(shown, f"no row for trace {self.options.trace_id} without a reload"):
            # The root span may come last; until then the row says so and has another name.
            named = self.appears(self.trace_row().filter(has_text=self.options.order_path), TRACE_TIMEOUT)
            self.expect(named, f"the trace's row does not name {self.options.order_path!r}")
        return shown

    def check_filters(self):
        """Nothing matches, everything matches again; one service of the trace still matches."""
        text = self.by_id("filter-text").first
        text.fill("nothing-has-this-text")
        gone = self.disappears(self.trace_row())
        self.expect(gone, "filter-text: a text that nothing has leaves the trace's row in the list")
        text.fill("")
        self.expect(
            self.appears(self.trace_row()), "filter-text: emptied, the trace's row does not come back"
        )
        if self.options.expect_span:
            service = self.options.expect_span[0].split("|", 1)[0]
            choice = self.by_id("filter-service").first
            choice.select_option(service)
            shown = self.appears(self.trace_row())
            self.expect(shown, f"filter-service: {service} hides a trace it is part of")
            choice.select_option(index=0)
            self.expect(
                self.appears(self.trace_row()), "filter-service: its first choice is not every service"
            )

    def check_keyboard(self):
        """From the list into the trace and back without a mouse; help opens and closes."""
        # A key that is pressed in a field belongs to the field.
        self.page.evaluate("document.activeElement.blur()")
        self.page.keyboard.press("/")
        self.expect(self.has_focus(self.by_id("filter-text")), "/ does not lead to the text filter")
        self.page.keyboard.press("Escape")
        # Further traces may arrive above it and shift the rows between two presses: then it is passed,
        # and found on the way back.
        for key in ["j", "k", "j"]:
            for _ in range(self.by_id("trace-row").count() + 20):
                if self.has_focus(self.trace_row()):
                    break
                self.page.keyboard.press(key)
        focused = self.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        self.expect(self.has_focus(self.trace_row()), f"j does not reach the trace's row but {focused}")
        self.page.keyboard.press("Enter")
        opened = self.appears(self.by_id("span-row"))
        self.expect(opened, "Enter on the trace's row does not open the trace")
        self.page.keyboard.press("?")
        self.expect(self.appears(self.page.locator("dialog[open]")), "? does not open the help")
        self.page.keyboard.press("Escape")
        self.expect(self.disappears(self.page.locator("dialog[open]")), "Escape does not close the help")
        self.page.keyboard.press("Escape")
        self.expect(self.appears(self.trace_row()), "Escape does not lead back to the list")

    def has_focus(self, locator):
        return locator.first.evaluate("element => element.contains(document.activeElement)")

    def check_waterfall(self):
        for expected in self.options.expect_span:
            service, _, name = expected.partition("|")
            shown = self.polled(
                lambda service=service, name=name: self.span_row(service, name), TRACE_TIMEOUT
            )
            if self.expect(shown, f"no span {name!r} of {service} in the waterfall"):
                self.expect(name in shown.inner_text(), f"the row of span {name!r} does not show its name")

    def check_logs(self):
        for text in self.options.expect_log:
            shown = self.appears(self.by_id("log-line").filter(has_text=text), TRACE_TIMEOUT)
            self.expect(shown, f"no log line with {text!r}")

    def check_log_rows(self):
        """On a narrower window a line's service stands beside its message, and the message is not cut into two."""
        for width in (1100, 900):
            self.page.set_viewport_size({"width": width, "height": 800})
            for line in self.by_id("log-line").all():
                whole = line.evaluate(
                    """line => {
                        const message = line.querySelector(".message").getClientRects();
                        const chip = line.querySelector(".chip").getBoundingClientRect();
                        return message.length === 1 && Math.abs(message[0].top - chip.top) < 12;
                    }"""
                )
                self.expect(whole, f"at {width} px a log line is torn: {line.inner_text()!r}")
        self.page.set_viewport_size(WIDE)

    def check_details(self):
        """By click on one span, by the keyboard on another."""
        rows = self.by_id("span-row").all()
        if not self.expect(len(rows) > 1, f"{len(rows)} span rows, too few to look at details"):
            return
        rows[0].click()
        self.expect_details(rows[0], "a click")
        last = rows[-1]
        last.focus()
        focused = last.evaluate("row => row.contains(document.activeElement)")
        if not focused:
            inner = last.locator("button, a[href], [tabindex]").first
            if self.expect(inner.count(), "a span row cannot have the keyboard's focus"):
                inner.focus()
        self.page.keyboard.press("Enter")
        self.expect_details(last, "Enter")

    def expect_details(self, row, how):
        name = row.get_attribute("data-name")
        details = self.by_id("span-details").filter(has_text=name)
        self.expect(self.appears(details), f"{how} on span {name!r} does not show its details")

    def check_literals(self):
        """Hostile text is looked for on the page first, then in the details of one span after another."""
        for text in self.options.expect_literal:
            shown = self.appears(self.page.get_by_text(text).first, 1_000)
            for row in [] if shown else self.by_id("span-row").all():
                row.click()
                shown = self.appears(self.by_id("span-details").filter(has_text=text), 500)
                if shown:
                    break
            self.expect(shown, f"the text {text!r} is not shown as it is")
        self.expect(self.page.locator('img[src="x"]').count() == 0, "markup in data became an element")

    def walk(self):
        """From the list to a span's details, then the same on a telephone's screen."""
        if not self.check_row_appears():
            return self.screenshot("missing-trace")
        self.screenshot("traces-1280x800")
        check_numbers(self)
        if self.options.check_filters:
            self.check_filters()
        self.check_keyboard()
        self.trace_row().first.click()
        self.check_waterfall()
        self.check_logs()
        self.check_log_rows()
        self.check_details()
        self.check_literals()
        self.screenshot("trace-1280x800")
        self.page.set_viewport_size(NARROW)
        self.check_width("an open trace at 375 px")
        self.screenshot("trace-375x800")
        self.check_policy()
        self.page.close()
        self.page = self.open_page()
        self.page.set_viewport_size(NARROW)
        self.expect(self.appears(self.trace_row()), "opened afresh, the page does not list the trace")
        self.check_width("the list at 375 px")
        self.screenshot("traces-375x800")
        self.check_policy()


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True, help="the console's page")
    parser.add_argument("--trace-id", required=True, help="the trace that will be made")
    parser.add_argument("--order-path", default="POST /api/orders", help="what the trace's row names")
    parser.add_argument("--expect-span", action="append", default=[], metavar="SERVICE|NAME")
    parser.add_argument("--expect-log", action="append", default=[], metavar="TEXT")
    parser.add_argument("--expect-literal", action="append", default=[], metavar="TEXT")
    parser.add_argument("--check-filters", action="store_true", help="try filter-text and filter-service")
    parser.add_argument("--screenshots", metavar="FOLDER", help="made where it does not exist")
    return parser.parse_args()


def executable():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        print("browser.py: no Chromium or Chrome on the PATH; run scripts/provision", file=sys.stderr)
        sys.exit(2)
    return found


def main():
    options = arguments()
    return walked(ConsolePage, options)


def walked(new_page, options):
    """Walks through a page of the console, prints what does not hold, and returns the exit code."""
    if options.screenshots:
        os.makedirs(options.screenshots, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
        failures = []
        try:
            page = new_page(options, chromium.new_context(viewport=WIDE))
            failures = page.failures
            page.walk()
        except Error as error:
            failures.append(f"the page could not be used: {' | '.join(line.strip() for line in str(error).splitlines()[:12])}")
        finally:
            chromium.close()
    for failure in dict.fromkeys(failures):
        print(f"FAILED: {failure}", flush=True)
    print("OK" if not failures else f"{len(failures)} expectations do not hold", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
