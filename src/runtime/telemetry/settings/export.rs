//! Where spans go, and how.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::vars::{Notes, var};
use super::{ONE_DAY_MS, Var};
use crate::config::OtelConfig;

const DEFAULT_ENDPOINT: &str = "http://localhost:4318/v1/traces";

/// The OTLP receiver and what to send it.
#[derive(Clone, Debug)]
pub(in crate::runtime::telemetry) struct Export {
    /// The full URL of one export.
    pub(in crate::runtime::telemetry) endpoint: Url,
    /// The user's headers, marked sensitive.
    pub(in crate::runtime::telemetry) headers: HeaderMap,
    /// Longest time for one export, retries included.
    pub(in crate::runtime::telemetry) timeout: Duration,
    /// Whether bodies are compressed.
    pub(in crate::runtime::telemetry) gzip: bool,
    /// PEM files for TLS.
    pub(in crate::runtime::telemetry) files: Files,
}

/// Paths of PEM files; read when the client is built.
#[derive(Clone, Debug, Default)]
pub(in crate::runtime::telemetry) struct Files {
    /// The authority to trust, instead of the system's.
    pub(in crate::runtime::telemetry) authority: Option<String>,
    /// This client's certificate and key.
    pub(in crate::runtime::telemetry) client: Option<(String, String)>,
}

impl Export {
    /// `None` where nothing is to be exported.
    pub(super) fn read(config: &OtelConfig, notes: &mut Notes) -> Option<Self> {
        let exporter = var!(config, otel_traces_exporter);
        match exporter.value.map(str::to_ascii_lowercase).as_deref() {
            Some("none") => return None,
            None | Some("otlp") => {}
            Some(_) => notes.add(&exporter, "is neither otlp nor none; using otlp"),
        }
        let protocol =
            var!(config, otel_exporter_otlp_traces_protocol).or(var!(config, otel_exporter_otlp_protocol));
        if protocol.value.is_some_and(|p| !p.eq_ignore_ascii_case("http/protobuf")) {
            notes.add(&protocol, "names a protocol this program does not speak; using http/protobuf");
        }
        Some(Self {
            endpoint: endpoint(config, notes),
            headers: headers(config, notes),
            timeout: timeout(config, notes),
            gzip: gzip(config, notes),
            files: files(config, notes),
        })
    }
}

fn endpoint(config: &OtelConfig, notes: &mut Notes) -> Url {
    let traces = var!(config, otel_exporter_otlp_traces_endpoint);
    let base = var!(config, otel_exporter_otlp_endpoint);
    let var = traces.or(base);
    let url = match var.value {
        None => Url::parse(DEFAULT_ENDPOINT).ok(),
        Some(text) => {
            Url::parse(text).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
        }
    };
    let Some(mut url) = url else {
        notes.add(&var, &format!("is not an http or https URL; using {DEFAULT_ENDPOINT}"));
        return default_endpoint();
    };
    // The specification: a signal's own endpoint is used as it is, the general one is a base.
    if traces.value.is_none() && base.value.is_some() {
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    url
}

#[allow(clippy::expect_used, reason = "a constant, parsed by a test")]
fn default_endpoint() -> Url {
    Url::parse(DEFAULT_ENDPOINT).expect("the default endpoint is a URL")
}

fn headers(config: &OtelConfig, notes: &mut Notes) -> HeaderMap {
    // What describes the body is the exporter's to say.
    const OURS: [HeaderName; 4] =
        [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::HOST];
    let var = var!(config, otel_exporter_otlp_traces_headers).or(var!(config, otel_exporter_otlp_headers));
    let mut headers = HeaderMap::new();
    for (key, value) in var.pairs(notes) {
        let parsed = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::from_str(&value));
        match parsed {
            (Ok(name), Ok(mut value)) if !OURS.contains(&name) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            _ => notes.add(&var, "has a header that cannot be sent; ignoring that one"),
        }
    }
    headers
}

fn timeout(config: &OtelConfig, notes: &mut Notes) -> Duration {
    let otlp = var!(config, otel_exporter_otlp_traces_timeout).or(var!(config, otel_exporter_otlp_timeout));
    let otlp = otlp.number(1..=ONE_DAY_MS, 10_000, notes);
    let batch = var!(config, otel_bsp_export_timeout).number(1..=ONE_DAY_MS, 30_000, notes);
    Duration::from_millis(otlp.min(batch))
}

fn gzip(config: &OtelConfig, notes: &mut Notes) -> bool {
    let var =
        var!(config, otel_exporter_otlp_traces_compression).or(var!(config, otel_exporter_otlp_compression));
    match var.value.map(str::to_ascii_lowercase).as_deref() {
        Some("gzip") => true,
        None | Some("none") => false,
        Some(_) => {
            notes.add(&var, "is neither gzip nor none; using none");
            false
        }
    }
}

fn files(config: &OtelConfig, notes: &mut Notes) -> Files {
    let owned = |var: &Var<'_>| var.value.map(str::to_owned);
    let authority =
        var!(config, otel_exporter_otlp_traces_certificate).or(var!(config, otel_exporter_otlp_certificate));
    let certificate = var!(config, otel_exporter_otlp_traces_client_certificate)
        .or(var!(config, otel_exporter_otlp_client_certificate));
    let key =
        var!(config, otel_exporter_otlp_traces_client_key).or(var!(config, otel_exporter_otlp_client_key));
    let client = match (owned(&certificate), owned(&key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            notes.add(&certificate, "and its key only work together; going on without");
            None
        }
    };
    Files { authority: owned(&authority), client }
}
