//! Faults that a command sets for a while and clears again: those of `verify --faults` and of a scenario's stage.

use std::time::Duration;

use actix_web::http::Method;
use serde_json::Value;

use crate::runtime::oneshot::OneShot;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LARGEST_ANSWER: usize = 1 << 16;
/// Such a fault ends by itself too, should its command be killed.
pub(crate) const FAULT_SECONDS: u64 = 900;
/// A `receive` that is under way when the consumer stalls still brings messages for a second.
pub(crate) const UNTIL_STALLED: Duration = Duration::from_millis(1500);

/// `/faults` of one role.
pub(crate) struct RoleFaults {
    url: String,
    http: OneShot,
}

/// Whether an address can have faults, and which it has; why not, in words.
pub(crate) enum FaultSupport {
    /// Nothing answers in time.
    Unreachable(String),
    /// It does not serve `/faults`.
    Disabled(String),
    /// What is active there.
    Active(Vec<Value>),
}

impl RoleFaults {
    /// Of the role at this base URL.
    pub(crate) fn at(base: &str) -> Self {
        Self::within(base, ANSWER_WITHIN)
    }

    /// The same for whoever cannot wait that long for an answer.
    pub(crate) fn within(base: &str, deadline: Duration) -> Self {
        Self { url: format!("{base}/faults"), http: OneShot::new(deadline, LARGEST_ANSWER) }
    }

    /// Where that is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sets the fault that the body of `POST /faults` names.
    ///
    /// # Errors
    /// It is not set; in words.
    pub(crate) async fn set(&self, settings: &Value) -> Result<(), String> {
        let Self { url, http } = self;
        match http.send(Method::POST, url, &[], Some(settings.to_string())).await {
            Ok(answer) if answer.is_success() => Ok(()),
            Ok(answer) => {
                let why: Value = answer.json().unwrap_or_default();
                let why = why["detail"].as_str().unwrap_or("faults are off there");
                Err(format!("{url} refuses {}: {why}", settings["fault"].as_str().unwrap_or_default()))
            }
            Err(why) => Err(format!("{url}: {why}")),
        }
    }

    /// Clears a fault; that it was not set, or is over, is no error.
    ///
    /// # Errors
    /// It cannot be cleared; in words.
    pub(crate) async fn clear(&self, fault: &str) -> Result<(), String> {
        let url = &self.url;
        match self.http.send(Method::DELETE, &format!("{url}/{fault}"), &[], None).await {
            Ok(answer) if answer.is_success() || answer.status.as_u16() == 404 => Ok(()),
            Ok(answer) => Err(format!("{fault} at {url} cannot be cleared: {}", answer.status)),
            Err(why) => Err(format!("{fault} at {url} cannot be cleared: {why}")),
        }
    }

    /// Whether a fault is active.
    ///
    /// # Errors
    /// Nothing answers; in words.
    pub(crate) async fn is_active(&self, fault: &str) -> Result<bool, String> {
        Ok(self.active().await?.iter().any(|one| one["fault"] == fault))
    }

    /// What is active, as the role tells it.
    ///
    /// # Errors
    /// Nothing answers, or no faults can be set there; in words.
    pub(crate) async fn active(&self) -> Result<Vec<Value>, String> {
        match self.support().await {
            FaultSupport::Active(active) => Ok(active),
            FaultSupport::Unreachable(why) | FaultSupport::Disabled(why) => Err(why),
        }
    }

    /// Asks for what is active. Something else on this port may answer in any form.
    pub(crate) async fn support(&self) -> FaultSupport {
        let url = &self.url;
        match self.http.get(url).await {
            Err(why) => FaultSupport::Unreachable(format!("{url}: {why}")),
            Ok(answer) if !answer.is_success() => {
                FaultSupport::Disabled(format!("{url} answered {}", answer.status))
            }
            Ok(answer) => {
                let answer: Value = answer.json().unwrap_or_default();
                let active = answer["active"].as_array().into_iter().flatten();
                FaultSupport::Active(active.filter(|one| one.is_object()).cloned().collect())
            }
        }
    }
}
