//! Where a signal goes, and how.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::vars::{Notes, var};
use super::{ONE_DAY_MS, Var, text_length};
use crate::config::OtelConfig;
use crate::runtime::telemetry::otlp::{StdoutLines, grpc_path};
use crate::runtime::telemetry::signal::Signal;

/// A receiver on this host, by the specification's port.
const DEFAULT_BASE: &str = "http://localhost:4318";
const DEFAULT_GRPC: &str = "http://localhost:4317";
const LONGEST_EXPORT_MS: u64 = 10_000;

/// The OTLP receiver and what to send it; instead of that, or beside it, standard output.
#[derive(Clone, Debug)]
pub(in crate::runtime::telemetry) struct Export {
    /// Whether OTLP is spoken at all.
    pub(in crate::runtime::telemetry) otlp: bool,
    /// Whether items are printed, and by what; nothing is where the process has another use for its standard output.
    pub(in crate::runtime::telemetry) console: bool,
    pub(in crate::runtime::telemetry) lines: Option<StdoutLines>,
    /// The full URL of one export.
    pub(in crate::runtime::telemetry) endpoint: Url,
    /// The user's headers, marked sensitive.
    pub(in crate::runtime::telemetry) headers: HeaderMap,
    /// Longest time for one export, retries included.
    pub(in crate::runtime::telemetry) timeout: Duration,
    pub(in crate::runtime::telemetry) protocol: Protocol,
    /// Whether bodies are compressed.
    pub(in crate::runtime::telemetry) gzip: bool,
    /// PEM files for TLS.
    pub(in crate::runtime::telemetry) files: Files,
}

/// How exports are sent (OTLP specification, "OTLP/HTTP" and "OTLP/gRPC").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::telemetry) enum Protocol {
    HttpProtobuf,
    HttpJson,
    Grpc,
}

/// Paths of PEM files; read when the client is built.
#[derive(Clone, Debug, Default)]
pub(in crate::runtime::telemetry) struct Files {
    /// The authority to trust, instead of the system's.
    pub(in crate::runtime::telemetry) authority: Option<String>,
    /// This client's certificate and key.
    pub(in crate::runtime::telemetry) client: Option<(String, String)>,
}

/// The variables that decide one signal's export: its own, and the general ones behind them.
struct Variables<'a> {
    signal: Signal,
    exporter: Var<'a>,
    protocol: Var<'a>,
    endpoint: Var<'a>,
    base: Var<'a>,
    headers: Var<'a>,
    timeout: Var<'a>,
    batch_timeout: Var<'a>,
    compression: Var<'a>,
    certificate: Var<'a>,
    client_certificate: Var<'a>,
    client_key: Var<'a>,
}

/// The variables of a signal, whose own ones stand in `$own` and end in these words.
macro_rules! variables {
    (
        $signal:expr, $config:ident, $own:expr, $exporter:ident, $batch_timeout:ident,
        $endpoint:ident, $protocol:ident, $headers:ident, $timeout:ident, $compression:ident,
        $certificate:ident, $client_certificate:ident, $client_key:ident
    ) => {
        Variables {
            signal: $signal,
            exporter: var!($own, $exporter),
            protocol: var!($own, $protocol).or(var!($config, otel_exporter_otlp_protocol)),
            endpoint: var!($own, $endpoint),
            base: var!($config, otel_exporter_otlp_endpoint),
            headers: var!($own, $headers).or(var!($config, otel_exporter_otlp_headers)),
            timeout: var!($own, $timeout).or(var!($config, otel_exporter_otlp_timeout)),
            batch_timeout: var!($own, $batch_timeout),
            compression: var!($own, $compression).or(var!($config, otel_exporter_otlp_compression)),
            certificate: var!($own, $certificate).or(var!($config, otel_exporter_otlp_certificate)),
            client_certificate: var!($own, $client_certificate)
                .or(var!($config, otel_exporter_otlp_client_certificate)),
            client_key: var!($own, $client_key).or(var!($config, otel_exporter_otlp_client_key)),
        }
    };
}

impl<'a> Variables<'a> {
    fn of(signal: Signal, config: &'a OtelConfig) -> Self {
        match signal {
            Signal::Traces => variables!(
                signal,
                config,
                config,
                otel_traces_exporter,
                otel_bsp_export_timeout,
                otel_exporter_otlp_traces_endpoint,
                otel_exporter_otlp_traces_protocol,
                otel_exporter_otlp_traces_headers,
                otel_exporter_otlp_traces_timeout,
                otel_exporter_otlp_traces_compression,
                otel_exporter_otlp_traces_certificate,
                otel_exporter_otlp_traces_client_certificate,
                otel_exporter_otlp_traces_client_key
            ),
            Signal::Logs => variables!(
                signal,
                config,
                config.logs,
                otel_logs_exporter,
                otel_blrp_export_timeout,
                otel_exporter_otlp_logs_endpoint,
                otel_exporter_otlp_logs_protocol,
                otel_exporter_otlp_logs_headers,
                otel_exporter_otlp_logs_timeout,
                otel_exporter_otlp_logs_compression,
                otel_exporter_otlp_logs_certificate,
                otel_exporter_otlp_logs_client_certificate,
                otel_exporter_otlp_logs_client_key
            ),
            Signal::Metrics => variables!(
                signal,
                config,
                config.metrics,
                otel_metrics_exporter,
                otel_metric_export_timeout,
                otel_exporter_otlp_metrics_endpoint,
                otel_exporter_otlp_metrics_protocol,
                otel_exporter_otlp_metrics_headers,
                otel_exporter_otlp_metrics_timeout,
                otel_exporter_otlp_metrics_compression,
                otel_exporter_otlp_metrics_certificate,
                otel_exporter_otlp_metrics_client_certificate,
                otel_exporter_otlp_metrics_client_key
            ),
        }
    }
}

