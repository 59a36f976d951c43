//! `scenario record`: a scenario as a data set: what it left in the telemetry, and the truth beside it.
//!
//! | file | content |
//! |---|---|
//! | `traces.jsonl`, `logs.jsonl` | OTLP in JSON, a message a line, as a Collector's file exporter writes and its otlpjsonfile receiver reads |
//! | `metrics/ROLE-before.om`, `-after.om` | the role's page before anything was done and at its end, as OpenMetrics |
//! | `truth.json` | the cause: faults with role and settings, time, affected traces, spans hit |

use std::fs::{File, create_dir_all};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use actix_web::http::Method;
use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::model::{Scenario, Step};
use super::scene::Scene;
use super::target::LessonLab;
use super::{NotPassed, lesson, wanted};
use crate::config::{Invalid, ScenarioRecord};
use crate::lab::backend::log::{LogLine, LogReader};
use crate::lab::backend::trace::{Trace, TraceReader};
use crate::lab::expect::Subject;
use crate::lab::output::CommandOutput;
use crate::lab::verify::workload::Workload;
use crate::runtime::shutdown::StopSignals;
use crate::schema::{FAULT_ATTRIBUTE, SERVICES};

/// Of each kind, requests before the fault: what is normal.
const NORMAL: usize = 20;
/// Several of the roles' batches.
const UNTIL_EXPORTED: Duration = Duration::from_secs(3);
/// The most lines of one trace.
const LINES: usize = 1000;

