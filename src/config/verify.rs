//! The arguments of `o11y-lab verify`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::load::length;
use super::{BackendAccessConfig, PortBase, SamplingConfig, SpecConfig, TraceMode, http_url, milliseconds};
use crate::schema::{Endpoint, FAULT_NAMES, JAEGER_PORT, Role, SERVICES};

/// Settings of `verify`: a workload of known shape, and the backends that must have received all of it.
#[derive(Args, Clone, Debug)]
pub struct VerifyConfig {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub ports: PortBase,
    /// Base URL of the gateway [default: the gateway of --port-base on this machine]
    #[arg(long, env = "VERIFY_URL", value_name = "URL", value_parser = plain_url, hide_env_values = true)]
    pub url: Option<String>,
    /// Orders to send; every other kind of request is sent a tenth as often, and once at least
    #[arg(long, env = "VERIFY_ORDERS", default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub orders: u32,
    /// The same seed sends the same requests in the same order
    #[arg(long, env = "VERIFY_SEED", default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Most requests in flight, and most questions to one backend
    #[arg(long, env = "VERIFY_CONNECTIONS", default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub connections: u32,
    /// Longest time one request may take, in milliseconds
    #[arg(long, env = "VERIFY_TIMEOUT_MS", default_value = "15000", value_name = "MS", value_parser = milliseconds)]
    pub timeout: Duration,
    /// Where traces are, such as jaeger=http://127.0.0.1:16686; console, jaeger, tempo, or file=PATH of a collector (repeatable) [default: the lab's console, else a Jaeger on this machine]
    #[arg(long, env = "VERIFY_TRACES", value_name = "KIND=URL", value_delimiter = ',', value_parser = traces, hide_env_values = true)]
    pub traces: Vec<BackendSource>,
    /// Where metrics are; roles, prometheus, console, file (repeatable) [default: the pages of the roles and the lab's console]
    #[arg(long, env = "VERIFY_METRICS", value_name = "KIND=URL", value_delimiter = ',', value_parser = metrics, hide_env_values = true)]
    pub metrics: Vec<BackendSource>,
    /// Where log lines are; console, victorialogs, loki, file (repeatable) [default: the lab's console]
    #[arg(long, env = "VERIFY_LOGS", value_name = "KIND=URL", value_delimiter = ',', value_parser = logs, hide_env_values = true)]
    pub logs: Vec<BackendSource>,
    /// Where alert rules are evaluated; prometheus (repeatable) [default: none]
    #[arg(long, env = "VERIFY_ALERTS", value_name = "KIND=URL", value_delimiter = ',', value_parser = alerts, hide_env_values = true)]
    pub alerts: Vec<BackendSource>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: BackendAccessConfig,
    /// Start a lab for this run whose telemetry goes to this OTLP/HTTP receiver; --url and --port-base have no effect then
    #[arg(long, env = "VERIFY_PIPELINE", value_name = "URL", value_parser = http_url, hide_env_values = true)]
    pub pipeline: Option<String>,
    /// A collector on the way, such as agent=http://127.0.0.1:8888: a name and where its own metrics are (repeatable, from the lab to the backend)
    #[arg(long = "station", env = "VERIFY_STATIONS", value_name = "NAME=URL", value_delimiter = ',', value_parser = station, hide_env_values = true)]
    pub stations: Vec<StationSource>,
    /// Longest wait for the telemetry after the last answer
    #[arg(long, env = "VERIFY_WITHIN", default_value = "30s", value_name = "TIME", value_parser = length)]
    pub within: Duration,
    /// How long all of it has to stay as it is, once it is there: so long may more arrive than was sent
    #[arg(long, env = "VERIFY_SETTLE", default_value = "1s", value_name = "TIME", value_parser = length)]
    pub settle: Duration,
    /// By how much clocks may differ where a span has to lie within its parent
    #[arg(long, env = "VERIFY_CLOCK_TOLERANCE", default_value = "100ms", value_name = "TIME", value_parser = length)]
    pub clock_tolerance: Duration,
    /// How the consumer's spans are joined: the setting of the lab that is verified
    #[arg(long, env = "QUEUE_TRACE_MODE", default_value = "child")]
    pub queue_trace_mode: TraceMode,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub sampling: SamplingConfig,
    /// Attempts that a message has: the setting of the lab that is verified
    #[arg(long, env = "QUEUE_MAX_ATTEMPTS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub queue_max_attempts: u32,
    /// The lab has no lambda role: orders are expected to be passed on without its verdict
    #[arg(long, env = "VERIFY_WITHOUT_VALIDATOR")]
    pub without_validator: bool,
    /// Faults to set meanwhile (repeatable): what is expected changes with them, and they are cleared in the end
    #[arg(long, env = "VERIFY_FAULTS", value_name = "NAME", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(FAULT_NAMES))]
    pub faults: Vec<String>,
    /// Go on, round after round, and say which claims changed, until it is stopped
    #[arg(long, env = "VERIFY_WATCH", conflicts_with_all = ["diff", "json", "junit", "github", "faults", "pipeline"])]
    pub watch: bool,
    /// List every claim, not only those that do not hold
    #[arg(long, env = "VERIFY_DETAILS")]
    pub details: bool,
    /// Send nothing: judge the traces.jsonl, metrics.jsonl and logs.jsonl of this folder, as `scenario record` writes them, by the shapes of requests and by the truth beside them
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "orders", "seed", "traces", "metrics", "logs", "alerts", "diff", "pipeline", "faults", "watch", "spec", "record"])]
    pub files: Option<PathBuf>,
    /// Send nothing: say what changed from one report, made with --json, to a later one
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"], conflicts_with_all = ["junit", "github", "details"])]
    pub diff: Vec<PathBuf>,
    /// Report in JSON
    #[arg(long)]
    pub json: bool,
    /// Write a JUnit report to this file too
    #[arg(long, env = "VERIFY_JUNIT", value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Say what does not hold as annotations of a GitHub workflow too, on standard error
    #[arg(long, env = "VERIFY_GITHUB")]
    pub github: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub other: SpecConfig,
}

