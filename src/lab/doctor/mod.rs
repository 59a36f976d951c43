//! `o11y-lab doctor`: what keeps the lab from running here, and what to do about it. Nothing is changed.

mod machine;
mod ports;
mod reach;

use std::fmt::Write as _;

use anyhow::ensure;
use serde_json::{Value, json};

use super::CommandOutput;
use super::up::{FoundLab, find};
use crate::config::DoctorConfig;
use crate::runtime::telemetry;
use crate::terminal::escaped;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckVerdict {
    Ok,
    /// It works, and might not for long.
    Warn,
    Fail,
}

impl CheckVerdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One line of the answer.
#[derive(Debug)]
struct Check {
    name: &'static str,
    verdict: CheckVerdict,
    /// What was found.
    said: String,
    /// What to do about it; nothing where all is well.
    advice: &'static str,
}

impl Check {
    fn ok(name: &'static str, said: impl Into<String>) -> Self {
        Self { name, verdict: CheckVerdict::Ok, said: said.into(), advice: "" }
    }

    fn warn(name: &'static str, said: impl Into<String>, advice: &'static str) -> Self {
        Self { name, verdict: CheckVerdict::Warn, said: said.into(), advice }
    }

    fn fail(name: &'static str, said: impl Into<String>, advice: &'static str) -> Self {
        Self { name, verdict: CheckVerdict::Fail, said: said.into(), advice }
    }
}

/// Makes every check and prints a line for each.
///
/// # Errors
/// A check failed.
pub async fn run(config: DoctorConfig) -> anyhow::Result<()> {
    let folder = config.store.data_dir();
    let lab = match find(&folder) {
        Ok(FoundLab::Running(lab)) => Some(*lab),
        _ => None,
    };
    let mut checks = ports::checks(&config, lab.as_ref());
    checks.extend([
        machine::files(),
        machine::memory(),
        machine::folder(&folder),
        machine::disk(&folder),
        machine::clock().await,
    ]);
    checks.extend(reach::skew(&config).await);
    checks.push(reach::queue(&config).await);
    checks.push(reach::database(&config).await);
    checks.extend(telemetry(&config));
    checks.extend(reach::receivers(&config).await);
    let output = CommandOutput { text: lines(&checks), json: object(&checks) };
    output.print(config.json)?;
    let failed = checks.iter().filter(|check| check.verdict == CheckVerdict::Fail).count();
    ensure!(failed == 0, "{failed} of {} checks failed", checks.len());
    Ok(())
}

/// What the roles would say of their settings of telemetry when they start.
fn telemetry(config: &DoctorConfig) -> Vec<Check> {
    const NAME: &str = "telemetry";
    let advice = "mend the variable, or take it away; `doctor --settings gateway` says where each came from";
    match telemetry::concerns(&config.otel) {
        Ok(concerns) if concerns.is_empty() => vec![Check::ok(NAME, "its settings are understood")],
        Ok(concerns) => concerns.into_iter().map(|said| Check::warn(NAME, said, advice)).collect(),
        Err(error) => {
            vec![Check::fail(NAME, format!("{error:#}"), "mend the file, or take OTEL_CONFIG_FILE away")]
        }
    }
}

fn lines(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for check in checks {
        let advice = if check.advice.is_empty() { String::new() } else { format!(": {}", check.advice) };
        let (verdict, said) = (check.verdict.as_str(), escaped(&check.said));
        let _ = writeln!(text, "{verdict:<4}  {:<width$}  {said}{advice}", check.name);
    }
    text
}

fn object(checks: &[Check]) -> Value {
    let failed = checks.iter().any(|check| check.verdict == CheckVerdict::Fail);
    let rows = checks.iter().map(|check| {
        let advice = Some(check.advice).filter(|advice| !advice.is_empty());
        json!({ "check": check.name, "verdict": check.verdict.as_str(), "said": check.said, "advice": advice })
    });
    json!({ "ok": !failed, "checks": rows.collect::<Vec<_>>() })
}
