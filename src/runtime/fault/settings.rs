//! What a fault was set with.

use std::time::Duration;

use serde::Serialize;

/// Parameters of an active fault; one that the fault does not have is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FaultSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) route: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) times: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connections: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lines: Option<u64>,
}

impl FaultSettings {
    /// The time to add.
    pub fn extra(&self) -> Duration {
        Duration::from_millis(self.ms.unwrap_or_default())
    }

    /// How often it is done again.
    pub fn times(&self) -> u32 {
        bounded(self.times)
    }

    /// How many connections are kept at the most.
    pub fn connections(&self) -> usize {
        bounded(self.connections) as usize
    }

    /// The whole number of this name, to be set.
    pub(super) fn number(&mut self, name: &str) -> Option<&mut Option<u64>> {
        match name {
            "ms" => Some(&mut self.ms),
            "status" => Some(&mut self.status),
            "times" => Some(&mut self.times),
            "connections" => Some(&mut self.connections),
            "kib" => Some(&mut self.kib),
            "percent" => Some(&mut self.percent),
            "lines" => Some(&mut self.lines),
            _ => None,
        }
    }
}

/// The table's ranges are far below the largest `u32`.
pub(super) fn bounded(number: Option<u64>) -> u32 {
    u32::try_from(number.unwrap_or_default()).unwrap_or(u32::MAX)
}
