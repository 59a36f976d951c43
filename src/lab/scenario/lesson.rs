//! A stage with its question: what the terminal and the console ask, judge, explain and heal.

use serde::Serialize;

use super::answer::Answer;
use super::eyes::Eyes;
use super::heal;
use super::model::Scenario;
use super::scene::Scene;
use super::stage::{self, facts, filled};
use super::target::LessonLab;

/// A question with the facts of its stage.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The scenario.
    pub scenario: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The number that stages the same again.
    pub seed: u64,
    /// The question.
    pub question: String,
    /// What kind of answer it has, in words.
    pub expects: String,
    /// Places, and what to do there.
    pub look: Vec<(&'static str, String)>,
}

/// What became of an answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// Whether it is right.
    pub right: bool,
    /// The explanation where it is right, else a hint.
    pub say: String,
}

/// An answer that was given away.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Solution {
    /// The right answer.
    pub answer: String,
    /// Why.
    pub explanation: String,
    /// What repairs it.
    pub fix: &'static str,
}

/// Sets a stage and learns the right answer.
///
/// # Errors
/// In words; the scene knows what has to be healed.
pub async fn begin(
    lab: &LessonLab,
    scenario: &Scenario,
    scene: &mut Scene,
    cause: bool,
) -> Result<(), String> {
    stage::set(lab, scenario, scene, cause).await?;
    scene.truth = Some((scenario.truth)(scene, &eyes(lab, scene)).await?);
    Ok(())
}

/// What somebody sees who knows the question alone.
pub(super) fn eyes(lab: &LessonLab, scene: &Scene) -> Eyes {
    Eyes::on(lab, scene.began, facts(lab, scene))
}

/// The question.
pub fn asked(lab: &LessonLab, scenario: &'static Scenario, scene: &Scene) -> Asked {
    let facts = facts(lab, scene);
    let look = scenario.look.iter().map(|(place, what)| (*place, filled(what, &facts)));
    Asked {
        scenario: scenario.name,
        title: scenario.title,
        seed: scene.seed,
        question: filled(scenario.question, &facts),
        expects: scenario.answer.words(),
        look: look.collect(),
    }
}

/// Judges an answer. A wrong one brings the next hint; one that cannot be an answer brings none.
pub fn judge(lab: &LessonLab, scenario: &Scenario, scene: &mut Scene, text: &str) -> Judged {
    let given = match scenario.answer.read(text) {
        Ok(given) => given,
        Err(say) => return Judged { right: false, say },
    };
    let right = scene.truth.as_ref().is_some_and(|truth| scenario.answer.is_right(&given, truth));
    let say = if right { solution(lab, scenario, scene).explanation } else { hint(lab, scenario, scene) };
    Judged { right, say }
}

/// The next hint.
pub fn hint(lab: &LessonLab, scenario: &Scenario, scene: &mut Scene) -> String {
    let place = scene.hints.min(scenario.hints.len().saturating_sub(1));
    scene.hints += 1;
    filled(scenario.hints.get(place).copied().unwrap_or_default(), &facts(lab, scene))
}

/// The answer, and why it is right.
pub fn solution(lab: &LessonLab, scenario: &Scenario, scene: &Scene) -> Solution {
    let mut facts = facts(lab, scene);
    let answer = scene.truth.as_ref().map(Answer::shown).unwrap_or_default();
    facts.insert("answer".to_owned(), answer.clone());
    Solution { answer, explanation: filled(scenario.explanation, &facts), fix: scenario.fix }
}

/// Repairs what the stage broke; what proves it.
///
/// # Errors
/// It cannot be proved; in words.
pub async fn heal(lab: &LessonLab, scenario: &Scenario, scene: &Scene) -> Result<Vec<String>, String> {
    heal::heal(lab, scenario, scene).await
}
