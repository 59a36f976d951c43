//! How a backend is reached that wants more than its URL.

use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use rustls::ClientConfig;

use crate::config::{BackendAccessConfig, Invalid, Secret, pairs};
use crate::runtime::tls;

/// Headers that go with each question, and whom to trust over https.
#[derive(Clone, Default)]
pub struct BackendAccess {
    pub(super) headers: Vec<(String, String)>,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl BackendAccess {
    /// For the backends of traces, metrics, logs and alerts. Only where a URL is `secure` the authorities are read.
    ///
    /// # Errors
    /// [`Invalid`]: headers that are none, a file without authorities, a system without any. No value is repeated.
    pub fn of_signals(config: &BackendAccessConfig, secure: bool) -> anyhow::Result<[Self; 4]> {
        let tls = if secure { Some(trusted(config)?) } else { None };
        let mut all = [const { Vec::new() }; 4];
        for (headers, (setting, text)) in all.iter_mut().zip(config.by_signal()) {
            *headers = text.map_or(Ok(Vec::new()), |text| parsed(setting, text))?;
        }
        Ok(all.map(|headers| Self { headers, tls: tls.clone() }))
    }
}

fn parsed(setting: &str, text: &Secret) -> Result<Vec<(String, String)>, Invalid> {
    let invalid = |what| Invalid(format!("{setting} {what}"));
    let headers =
        pairs(text.expose()).ok_or_else(|| invalid("is not key=value,key=value in percent-encoding"))?;
    let sendable = |(name, value): &(String, String)| {
        HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok()
    };
    match headers.iter().all(sendable) {
        true => Ok(headers),
        false => Err(invalid("has a header that cannot be sent")),
    }
}

fn trusted(config: &BackendAccessConfig) -> anyhow::Result<Arc<ClientConfig>> {
    let roots = match &config.certificate {
        Some(file) => tls::authorities(file).map_err(|error| {
            Invalid(format!("--certificate (VERIFY_CERTIFICATE) '{}': {error}", file.display()))
        })?,
        None => tls::system_roots(),
    };
    if roots.is_empty() {
        let why = "an https backend is named, and this system has no certificate authorities: --certificate";
        return Err(Invalid(why.to_owned()).into());
    }
    Ok(Arc::new(tls::trusting(roots)?.with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    fn config(args: &[&str]) -> BackendAccessConfig {
        let command = BackendAccessConfig::augment_args(Command::new("x"));
        let args = std::iter::once(&"x").chain(args);
        BackendAccessConfig::from_arg_matches(&command.get_matches_from(args)).unwrap()
    }

    #[test]
    fn a_signals_own_headers_replace_the_general_ones_and_no_value_is_ever_repeated() {
        let config =
            config(&["--headers", "authorization=Bearer%20s3cret", "--logs-headers", "x-scope=a,y=b"]);
        let [traces, _, logs, _] = BackendAccess::of_signals(&config, false).unwrap();
        assert_eq!(traces.headers, [("authorization".to_owned(), "Bearer s3cret".to_owned())]);
        assert_eq!(logs.headers.len(), 2);
        assert!(!format!("{config:?}").contains("s3cret"));
        for bad in ["s3cret", "a=s3cret%", "a b=s3cret", "a=s3cret%0A"] {
            let access = BackendAccess::of_signals(&self::config(&["--traces-headers", bad]), false);
            let said = access.err().unwrap().to_string();
            assert!(
                said.starts_with("--traces-headers (VERIFY_TRACES_HEADERS) ") && !said.contains("s3cret"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_certificate_that_is_none_is_refused_where_a_url_is_https_and_not_read_elsewhere() {
        let config = config(&["--certificate", "Cargo.toml"]);
        assert!(BackendAccess::of_signals(&config, false).is_ok());
        let said = BackendAccess::of_signals(&config, true).err().unwrap().to_string();
        assert_eq!(said, "--certificate (VERIFY_CERTIFICATE) 'Cargo.toml': it holds no certificate");
    }
}
