//! Setting the stage, step by step.

use std::time::{Duration, Instant};

use actix_web::http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::model::{FaultChoice, Scenario, Setting, Step, Wait};
use super::scene::{Scene, SceneRequest, StagedFault, nanos_now};
use super::target::LessonLab;
use super::until::{Unmet, until};
use crate::lab::backend::count::CountReader;
use crate::lab::backend::trace::{SpanKind, TraceReader};
use crate::lab::backend::window::WindowReader;
use crate::lab::expect::Subject;
use crate::lab::fault::staged::{FAULT_SECONDS, UNTIL_STALLED};
use crate::lab::load::span::RequestTrace;
use crate::lab::verify::workload::Workload;
use crate::runtime::error::TRACE_RESPONSE;
use crate::schema::{Role, faults};

/// The longest wait for one condition.
const WAIT_WITHIN: Duration = Duration::from_secs(30);
/// How long a trace has to stay as it is to be whole: several of the roles' batches.
const WHOLE: Duration = Duration::from_millis(1500);
/// The longest wait for the first notification of a consumer that may be stalled.
const BEGUN_WITHIN: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// Sets the stage of a scenario; with `cause` false without what the answer is about, as if it were there.
///
/// # Errors
/// The lab does not do what is asked; in words. What was done until then stands in the scene.
pub(super) async fn set(
    lab: &LessonLab,
    scenario: &Scenario,
    scene: &mut Scene,
    cause: bool,
) -> Result<(), String> {
    scene.dead_before = lab.dead().await?;
    if scene.dead_before > 0 && scenario.leaves_dead_letters() {
        let why = "dead letters are waiting already, and its own could not be told from them; \
                   `o11y-lab queue dead replay --all` sends them back";
        return Err(why.to_owned());
    }
    let config = lab.config.clone();
    let workload = Workload::new(&config);
    let random = fastrand::Rng::with_seed(scene.seed);
    let mut stage = Stage { lab, workload, random, cause, sent: 0, broken: false };
    // Every order needs a user.
    stage.send(scene, Subject::NewUser, 1, false).await?;
    for step in scenario.stage {
        stage.step(scene, step).await?;
    }
    Ok(())
}

struct Stage<'a> {
    lab: &'a LessonLab,
    workload: Workload<'a>,
    random: fastrand::Rng,
    /// Whether the cause is staged, or left out.
    cause: bool,
    /// Requests so far: numbers of the workload are used once.
    sent: usize,
    /// Whether a fault is set.
    broken: bool,
}

impl Stage<'_> {
    async fn step(&mut self, scene: &mut Scene, step: &Step) -> Result<(), String> {
        match step {
            Step::Fault(choices) => {
                let Some(choice) = self.random.choice(choices.iter()) else { return Ok(()) };
                self.fault(scene, choice).await
            }
            Step::Clear => {
                self.broken = false;
                let Some(fault) = scene.faults.last_mut().filter(|_| self.cause) else { return Ok(()) };
                self.lab.clear(fault).await?;
                fault.cleared = nanos_now();
                Ok(())
            }
            Step::Send(subject, least, most) => {
                let times = self.random.usize(*least..=*most);
                self.send(scene, *subject, times, self.broken).await
            }
            Step::Cause(subjects, least, most) => {
                let times = self.random.usize(*least..=*most);
                let subject = self.random.choice(subjects.iter()).copied();
                match subject.filter(|_| self.cause) {
                    Some(subject) => self.send(scene, subject, times, true).await,
                    None => Ok(()),
                }
            }
            Step::Unsampled(path, least, most) => {
                let times = self.random.usize(*least..=*most);
                self.unsampled(scene, path, times).await
            }
            Step::Note(name, reading) => {
                let pages = CountReader::pages(self.lab.config.pages());
                let counts = pages.read().await.map_err(|error| error.to_string())?;
                scene.notes.insert((*name).to_owned(), reading(&counts));
                Ok(())
            }
            Step::Wait(Wait::Traced) => traced(self.lab, scene).await,
            Step::Wait(Wait::Delivered) => self.lab.delivered(scene, WAIT_WITHIN, true).await,
            Step::Wait(Wait::Begun) => {
                begun(self.lab, scene).await;
                Ok(())
            }
        }
    }

    async fn fault(&mut self, scene: &mut Scene, choice: &FaultChoice) -> Result<(), String> {
        let mut settings = json!({"fault": choice.fault, "seconds": FAULT_SECONDS});
        for (name, setting) in choice.settings {
            settings[*name] = match setting {
                Setting::Between(least, most) => json!(self.random.u64(*least..=*most)),
                Setting::Ratio(ratio) => json!(ratio),
                Setting::Route(route) => json!(route),
            };
        }
        let (fault, role) = (choice.fault.to_owned(), choice.role.as_str().to_owned());
        let fault = StagedFault { fault, role, settings, set: nanos_now(), cleared: 0, distraction: false };
        // First noted, then set: whoever is stopped in between clears one fault too many.
        scene.faults.push(fault.clone());
        self.broken = true;
        if !self.cause {
            return Ok(());
        }
        self.lab.set(&fault).await?;
        if choice.fault == faults::CONSUMER_STALL {
            sleep(UNTIL_STALLED).await;
        }
        Ok(())
    }

    async fn send(
        &mut self,
        scene: &mut Scene,
        subject: Subject,
        times: usize,
        caused: bool,
    ) -> Result<(), String> {
        let numbers = self.sent..self.sent + times;
        self.sent += times;
        let entries = self.workload.send_only(subject, numbers).await;
        scene.sent.extend(entries.iter().map(|entry| SceneRequest::of(entry, caused)));
        match entries.is_empty() || scene.sent.iter().rev().take(times).any(|sent| sent.status == 0) {
            true => Err("the gateway does not answer".to_owned()),
            false => Ok(()),
        }
    }

    async fn unsampled(&mut self, scene: &mut Scene, path: &str, times: usize) -> Result<(), String> {
        let url = format!("{}{path}", self.lab.config.target());
        for _ in 0..times {
            let (trace, span) = (format!("{:032x}", fastrand::u128(1..)), fastrand::u64(1..));
            let parent = format!("00-{trace}-{span:016x}-00");
            let headers = [("traceparent", parent.as_str())];
            let answer = self.lab.http.send(Method::GET, &url, &headers, None).await;
            let answer = answer.map_err(|why| format!("{url}: {why}"))?;
            let named = answer.headers.get(TRACE_RESPONSE).and_then(|value| value.to_str().ok());
            let sampled = named.and_then(RequestTrace::in_answer).is_some_and(|trace| trace.sampled);
            scene.sent.push(SceneRequest {
                shape: "unsampled".to_owned(),
                status: answer.status.as_u16(),
                trace: Some(trace),
                sampled,
                order: None,
                caused: self.broken,
            });
        }
        Ok(())
    }
}

