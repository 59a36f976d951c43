//! What a request suffers that is served here: it waits, it leaves something behind, it is refused.

use std::time::Duration;

use actix_web::http::StatusCode;
use tokio::time::Instant;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{FaultSettings, Faults};
use crate::runtime::Problem;
use crate::schema::{FAULT_ATTRIBUTE, Route, faults};

/// Faults that hit requests, in the order in which a span names them.
const OF_REQUESTS: [&str; 6] = [
    faults::LATENCY,
    faults::DEPLOY,
    faults::MEMORY_GROWTH,
    faults::ERROR,
    faults::USER_OUTAGE,
    faults::SLOW_START,
];

impl Faults {
    /// What a request of `route` for `path` suffers, within its span: it waits, and it may be an error. The
    /// error looks like any other of this service; only the log and the span say where it is from.
    ///
    /// # Errors
    /// The error that a fault injects.
    pub async fn request(&self, route: &Route, path: &str) -> Result<(), Problem> {
        if !self.any() {
            return Ok(());
        }
        let (mut hit, mut wait, mut refusal) = (Vec::new(), Duration::ZERO, Ok(()));
        for fault in OF_REQUESTS {
            let Some(settings) = self.hits_request(fault, route, path) else { continue };
            hit.push(fault);
            match fault {
                faults::LATENCY | faults::DEPLOY => wait += settings.extra(),
                faults::MEMORY_GROWTH => {}
                faults::SLOW_START => refusal = Err(problem(fault, Some(503))),
                _ => refusal = Err(problem(fault, settings.status)),
            }
        }
        if !hit.is_empty() {
            Span::current().set_attribute(FAULT_ATTRIBUTE, hit.join(","));
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        refusal
    }

    fn hits_request(&self, fault: &str, route: &Route, path: &str) -> Option<FaultSettings> {
        let settings = match fault {
            faults::USER_OUTAGE => {
                let user = user(route, path)?;
                self.settings(fault, Instant::now()).filter(|settings| is_among(user, settings.ratio))
            }
            faults::MEMORY_GROWTH => {
                let kept = self.0.as_ref().map(|inner| &inner.effects.kept)?;
                self.hits(fault).filter(|settings| kept.keep(settings.kib))
            }
            _ => self.hits(fault),
        };
        settings.filter(|settings| settings.route.is_none_or(|only| only == route.path))
    }
}

/// The user that a request is about.
fn user(route: &Route, path: &str) -> Option<u64> {
    path.rsplit('/').next().filter(|_| route.path == "/users/{id}")?.parse().ok()
}

/// Whether a user belongs to a share of all, the same each time. Multiples of the golden ratio spread evenly
/// over the unit interval, so few users in a row are hit in that share too.
#[allow(clippy::cast_precision_loss, reason = "53 bits are left, which is what a double holds")]
fn is_among(user: u64, ratio: Option<f64>) -> bool {
    let place = user.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
    ratio.is_none_or(|ratio| (place as f64) < ratio * (1_u64 << 53) as f64)
}

fn problem(fault: &str, status: Option<u64>) -> Problem {
    let cause = format!("injected by the fault {fault}");
    match status.and_then(|status| StatusCode::from_u16(status as u16).ok()) {
        Some(StatusCode::SERVICE_UNAVAILABLE) => Problem::unavailable("not available now").because(cause),
        Some(StatusCode::GATEWAY_TIMEOUT) => Problem::timeout("the request took too long").because(cause),
        _ => Problem::internal(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_users_is_hit_and_always_the_same_ones() {
        let hit = |ratio| (1..=1000).filter(|user| is_among(*user, Some(ratio))).collect::<Vec<_>>();
        for ratio in [0.1, 0.25, 0.5] {
            let share = hit(ratio).len() as f64 / 1000.0;
            assert!((share - ratio).abs() < 0.01, "{ratio}: {share}");
            assert_eq!(hit(ratio), hit(ratio));
        }
        assert!(hit(0.1).iter().all(|user| hit(0.5).contains(user)), "a larger outage has the smaller one");
        assert_eq!((hit(1.0).len(), is_among(7, None)), (1000, true));
        let route = |path| Route { method: "GET", path, statuses: &[] };
        assert_eq!(user(&route("/users/{id}"), "/users/12"), Some(12));
        assert_eq!(user(&route("/users/{id}"), "/users/x"), None);
        assert_eq!(user(&route("/orders/{id}"), "/orders/12"), None);
    }
}
