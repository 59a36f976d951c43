"""Looks for traces in the console's list as a person would, in the system's own Chromium.

    browser_traces.py --url http://127.0.0.1:3005/ --otlp http://127.0.0.1:3006 --literal TEXT --failed-id ID \\
        --screenshots target/screenshots

The console holds 120 traces `GET /books`, the newest last, whose attribute `shop.shelf` is TEXT for every fourth and `b` for
the others, three health checks, and one failed trace with that id, `POST /buy`, the longest. Prints one line for each
expectation that does not hold (`FAILED: ...`) and exits 1, or `OK` and 0.

What it needs from the page: data-testid trace-row (data-trace-id), filter-text, filter-time, filter-sort, filter-wrong,
suggestion, scatter, scatter-dots (data-dots), fresh, background, page-next, page-previous, span-row, no-trace, no-span, attribute-only, data, data-traces, data-remove, data-service, data-upload, data-said.
"""

import argparse
import json
import sys
import time
import urllib.request

from browser import WIDE, walked
from watched_page import WatchedPage

PHONE = {"width": 390, "height": 844}
NEW_ID = "c" * 32


class TracesPage(WatchedPage):
    """The list of traces: filters, suggestions, scatter, pages."""

    def on_console(self, message):
        # What is wrong on purpose, a filter (400) and an address (404), Chromium notes by itself.
        if not any(status in message.text for status in ["status of 400", "status of 404"]):
            super().on_console(message)

    def rows(self):
        return self.by_id("trace-row")

    def row(self, trace):
        return self.page.locator(f'[data-testid="trace-row"][data-trace-id="{trace}"]')

    def has_rows(self, wanted, what):
        found = self.polled(lambda: self.rows().count() == wanted, 5_000)
        self.expect(found, f"{what}: {self.rows().count()} rows instead of {wanted}")

    def type_filter(self, text):
        field = self.by_id("filter-text").first
        field.fill(text)
        return field

    def walk(self):
        self.expect(self.appears(self.rows()), "no traces in the list")
        self.check_pages()
        self.check_background()
        self.check_order()
        self.check_wrong_filter()
        self.check_suggestions()
        self.check_scatter()
        self.check_waiting_rows()
        self.check_attribute()
        self.check_wrong_addresses()
        self.check_data()
        self.page.set_viewport_size(PHONE)
        self.check_width("the list at 390 px")
        self.screenshot("list-390x844")
        for width in (1280, 1100, 1000, 800):
            self.page.set_viewport_size({"width": width, "height": 800})
            rows = self.page.locator(".filters > label").evaluate_all("all => all.map((label) => label.getBoundingClientRect().top)")
            self.expect(rows.count(max(rows)) > 1, f"at {width} px one field of the filter stands alone")
        # 80 % zoom is a window a quarter wider.
        self.page.set_viewport_size({"width": 1600, "height": 1000})
        self.check_width("the list at 80 % zoom")
        self.page.set_viewport_size(WIDE)
        self.check_slow_network()
        self.check_policy()

    def check_pages(self):
        self.has_rows(100, "the first page")
        first = self.rows().first.get_attribute("data-trace-id")
        self.by_id("page-next").click()
        self.has_rows(21, "the second page")
        self.by_id("page-previous").click()
        self.expect(self.polled(lambda: self.rows().first.get_attribute("data-trace-id") == first, 5_000), "no way back to the first page")

    def check_background(self):
        note = self.page.locator(".list-note")
        self.expect("3 background polls hidden" in note.inner_text(), f"the note says {note.inner_text()!r}")
        self.by_id("background").click()
        self.expect(self.polled(lambda: "124 traces" in note.inner_text(), 5_000), f"shown, the note says {note.inner_text()!r}")
        self.by_id("background").click()
        self.expect(self.polled(lambda: "121 traces" in note.inner_text(), 5_000), f"hidden again, the note says {note.inner_text()!r}")

    def check_order(self):
        self.by_id("filter-sort").select_option("longest")
        failed = self.options.failed_id
        self.expect(self.polled(lambda: self.rows().first.get_attribute("data-trace-id") == failed, 5_000), "the longest trace is not the first")
        self.by_id("filter-sort").select_option("")
        self.by_id("filter-time").select_option("1h")
        self.has_rows(100, "the last hour")
        self.by_id("filter-time").select_option("")

    def check_wrong_filter(self):
        self.type_filter("duration>soon")
        wrong = self.by_id("filter-wrong")
        self.expect(self.appears(wrong), "a wrong filter is not refused on the page")
        self.expect("character 10" in wrong.inner_text(), f"of a wrong filter the page says {wrong.inner_text()!r}")
        self.expect(wrong.locator("mark").inner_text() == "soon", "the wrong part is not marked")
        self.check_accessibility("the list with a wrong filter")
        self.type_filter("duration")
        self.expect(self.disappears(wrong), "a mended filter stays wrong")
        nothing = self.page.get_by_text("Nothing matches")
        self.expect(self.appears(nothing), "a word that no trace has finds something")
        self.type_filter("duration>soon")
        self.expect(self.disappears(nothing), "of a wrong filter the page says that nothing matches")
        self.expect("found" not in self.page.locator(".list-note").inner_text(), "a wrong filter has found something")
        self.type_filter("")
        self.has_rows(100, "without the wrong filter")
        least = self.by_id("filter-min")
        least.fill("abc")
        self.expect(self.appears(wrong), "a wrong duration is not refused on the page")
        said = wrong.inner_text()
        self.expect(said.startswith("Longer than: “abc” is not a duration"), f"of a wrong duration the page says {said!r}")
        marked = self.page.locator(".filters [aria-invalid]").evaluate_all("all => all.map((field) => field.dataset.testid)")
        self.expect(marked == ["filter-min"], f"of a wrong duration these fields are marked: {marked}")
        self.has_rows(0, "a list that is not asked for")
        self.screenshot("list-wrong-duration")
        least.fill("")
        self.has_rows(100, "without the wrong duration")

    def check_suggestions(self):
        """By the keyboard alone: a key, then its value, which is markup."""
        field = self.type_filter("")
        field.focus()
        self.page.keyboard.type("shop.sh")
        choice = self.by_id("suggestion").filter(has_text="shop.shelf")
        self.expect(self.appears(choice), "the key is not suggested")
        self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Enter")
        self.expect(self.appears(self.by_id("suggestion").filter(has_text=self.options.literal)), "the value is not suggested as it is")
        self.check_accessibility("the list with suggestions")
        self.page.keyboard.press("Escape")
        self.expect(self.disappears(self.by_id("suggestion")), "Escape does not close the suggestions")
        self.expect(self.has_focus(field), "Escape that closes the suggestions leaves the field")
        value = self.by_id("suggestion").filter(has_text=self.options.literal)
        self.page.keyboard.press("ArrowDown")
        self.expect(self.appears(value), "ArrowDown does not open the suggestions")
        for _ in range(2):
            if value.get_attribute("aria-selected") == "true":
                break
            self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Enter")
        self.has_rows(30, "the traces with the suggested value")
        self.expect(field.input_value().strip().startswith('shop.shelf="'), f"the filter is {field.input_value()!r}")
        self.page.reload()
        self.has_rows(30, "the same after a reload")
        self.type_filter("")
        self.has_rows(100, "without the filter")

    def has_focus(self, locator):
        return locator.first.evaluate("element => element.contains(document.activeElement)")

    def check_scatter(self):
        # What the drag below comes after, in the history, is another page.
        self.page.evaluate("document.activeElement.blur()")
        self.page.keyboard.press("2")
        self.appears(self.by_id("filter-level"))
        self.page.keyboard.press("1")
        dot = self.page.locator('[data-testid="scatter-dots"].failed')
        if not self.expect(self.polled(dot.count, 5_000) == 1 and dot.get_attribute("data-dots") == "1", "the failed trace has no dot"):
            return
        dots = self.by_id("scatter-dots").evaluate_all("all => all.reduce((sum, path) => sum + Number(path.dataset.dots), 0)")
        self.expect(dots == 121, f"{dots} dots")
        self.by_id("scatter").scroll_into_view_if_needed()
        place = dot.bounding_box()
        middle = (place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        self.page.mouse.click(*middle)
        self.expect(self.polled(lambda: self.has_focus(self.row(self.options.failed_id)), 5_000), "a click on a dot does not select its row")
        self.expect("POST /buy" in self.by_id("scatter-chosen").inner_text(), "the chosen dot is not named")
        self.page.mouse.move(middle[0] - 12, middle[1] - 9)
        self.page.mouse.down()
        self.page.mouse.move(middle[0] + 12, middle[1] + 9, steps=3)
        self.page.mouse.up()
        self.has_rows(1, "a drag around one dot")
        self.expect("start=" in self.page.url and "minDuration=" in self.page.url, f"a drag is not in the address {self.page.url}")
        self.screenshot("list-picked")
        self.page.go_back()
        self.has_rows(100, "back from the drag")
        self.expect("start=" not in self.page.url and "/logs" not in self.page.url, f"back from the drag leads to {self.page.url}")
        self.page.go_forward()
        self.has_rows(1, "forward to the drag")
        self.by_id("filter-time").select_option("")
        self.by_id("filter-min").fill("")
        self.by_id("filter-max").fill("")
        self.has_rows(100, "after the drag was taken back")

    def check_waiting_rows(self):
        """Rows that arrive wait while the pointer is over the list, and come when it leaves."""
        self.rows().nth(1).hover()
        now = time.time_ns()
        span = {"traceId": NEW_ID, "spanId": "1" * 16, "name": "GET /books", "kind": 2, "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1_000_000)}
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
        request = urllib.request.Request(f"{self.options.otlp}/v1/traces", body, {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()
        fresh = self.by_id("fresh")
        self.expect(self.appears(fresh), "no word of new rows")
        self.expect(fresh.inner_text() == "1 new", f"of one new row the page says {fresh.inner_text()!r}")
        self.expect(self.row(NEW_ID).count() == 0, "a new row came under the pointer")
        self.page.mouse.move(5, 5)
        self.expect(self.appears(self.row(NEW_ID)), "the new row does not come when the pointer leaves")
        self.expect(self.disappears(fresh), "the word of new rows stays")

    def check_attribute(self):
        """From an attribute of a span to the traces that have it, and back with the filter kept."""
        self.type_filter("kind=server")
        self.expect(self.polled(lambda: "kind%3Dserver" in self.page.url, 5_000), f"the filter is not in the address {self.page.url}")
        self.has_rows(100, "server spans")
        self.row(self.options.failed_id).click()
        self.appears(self.by_id("span-row"))
        self.by_id("span-row").first.click()
        only = self.page.locator('.pairs div:has(dt:text-is("shop.shelf")) [data-testid="attribute-only"]')
        only.focus()
        self.check_accessibility("a trace with open details")
        self.page.keyboard.press("Enter")
        field = self.by_id("filter-text").first
        self.expect(self.appears(self.rows()), "an attribute does not lead to the list")
        self.expect(field.input_value() == "kind=server shop.shelf=b", f"an attribute led to the filter {field.input_value()!r}")
        self.has_rows(91, "the traces with the attribute")
        self.page.go_back()
        self.expect(self.appears(self.by_id("span-row")), "back does not lead to the trace")
        self.page.go_back()
        self.has_rows(100, "back to the list with its filter")
        self.expect(field.input_value() == "kind=server", f"back led to the filter {field.input_value()!r}")
        self.rows().first.click()
        self.appears(self.by_id("span-row"))
        self.page.keyboard.press("Escape")
        self.expect(self.polled(lambda: field.input_value() == "kind=server", 5_000), "Escape from a trace loses the filter")


    def check_wrong_addresses(self):
        """What an address names and is not there is said, with a way back."""
        home = self.options.url.rstrip("/")
        self.page.goto(f"{home}/trace/xyz")
        wrong = self.by_id("no-trace")
        self.expect(self.appears(wrong), "/trace/xyz is not called wrong")
        self.expect("xyz" in wrong.inner_text() and self.rows().count() == 0, f"of /trace/xyz the page says {wrong.inner_text()!r}")
        self.check_accessibility("an address that names no trace")
        self.screenshot("no-trace")
        missing = self.by_id("no-span")
        for span, said in [("f" * 16, "is not in this trace"), ("xyz", "is not a span id")]:
            self.page.goto("about:blank")
            self.page.goto(f"{home}/trace/{self.options.failed_id}#{span}")
            self.expect(self.appears(missing), f"a trace without the span {span} does not say so")
            self.expect(said in missing.inner_text(), f"of the span {span} the page says {missing.inner_text()!r}")
        self.screenshot("no-span")
        self.by_id("span-row").first.click()
        self.expect(self.disappears(missing), "with another span open the one that is not there is still named")
        answer = self.page.goto(f"{home}/nope")
        self.expect(answer.status == 404 and self.page.locator("h1").inner_text() == "No such page", f"/nope is {answer.status}")
        self.check_accessibility("a page that is not there")
        self.screenshot("no-page")
        self.page.locator("main a").click()
        self.expect(self.appears(self.rows()), "a page that is not there does not lead to the list")

    def check_slow_network(self):
        network = self.context.new_cdp_session(self.page)
        network.send("Network.enable")
        slow = {"offline": False, "latency": 300, "downloadThroughput": 60_000, "uploadThroughput": 60_000}
        network.send("Network.emulateNetworkConditions", slow)
        self.page.reload()
        self.expect(self.appears(self.rows()), "no traces over a slow network")
        self.check_policy()

    def check_data(self):
        """Taken away as a file, removed, brought back."""
        self.type_filter("status=error")
        self.has_rows(1, "the failed trace")
        self.by_id("data").locator("summary").click()
        with self.page.expect_download() as download:
            self.by_id("data-traces").click()
        with open(download.value.path(), encoding="utf-8") as file:
            lines = file.read()
        self.expect(lines.count("\n") == 1 and self.options.failed_id in lines, f"not the listed trace in the file: {lines[:200]!r}")
        self.check_accessibility("the list with its data open")
        remove = self.by_id("data-remove")
        self.by_id("data-service").select_option(self.options.literal)
        remove.click()
        self.expect(self.options.literal in remove.inner_text(), f"removal asks only {remove.inner_text()!r}")
        self.screenshot("list-data")
        remove.click()
        said = self.by_id("data-said")
        self.expect(self.polled(lambda: "Removed 124 spans" in said.inner_text(), 5_000), f"after removal the page says {said.inner_text()!r}")
        self.has_rows(0, "after removal")
        self.by_id("data-upload").set_input_files({"name": "a.jsonl", "mimeType": "application/json", "buffer": lines.encode()})
        self.expect(self.polled(lambda: "Taken: 1 span" in said.inner_text(), 5_000), f"after an upload the page says {said.inner_text()!r}")
        self.has_rows(1, "after the upload")
        self.by_id("data-upload").set_input_files({"name": "b.json", "mimeType": "application/json", "buffer": self.options.literal.encode()})
        self.expect(self.polled(lambda: "Not taken: b.json" in said.inner_text(), 5_000), f"of a file that is none the page says {said.inner_text()!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--url", "--otlp", "--literal", "--failed-id", "--screenshots"]:
        parser.add_argument(name, required=True)
    return walked(TracesPage, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