/// Waits until the recorded traces are there and stay as they are.
async fn traced(lab: &LessonLab, scene: &Scene) -> Result<(), String> {
    let reader = TraceReader::new(&lab.config.console());
    let recorded = scene.sent.iter().filter(|sent| sent.sampled);
    let ids: Vec<_> = recorded.filter_map(|sent| sent.trace.as_deref()).collect();
    let (mut last, mut since) = (Vec::new(), Instant::now());
    until(WAIT_WITHIN, PAUSE * 2, async || {
        let mut spans = Vec::new();
        for id in &ids {
            spans.push(reader.trace(id).await.map_err(|error| error.to_string())?.spans.len());
        }
        if spans != last {
            (last, since) = (spans, Instant::now());
        }
        match !last.contains(&0) && since.elapsed() >= WHOLE {
            true => Ok(()),
            false => Err(Unmet::yet("the traces of what was sent do not arrive at the console")),
        }
    })
    .await
}

/// Waits for the first notification, and then for the first span of the consumer.
async fn begun(lab: &LessonLab, scene: &Scene) {
    let notified = until(BEGUN_WITHIN, PAUSE, async || match lab.notified(scene).await {
        0 => Err(Unmet::yet("no order is notified")),
        _ => Ok(()),
    });
    if notified.await.is_err() {
        return;
    }
    let reader = WindowReader::new(&lab.config.console());
    let consumed = until(WAIT_WITHIN, PAUSE, async || {
        let found = reader.traces(Role::Notify.service().name, scene.began).await.unwrap_or_default();
        match found.into_values().flatten().any(|span| span.kind == SpanKind::Consumer) {
            true => Ok(()),
            false => Err(Unmet::yet("no span of the consumer is there")),
        }
    });
    // What it does not show within that time, the question will.
    let _ = consumed.await;
}

impl Scenario {
    /// Whether its fault makes messages dead.
    fn leaves_dead_letters(&self) -> bool {
        let kills = |choice: &FaultChoice| [faults::POISON, faults::HANDLER_ERROR].contains(&choice.fault);
        self.stage.iter().any(|step| matches!(step, Step::Fault(choices) if choices.iter().any(kills)))
    }
}

/// The facts that a question tells, by name. What is not known of a scene is not told.
pub(super) fn facts(lab: &LessonLab, scene: &Scene) -> std::collections::BTreeMap<String, String> {
    let mut facts = std::collections::BTreeMap::new();
    let mut tell = |name: &str, value: String| facts.insert(name.to_owned(), value);
    for service in &crate::schema::SERVICES {
        tell(service.name, lab.config.of(service.role));
    }
    tell("console", lab.config.console());
    tell("jaeger", crate::config::VerifyConfig::jaeger());
    tell("prometheus", lab.prometheus.clone().unwrap_or_else(|| "http://127.0.0.1:9090".to_owned()));
    tell("began", began(scene));
    tell("sent", scene.caused().count().to_string());
    if let Some(last) = scene.last() {
        tell("trace", last.trace.clone().unwrap_or_default());
        tell("order", last.order.map(|order| order.to_string()).unwrap_or_default());
    }
    for (name, value) in &scene.notes {
        tell(name, Value::from(*value).to_string().trim_end_matches(".0").to_owned());
    }
    facts
}

/// The time of day, to the second.
fn began(scene: &Scene) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(scene.began)).unwrap_or_default();
    format!("{time:.0}")
}

/// A text with its facts.
pub(super) fn filled(text: &str, facts: &std::collections::BTreeMap<String, String>) -> String {
    facts.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}
