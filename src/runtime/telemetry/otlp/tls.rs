//! Whom a backend's connection trusts, and who this program is there.

use std::sync::Arc;

use anyhow::Result;
use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::Invalid;
use crate::runtime::telemetry::settings::Files;
use crate::runtime::tls;

/// # Errors
/// A PEM file that cannot be used, or a system without authorities where no file names one.
pub(super) fn config(files: &Files) -> Result<Arc<ClientConfig>> {
    let roots = match &files.authority {
        Some(path) => {
            let variable = "OTEL_EXPORTER_OTLP_CERTIFICATE";
            tls::authorities(path.as_ref()).map_err(|error| unusable(path, variable, &error))?
        }
        None => {
            let roots = tls::system_roots();
            if roots.is_empty() {
                anyhow::bail!("the OTLP client cannot be built: this system has no certificate authorities");
            }
            roots
        }
    };
    let builder = tls::trusting(roots)?;
    let Some((certificate, key)) = &files.client else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let variable = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
    let chain =
        tls::certificates(certificate.as_ref()).map_err(|error| unusable(certificate, variable, &error))?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key, "OTEL_EXPORTER_OTLP_CLIENT_KEY")?)
        .map_err(|error| unusable(key, "OTEL_EXPORTER_OTLP_CLIENT_KEY", &error))?;
    let config = builder.with_client_auth_cert(chain, secret);
    Ok(Arc::new(config.map_err(|error| unusable(certificate, variable, &error))?))
}

fn read(path: &str, variable: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unusable(path, variable, &error))
}

fn unusable(path: &str, variable: &str, error: &dyn std::fmt::Display) -> anyhow::Error {
    Invalid(format!("{variable} (or its traces form) cannot be used: {path}: {error}")).into()
}
