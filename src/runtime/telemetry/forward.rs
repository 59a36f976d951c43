//! Exports that came in from other programs, sent on as they are.

use anyhow::{Context as _, Result};
use http::HeaderMap;
use hyper::body::Bytes;

use super::otlp::Sender;
use super::settings::Settings;
use super::signal::{PartialSuccess, Signal};
use super::{install_crypto, otlp};
use crate::config::OtelConfig;

pub(crate) use otlp::{ExportOutage, Occasional};

/// Sends the exports of one signal to one receiver. It blocks: call it from a thread of its own.
pub(crate) struct ForwardSender(Sender);

impl ForwardSender {
    /// The receiver of the general settings, by the specification's rules: the signal's path is added.
    ///
    /// # Errors
    /// A PEM file that cannot be used, or no authorities to trust for an https endpoint.
    pub(crate) fn new(signal: Signal, otel: &OtelConfig) -> Result<Self> {
        install_crypto();
        let mut export = Settings::read("console", otel).export.context("nothing is to be exported")?;
        let path = export.endpoint.path();
        let base = path.strip_suffix(Signal::Traces.path()).unwrap_or(path).to_owned();
        export.endpoint.set_path(&format!("{base}{}", signal.path()));
        Ok(Self(Sender::new(signal, &export)?))
    }

    /// Host and port that it sends to; a URL's user, path and query may hold a secret.
    pub(crate) fn place(&self) -> String {
        self.0.place()
    }

    /// Sends a body, retries included, within the timeout of the settings; `head` says what the body is.
    /// An error is the cause.
    pub(crate) fn send(&self, body: Bytes, head: &HeaderMap) -> Result<PartialSuccess, String> {
        self.0.send_as(body, head)
    }
}
