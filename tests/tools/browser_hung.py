"""Looks at the console while a role, and then the console itself, hangs, in the system's own Chromium.

    browser_hung.py --url http://127.0.0.1:3005/ --gateway-pid PID --order-pid PID --console-pid PID \\
        --screenshots target/screenshots

The processes are the lab's; each is stopped (SIGSTOP) for a while and goes on (SIGCONT) before this ends. Prints one line for
each expectation that does not hold (`FAILED: ...`) and exits 1, or `OK` and 0.

What it needs from the page: data-testid fault-row (data-fault) with fault-role, fault-why, fault-ms and fault-set, fault-said,
fault-unknown, fault-active (data-fault); start-order, start-said; the element #live.
"""

import argparse
import contextlib
import os
import signal
import sys

from browser import walked
from page_looks import check_disabled
from watched_page import WatchedPage

# Milliseconds: what is asked of a role that hangs has to end by its deadline first.
ANSWERED = 30_000


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class HungPage(WatchedPage):
    """What hangs is named, at once, and nothing else is said or done in its place."""

    def on_console(self, message):
        # What a hung role makes fail, Chromium notes by itself.
        if "Failed to load resource" not in message.text:
            super().on_console(message)

    def says(self, locator, text, otherwise):
        shown = self.polled(lambda: text in locator.first.inner_text() if locator.count() else False, ANSWERED)
        said = locator.first.inner_text() if locator.count() else ""
        return self.expect(shown, f"{otherwise}: {said!r}")

    def goto(self, path):
        self.page.goto(self.options.url.rstrip("/") + path, wait_until="commit")

    def fault(self, name):
        return self.page.locator(f'[data-testid="fault-row"][data-fault="{name}"]')

    def faults(self):
        """The table comes without the role, which stays the one that is meant."""
        self.goto("/faults")
        row = self.fault("slow-db")
        unknown = self.by_id("fault-unknown")
        self.expect(self.appears(row, ANSWERED), "a hung role hides the table of faults")
        self.says(unknown, "order-service does not answer: its faults are not known", "no word of the role that hangs")
        self.screenshot("faults-hung")
        role = row.get_by_test_id("fault-role")
        self.expect(role.input_value() == "order", f"another role is chosen silently: {role.input_value()}")
        self.says(row.get_by_test_id("fault-why"), "order-service does not answer", "the form does not say why not")
        row.get_by_test_id("fault-set").click()
        self.says(self.by_id("fault-said"), "slow-db is not set: order-service does not answer", "after Set")
        dropped = self.fault("drop-context").get_by_test_id("fault-role").locator("option")
        self.expect(dropped.count() > 0, "a fault of the hung role alone has no role to choose")
        self.check_accessibility("faults beside a hung role")

    def order(self):
        """Words at once, and no second click meanwhile; that it takes long is not said to be the console."""
        self.goto("/")
        button = self.by_id("start-order")
        if not self.expect(self.appears(button, ANSWERED), "no button to send an order"):
            return
        with stopped(self.options.gateway_pid):
            button.click()
            said = self.by_id("start-said")
            self.expect("Sending an order" in said.inner_text(), f"of an order on its way the page says {said.inner_text()!r}")
            self.expect(button.is_disabled(), "an order that is on its way can be sent twice")
            check_disabled(self)
            self.says(said, "It takes long: the lab has not answered for 10 s", "of an order that takes long the page says")
            self.screenshot("start-hung")
            self.says(said, "Not done: the lab's gateway does not answer", "with a gateway that hangs an order says")
        self.expect(self.polled(button.is_enabled, ANSWERED), "the button stays disabled")

    def default(self):
        """What was left empty is set as the field shows it, and said."""
        self.goto("/faults")
        row = self.fault("latency")
        self.appears(row, ANSWERED)
        field = row.get_by_test_id("fault-ms")
        default = field.input_value()
        field.fill("")
        self.expect(field.get_attribute("placeholder") == default, "an empty field does not show its default")
        row.get_by_test_id("fault-seconds").fill("2")
        row.get_by_test_id("fault-set").click()
        self.says(self.by_id("fault-said"), f"ms {default}", "what was set for an empty field is not said")
        self.screenshot("faults-set")

    def console(self):
        """Its badge and its words are of now: while it hangs, and when it is back."""
        self.goto("/")
        live = self.page.locator("#live")
        self.says(live, "live", "with a console that answers the badge says")
        button = self.by_id("start-order")
        self.appears(button, ANSWERED)
        said = self.by_id("start-said")
        with stopped(self.options.console_pid):
            button.click()
            self.says(live, "no answer", "with a console that hangs the badge says")
            self.says(said, "Not done: the console does not answer", "with a console that hangs an order says")
            self.screenshot("console-hung")
        self.says(live, "live", "with a console that is back the badge says")
        gone = self.polled(lambda: "does not answer" not in said.inner_text(), ANSWERED)
        self.expect(gone, f"with a console that is back an order still says {said.inner_text()!r}")

    def walk(self):
        with stopped(self.options.order_pid):
            self.faults()
        self.order()
        self.default()
        self.console()
        self.check_policy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--url", "--screenshots"]:
        parser.add_argument(name, required=True)
    for name in ["--gateway-pid", "--order-pid", "--console-pid"]:
        parser.add_argument(name, required=True, type=int)
    return walked(HungPage, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