/// A backend: what it is, and its base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSource {
    /// One of the kinds that the setting takes.
    pub kind: &'static str,
    /// Without a slash at its end; the path of a file; empty for the roles, which have an address each.
    pub url: String,
}

/// A collector between the lab and the backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StationSource {
    /// What the report calls it.
    pub name: String,
    /// The page with its own metrics.
    pub url: String,
}

impl VerifyConfig {
    /// The pages of the roles as a source of metrics.
    pub(crate) fn roles() -> BackendSource {
        BackendSource { kind: "roles", url: String::new() }
    }

    /// The gateway's base URL.
    pub fn target(&self) -> String {
        self.url.clone().unwrap_or_else(|| self.of(Role::Gateway))
    }

    /// The base URL of a role.
    pub fn of(&self, role: Role) -> String {
        format!("http://127.0.0.1:{}", self.ports.ports().of(role))
    }

    /// Every role's `service.name` and base URL.
    pub fn pages(&self) -> Vec<(&'static str, String)> {
        let there = SERVICES.iter().filter(|s| !(self.without_validator && s.role == Role::Lambda));
        there.map(|service| (service.name, self.of(service.role))).collect()
    }

    /// The base URL of the lab's console.
    pub fn console(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.ports().at(Endpoint::Console))
    }

    /// The base URL of a Jaeger that compose publishes.
    pub fn jaeger() -> String {
        format!("http://127.0.0.1:{JAEGER_PORT}")
    }
}

/// The gateway's: its answers and its page are read without TLS.
fn plain_url(text: &str) -> Result<String, String> {
    let url = http_url(text)?;
    match url.starts_with("http://") {
        true => Ok(url),
        false => {
            Err("a gateway behind https cannot be asked: name an address of it that speaks http".to_owned())
        }
    }
}

fn traces(text: &str) -> Result<BackendSource, String> {
    source(text, &["console", "jaeger", "tempo", "file"])
}

fn metrics(text: &str) -> Result<BackendSource, String> {
    if text == "roles" {
        return Ok(VerifyConfig::roles());
    }
    source(text, &["prometheus", "console", "roles", "file"])
}

fn logs(text: &str) -> Result<BackendSource, String> {
    source(text, &["console", "victorialogs", "loki", "file"])
}

fn alerts(text: &str) -> Result<BackendSource, String> {
    source(text, &["prometheus"])
}

fn station(text: &str) -> Result<StationSource, String> {
    let expected = "expected NAME=http://host:port, with a path where its metrics are not at /metrics";
    let (name, url) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(expected)?;
    let url = http_url(url)?;
    if !url.starts_with("http://") {
        return Err(expected.to_owned());
    }
    let bare = url::Url::parse(&url).is_ok_and(|url| url.path() == "/");
    Ok(StationSource { name: name.to_owned(), url: if bare { format!("{url}/metrics") } else { url } })
}

fn source(text: &str, kinds: &[&'static str]) -> Result<BackendSource, String> {
    let expected = || format!("expected KIND=URL, where KIND is {}", kinds.join(" or "));
    let (kind, url) = text.split_once('=').ok_or_else(expected)?;
    let kind = kinds.iter().find(|known| **known == kind).ok_or_else(expected)?;
    if *kind == "roles" {
        return Err("roles takes no URL: --port-base says where they are".to_owned());
    }
    if *kind == "file" && !url.is_empty() {
        return Ok(BackendSource { kind, url: url.to_owned() });
    }
    let url = http_url(url)?.trim_end_matches('/').to_owned();
    Ok(BackendSource { kind, url })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_station_is_a_name_and_a_page_which_is_its_metrics_where_no_path_is_named() {
        let url = |text: &str| station(text).map(|station| station.url);
        assert_eq!(url("agent=http://127.0.0.1:8888/"), Ok("http://127.0.0.1:8888/metrics".to_owned()));
        assert_eq!(url("agent=http://127.0.0.1:8888/own"), Ok("http://127.0.0.1:8888/own".to_owned()));
        for bad in ["http://127.0.0.1:8888", "=http://127.0.0.1", "agent=https://127.0.0.1", "agent="] {
            assert!(station(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_gateway_behind_https_is_refused_at_once() {
        assert_eq!(plain_url("http://lab:3000/"), Ok("http://lab:3000".to_owned()));
        assert!(plain_url("https://lab:3000").unwrap_err().contains("behind https"));
    }

    #[test]
    fn a_backend_is_a_kind_of_its_signal_and_a_url() {
        let jaeger = traces("jaeger=http://127.0.0.1:16686/");
        let url = "http://127.0.0.1:16686".to_owned();
        assert_eq!(jaeger, Ok(BackendSource { kind: "jaeger", url }));
        let file = logs("file=/tmp/logs.json").map(|source| (source.kind, source.url));
        assert_eq!(file, Ok(("file", "/tmp/logs.json".to_owned())));
        assert_eq!(metrics("roles").map(|source| source.kind), Ok("roles"));
        for bad in ["http://127.0.0.1", "loki=http://127.0.0.1", "jaeger=", "jaeger=ftp://x", "file="] {
            assert!(traces(bad).is_err(), "{bad}");
        }
        assert!(metrics("roles=http://127.0.0.1").is_err());
    }
}
