//! What every client of a broker needs: bounded calls, reasons without addresses, TLS.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::QueueError;
use crate::runtime::tls::{system_roots, trusting};

/// Longest time one call may take, connecting included. Below the outbox's lease, so that a relay
/// whose broker hangs does not lose its turn in the middle of a call.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// Bounds a call.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, QueueError>>,
) -> Result<T, QueueError> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(unavailable("did not answer in time")))
}

/// The broker did not do what it was asked. `what` follows "the broker"; details that may hold an
/// address or credentials belong into a debug line, not in here: it is shown on `/ready`.
pub(super) fn unavailable(what: &str) -> QueueError {
    QueueError::Unavailable(format!("the broker {what}"))
}

/// The certificate authorities of `QUEUE_CA_FILE`, as PEM text; `None` means the system's.
pub(super) fn authority(file: Option<&Path>) -> Result<Option<String>, QueueError> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file).map_err(|error| bad_authority(&error.kind().to_string()))?;
    match certificates(&text)?.is_empty() {
        true => Err(bad_authority("holds no certificate")),
        false => Ok(Some(text)),
    }
}

/// How to trust a broker: by the file's authorities and no others, else by the system's.
pub(super) fn tls(file: Option<&Path>) -> Result<ClientConfig, QueueError> {
    let roots = match authority(file)? {
        Some(text) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(&text)?);
            roots
        }
        None => system_roots(),
    };
    let builder = trusting(roots);
    let builder = builder.map_err(|error| unavailable(&format!("cannot be asked over TLS: {error}")))?;
    Ok(builder.with_no_client_auth())
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, QueueError> {
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| bad_authority("is not PEM"))
}

fn bad_authority(why: &str) -> QueueError {
    unavailable(&format!("cannot be trusted: QUEUE_CA_FILE {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_holds_no_authority_is_one_reason_without_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        for (content, expected) in [(None, "not found"), (Some(""), "holds no certificate")] {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let said = tls(Some(&file)).unwrap_err().to_string();
            assert!(said.contains(expected) && !said.contains('/'), "{said}");
        }
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&file, made.cert.pem()).unwrap();
        assert!(tls(Some(&file)).is_ok() && authority(Some(&file)).unwrap().is_some());
        assert!(tls(None).is_ok() && authority(None).unwrap().is_none());
    }
}
