//! `o11y-lab scenario`: a fault, the telemetry it makes, a question, and an answer that is checked.
//!
//! 1. what a scenario is: `model`; all of them: [`SCENARIOS`], in `rows`; how answers are read: `answer`
//! 2. the lab it runs on: `target`; setting its `stage`, which leaves a `scene`: what was sent, and what the client saw
//! 3. two ways to the answer, which know nothing of each other: the truth, out of the scene, and the solution, by
//!    `eyes` that see telemetry alone
//! 4. [`lesson`]: the question, the judgement, hints; `heal`: repair, and its proof. The console's page uses these too
//! 5. incidents as data sets: `record`, `replay`, `score`
//! 6. the terminal: `play` and `check`, with `keep` between two commands, and `render`
//!
//! Exit codes: 0 right, or set, or every check holds; 1 a wrong answer, or a check that does not hold; 2 a command line
//! that is refused; 3 the stage cannot be set, or was not; 130 and the like where a signal stopped it, after the repair.

mod answer;
mod check;
mod eyes;
mod heal;
mod keep;
pub mod lesson;
mod model;
mod play;
mod record;
mod render;
mod replay;
mod rows;
mod scene;
mod score;
mod stage;
mod target;
mod until;

pub use answer::{Answer, AnswerKind};
pub use model::{FaultChoice, Level, Scenario, Setting, Step, Wait};
pub use scene::Scene;
pub use target::LessonLab;

use crate::config::{Invalid, ScenarioAction};
use rows::{budget, calls, changes, failing, queue, reading, sampling, waiting};

/// Every scenario, from the first trace to the arithmetic of budgets.
pub static SCENARIOS: &[&Scenario] = &[
    &reading::WATERFALL,
    &reading::SLOW_HOP,
    &reading::SLOW_QUERY,
    &calls::REPEATED_CALL,
    &failing::DEEP_ERROR,
    &changes::USER_OUTAGE,
    &calls::RETRY_STORM,
    &calls::DATABASE_OR_NETWORK,
    &calls::POOL_EXHAUSTED,
    &queue::LOST_CONTEXT,
    &queue::POISON,
    &waiting::WHERE_IT_WAITS,
    &queue::REDELIVERIES,
    &waiting::STALLED_OR_SLOW,
    &sampling::SAMPLED_AWAY,
    &sampling::CARDINALITY,
    &changes::CLOCK_SKEW,
    &failing::LYING_LINE,
    &failing::DEGRADED,
    &budget::BURN_RATE,
    &budget::WILL_IT_PAGE,
    &changes::MEMORY_LEAK,
    &changes::BAD_DEPLOY,
    &failing::SILENT_FAILURE,
    &budget::WRONG_ALERT,
];

/// A scenario did not end as it should.
#[derive(Debug, thiserror::Error)]
#[error("{summary}")]
pub struct NotPassed {
    summary: String,
    /// See the module.
    pub exit_code: u8,
}

impl NotPassed {
    /// Nothing was asked, so nothing can be told.
    fn untold(why: String) -> anyhow::Error {
        Self { summary: why, exit_code: 3 }.into()
    }

    fn failed(why: String) -> anyhow::Error {
        Self { summary: why, exit_code: 1 }.into()
    }

    /// Stopped by a signal, which a shell tells of by this exit code.
    fn interrupted(code: i32) -> anyhow::Error {
        Self { summary: "interrupted; it is repaired".to_owned(), exit_code: u8::try_from(code).unwrap_or(1) }
            .into()
    }
}

impl Scenario {
    /// The row with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().copied().find(|scenario| scenario.name == name)
    }
}

/// The row with a name that a person gave.
fn wanted(name: &str) -> Result<&'static Scenario, Invalid> {
    Scenario::named(name).ok_or_else(|| {
        let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        Invalid(format!(
            "there is no scenario '{}': expected one of {}",
            name.escape_default(),
            names.join(", ")
        ))
    })
}

/// Runs one action.
///
/// # Errors
/// An unknown name ([`Invalid`]); [`NotPassed`].
pub async fn run(action: ScenarioAction) -> anyhow::Result<()> {
    match action {
        ScenarioAction::List { json } => render::list().print(json),
        ScenarioAction::Show { name, json } => render::show(wanted(&name)?).print(json),
        ScenarioAction::Run(run) => play::play(&run).await,
        ScenarioAction::Check(check) => check::check(&check).await,
        ScenarioAction::Record(config) => record::record(&config).await,
        ScenarioAction::Replay(config) => replay::replay(&config).await,
        ScenarioAction::Score(config) => score::score(&config),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::schema::Fault;

    #[test]
    fn names_are_words_that_occur_once_and_each_row_is_complete() {
        let names: BTreeSet<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
        assert!(SCENARIOS.len() >= 16);
        for scenario in SCENARIOS {
            assert!(
                scenario.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{}",
                scenario.name
            );
            assert!(scenario.hints.len() >= 2 && scenario.look.len() >= 3, "{}", scenario.name);
            assert!(scenario.explanation.contains("{answer}"), "{}", scenario.name);
        }
    }

    #[test]
    fn every_fault_of_a_stage_is_one_that_its_role_takes_with_these_parameters() {
        for scenario in SCENARIOS {
            let choices = scenario.stage.iter().filter_map(|step| match step {
                Step::Fault(choices) => Some(choices.iter()),
                _ => None,
            });
            for choice in choices.flatten() {
                let row = Fault::named(choice.fault).unwrap_or_else(|| unreachable!("{}", choice.fault));
                assert!(row.roles.contains(&choice.role), "{}: {}", scenario.name, choice.role);
                for (name, _) in choice.settings {
                    assert!(
                        row.parameters.iter().any(|known| known.name == *name),
                        "{}: {name}",
                        scenario.name
                    );
                }
            }
        }
    }
}
