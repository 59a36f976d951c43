//! The arguments of `o11y-lab fault`.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{BareUnit, PortBase, duration, http_url};
use crate::schema::{FAULT_NAMES, Role};

/// What `o11y-lab fault` does.
#[derive(Clone, Debug, Subcommand)]
pub enum FaultAction {
    /// List the faults there are, and which of them are active where
    List {
        #[command(flatten)]
        #[allow(missing_docs)]
        target: FaultTarget,
    },
    /// Set a fault, in place of the same one before; it ends by itself
    Set {
        #[command(flatten)]
        #[allow(missing_docs)]
        arguments: FaultArguments,
        #[command(flatten)]
        #[allow(missing_docs)]
        target: FaultTarget,
    },
    /// Clear one fault, or all
    Clear {
        /// The fault [default: all]
        #[arg(value_parser = PossibleValuesParser::new(FAULT_NAMES), hide_possible_values = true)]
        name: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        target: FaultTarget,
    },
}

/// A fault with its parameters. The role judges them: it knows the table and its own routes.
#[derive(Args, Clone, Debug)]
pub struct FaultArguments {
    /// The fault; `fault list` says what each one does and takes
    #[arg(value_parser = PossibleValuesParser::new(FAULT_NAMES), hide_possible_values = true)]
    pub name: String,
    /// Time added, such as 500ms or 1.5s; a bare number is milliseconds
    #[arg(long, value_name = "TIME", value_parser = whole_milliseconds)]
    pub ms: Option<u64>,
    /// Share of those it could hit, above 0 and at most 1
    #[arg(long, value_parser = super::load::ratio)]
    pub ratio: Option<f64>,
    /// Only requests of this route template of the role, such as /orders/{id}
    #[arg(long)]
    pub route: Option<String>,
    /// Status code of the answer: 500, 503 or 504
    #[arg(long)]
    pub status: Option<u64>,
    /// How often it is done again
    #[arg(long)]
    pub times: Option<u64>,
    /// Connections that are kept at the most
    #[arg(long)]
    pub connections: Option<u64>,
    /// Memory kept for each request, in KiB
    #[arg(long)]
    pub kib: Option<u64>,
    /// Share of one core, in percent
    #[arg(long)]
    pub percent: Option<u64>,
    /// Log lines each second
    #[arg(long)]
    pub lines: Option<u64>,
    /// Until it ends by itself, such as 90s or 5m, at most 1h; a bare number is seconds
    #[arg(long, value_name = "TIME", value_parser = whole_seconds)]
    pub seconds: Option<u64>,
}

impl FaultArguments {
    /// The body of `POST /faults`: what was given, and nothing else.
    pub fn to_json(&self) -> Value {
        let given = [
            ("ms", json!(self.ms)),
            ("ratio", json!(self.ratio)),
            ("route", json!(self.route)),
            ("status", json!(self.status)),
            ("times", json!(self.times)),
            ("connections", json!(self.connections)),
            ("kib", json!(self.kib)),
            ("percent", json!(self.percent)),
            ("lines", json!(self.lines)),
            ("seconds", json!(self.seconds)),
        ];
        let given = given.into_iter().filter(|(_, value)| !value.is_null());
        let named = [("fault", json!(self.name))].into_iter().chain(given);
        Value::Object(named.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
    }
}

/// Which role a fault is about, and where it is.
#[derive(Args, Clone, Debug)]
pub struct FaultTarget {
    /// The role [default: all; for set, the first that `fault list` names]
    #[arg(long)]
    pub role: Option<Role>,
    /// The one role at this URL, wherever it runs
    #[arg(long, value_parser = http_url, conflicts_with = "role")]
    pub url: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// The role takes whole numbers and says which ones.
fn whole_seconds(text: &str) -> Result<u64, String> {
    let read = duration(text, BareUnit::Seconds).filter(|time| time.subsec_nanos() == 0);
    read.map(|time| time.as_secs())
        .ok_or_else(|| "expected a time of whole seconds, such as 90s, 5m or 1h".into())
}

fn whole_milliseconds(text: &str) -> Result<u64, String> {
    let read = duration(text, BareUnit::Milliseconds).filter(|time| time.subsec_nanos() % 1_000_000 == 0);
    let number = read.and_then(|time| u64::try_from(time.as_millis()).ok());
    number.ok_or_else(|| "expected a time of whole milliseconds, such as 500ms or 1.5s".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_fault_are_read_as_every_other_time() {
        for (text, seconds) in [("60", 60), ("90s", 90), ("5m", 300), ("1h", 3600), ("1.5m", 90)] {
            assert_eq!(whole_seconds(text), Ok(seconds), "{text}");
        }
        for (text, ms) in [("500", 500), ("500ms", 500), ("1.5s", 1500)] {
            assert_eq!(whole_milliseconds(text), Ok(ms), "{text}");
        }
        for wrong in ["1500ms", "-1", "soon", "", "1.5"] {
            assert!(whole_seconds(wrong).is_err(), "{wrong}");
        }
        assert!(whole_milliseconds("5us").is_err());
    }
}
