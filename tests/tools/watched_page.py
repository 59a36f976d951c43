"""A browser page that remembers every error, foreign request, dialog and policy violation."""

import os
import pathlib
from urllib.parse import urlsplit

from playwright.sync_api import TimeoutError

# Milliseconds.
ACTION_TIMEOUT = 10_000
# Windows, in pixels.
PHONE = {"width": 390, "height": 800}
WIDE = {"width": 1280, "height": 800}

# Deque's rules for accessibility, put there by scripts/provision.
AXE = pathlib.Path(__file__).parents[2] / ".tools" / "node" / "node_modules" / "axe-core" / "axe.min.js"

WATCH_POLICY = """
window.policyViolations = [];
document.addEventListener('securitypolicyviolation', event =>
    window.policyViolations.push(event.violatedDirective + ' ' + event.blockedURI));
"""


class WatchedPage:
    """One page at a time, and the list of what went wrong on it."""

    def __init__(self, options, context):
        self.options = options
        self.context = context
        context.add_init_script(WATCH_POLICY)
        self.host = urlsplit(options.url).netloc
        self.failures = []
        self.page = self.open_page()

    def expect(self, holds, otherwise):
        if not holds:
            self.failures.append(otherwise)
        return bool(holds)

    def open_page(self):
        page = self.context.new_page()
        page.set_default_timeout(ACTION_TIMEOUT)
        page.on("console", self.on_console)
        page.on("pageerror", lambda error: self.failures.append(f"script error on the page: {error}"))
        page.on("request", self.on_request)
        page.on("dialog", self.on_dialog)
        page.goto(self.options.url, wait_until="load")
        return page

    def on_console(self, message):
        if message.type == "error":
            self.failures.append(f"error in the browser's console: {message.text}")

    def on_request(self, request):
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob") and url.netloc != self.host:
            self.failures.append(f"request to another host: {request.url}")

    def on_dialog(self, dialog):
        self.failures.append(f"the page opened a dialog, so markup in data was run: {dialog.message}")
        dialog.dismiss()

    def by_id(self, test_id):
        return self.page.locator(f'[data-testid="{test_id}"]')

    def appears(self, locator, timeout=ACTION_TIMEOUT):
        try:
            locator.first.wait_for(state="visible", timeout=timeout)
        except TimeoutError:
            return False
        return True

    def disappears(self, locator):
        try:
            locator.first.wait_for(state="hidden", timeout=ACTION_TIMEOUT)
        except TimeoutError:
            return False
        return True

    def polled(self, look, timeout):
        """What `look` gives as soon as it gives anything; spans of one trace arrive in several batches."""
        for _ in range(timeout // 100):
            found = look()
            if found:
                return found
            self.page.wait_for_timeout(100)
        return None

    def check_width(self, what):
        width, window = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        self.expect(width <= window, f"{what}: {width} px wide in a window of {window} px")

    def check_sizes(self, what):
        """For people who do not see it, on a phone, and in a browser at 80 % zoom."""
        self.check_accessibility(what)
        self.page.set_viewport_size(PHONE)
        self.check_rules(f"{what} at 390 px")
        self.check_width(f"{what} at 390 px")
        self.screenshot(f"{what}-390x800")
        self.page.set_viewport_size(WIDE)
        self.page.evaluate("document.documentElement.style.zoom = 0.8")
        self.check_width(f"{what} at 80 %")
        self.page.evaluate("document.documentElement.style.zoom = ''")

    def check_accessibility(self, what):
        """No fault that axe-core knows, in the light and in the dark."""
        for scheme in ("dark", "light"):
            self.page.emulate_media(color_scheme=scheme)
            self.check_rules(f"{what}, {scheme}")

    def check_rules(self, what):
        if not self.expect(AXE.exists(), f"{AXE} is missing: `make test` (scripts/provision) installs it"):
            return
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        for fault in self.page.evaluate("axe.run({resultTypes: ['violations']}).then((found) => found.violations)"):
            where = "; ".join(str(node["target"]) for node in fault["nodes"][:3])
            self.failures.append(f"{what}: axe-core {fault['id']} ({fault['impact']}) at {where}: {fault['help']}")

    def check_policy(self):
        for violation in self.page.evaluate("window.policyViolations"):
            self.failures.append(f"content security policy: {violation}")

    def screenshot(self, name):
        if self.options.screenshots:
            self.page.screenshot(path=os.path.join(self.options.screenshots, f"{name}.png"))
