"""Takes a lesson of the console as a learner would, in the system's own Chromium, on a running lab.

    browser_lessons.py --url http://127.0.0.1:3005/ --screenshots target/screenshots

Prints one line for each expectation that does not hold (`FAILED: ...`) and exits 1, or `OK` and 0.

What it needs from the page: data-testid lesson-row (data-name, data-done) with lesson-start, and beside the data
lesson-question, lesson-look, lesson-answer, lesson-hint, lesson-solve, lesson-said, lesson-close.
"""

import argparse
import sys

from browser import NARROW, WIDE, walked
from watched_page import WatchedPage

# Milliseconds: a stage waits for whole traces.
STAGE_TIMEOUT = 45_000

DURATION = """async (trace) => {
    const answer = await (await fetch(`/api/v3/traces/${trace}`)).json();
    for (const group of answer.result.resourceSpans) {
        const service = group.resource.attributes.find((a) => a.key === "service.name").value.stringValue;
        for (const span of group.scopeSpans.flatMap((scope) => scope.spans)) {
            if (service === "user-service" && span.kind === 2)
                return Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6;
        }
    }
    return null;
}"""


class LessonsPage(WatchedPage):
    """A lesson from its beginning to its repair, and another one that is given away."""

    def row(self, name):
        return self.page.locator(f'[data-testid="lesson-row"][data-name="{name}"]')

    def says(self, text, timeout=10_000):
        return self.appears(self.by_id("lesson-said").filter(has_text=text), timeout)

    def begin(self, name):
        self.row(name).get_by_test_id("lesson-start").click()
        return self.expect(self.appears(self.by_id("lesson-question"), STAGE_TIMEOUT), f"{name}: no question")

    def walk(self):
        self.page.keyboard.press("5")
        if not self.expect(self.appears(self.row("waterfall")), "no lessons behind key 5"):
            return self.screenshot("missing-lessons")
        self.check_width("the lessons")
        if not self.begin("waterfall"):
            return self.screenshot("missing-question")
        self.screenshot("lessons-1280x800")
        self.check_sizes("a lesson")
        self.answer_wrongly()
        self.answer_rightly()
        self.expect(self.says("Repaired:", STAGE_TIMEOUT), "the stage is not repaired")
        self.page.goto(self.options.url.rstrip("/") + "/lessons", wait_until="load")
        self.appears(self.row("waterfall"))
        self.expect(self.row("waterfall").get_attribute("data-done") == "true", "a lesson that was done is forgotten")
        if self.begin("degraded"):
            self.by_id("lesson-solve").click()
            self.expect(self.says("The answer:"), "the solution is not shown")
            self.expect(self.says("Repaired:", STAGE_TIMEOUT), "what was given away is not repaired")
            given = self.row("degraded").get_attribute("data-done")
            self.expect(given == "false", "a lesson that was given away counts as done")
        self.by_id("lesson-close").click()
        self.page.set_viewport_size(NARROW)
        self.check_width("the lessons at 375 px")
        self.check_policy()

    def answer_wrongly(self):
        answer = self.by_id("lesson-answer")
        answer.fill("0.001")
        answer.press("Enter")
        self.expect(self.says("No. Open the trace"), "a wrong answer brings no hint")
        self.by_id("lesson-hint").click()
        self.expect(self.says("Two spans are called"), "the next hint does not come")

    def answer_rightly(self):
        trace = self.by_id("lesson-look").first.inner_text().rsplit("/", 1)[1]
        self.by_id("lesson-look").first.click()
        self.expect(self.appears(self.by_id("span-row"), 20_000), "the way to the data does not lead there")
        self.expect(self.appears(self.by_id("lesson-question")), "the question is not beside the data")
        self.check_width("a question beside a trace")
        self.screenshot("lesson-trace-1280x800")
        self.page.set_viewport_size(NARROW)
        self.check_width("a question beside a trace at 375 px")
        self.page.set_viewport_size(WIDE)
        took = self.page.evaluate(DURATION, trace)
        if self.expect(took, "the trace has no span of user-service"):
            self.by_id("lesson-answer").fill(f" {took:.1f} MS ")
            self.by_id("lesson-answer").press("Enter")
            self.expect(self.says("Right."), "the right answer is not taken")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--url", "--screenshots"]:
        parser.add_argument(name, required=True)
    return walked(LessonsPage, parser.parse_args())


sys.exit(main())
