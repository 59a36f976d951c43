//! Until when the answer to the current request is of use: known to the calls made for it, and told to
//! the service that is called, so that nobody works for a caller who has stopped waiting.

use std::time::{Duration, Instant};

use actix_web::http::header::HeaderMap;

/// The header that tells a service how long its caller waits, in milliseconds. The name is Envoy's,
/// which sets and obeys it.
pub const EXPECTED_TIME: &str = "x-envoy-expected-rq-timeout-ms";

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs `work` as what must be over at `deadline`.
pub async fn scope<T>(deadline: Instant, work: impl Future<Output = T>) -> T {
    DEADLINE.scope(deadline, work).await
}

/// `own`, or the deadline of the current request where that comes first.
pub fn at_most(own: Instant) -> Instant {
    DEADLINE.try_with(|deadline| own.min(*deadline)).unwrap_or(own)
}

/// The value of [`EXPECTED_TIME`] for a call that must be over at `deadline`; at least 1.
pub fn milliseconds_until(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    u64::try_from(left).unwrap_or(u64::MAX).max(1)
}

/// How long the sender of these headers waits, where it says so and can be understood.
pub fn expected(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(EXPECTED_TIME)?.to_str().ok()?;
    text.parse().ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[actix_web::test]
    async fn a_call_ends_with_the_request_it_is_made_for_and_never_later() {
        let (soon, late) = (Instant::now(), Instant::now() + Duration::from_secs(9));
        assert_eq!(at_most(late), late);
        assert_eq!(scope(soon, async { at_most(late) }).await, soon);
        assert_eq!(scope(late, async { at_most(soon) }).await, soon);
        assert_eq!(milliseconds_until(soon), 1);
    }

    #[test]
    fn what_a_caller_says_of_its_patience_is_a_positive_number_or_nothing() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(EXPECTED_TIME), HeaderValue::from_static(value));
            expected(&headers)
        };
        assert_eq!(read("250"), Some(Duration::from_millis(250)));
        for bad in ["", "0", "-1", "1.5", "soon", "99999999999999999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(expected(&HeaderMap::new()), None);
    }
}
