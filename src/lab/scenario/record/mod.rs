//! `scenario record`: a scenario as a data set: what it left in the telemetry, and the truth beside it.
//!
//! | file | content |
//! |---|---|
//! | `traces.jsonl`, `metrics.jsonl`, `logs.jsonl` | OTLP in JSON, a message a line, as a Collector's file exporter writes and its otlpjsonfile receiver reads |
//! | `metrics.om` | the samples of the roles' pages with their times, as OpenMetrics |
//! | `alerts.json` | the history of alerts, or why there is none |
//! | `truth.json` | the cause: faults with role and settings, time, affected traces, spans hit, symptoms, blast radius |
//!
//! `plan` sends, `samples` scrapes meanwhile, `points` makes OTLP of that; `telemetry` reads the rest and takes out what
//! gives the answer away; `truth` and `symptoms` say what it was.

mod alerts;
mod plan;
mod points;
mod samples;
mod symptoms;
mod telemetry;
mod truth;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::model::{Scenario, Step};
use super::scene::{Scene, SceneRequest, nanos_now};
use super::target::LessonLab;
use super::{NotPassed, lesson, wanted};
use crate::config::{Invalid, ScenarioRecord};
use crate::lab::output::CommandOutput;
use crate::runtime::shutdown::StopSignals;
use crate::schema::SERVICES;
use samples::{ScrapedPages, ScrapedSamples};
use telemetry::RecordedTelemetry;
use truth::RecordedTraces;

/// Records one scenario, and repairs it.
///
/// # Errors
/// An unknown name, a distraction that is the cause, or a folder that cannot be made ([`Invalid`]); the lab does not do what
/// is asked ([`NotPassed`]).
pub(super) async fn record(config: &ScenarioRecord) -> anyhow::Result<()> {
    let scenario = recordable(config)?;
    create_dir_all(&config.out).map_err(|why| Invalid(format!("--out '{}': {why}", config.out.display())))?;
    let mut signals = StopSignals::listen().context("listening for signals")?;
    let lab = LessonLab::reach(config.target.ports.port_base, config.target.prometheus.clone()).await?;
    let mut scene = Scene::new(scenario, config.target.seed);
    let recorded = tokio::select! {
        recorded = recorded(&lab, scenario, &mut scene, config) => recorded.map_err(NotPassed::untold),
        code = signals.next() => Err(NotPassed::interrupted(code)),
    };
    let healed = lesson::heal(&lab, scenario, &scene).await;
    let truth = recorded?;
    healed.map_err(|why| NotPassed::failed(format!("not repaired: {why}")))?;
    let many = |key: &str| truth[key].as_array().map_or(0, Vec::len);
    let text = format!(
        "{}: {} traces of {} are affected, {} spans hit; in {}\n",
        scenario.name,
        many("affectedTraces"),
        truth["traces"],
        many("spansHit"),
        config.out.display()
    );
    CommandOutput { text, json: truth }.print(config.target.json)
}

/// The scenario, where it has a cause to find and no distraction takes its place.
fn recordable(config: &ScenarioRecord) -> Result<&'static Scenario, Invalid> {
    let scenario = wanted(&config.name)?;
    if !scenario.stage.iter().any(|step| matches!(step, Step::Fault(_))) {
        let name = scenario.name;
        return Err(Invalid(format!("scenario '{name}' sets no fault: there is no cause to find")));
    }
    match config.distraction.iter().find(|place| plan::may_stage(scenario, place)) {
        Some(place) => Err(Invalid(format!(
            "--distraction {}@{}: scenario '{}' may set it itself, as the cause",
            place.fault.name, place.role, scenario.name
        ))),
        None => Ok(scenario),
    }
}

async fn recorded(
    lab: &LessonLab,
    scenario: &Scenario,
    scene: &mut Scene,
    config: &ScenarioRecord,
) -> Result<Value, String> {
    let samples = RefCell::new(ScrapedSamples::new(config.with_marks));
    let scraped = async || {
        let pages = ScrapedPages::of(lab).await?;
        samples.borrow_mut().add(&pages);
        Ok::<_, String>(())
    };
    // The first one is before the first request: what is sent is what counters grow by.
    scraped().await?;
    let scraping = async {
        loop {
            sleep(samples::pause(config.minutes.unwrap_or_default())).await;
            if let Err(why) = scraped().await {
                return why;
            }
        }
    };
    let normal = tokio::select! {
        sent = plan::send(lab, scenario, scene, config) => sent?,
        why = scraping => return Err(why),
    };
    scraped().await?;
    let ended = nanos_now();
    written(lab, scene, &normal, &samples.into_inner(), ended, config).await
}

/// Reads what arrived, and writes all files; the truth among them.
async fn written(
    lab: &LessonLab,
    scene: &Scene,
    normal: &[SceneRequest],
    samples: &ScrapedSamples,
    ended: u64,
    config: &ScenarioRecord,
) -> Result<Value, String> {
    let sent = normal.iter().chain(&scene.sent).filter(|sent| sent.sampled);
    let ids: BTreeSet<_> = sent.filter_map(|sent| sent.trace.clone()).collect();
    let mut read = RecordedTelemetry::read(lab, scene.began, ids).await?;
    let mut truth = RecordedTraces { scene, normal, spans: &read.spans, ended }.truth();
    truth["marks"] = json!(config.with_marks);
    truth["minutes"] = json!(config.minutes);
    if !config.with_marks {
        read.unmark();
    }
    let out = &config.out;
    lines(&out.join("traces.jsonl"), &read.traces)?;
    lines(&out.join("logs.jsonl"), &read.logs)?;
    let points = SERVICES.iter().flat_map(|service| {
        let alone = json!({"attributes": [{"key": "service.name", "value": {"stringValue": service.name}}]});
        points::messages(samples, service.name, read.resources.get(service.name).unwrap_or(&alone))
    });
    lines(&out.join("metrics.jsonl"), &points.collect::<Vec<_>>())?;
    file(&out.join("metrics.om"), |out| samples.write(lab, out))?;
    let alerts = alerts::history(lab, scene.began).await;
    file(&out.join("alerts.json"), |out| writeln!(out, "{alerts:#}"))?;
    file(&out.join("truth.json"), |out| writeln!(out, "{truth:#}"))?;
    Ok(truth)
}

/// Writes messages, one a line.
fn lines(path: &Path, messages: &[Value]) -> Result<(), String> {
    file(path, |out| messages.iter().try_for_each(|message| writeln!(out, "{message}")))
}

fn file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<(), String> {
    let written = File::create(path).map(BufWriter::new).and_then(|mut out| {
        write(&mut out)?;
        out.flush()
    });
    written.map_err(|why| format!("{}: {why}", path.display()))
}
