//! Faults for the time of a run: set before it, cleared after it however it ends.

use std::time::Duration;

use actix_web::http::Method;
use serde_json::{Value, json};

use super::queue::QueueWitness;
use super::report::Report;
use super::stop::Stop;
use super::untold;
use crate::config::{Invalid, VerifyConfig};
use crate::lab::expect::Condition;
use crate::runtime::oneshot::OneShot;
use crate::schema::{Fault, faults};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LARGEST_ANSWER: usize = 1 << 16;
/// A fault ends by itself too, should this process be killed.
pub(crate) const FAULT_SECONDS: u64 = 900;
/// A `receive` that is under way when the consumer stalls still brings messages for a second.
pub(crate) const UNTIL_STALLED: Duration = Duration::from_millis(1500);
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

/// Each fault of the settings with the URL of `/faults` at the role that is meant where none is named.
fn places(config: &VerifyConfig) -> impl Iterator<Item = (&'static Condition, String)> {
    config.faults.iter().filter_map(|name| {
        let role = Fault::named(name)?.roles.first()?;
        Some((Condition::named(name)?, format!("{}/faults", config.of(*role))))
    })
}

/// A fault that is there already is not this run's to replace and to clear.
async fn none_is_set(config: &VerifyConfig) -> anyhow::Result<()> {
    let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
    for (fault, url) in places(config) {
        let Ok(answer) = http.get(&url).await else { continue };
        let answer: Value = answer.json().unwrap_or_default();
        let mut active = answer["active"].as_array().into_iter().flatten();
        if active.any(|one| one["fault"] == fault.name) {
            let why = format!(
                "--faults: {} is active already at {url}, set by something else: clear it with `o11y-lab fault clear {} --url {}`",
                fault.name,
                fault.name,
                url.trim_end_matches("/faults")
            );
            return Err(Invalid(why).into());
        }
    }
    Ok(())
}

async fn set(config: &VerifyConfig) -> anyhow::Result<()> {
    let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
    for (fault, url) in places(config) {
        let mut body = json!({"fault": fault.name, "seconds": FAULT_SECONDS});
        for (name, value) in fault.parameters {
            body[*name] = json!(value);
        }
        match http.send(Method::POST, &url, &[], Some(body.to_string())).await {
            Ok(answer) if answer.is_success() => {}
            Ok(answer) => {
                let why: Value = answer.json().unwrap_or_default();
                let why = why["detail"].as_str().unwrap_or("faults are off there").to_owned();
                return Err(untold(&format!("{url} refuses {}: {why}", fault.name)));
            }
            Err(why) => return Err(untold(&format!("{url}: {why}"))),
        }
    }
    if asked(config, faults::CONSUMER_STALL) {
        tokio::time::sleep(UNTIL_STALLED).await;
    }
    Ok(())
}

/// Clears all of them, also where one cannot be.
async fn clear(config: &VerifyConfig) -> anyhow::Result<()> {
    let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
    let mut failed = Ok(());
    for (fault, url) in places(config) {
        // 404: it was not set, or is over.
        match http.send(Method::DELETE, &format!("{url}/{}", fault.name), &[], None).await {
            Ok(answer) if answer.is_success() || answer.status.as_u16() == 404 => {}
            Ok(answer) => {
                failed = Err(untold(&format!("{} at {url} cannot be cleared: {}", fault.name, answer.status)))
            }
            Err(why) => failed = Err(untold(&format!("{} at {url} cannot be cleared: {why}", fault.name))),
        }
    }
    failed
}
