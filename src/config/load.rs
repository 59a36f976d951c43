//! The arguments of `o11y-lab load`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{BareUnit, LONGEST, OtelConfig, PortBase, duration, http_url, milliseconds, seconds};
use crate::schema::{Endpoint, Role};

/// The most requests a second that may be asked for: more than one process can send.
pub const MAX_RPS: f64 = 20_000.0;

/// Stands in a setting for the id of a trace.
pub const TRACE_ID: &str = "{traceId}";

/// Settings of `load`: traffic for a running lab.
#[derive(Args, Clone, Debug)]
pub struct LoadConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// Base URL of the gateway [default: the gateway of --port-base on this machine]
    #[arg(long, env = "LOAD_URL", value_parser = http_url)]
    pub url: Option<String>,
    /// Requests a second [default: 10; with --forever 2]
    #[arg(long, env = "LOAD_RPS", value_name = "N", value_parser = rps)]
    pub rps: Option<f64>,
    /// How long, such as 30s, 5m or 1h
    #[arg(long, env = "LOAD_DURATION", default_value = "30s", value_name = "TIME", value_parser = length)]
    pub duration: Duration,
    /// Most requests in flight, each on a connection of its own
    #[arg(long, env = "LOAD_CONNECTIONS", default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// What is asked
    #[arg(long, env = "LOAD_MIX", default_value = "mixed")]
    pub mix: Mix,
    /// The same seed makes the same requests in the same order
    #[arg(long, env = "LOAD_SEED", default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Phases: `default`, or a file with a line for each (docs/load.md)
    #[arg(long, env = "LOAD_PLAN", value_name = "PLAN", conflicts_with_all = ["rps", "duration"])]
    pub plan: Option<String>,
    /// A gentle heartbeat until it is stopped; it writes one JSON object a line
    #[arg(long, env = "LOAD_FOREVER", conflicts_with_all = ["duration", "max_error_ratio"])]
    pub forever: bool,
    /// Closed loop: each connection sends its next request when the last one is answered
    #[arg(long, env = "LOAD_CLOSED", conflicts_with_all = ["rps", "plan", "forever", "dry_run"])]
    pub closed: bool,
    /// When requests are due in an open loop
    #[arg(long, env = "LOAD_ARRIVALS", default_value = "even", conflicts_with = "closed")]
    pub arrivals: Arrivals,
    /// Longest time one request may take, in milliseconds
    #[arg(long, env = "LOAD_TIMEOUT_MS", default_value = "15000", value_name = "MS", value_parser = milliseconds)]
    pub timeout: Duration,
    /// Most requests that wait for a free connection; more are dropped and counted
    #[arg(long, env = "LOAD_BACKLOG", default_value_t = 1000, value_name = "N")]
    pub backlog: usize,
    /// Time between two lines of progress where there is no terminal, in seconds
    #[arg(long, env = "LOAD_REPORT_EVERY", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub report_every: Duration,
    /// Exit with 1 if a greater share, 0 to 1, was not answered as expected [default: no check]
    #[arg(long, env = "LOAD_MAX_ERROR_RATIO", value_name = "RATIO", value_parser = ratio)]
    pub max_error_ratio: Option<f64>,
    /// Where a trace is seen, with {traceId} in the URL [default: the console or Jaeger on this machine, which of them has it]
    #[arg(long, env = "LOAD_TRACE_URL", value_name = "URL", value_parser = trace_url)]
    pub trace_url: Option<String>,
    /// List the requests with their times and send none
    #[arg(long)]
    pub dry_run: bool,
    /// Report in JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub otel: OtelConfig,
}

/// How requests are spread over the time in which a rate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arrivals {
    /// At even intervals
    Even,
    /// At random, as from many clients who know nothing of each other; drawn from the seed
    Poisson,
}

/// Which requests are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mix {
    /// Reads: lists, users, orders
    Browse,
    /// Writes: users, validations, orders and what becomes of them
    Checkout,
    /// Six in ten browse, three check out, one is wrong
    Mixed,
    /// Requests that must be refused: invalid, unknown, malformed, too large
    Errors,
}

impl LoadConfig {
    /// The gateway's base URL.
    pub fn target(&self) -> String {
        let port = self.ports.ports().of(Role::Gateway);
        self.url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{port}"))
    }

    /// The OpenTelemetry settings; spans go to the lab's own receiver where nothing names another.
    pub fn otel(&self) -> OtelConfig {
        let mut otel = self.otel.clone();
        if !self.names_a_collector() {
            let port = self.ports.ports().at(Endpoint::Otlp);
            otel.otel_exporter_otlp_endpoint = Some(format!("http://127.0.0.1:{port}"));
        }
        // A trace whose root is not there yet looks broken; half a second, as `up` has it.
        otel.otel_bsp_schedule_delay.get_or_insert_with(|| "500".to_owned());
        otel
    }

    /// Whether the user says where spans go.
    pub fn names_a_collector(&self) -> bool {
        self.otel.otel_exporter_otlp_endpoint.is_some()
            || self.otel.otel_exporter_otlp_traces_endpoint.is_some()
    }

    /// Requests a second where no plan says.
    pub fn rps(&self) -> f64 {
        self.rps.unwrap_or(if self.forever { 2.0 } else { 10.0 })
    }
}

/// How long a run or a phase takes, at least a millisecond; a bare number is seconds.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    // Days are left out: one would be the most there is.
    let read = duration(text, BareUnit::Seconds).filter(|_| !text.contains('d'));
    let within = read.filter(|length| (Duration::from_millis(1)..=LONGEST).contains(length));
    within.ok_or_else(|| "expected a time such as 30s, 5m or 1h, at most 24h".into())
}

fn trace_url(text: &str) -> Result<String, String> {
    match http_url(&text.replace(TRACE_ID, "0")) {
        Ok(_) if text.contains(TRACE_ID) => Ok(text.to_owned()),
        _ => Err(format!("expected a URL with {TRACE_ID} in it")),
    }
}

fn rps(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n > 0.0 && n <= MAX_RPS => Ok(n),
        _ => Err(format!("expected requests a second, more than 0 and at most {MAX_RPS}")),
    }
}

pub(super) fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (0.0..=1.0).contains(&n) => Ok(n),
        _ => Err("expected a ratio, 0 to 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_a_unit_or_is_in_seconds() {
        for (text, seconds) in [("30", 30.0), ("30s", 30.0), ("1.5m", 90.0), ("1h", 3600.0), ("0.5s", 0.5)] {
            assert_eq!(length(text).map(|d| d.as_secs_f64()), Ok(seconds), "{text}");
        }
        for bad in ["", "s", "0", "-1s", "25h", "1d", "NaN", "inf", "10 s", "5ä"] {
            assert!(length(bad).is_err(), "{bad}");
        }
    }
}
