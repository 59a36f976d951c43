//! Alerts as Prometheus evaluates them and as Alertmanager holds them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{BackendAccess, BackendError, QueryApi, texts};

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertInstance {
    /// Its labels; `alertname` is its name.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, such as `summary` and `runbook_url`.
    pub annotations: BTreeMap<String, String>,
    /// Prometheus: `pending` or `firing`. Alertmanager: `unprocessed`, `active` or `suppressed`.
    pub state: String,
    /// When its condition began to hold, as the backend writes it (RFC 3339); empty where it does not say.
    pub since: String,
}

impl AlertInstance {
    /// A label's value, empty where it has none.
    pub fn label(&self, key: &str) -> &str {
        self.labels.get(key).map_or("", String::as_str)
    }

    /// The value of `alertname`.
    pub fn name(&self) -> &str {
        self.label("alertname")
    }

    fn read(alert: &Value, state: &Value, since: &Value) -> Self {
        Self {
            labels: texts(&alert["labels"]),
            annotations: texts(&alert["annotations"]),
            state: state.as_str().unwrap_or_default().to_owned(),
            since: since.as_str().unwrap_or_default().to_owned(),
        }
    }
}

/// A rule as Prometheus evaluates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleState {
    /// The alert's or the recorded series' name.
    pub name: String,
    /// `ok`, `err`, or `unknown` before the first evaluation.
    pub health: String,
}

/// A reader of alerts.
pub struct AlertReader {
    api: QueryApi,
    source: AlertSource,
}

#[derive(Clone, Copy)]
enum AlertSource {
    Prometheus,
    Alertmanager,
}

impl AlertReader {
    /// What a Prometheus at this base URL has pending and firing.
    pub fn prometheus(base: &str) -> Self {
        Self { api: QueryApi::new(base), source: AlertSource::Prometheus }
    }

    /// What an Alertmanager at this base URL holds.
    pub fn alertmanager(base: &str) -> Self {
        Self { api: QueryApi::new(base), source: AlertSource::Alertmanager }
    }

    /// The same, reached in this way.
    #[must_use]
    pub fn through(self, access: &BackendAccess) -> Self {
        Self { api: self.api.through(access), source: self.source }
    }

    /// Every rule that a Prometheus has loaded; an Alertmanager has none.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn rules(&self) -> Result<Vec<RuleState>, BackendError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let groups = self.api.list("/api/v1/rules", "/data/groups", "a list of rule groups").await?;
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
        Ok(rules.map(|rule| RuleState { name: text(&rule["name"]), health: text(&rule["health"]) }).collect())
    }

    /// Every alert there is now.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn all(&self) -> Result<Vec<AlertInstance>, BackendError> {
        const EXPECTED: &str = "a list of alerts";
        let (path, pointer) = match self.source {
            AlertSource::Prometheus => ("/api/v1/alerts", "/data/alerts"),
            AlertSource::Alertmanager => ("/api/v2/alerts", ""),
        };
        let alerts = self.api.list(path, pointer, EXPECTED).await?;
        let read = |alert: &Value| match self.source {
            AlertSource::Prometheus => AlertInstance::read(alert, &alert["state"], &alert["activeAt"]),
            AlertSource::Alertmanager => {
                AlertInstance::read(alert, &alert["status"]["state"], &alert["startsAt"])
            }
        };
        Ok(alerts.iter().map(read).collect())
    }
}
