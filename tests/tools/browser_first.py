"""Opens one trace in the system's own Chromium, as a first-time user does: browser_first.py URL. Ends with 0 once its spans are drawn."""

import sys

from playwright.sync_api import sync_playwright

from browser import ARGUMENTS, executable

SPANS = 12
# Milliseconds.
DRAWN = 20_000

with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=executable(), args=ARGUMENTS)
    page = chromium.new_page()
    page.goto(sys.argv[1])
    page.get_by_test_id("span-row").nth(SPANS - 1).wait_for(timeout=DRAWN)
    print(f"{page.get_by_test_id('span-row').count()} spans are drawn")
    chromium.close()
