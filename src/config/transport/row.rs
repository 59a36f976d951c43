//! What a row of the table of transports says.

use super::Transport;
use crate::config::BrokerConfig;

/// One row: all that is known of a transport outside its own file.
#[derive(Debug)]
pub struct TransportRow {
    /// Which one.
    pub transport: Transport,
    /// The spelling of flag, variable and `GET /stats`.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// `messaging.system` of its spans.
    pub system: &'static str,
    /// The setting without which it cannot run.
    pub address: Option<AddressSetting>,
    /// The Cargo feature its client is part of, if that is not in every build.
    pub feature: Option<CargoFeature>,
    /// What its settings lack beside the address, in one sentence.
    pub(super) lacks: fn(&BrokerConfig) -> Option<&'static str>,
    /// Targets of its client's own log lines and the most that is written of them.
    pub quiet_targets: &'static [(&'static str, &'static str)],
    /// What it does with messages.
    pub guarantees: Guarantees,
}

/// A broker's address among the settings.
#[derive(Debug)]
pub struct AddressSetting {
    /// With its two hyphens.
    pub flag: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// Whether it may hold a password and is never shown.
    pub secret: bool,
    pub(super) is_set: fn(&BrokerConfig) -> bool,
}

/// A Cargo feature that a transport needs.
#[derive(Debug)]
pub struct CargoFeature {
    /// Its name.
    pub name: &'static str,
    /// Whether this build has it.
    pub built: bool,
    /// What to say where it is missing: names flag, variable and the build that has it.
    pub missing: &'static str,
}

/// What a transport is made of and what it promises beyond what all of them do; the conformance
/// suite holds each promise on a real broker.
#[derive(Debug)]
pub struct Guarantees {
    /// What queue, retries and dead letters are, in the broker's words.
    pub made_of: &'static str,
    /// The native place of headers, the trace context among them.
    pub headers_in: &'static str,
    /// How far messages with one key keep their order.
    pub order: KeyOrder,
    /// When another consumer gets what a dead one left unsettled.
    pub redelivered: &'static str,
    /// Whether a delivery that ended in a crash counts as an attempt.
    pub crashes_count: bool,
    /// Whether messages of a key go to one consumer for as long as that lives, retries included.
    pub keys_have_owners: bool,
    /// Whether the count of messages in flight includes what other consumers have received.
    pub sees_others_in_flight: bool,
    /// Whether a message that waits for its retry counts as waiting, not as in flight.
    pub retries_wait: bool,
    /// How a client proves who it is, and how the wire is protected.
    pub login: &'static str,
}

/// How far messages with one key keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// None is delivered while an earlier one of its key is in the queue, retries included.
    ThroughRetries,
    /// Delivered in the order of publishing; a retry does not hold up what follows.
    FirstDeliveries,
    /// Any.
    None,
}

impl KeyOrder {
    /// As the documents say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ThroughRetries => "through retries",
            Self::FirstDeliveries => "first deliveries",
            Self::None => "none",
        }
    }
}

impl TransportRow {
    /// What is missing for this transport to run, in one sentence that names flag and variable.
    ///
    /// # Errors
    /// Its address or login is not set, or this build has no client for it.
    pub(in crate::config) fn check(&self, broker: &BrokerConfig) -> Result<(), String> {
        if let Some(feature) = self.feature.as_ref().filter(|feature| !feature.built) {
            return Err(feature.missing.to_owned());
        }
        if let Some(lack) = (self.lacks)(broker) {
            return Err(lack.to_owned());
        }
        match &self.address {
            Some(address) if !(address.is_set)(broker) => Err(format!(
                "{} (environment variable {}) is not set, and --queue-transport (environment variable \
                 QUEUE_TRANSPORT) {} needs it",
                address.flag, address.variable, self.name
            )),
            _ => Ok(()),
        }
    }
}