/// Records one scenario, and repairs it.
///
/// # Errors
/// An unknown name or a folder that cannot be made ([`Invalid`]); the lab does not do what is asked ([`NotPassed`]).
pub(super) async fn record(config: &ScenarioRecord) -> anyhow::Result<()> {
    let scenario = wanted(&config.name)?;
    if !scenario.stage.iter().any(|step| matches!(step, Step::Fault(_))) {
        return Err(Invalid(format!(
            "scenario '{}' sets no fault: there is no cause to find",
            scenario.name
        ))
        .into());
    }
    create_dir_all(config.out.join("metrics"))
        .map_err(|why| Invalid(format!("--out '{}': {why}", config.out.display())))?;
    let mut signals = StopSignals::listen().context("listening for signals")?;
    let lab = LessonLab::reach(config.target.ports.port_base, config.target.prometheus.clone()).await?;
    let mut scene = Scene::new(scenario, config.target.seed);
    let recorded = tokio::select! {
        recorded = recorded(&lab, scenario, &mut scene, &config.out) => recorded.map_err(NotPassed::untold),
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

async fn recorded(
    lab: &LessonLab,
    scenario: &Scenario,
    scene: &mut Scene,
    out: &Path,
) -> Result<Value, String> {
    pages(lab, out, "before").await?;
    let workload = Workload::new(&lab.config);
    let mut normal = Vec::new();
    for subject in [Subject::NewUser, Subject::NewOrder, Subject::OneOrder, Subject::Orders, Subject::OneUser]
    {
        normal.extend(workload.send_only(subject, 0..NORMAL).await);
    }
    lesson::begin(lab, scenario, scene, true).await?;
    sleep(UNTIL_EXPORTED).await;
    pages(lab, out, "after").await?;
    let normal = normal.into_iter().filter(|entry| entry.sampled).filter_map(|entry| entry.trace);
    let sent = scene.sent.iter().filter(|sent| sent.sampled).filter_map(|sent| sent.trace.clone());
    let ids: Vec<String> = normal.chain(sent).collect();
    let truth = telemetry(lab, scene, out, &ids).await?;
    write(&out.join("truth.json"), std::slice::from_ref(&truth))?;
    Ok(truth)
}

/// Writes traces and lines; the truth that goes with them.
async fn telemetry(lab: &LessonLab, scene: &Scene, out: &Path, ids: &[String]) -> Result<Value, String> {
    let console = lab.config.console();
    let (traces, logs) = (TraceReader::new(&console), LogReader::console(&console));
    let (mut messages, mut records) = (Vec::new(), Vec::new());
    let (mut hit, mut affected, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        let export = traces.export(id).await.map_err(|why| why.to_string())?;
        let spans = Trace::from_otlp(&export).spans;
        let caused = scene.caused().any(|sent| sent.trace.as_deref() == Some(id.as_str()));
        if caused {
            affected.push(id.clone());
            times.extend(spans.iter().flat_map(|span| [span.start, span.end]));
        }
        hit.extend(spans.iter().filter(|span| span.attributes.contains_key(FAULT_ATTRIBUTE)).map(|span| {
            json!({"traceId": span.trace, "spanId": span.id, "service": span.service, "name": span.name})
        }));
        messages.push(json!({"resourceSpans": export["resourceSpans"]}));
        let lines = logs.of_trace(id, LINES).await.map_err(|why| why.to_string())?;
        records.extend(lines.iter().map(record_of));
    }
    write(&out.join("traces.jsonl"), &messages)?;
    write(&out.join("logs.jsonl"), &records)?;
    let faults = scene.faults.iter().map(|fault| {
        let service = fault.role().map(|role| role.service().name);
        json!({"fault": fault.fault, "role": fault.role, "service": service, "settings": fault.settings})
    });
    Ok(json!({
        "scenario": scene.scenario,
        "seed": scene.seed,
        "cause": faults.collect::<Vec<_>>(),
        "startUnixNano": times.iter().min().map(u64::to_string),
        "endUnixNano": times.iter().max().map(u64::to_string),
        "traces": ids.len(),
        "affectedTraces": affected,
        "spansHit": hit,
    }))
}

/// A line as a record of OTLP, in a message of its own.
fn record_of(line: &LogLine) -> Value {
    let own = ["timestamp", "level", "message", "service", "traceId", "spanId"];
    let time: Option<jiff::Timestamp> = line.text("timestamp").parse().ok();
    let attributes = line.fields.iter().filter(|(key, _)| !own.contains(&key.as_str()));
    let attributes = attributes.map(|(key, value)| json!({"key": key, "value": any(value)}));
    let record = json!({
        "timeUnixNano": time.map(|time| time.as_nanosecond().to_string()),
        "severityText": line.text("level").to_uppercase(),
        "body": {"stringValue": line.text("message")},
        "traceId": line.text("traceId"),
        "spanId": line.text("spanId"),
        "attributes": attributes.collect::<Vec<_>>(),
    });
    let name = json!({"key": "service.name", "value": {"stringValue": line.text("service")}});
    json!({"resourceLogs": [{"resource": {"attributes": [name]}, "scopeLogs": [{"logRecords": [record]}]}]})
}

fn any(value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        Value::Number(number) => json!({"doubleValue": number}),
        other => json!({"stringValue": other.to_string()}),
    }
}

/// Keeps the roles' pages.
async fn pages(lab: &LessonLab, out: &Path, when: &str) -> Result<(), String> {
    for service in &SERVICES {
        let url = format!("{}/metrics", lab.config.of(service.role));
        let accept = [("accept", "application/openmetrics-text; version=1.0.0")];
        let page =
            lab.http.send(Method::GET, &url, &accept, None).await.map_err(|why| format!("{url}: {why}"))?;
        if !page.is_success() {
            return Err(format!("{url} answered {}", page.status));
        }
        let file = out.join("metrics").join(format!("{}-{when}.om", service.command));
        std::fs::write(&file, &page.body).map_err(|why| format!("{}: {why}", file.display()))?;
    }
    Ok(())
}

/// Writes messages, one a line.
fn write(file: &Path, messages: &[Value]) -> Result<(), String> {
    let written = File::create(file)
        .and_then(|mut open| messages.iter().try_for_each(|message| writeln!(open, "{message}")));
    written.map_err(|why| format!("{}: {why}", file.display()))
}
