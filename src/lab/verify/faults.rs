//! Faults for the time of a run: set before it, cleared after it however it ends.

use std::time::Duration;

use serde_json::json;

use super::queue::QueueWitness;
use super::report::Report;
use super::stop::Stop;
use super::untold;
use crate::config::{Invalid, VerifyConfig};
use crate::lab::expect::Condition;
use crate::lab::fault::staged::{FAULT_SECONDS, RoleFaults, UNTIL_STALLED};
use crate::schema::{Fault, faults};

/// The relay counts what the outbox holds every two seconds.
const UNTIL_COUNTED: Duration = Duration::from_millis(2500);

/// Does the work under the faults of the settings, and clears them.
///
/// # Errors
/// A fault is active already ([`Invalid`]), or cannot be set or cleared; the work was stopped by a signal.
pub(super) async fn under(
    config: &VerifyConfig,
    work: impl Future<Output = Report>,
    stop: &Stop,
) -> anyhow::Result<Report> {
    if config.faults.is_empty() {
        return stop.during(async { Ok(work.await) }).await;
    }
    if asked(config, faults::CONSUMER_STALL)
        && (asked(config, faults::HANDLER_ERROR) || asked(config, faults::POISON))
    {
        let why = "--faults: a consumer that is stalled meets neither handler-error nor poison; set them in a run of their own";
        return Err(Invalid(why.to_owned()).into());
    }
    if let Some(name) = config.faults.iter().find(|name| Condition::named(name).is_some_and(|one| one.alone))
        && config.faults.len() > 1
    {
        let why = format!("--faults: {name} is verified in a run of its own");
        return Err(Invalid(why).into());
    }
    stop.during(none_is_set(config)).await?;
    let outcome = async {
        set(config).await?;
        Ok(work.await)
    };
    let outcome = stop.during(outcome).await;
    if asked(config, faults::PUBLISH_ERROR) {
        tokio::time::sleep(UNTIL_COUNTED).await;
    }
    let cleared = clear(config).await;
    let mut report = outcome?;
    cleared?;
    report.claims.push(QueueWitness::rested(config).await);
    Ok(report)
}

/// Whether the settings name a fault.
fn asked(config: &VerifyConfig, fault: &str) -> bool {
    config.faults.iter().any(|name| name == fault)
}

/// Each fault of the settings with the role that is meant where none is named.
fn places(config: &VerifyConfig) -> impl Iterator<Item = (&'static Condition, RoleFaults)> {
    config.faults.iter().filter_map(|name| {
        let role = Fault::named(name)?.roles.first()?;
        Some((Condition::named(name)?, RoleFaults::at(&config.of(*role))))
    })
}

/// A fault that is there already is not this run's to replace and to clear.
async fn none_is_set(config: &VerifyConfig) -> anyhow::Result<()> {
    for (fault, role) in places(config) {
        if role.is_active(fault.name).await.is_ok_and(|active| active) {
            let (name, url) = (fault.name, role.url());
            let why = format!(
                "--faults: {name} is active already at {url}, set by something else: clear it with `o11y-lab fault clear {name} --url {}`",
                url.trim_end_matches("/faults")
            );
            return Err(Invalid(why).into());
        }
    }
    Ok(())
}

async fn set(config: &VerifyConfig) -> anyhow::Result<()> {
    for (fault, role) in places(config) {
        let mut body = json!({"fault": fault.name, "seconds": FAULT_SECONDS});
        for (name, value) in fault.parameters {
            body[*name] = json!(value);
        }
        role.set(&body).await.map_err(|why| untold(&why))?;
    }
    if asked(config, faults::CONSUMER_STALL) {
        tokio::time::sleep(UNTIL_STALLED).await;
    }
    Ok(())
}

/// Clears all of them, also where one cannot be.
async fn clear(config: &VerifyConfig) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for (fault, role) in places(config) {
        if let Err(why) = role.clear(fault.name).await {
            outcome = Err(untold(&why));
        }
    }
    outcome
}
