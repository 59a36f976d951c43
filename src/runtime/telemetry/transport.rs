//! The HTTP side of an export: our client, our headers, one deadline, and the reason of a failure.
//!
//! The OTLP exporter re-reads headers and compression from the environment on top of what it is
//! given, allows each retry the whole timeout, and hides why a connection failed. It does let one
//! bring the client, so all of that is decided here.

use std::error::Error;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use flate2::{Compression, write::GzEncoder};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::blocking::{Client, Response as Answer};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use reqwest::{Certificate, Identity, Url, redirect};

use super::settings::{Export, Files};
use crate::config::Invalid;

/// The most of a backend's answer that is read.
const LARGEST_ANSWER: u64 = 64 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const AGENT: &str = concat!("OTel-OTLP-Exporter-Rust o11y-lab/", env!("CARGO_PKG_VERSION"));

/// Sends batches. Clones share one client and one [`Attempt`].
#[derive(Clone, Debug)]
pub(super) struct Transport {
    client: Client,
    export: Arc<Export>,
    attempt: Arc<Mutex<Attempt>>,
}

/// The export in hand; there is only ever one, on the batch processor's thread.
#[derive(Debug)]
struct Attempt {
    deadline: Instant,
    cause: Option<String>,
    rejected: u64,
}

impl Transport {
    /// Builds the client. Not from async code: the blocking client refuses that.
    ///
    /// # Errors
    /// A PEM file that cannot be used, or no authorities to trust for an https endpoint.
    pub(super) fn new(export: &Export) -> Result<Self> {
        let attempt = Attempt { deadline: Instant::now(), cause: None, rejected: 0 };
        Ok(Self {
            client: client(&export.endpoint, &export.files)?,
            export: Arc::new(export.clone()),
            attempt: Arc::new(Mutex::new(attempt)),
        })
    }

    /// Starts the clock for one batch.
    pub(super) fn begin(&self) {
        let deadline = Instant::now() + self.export.timeout;
        self.with(|attempt| *attempt = Attempt { deadline, cause: None, rejected: 0 });
    }

    /// Why the last request of this batch failed.
    pub(super) fn cause(&self) -> Option<String> {
        self.with(|attempt| attempt.cause.take())
    }

    /// How many spans the backend took and threw away.
    pub(super) fn rejected(&self) -> u64 {
        self.with(|attempt| attempt.rejected)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Attempt) -> T) -> T {
        f(&mut self.attempt.lock().unwrap_or_else(|e| e.into_inner()))
    }

    fn send(&self, body: Bytes) -> Result<Answer, reqwest::Error> {
        let left = self.with(|a| a.deadline.saturating_duration_since(Instant::now()));
        let request = self
            .client
            .post(self.export.endpoint.clone())
            .timeout(left.max(Duration::from_millis(1)))
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .headers(self.export.headers.clone());
        match self.export.gzip.then(|| gzip(&body)) {
            Some(Ok(small)) => request.header(CONTENT_ENCODING, "gzip").body(small).send(),
            _ => request.body(body).send(),
        }
    }

    fn accepted(&self, answer: Answer) {
        let mut body = Vec::new();
        // An answer that cannot be read is still a success: the status said so.
        let _ = answer.take(LARGEST_ANSWER).read_to_end(&mut body);
        let partial =
            ExportTraceServiceResponse::decode(body.as_slice()).ok().and_then(|r| r.partial_success);
        let rejected = partial.map_or(0, |p| p.rejected_spans.max(0).unsigned_abs());
        self.with(|attempt| attempt.rejected = rejected);
    }
}

#[async_trait::async_trait]
impl HttpClient for Transport {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.send(request.into_body()).map_err(|error| {
            self.with(|attempt| attempt.cause = Some(innermost(&error)));
            HttpError::from(error)
        })?;
        let mut response = Response::builder().status(answer.status());
        if let Some(wait) = answer.headers().get(RETRY_AFTER) {
            response = response.header(RETRY_AFTER, wait);
        }
        if answer.status().is_success() {
            self.accepted(answer);
        } else {
            self.with(|attempt| attempt.cause = Some(format!("the backend answered {}", answer.status())));
        }
        Ok(response.body(Bytes::new())?)
    }
}

fn client(endpoint: &Url, files: &Files) -> Result<Client> {
    // A redirect would carry the headers, and with them the credentials, to somebody else.
    let mut builder = Client::builder().redirect(redirect::Policy::none()).connect_timeout(CONNECT_TIMEOUT);
    if matches!(endpoint.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        builder = builder.no_proxy();
    }
    if let Some(path) = &files.authority {
        let variable = "OTEL_EXPORTER_OTLP_CERTIFICATE";
        let pem = read(path, variable)?;
        let authority =
            Certificate::from_pem_bundle(&pem).map_err(|error| unusable(path, variable, &error))?;
        builder = builder.tls_certs_only(authority);
    } else if endpoint.scheme() == "http" {
        // Or the system's authorities are loaded for nothing, and a container without any fails.
        builder = builder.tls_certs_only([]);
    }
    if let Some((certificate, key)) = &files.client {
        let variable = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
        let mut pem = read(certificate, variable)?;
        pem.extend(read(key, "OTEL_EXPORTER_OTLP_CLIENT_KEY")?);
        let identity = Identity::from_pem(&pem).map_err(|error| unusable(certificate, variable, &error))?;
        builder = builder.identity(identity);
    }
    builder.build().context("the OTLP client cannot be built")
}

fn read(path: &str, variable: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unusable(path, variable, &error))
}

fn unusable(path: &str, variable: &str, error: &dyn std::error::Error) -> anyhow::Error {
    Invalid(format!("{variable} (or its traces form) cannot be used: {path}: {error}")).into()
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}

/// The root of an error chain, which says more than its wrappers and does not repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the backend did not answer in time".to_owned();
    }
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
