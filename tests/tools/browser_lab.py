"""Acts on a running lab from the console as a person would, in the system's own Chromium.

    browser_lab.py --url http://127.0.0.1:3005/ --screenshots target/screenshots

Prints one line for each expectation that does not hold (`FAILED: ...`) and exits 1, or `OK` and 0.

What it needs from the page: data-testid start with start-order, start-traffic, start-break, start-trace, start-running,
start-clear; idle-routes, foreign-row (data-name) and service-card of the services; trace-fault and span-fault on what a fault has hit; on the page of faults fault-row (data-fault) with fault-seconds, fault-set, fault-active (data-fault) with
fault-clear, and fault-none.
"""

import argparse
import sys

from browser import walked
from watched_page import WIDE, WatchedPage

# Milliseconds: a trace travels through export batches first.
TRACE_TIMEOUT = 30_000


class LabPage(WatchedPage):
    """The three buttons, then the page of faults; by keyboard wherever that is shown once."""

    def tab_to(self, test_id, most=40):
        """The keyboard alone reaches it."""
        for _ in range(most):
            if self.page.evaluate("id => document.activeElement?.dataset?.testid === id", test_id):
                return True
            self.page.keyboard.press("Tab")
        return self.expect(False, f"Tab does not reach {test_id}")

    def order(self):
        first = self.page.locator('[data-testid="start"].first')
        self.expect(self.appears(first, TRACE_TIMEOUT), "an empty lab does not begin with its three buttons")
        self.screenshot("start-1280x800")
        self.check_sizes("start")
        if self.tab_to("start-order"):
            self.page.keyboard.press("Enter")
        link = self.by_id("start-trace")
        if self.expect(self.appears(link, TRACE_TIMEOUT), "no link to the order's trace"):
            link.first.click()
            self.expect(self.appears(self.by_id("span-row"), TRACE_TIMEOUT), "the link leads to no trace")
        self.page.keyboard.press("1")

    def traffic(self):
        button = self.by_id("start-traffic")
        self.appears(button)
        button.click()
        stop = button.filter(has_text="Stop traffic")
        self.expect(self.appears(stop), "traffic does not say that it runs")
        rows = self.polled(lambda: self.by_id("trace-row").count() > 4, TRACE_TIMEOUT)
        self.expect(rows, "traffic leaves no traces")
        for width in (1280, 1100, 390):
            self.page.set_viewport_size({"width": width, "height": 800})
            cut = self.page.locator(".card").evaluate_all("cards => cards.filter((card) => [...card.querySelectorAll('b')].some((b) => b.getBoundingClientRect().right > card.getBoundingClientRect().right)).map((card) => card.textContent)")
            self.expect(not cut, f"at {width} px figures are cut off: {cut}")
        self.page.set_viewport_size(WIDE)
        button.click()
        self.expect(self.appears(button.filter(has_text="Start traffic")), "traffic does not stop")
        ended = self.by_id("start-running").filter(has_text="it has ended")
        self.expect(self.appears(ended), "the page does not say that traffic has ended")
        self.screenshot("start-traffic-1280x800")

    def broken(self):
        self.by_id("start-break").click()
        self.expect(self.appears(self.by_id("start-clear"), TRACE_TIMEOUT), "nothing is broken")
        self.expect(self.appears(self.by_id("start-trace"), TRACE_TIMEOUT), "no order shows what is broken")
        self.check_sizes("start-broken")
        self.expect(self.appears(self.by_id("trace-fault"), TRACE_TIMEOUT), "no trace in the list is marked as hit")
        self.by_id("start-trace").first.click()
        self.expect(self.appears(self.by_id("span-fault"), TRACE_TIMEOUT), "no span that was hit is marked")
        for width in (1280, 1000):
            self.page.set_viewport_size({"width": width, "height": 800})
            cut = self.by_id("span-row").locator(".op").evaluate_all("all => all.filter((op) => op.scrollWidth > Math.ceil(op.getBoundingClientRect().width)).map((op) => op.textContent)")
            self.expect(not cut, f"at {width} px names of spans give way to services and faults: {cut}")
        self.page.set_viewport_size(WIDE)
        self.screenshot("span-fault-1280x800")

    def services(self):
        """Routes without traffic are folded, and unfold by the keyboard; what only callers tell of is listed."""
        self.page.evaluate("document.activeElement.blur()")
        self.page.keyboard.press("3")
        idle = self.by_id("idle-routes").first
        if not self.expect(self.appears(idle, TRACE_TIMEOUT), "no routes without traffic are folded away"):
            return self.screenshot("missing-idle")
        listed = self.page.locator('[data-testid="foreign-row"][data-name="orders.db (sqlite)"]')
        self.expect(self.appears(listed, TRACE_TIMEOUT), "a database that is called is not listed")
        self.expect(not idle.locator("li").first.is_visible(), "routes without traffic are unfolded")
        idle.locator("summary").focus()
        self.page.keyboard.press("Enter")
        self.expect(self.appears(idle.locator("li")), "routes without traffic do not unfold")
        # Figures are drawn anew every five seconds; what is unfolded stays so.
        self.page.evaluate("window.before = document.querySelector('[data-testid=service-card]')")
        self.polled(lambda: self.page.evaluate("!window.before.isConnected"), TRACE_TIMEOUT)
        self.expect(self.appears(idle.locator("li")), "what was unfolded is folded by the next figures")
        self.screenshot("services-1280x800")
        self.check_sizes("services")

    def faults(self):
        self.page.evaluate("document.activeElement.blur()")
        self.page.keyboard.press("6")
        active = self.by_id("fault-active")
        if not self.expect(self.appears(active), "the page of faults does not show what is broken"):
            return self.screenshot("missing-faults")
        self.screenshot("faults-1280x800")
        self.check_sizes("faults")
        if self.tab_to("fault-clear"):
            self.page.keyboard.press("Enter")
        self.expect(self.appears(self.by_id("fault-none")), "what was cleared is still active")
        row = self.page.locator('[data-testid="fault-row"][data-fault="latency"]')
        row.get_by_test_id("fault-seconds").fill("2")
        row.get_by_test_id("fault-seconds").press("Enter")
        set_now = self.page.locator('[data-testid="fault-active"][data-fault="latency"]')
        self.expect(self.appears(set_now), "a fault that was set is not shown")
        self.expect(self.appears(self.by_id("fault-none")), "a fault whose time is over is still shown")

    def alerts(self):
        """Without a Prometheus to ask."""
        self.page.evaluate("document.activeElement.blur()")
        self.page.keyboard.press("8")
        self.expect(self.appears(self.page.locator(".empty")), "the page of alerts does not say what is missing")
        self.check_sizes("no alerts")

    def slow_network(self):
        """Each page comes on a line that is slow in both ways, and says meanwhile nothing that is wrong."""
        session = self.context.new_cdp_session(self.page)
        session.send("Network.enable")
        session.send(
            "Network.emulateNetworkConditions",
            {"offline": False, "latency": 300, "downloadThroughput": 60_000, "uploadThroughput": 60_000},
        )
        for path, shown in [("", "start-order"), ("faults", "fault-row"), ("map", "map-node"), ("services", "route-row")]:
            self.page.goto(self.options.url.rstrip("/") + f"/{path}", wait_until="commit")
            self.expect(self.appears(self.by_id(shown), TRACE_TIMEOUT), f"on a slow line /{path} does not come")

    def walk(self):
        self.order()
        self.traffic()
        self.broken()
        self.services()
        self.faults()
        self.alerts()
        self.slow_network()
        self.check_policy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--url", "--screenshots"]:
        parser.add_argument(name, required=True)
    return walked(LabPage, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
