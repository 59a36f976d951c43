//! Scenarios, questions and solutions, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::SCENARIOS;
use super::lesson::{Asked, Solution};
use super::model::{Scenario, Step};
use crate::lab::output::CommandOutput;

/// One line for each.
pub(super) fn list() -> CommandOutput {
    let width = SCENARIOS.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let mut text = format!("{:<width$}  {:<12}  TITLE\n", "NAME", "LEVEL");
    for scenario in SCENARIOS {
        let _ =
            writeln!(text, "{:<width$}  {:<12}  {}", scenario.name, scenario.level.as_str(), scenario.title);
    }
    let all: Vec<_> = SCENARIOS.iter().map(|scenario| object(scenario)).collect();
    CommandOutput { text, json: json!({ "scenarios": all }) }
}

/// Everything of one but its answer.
pub(super) fn show(scenario: &Scenario) -> CommandOutput {
    let mut text = format!("{} ({})\n{}\n\n", scenario.title, scenario.level.as_str(), scenario.learn);
    text += "Stage\n";
    for step in scenario.stage {
        let _ = writeln!(text, "  - {}", step.words());
    }
    let _ = write!(
        text,
        "\nQuestion\n  {}\n  Answer: {}\n\nHow to look\n",
        scenario.question,
        scenario.answer.words()
    );
    for (place, what) in scenario.look {
        let _ = writeln!(text, "  {place}: {what}");
    }
    let _ = write!(text, "\nRepair\n  {}\n  Proof: {}\n", scenario.fix, scenario.healed);
    let _ = write!(text, "\nBegin: o11y-lab scenario run {}\n", scenario.name);
    CommandOutput { text, json: object(scenario) }
}

fn object(scenario: &Scenario) -> Value {
    let look: Vec<_> =
        scenario.look.iter().map(|(place, what)| json!({"place": place, "what": what})).collect();
    json!({
        "name": scenario.name,
        "title": scenario.title,
        "level": scenario.level.as_str(),
        "learn": scenario.learn,
        "stage": scenario.stage.iter().map(Step::words).collect::<Vec<_>>(),
        "question": scenario.question,
        "answer": scenario.answer.words(),
        "look": look,
        "fix": scenario.fix,
        "healed": scenario.healed,
    })
}

/// A question; `talks` where answers are taken at once.
pub(super) fn asked(asked: &Asked, talks: bool) -> CommandOutput {
    let mut text =
        format!("{}\n\n{}\n\nExpected: {}.\n\n{}", asked.title, asked.question, asked.expects, looks(asked));
    if !talks {
        let _ = write!(
            text,
            "\no11y-lab scenario run {} --answer ANSWER    (or --hint, --solve, --stop; the faults end in a quarter of an hour)\n",
            asked.scenario
        );
    }
    CommandOutput { text, json: json!(asked) }
}

/// The answer with the way to it.
pub(super) fn solution(asked: &Asked, solution: &Solution) -> String {
    let Solution { answer, explanation, fix } = solution;
    format!("{}\n\n{}\nAnswer: {answer}\n{explanation}\n\nRepair: {fix}\n", asked.question, looks(asked))
}

fn looks(asked: &Asked) -> String {
    asked.look.iter().map(|(place, what)| format!("  {place}: {what}\n")).collect()
}
