//! docs/scenarios.md is made from the table of scenarios.

use std::fmt::Write as _;

use o11y_lab::lab::scenario::{SCENARIOS, Scenario, Step};

use super::assert_block;

#[test]
fn every_scenario_is_documented_from_its_row() {
    let mut text = "| scenario | level | title | what is learned |\n|---|---|---|---|\n".to_owned();
    for scenario in SCENARIOS {
        let Scenario { name, title, learn, .. } = scenario;
        let _ = writeln!(text, "| [`{name}`](#{name}) | {} | {title} | {learn} |", scenario.level.as_str());
    }
    SCENARIOS.iter().for_each(|scenario| text += &section(scenario));
    assert_block("docs/scenarios.md", "scenarios", &text);
}

#[test]
fn the_guide_leads_through_the_first_eight_with_a_picture_of_each() {
    let text = super::read("docs/lab-guide.md");
    let titles: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("## ")?.split(". ").nth(1)).collect();
    let pictures: Vec<_> =
        text.lines().filter_map(|line| line.strip_suffix(".png)")?.split("(guide/").nth(1)).collect();
    let first: Vec<_> = SCENARIOS.iter().take(8).map(|scenario| scenario.name).collect();
    let titles: Vec<_> = titles.iter().filter_map(|title| title.split(':').next()).collect();
    assert_eq!((&titles, &pictures), (&first, &first));
}

fn section(scenario: &Scenario) -> String {
    let mut text = format!("\n## {}\n\n**{}.** {}\n\n", scenario.name, scenario.title, scenario.learn);
    let steps: Vec<_> = scenario.stage.iter().map(Step::words).collect();
    let _ = writeln!(text, "**Stage.** {}.\n", steps.join("; "));
    let _ = writeln!(
        text,
        "**Question.** {} ({})\n\n**How to look.**\n",
        scenario.question,
        scenario.answer.words()
    );
    for (place, what) in scenario.look {
        let _ = writeln!(text, "- {place}: `{what}`");
    }
    let _ = writeln!(text, "\n<details><summary>Hints</summary>\n");
    for hint in scenario.hints {
        let _ = writeln!(text, "1. {hint}");
    }
    let explanation = scenario.explanation.replace("{answer}", "…");
    let _ = writeln!(
        text,
        "\n</details>\n\n<details><summary>Explanation</summary>\n\n{explanation}\n\n</details>\n"
    );
    let _ = writeln!(
        text,
        "**Repair.** {} **Proof.** {}.",
        sentence(scenario.fix),
        sentence(scenario.healed).trim_end_matches('.')
    );
    text
}

/// With its full stop.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}