impl Export {
    /// For one signal; `None` where nothing of it is to be exported.
    pub(super) fn read(signal: Signal, config: &OtelConfig, notes: &mut Notes) -> Option<Self> {
        let variables = &Variables::of(signal, config);
        let exporters = exporters(signal, &variables.exporter, notes)?;
        let protocol = protocol(&variables.protocol, notes);
        Some(Self {
            otlp: exporters.otlp,
            console: exporters.console,
            lines: None,
            endpoint: match protocol {
                Protocol::Grpc => grpc_endpoint(variables, notes),
                Protocol::HttpProtobuf | Protocol::HttpJson => endpoint(variables, notes),
            },
            protocol,
            headers: headers(&variables.headers, notes),
            timeout: timeout(variables, notes),
            gzip: gzip(&variables.compression, notes),
            files: files(variables, notes),
        })
    }
}

/// Keeps what the variables have come to that stand behind those of the signals; a signal that reads one notes what is
/// wrong with it.
pub(super) fn general(config: &OtelConfig, notes: &mut Notes) {
    let mut quiet = Notes::default();
    let protocol = protocol(&var!(config, otel_exporter_otlp_protocol), &mut quiet);
    let base = var!(config, otel_exporter_otlp_endpoint);
    match url_of(&base) {
        Some(Some(_)) => quiet.holds(&base, &base.value.unwrap_or_default()),
        _ => quiet
            .holds_by_default(&base, &if protocol == Protocol::Grpc { DEFAULT_GRPC } else { DEFAULT_BASE }),
    }
    headers(&var!(config, otel_exporter_otlp_headers), &mut quiet);
    var!(config, otel_exporter_otlp_timeout).number(1..=ONE_DAY_MS, LONGEST_EXPORT_MS, &mut quiet);
    gzip(&var!(config, otel_exporter_otlp_compression), &mut quiet);
    authority(&var!(config, otel_exporter_otlp_certificate), &mut quiet);
    text_length(&var!(config, otel_attribute_value_length_limit), &mut quiet);
    notes.1.append(&mut quiet.1);
}

/// Which of the exporters a list names.
struct Exporters {
    otlp: bool,
    console: bool,
}

/// Those that a list names; `None` where it is none of them. Of metrics, Prometheus may be another: its page is there
/// in any case.
fn exporters(signal: Signal, exporter: &Var<'_>, notes: &mut Notes) -> Option<Exporters> {
    let Some(list) = exporter.value else {
        notes.holds(exporter, &"otlp");
        return Some(Exporters { otlp: true, console: false });
    };
    let names: Vec<_> = list.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let scraped = signal == Signal::Metrics;
    let all: &[&str] = if scraped { &["otlp", "prometheus", "console"] } else { &["otlp", "console"] };
    let named = |wanted: &str| names.iter().any(|name| name == wanted);
    let used: Vec<_> = all.iter().copied().filter(|name| named(name)).collect();
    let using = if used.is_empty() { "none".to_owned() } else { used.join(",") };
    let unknown =
        names.iter().filter(|name| !name.is_empty() && *name != "none" && !all.contains(&name.as_str()));
    match unknown.count() {
        0 => {}
        // The specification: what is not known is as if it were not set.
        _ if used.is_empty() && !named("none") => {
            notes.add(exporter, &format!("is neither {} nor none; using otlp", all.join(", ")));
            notes.holds_by_default(exporter, &"otlp");
            return Some(Exporters { otlp: true, console: false });
        }
        _ => notes.add(
            exporter,
            &format!("names an exporter that is not known here; ignoring that one, using {using}"),
        ),
    }
    if named("none") && !used.is_empty() {
        notes.add(exporter, &format!("names none beside others, which has no effect; using {using}"));
    }
    notes.holds(exporter, &using);
    let exporters = Exporters { otlp: named("otlp"), console: named("console") };
    (exporters.otlp || exporters.console).then_some(exporters)
}

fn protocol(var: &Var<'_>, notes: &mut Notes) -> Protocol {
    let name = var.value.map(str::to_ascii_lowercase);
    let protocol = match name.as_deref() {
        None | Some("http/protobuf") => Protocol::HttpProtobuf,
        Some("http/json") => Protocol::HttpJson,
        Some("grpc") if cfg!(feature = "grpc") => Protocol::Grpc,
        not => {
            let why = if not == Some("grpc") {
                "is grpc, which this build does not speak (cargo build --release --features grpc); using \
                 http/protobuf"
            } else {
                "names a protocol this program does not speak; using http/protobuf"
            };
            notes.add(var, why);
            notes.holds_by_default(var, &"http/protobuf");
            return Protocol::HttpProtobuf;
        }
    };
    notes.holds(var, &name.as_deref().unwrap_or("http/protobuf"));
    protocol
}

