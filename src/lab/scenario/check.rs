//! `scenario check`: sets the stage, solves it from the telemetry alone, compares with the truth, repairs, proves that.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::model::Scenario;
use super::scene::Scene;
use super::target::LessonLab;
use super::until::{Unmet, until};
use super::{NotPassed, SCENARIOS, lesson, wanted};
use crate::config::{ScenarioCheck, TraceMode};
use crate::lab::output::CommandOutput;
use crate::lab::verify::pipeline::EmbeddedLab;
use crate::runtime::shutdown::StopSignals;

/// How long telemetry that is on its way may take to make the solution possible.
const SOLVED_WITHIN: Duration = Duration::from_secs(10);
/// The same where it cannot become possible.
const NOT_SOLVED_WITHIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);

/// What became of one check.
struct CheckedScenario {
    scenario: &'static Scenario,
    seed: u64,
    took: Duration,
    /// The answer with the proofs of the repair, or why it does not hold.
    outcome: Result<(String, Vec<String>), String>,
}

/// Checks what is named, one after the other.
///
/// # Errors
/// [`NotPassed`]: a check does not hold (1), there is no lab to check on (3), or a signal.
pub(super) async fn check(config: &ScenarioCheck) -> anyhow::Result<()> {
    let scenarios = match config.all {
        true => SCENARIOS.to_vec(),
        false => config.names.iter().map(|name| wanted(name)).collect::<Result<_, _>>()?,
    };
    let mut signals = StopSignals::listen().context("listening for signals")?;
    if !config.own_lab {
        return checks(config, &scenarios, config.target.ports.port_base, &mut signals).await;
    }
    let mut lab = EmbeddedLab::start(None, TraceMode::Child)?;
    let ready = tokio::select! {
        ready = lab.ready() => ready.map_err(|why| NotPassed::untold(format!("the lab did not start: {why}"))),
        code = signals.next() => Err(NotPassed::interrupted(code)),
    };
    let outcome = match ready {
        Ok(()) => checks(config, &scenarios, lab.port_base(), &mut signals).await,
        Err(error) => Err(error),
    };
    lab.stop().await;
    outcome
}

async fn checks(
    config: &ScenarioCheck,
    scenarios: &[&'static Scenario],
    port_base: u16,
    signals: &mut StopSignals,
) -> anyhow::Result<()> {
    let lab = LessonLab::reach(port_base, config.target.prometheus.clone()).await?;
    let mut all = Vec::new();
    for scenario in scenarios {
        let checked = one(&lab, scenario, config, signals).await?;
        if !config.target.json {
            CommandOutput { text: checked.text(), json: Value::Null }.print(false)?;
        }
        all.push(checked);
    }
    if config.target.json {
        let json: Vec<_> = all.iter().map(CheckedScenario::json).collect();
        CommandOutput { text: String::new(), json: json!({ "checks": json }) }.print(true)?;
    }
    let failed: Vec<_> = all.iter().filter(|one| one.outcome.is_err()).map(|one| one.scenario.name).collect();
    match failed.as_slice() {
        [] => Ok(()),
        failed => Err(NotPassed::failed(format!(
            "{} of {} do not hold: {}",
            failed.len(),
            all.len(),
            failed.join(", ")
        ))),
    }
}

/// One check; whatever happens in it, it is repaired in the end.
async fn one(
    lab: &LessonLab,
    scenario: &'static Scenario,
    config: &ScenarioCheck,
    signals: &mut StopSignals,
) -> anyhow::Result<CheckedScenario> {
    let (mut scene, started) = (Scene::new(scenario, config.target.seed), Instant::now());
    let solved = tokio::select! {
        solved = solved(lab, scenario, &mut scene, !config.without_cause) => Ok(solved),
        code = signals.next() => Err(NotPassed::interrupted(code)),
    };
    let healed = lesson::heal(lab, scenario, &scene).await.map_err(|why| format!("not repaired: {why}"));
    if let (Err(_), Err(why)) = (&solved, &healed) {
        let _ = writeln!(std::io::stderr(), "{}: {why}", scenario.name);
    }
    let outcome = solved?.and_then(|answer| Ok((answer, healed?)));
    Ok(CheckedScenario { scenario, seed: scene.seed, took: started.elapsed(), outcome })
}

/// The answer, where the telemetry leads to the truth.
async fn solved(
    lab: &LessonLab,
    scenario: &Scenario,
    scene: &mut Scene,
    cause: bool,
) -> Result<String, String> {
    let begun = lesson::begin(lab, scenario, scene, cause).await;
    begun.map_err(|why| format!("the stage cannot be set: {why}"))?;
    let truth = scene.truth.as_ref().ok_or("there is no truth")?;
    until(if cause { SOLVED_WITHIN } else { NOT_SOLVED_WITHIN }, PAUSE, async || {
        match (scenario.solve)(&lesson::eyes(lab, scene)).await {
            Ok(found) if scenario.answer.is_right(&found, truth) => Ok(found.shown()),
            Ok(found) => {
                let (said, truth) = (found.shown(), truth.shown());
                Err(Unmet::NotYet(format!("the telemetry says {said}, the truth is {truth}")))
            }
            Err(why) => Err(Unmet::NotYet(format!("the telemetry has no answer: {why}"))),
        }
    })
    .await
}

impl CheckedScenario {
    fn text(&self) -> String {
        let (name, took) = (self.scenario.name, self.took.as_secs_f64());
        match &self.outcome {
            Ok((answer, _)) => format!("ok    {name:<18} {took:>5.1} s  {answer}\n"),
            Err(why) => format!("FAIL  {name:<18} {took:>5.1} s  {why} (--seed {})\n", self.seed),
        }
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "scenario": self.scenario.name,
            "seed": self.seed,
            "seconds": self.took.as_secs_f64(),
            "holds": self.outcome.is_ok(),
        });
        match &self.outcome {
            Ok((answer, proofs)) => (json["answer"], json["repaired"]) = (json!(answer), json!(proofs)),
            Err(why) => json["why"] = json!(why),
        }
        json
    }
}
