//! The name by which a client calls: a foreign page can have made its own name point to this machine (DNS
//! rebinding), and its scripts then read what only this machine's programs should.

use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, web::Data};

use super::Surface;
use crate::config::HttpConfig;
use crate::runtime::Problem;

/// Names that a role answers to.
pub struct KnownHosts {
    /// Beside those that every role knows; `None` where any name will do.
    named: Option<Vec<String>>,
}

impl KnownHosts {
    /// Only what listens on this machine alone asks: elsewhere a role has the names of its network.
    pub fn of(config: &HttpConfig) -> Self {
        Self { named: config.host.is_loopback().then(|| config.allowed_hosts.clone()) }
    }

    /// Those that every server of the lab knows, and these.
    pub fn and(names: &[String]) -> Self {
        Self { named: Some(names.to_vec()) }
    }

    /// Whether a `Host` field, a port included, is one of them.
    pub fn include(&self, host: &str) -> bool {
        let Some(named) = &self.named else { return true };
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_end_matches('.');
        is_local(host) || named.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The middleware: refuses other names.
pub(super) async fn known(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let host = request.headers().get(header::HOST).map(|value| value.to_str().unwrap_or_default());
    let surface = request.app_data::<Data<Surface>>();
    match (host, surface) {
        (Some(host), Some(surface)) if !surface.hosts.include(host) => {
            let detail = "unknown host name; use localhost, an address, or a name in ALLOWED_HOSTS";
            Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into())
        }
        _ => next.call(request).await,
    }
}

/// Addresses, `localhost`, and names without a dot (another container's): a foreign page can only
/// have a name with one.
fn is_local(host: &str) -> bool {
    if let Some((inside, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside.parse::<IpAddr>().is_ok();
    }
    let name =
        host.rsplit_once(':').map_or(host, |(name, _)| name).trim_end_matches('.').to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok()
        || name.ends_with(".localhost")
        || (!name.is_empty() && !name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_foreign_page_can_have_is_unknown_unless_it_is_a_setting() {
        let hosts = KnownHosts::and(&["host.docker.internal".to_owned()]);
        for known in [
            "127.0.0.1:3000",
            "[::1]:3000",
            "localhost",
            "a.localhost:3000",
            "order",
            "host.docker.internal:3000",
            "HOST.docker.internal.",
        ] {
            assert!(hosts.include(known), "{known}");
        }
        for foreign in
            ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "docker.internal", "", ":3000"]
        {
            assert!(!hosts.include(foreign), "{foreign}");
        }
        assert!(KnownHosts { named: None }.include("evil.example"));
    }
}
