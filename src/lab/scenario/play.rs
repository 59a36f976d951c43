//! `scenario run`: one turn, or on a terminal the whole conversation.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, channel};

use super::lesson::{self, Judged};
use super::model::Scenario;
use super::scene::Scene;
use super::target::LessonLab;
use super::{NotPassed, keep, render, wanted};
use crate::config::ScenarioRun;
use crate::lab::output::CommandOutput;
use crate::runtime::shutdown::StopSignals;
use crate::terminal::escaped;

/// One lab, one scenario, and how to answer.
struct Play<'a> {
    lab: LessonLab,
    scenario: &'static Scenario,
    run: &'a ScenarioRun,
    signals: StopSignals,
}

/// Takes one turn.
///
/// # Errors
/// [`NotPassed`]: see the module above.
pub(super) async fn play(run: &ScenarioRun) -> anyhow::Result<()> {
    let scenario = wanted(&run.name)?;
    let lab = LessonLab::reach(run.target.ports.port_base, run.target.prometheus.clone()).await?;
    let signals = StopSignals::listen().context("listening for signals")?;
    let mut play = Play { lab, scenario, run, signals };
    let kept = keep::load(play.lab.port_base());
    let own = kept.filter(|scene| scene.scenario == scenario.name);
    let unset =
        || NotPassed::untold(format!("its stage is not set: o11y-lab scenario run {}", scenario.name));
    match (own, &run.answer) {
        (Some(scene), Some(answer)) => play.answer(scene, answer).await,
        (Some(scene), None) if run.hint => play.hint(scene),
        (Some(scene), None) if run.solve => play.solve(&scene).await,
        (Some(scene), None) if run.stop => play.heal(&scene, json!({})).await,
        (None, None) if run.solve => {
            let scene = play.set().await?;
            play.solve(&scene).await
        }
        (None, None) if !run.hint && !run.stop => play.ask().await,
        (Some(_), None) => play.ask().await,
        (None, _) => Err(unset()),
    }
}

impl Play<'_> {
    /// Sets the stage; whatever was set before is repaired first.
    async fn set(&mut self) -> anyhow::Result<Scene> {
        let port_base = self.lab.port_base();
        if let Some(before) = keep::load(port_base)
            && let Some(scenario) = Scenario::named(&before.scenario)
        {
            note(&format!("repairing {} first", scenario.name));
            lesson::heal(&self.lab, scenario, &before).await.map_err(NotPassed::untold)?;
            keep::forget(port_base)?;
        }
        note(&format!("setting the stage of {}…", self.scenario.name));
        let mut scene = Scene::new(self.scenario, self.run.target.seed);
        let set = tokio::select! {
            set = lesson::begin(&self.lab, self.scenario, &mut scene, true) => set.map_err(NotPassed::untold),
            code = self.signals.next() => Err(NotPassed::interrupted(code)),
        };
        if let Err(error) = set {
            return Err(self.repaired(&scene, error).await);
        }
        if let Err(error) = keep::save(port_base, &scene) {
            return Err(self.repaired(&scene, error).await);
        }
        Ok(scene)
    }

    /// Repairs after an error, which says more than what the repair has to say.
    async fn repaired(&self, scene: &Scene, error: anyhow::Error) -> anyhow::Error {
        match lesson::heal(&self.lab, self.scenario, scene).await {
            Ok(_) => error,
            Err(why) => error.context(format!("not repaired: {why}")),
        }
    }

    /// Sets the stage and asks; on a terminal it then takes answers.
    async fn ask(&mut self) -> anyhow::Result<()> {
        let mut scene = self.set().await?;
        let asked = lesson::asked(&self.lab, self.scenario, &scene);
        let talks =
            !self.run.target.json && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        render::asked(&asked, talks).print(self.run.target.json)?;
        if talks { self.talk(&mut scene).await } else { Ok(()) }
    }

    /// Takes answers until one is right, or the learner stops.
    async fn talk(&mut self, scene: &mut Scene) -> anyhow::Result<()> {
        let mut lines = lines();
        loop {
            prompt();
            let line = tokio::select! {
                line = lines.recv() => line,
                code = self.signals.next() => {
                    let error = self.repaired(scene, NotPassed::interrupted(code)).await;
                    keep::forget(self.lab.port_base())?;
                    return Err(error);
                }
            };
            match line.as_deref().map(str::trim) {
                None | Some("stop") => return self.heal(scene, json!({})).await,
                Some("") => {}
                Some("hint") => note(&lesson::hint(&self.lab, self.scenario, scene)),
                Some("solve") => return self.solve(scene).await,
                Some(text) => {
                    let judged = lesson::judge(&self.lab, self.scenario, scene, text);
                    if judged.right {
                        return self.right(scene, &judged).await;
                    }
                    note(&format!("No. {}", judged.say));
                }
            }
        }
    }

    async fn answer(&self, mut scene: Scene, answer: &str) -> anyhow::Result<()> {
        let judged = lesson::judge(&self.lab, self.scenario, &mut scene, answer);
        if judged.right {
            return self.right(&scene, &judged).await;
        }
        keep::save(self.lab.port_base(), &scene)?;
        let text = format!("No. {}\n", judged.say);
        CommandOutput { text, json: json!(judged) }.print(self.run.target.json)?;
        Err(NotPassed::failed(format!("'{}' is not the answer", escaped(answer.trim()))))
    }

    async fn right(&self, scene: &Scene, judged: &Judged) -> anyhow::Result<()> {
        self.say(&format!("Right. {}\n\nRepair: {}\n", judged.say, self.scenario.fix))?;
        self.heal(scene, json!(judged)).await
    }

    fn hint(&self, mut scene: Scene) -> anyhow::Result<()> {
        let hint = lesson::hint(&self.lab, self.scenario, &mut scene);
        keep::save(self.lab.port_base(), &scene)?;
        CommandOutput { text: format!("{hint}\n"), json: json!({"hint": hint}) }.print(self.run.target.json)
    }

    async fn solve(&self, scene: &Scene) -> anyhow::Result<()> {
        let solution = lesson::solution(&self.lab, self.scenario, scene);
        let asked = lesson::asked(&self.lab, self.scenario, scene);
        self.say(&render::solution(&asked, &solution))?;
        self.heal(scene, json!(solution)).await
    }

    /// Repairs, proves it, and says so with what is to be said in JSON.
    async fn heal(&self, scene: &Scene, mut said: Value) -> anyhow::Result<()> {
        let healed = lesson::heal(&self.lab, self.scenario, scene).await;
        let proofs = healed.map_err(|why| NotPassed::failed(format!("it is not repaired: {why}")))?;
        keep::forget(self.lab.port_base())?;
        said["repaired"] = json!(proofs);
        let text = format!("Repaired: {}.\n", proofs.join("; "));
        CommandOutput { text, json: said }.print(self.run.target.json)
    }

    /// For a person: before the repair, which takes a moment.
    fn say(&self, text: &str) -> anyhow::Result<()> {
        match self.run.target.json {
            true => Ok(()),
            false => CommandOutput { text: text.to_owned(), json: Value::Null }.print(false),
        }
    }
}

fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn prompt() {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "answer, or hint, solve, stop> ").and_then(|()| stderr.flush());
}

/// The lines of standard input. A thread: reading it blocks and cannot be cancelled.
fn lines() -> Receiver<String> {
    let (sender, lines) = channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