/// A variable's URL; `Some(None)` for what is none.
fn url_of(var: &Var<'_>) -> Option<Option<Url>> {
    let url = |text| Url::parse(text).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
    var.value.map(url)
}

/// Of gRPC's endpoint only scheme, host and port count; the path is the service's.
fn grpc_endpoint(variables: &Variables<'_>, notes: &mut Notes) -> Url {
    let mut var = variables.endpoint.or(variables.base);
    let mut url = match url_of(&var) {
        Some(Some(url)) => url,
        invalid => {
            if invalid.is_some() {
                notes.add(&var, &format!("is not an http or https URL; using {DEFAULT_GRPC}"));
            }
            var = var.unset();
            default_endpoint(DEFAULT_GRPC, "")
        }
    };
    url.set_path(grpc_path(variables.signal));
    url.set_query(None);
    notes.holds(&var, &url);
    url
}

fn endpoint(variables: &Variables<'_>, notes: &mut Notes) -> Url {
    let (own, base, path) = (variables.endpoint, variables.base, variables.signal.path());
    let mut var = own.or(base);
    let url = match url_of(&var) {
        Some(Some(url)) if own.value.is_some() => url,
        // The specification: a signal's own endpoint is used as it is, the general one is a base.
        Some(Some(mut url)) => {
            let mut base = url.path().trim_end_matches('/').to_owned();
            let other = Signal::ALL.iter().find(|other| base.ends_with(other.path()));
            if let Some(other) = other.filter(|other| **other != variables.signal) {
                // The note stands with the signal that it names.
                base.truncate(base.len() - other.path().len());
            }
            if base.ends_with(path) {
                notes.add(
                    &var,
                    &format!(
                        "is a base, to which {path} is added, and ends in it already; using it as it is"
                    ),
                );
                url.set_path(&base);
            } else {
                url.set_path(&format!("{base}{path}"));
            }
            url
        }
        invalid => {
            if invalid.is_some() {
                notes.add(&var, &format!("is not an http or https URL; using {DEFAULT_BASE}"));
            }
            var = var.unset();
            default_endpoint(DEFAULT_BASE, path)
        }
    };
    notes.holds(&var, &url);
    url
}

#[allow(clippy::expect_used, reason = "made of constants, parsed by a test")]
fn default_endpoint(base: &str, path: &str) -> Url {
    Url::parse(&format!("{base}{path}")).expect("the default endpoint is a URL")
}

fn headers(var: &Var<'_>, notes: &mut Notes) -> HeaderMap {
    // What describes the body is the exporter's to say.
    const OURS: [HeaderName; 4] =
        [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::HOST];
    let mut headers = HeaderMap::new();
    for (key, value) in var.pairs(notes) {
        let parsed = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::from_str(&value));
        match parsed {
            (Ok(name), Ok(mut value)) if !OURS.contains(&name) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            _ => notes.add(var, "has a header that cannot be sent; ignoring that one"),
        }
    }
    if !headers.is_empty() {
        notes.holds(var, &"***");
    }
    headers
}

fn timeout(variables: &Variables<'_>, notes: &mut Notes) -> Duration {
    let otlp = variables.timeout.number(1..=ONE_DAY_MS, LONGEST_EXPORT_MS, notes);
    let batch = variables.batch_timeout.number(1..=ONE_DAY_MS, 30_000, notes);
    Duration::from_millis(otlp.min(batch))
}

fn gzip(var: &Var<'_>, notes: &mut Notes) -> bool {
    let name = var.value.map(str::to_ascii_lowercase);
    match name.as_deref() {
        None | Some("gzip" | "none") => notes.holds(var, &name.as_deref().unwrap_or("none")),
        Some(_) => {
            notes.add(var, "is neither gzip nor none; using none");
            notes.holds_by_default(var, &"none");
        }
    }
    name.as_deref() == Some("gzip")
}

/// The file of the authority to trust, where it is not the system's.
fn authority(var: &Var<'_>, notes: &mut Notes) -> Option<String> {
    notes.holds(var, &var.value.unwrap_or("the system's"));
    var.value.map(str::to_owned)
}

fn files(variables: &Variables<'_>, notes: &mut Notes) -> Files {
    let owned = |var: &Var<'_>| var.value.map(str::to_owned);
    let (certificate, key) = (variables.client_certificate, variables.client_key);
    let client = match (owned(&certificate), owned(&key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            notes.add(&certificate, "and its key only work together; going on without");
            None
        }
    };
    if let Some((of_certificate, of_key)) = &client {
        notes.holds(&certificate, of_certificate);
        notes.holds(&key, of_key);
    }
    Files { authority: authority(&variables.certificate, notes), client }
}
