//! What the lab needs of others: broker, database, receivers of telemetry, and that their clocks say the same.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::Check;
use crate::config::{DoctorConfig, Transport, reached_at};
use crate::queue::{self, embedded};
use crate::runtime::oneshot::OneShot;
use crate::schema::Endpoint;
use crate::store;

/// Brokers' clients try more than once before they say why not.
const BROKER_WITHIN: Duration = Duration::from_secs(8);
const CONNECTS_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// `Date` has whole seconds, and an answer takes its time.
const SKEW: i64 = 2;

/// The question that a role's `/ready` asks the queue.
pub(super) async fn queue(config: &DoctorConfig) -> Check {
    let transport = config.queue.queue_transport;
    let folder = config.store.data_dir();
    let advice = match transport {
        Transport::Embedded => {
            "make its file and the data folder this user's, or name another with --data-dir (DATA_DIR)"
        }
        _ => "start the broker, or set its address and login as docs/queue.md says",
    };
    if let Err(missing) = config.queue.check() {
        return Check::fail(
            "queue",
            missing,
            "set it, or choose another --queue-transport (QUEUE_TRANSPORT)",
        );
    }
    if transport == Transport::Embedded {
        match folder.join(embedded::FILE_NAME).try_exists() {
            Ok(true) => {}
            Ok(false) => return Check::ok("queue", "embedded: made in the data folder at the first start"),
            Err(error) => {
                return Check::fail("queue", format!("embedded: {}: {error}", folder.display()), advice);
            }
        }
    }
    let asked = async {
        let queue = queue::open(&config.queue, &folder).await?;
        let depth = queue.depth().await;
        queue.close().await;
        depth
    };
    let name = transport.as_str();
    match timeout(BROKER_WITHIN, asked).await {
        Ok(Ok(depth)) => Check::ok("queue", format!("{name} answers; {} dead letters", depth.dead)),
        Ok(Err(error)) => Check::fail("queue", format!("{name}: {error}"), advice),
        Err(_) => Check::fail("queue", format!("{name}: no answer within {BROKER_WITHIN:?}"), advice),
    }
}

/// PostgreSQL, where one is named.
pub(super) async fn database(config: &DoctorConfig) -> Check {
    let advice = "start the server, or mend --database-url (DATABASE_URL)";
    match store::reached(&config.store).await {
        None => Check::ok("database", "SQLite: files of the services' own"),
        Some(Ok(())) => Check::ok("database", "PostgreSQL takes connections"),
        Some(Err(why)) => Check::fail("database", why, advice),
    }
}

/// Each receiver of OTLP that the settings name; without one the console takes it.
pub(super) async fn receivers(config: &DoctorConfig) -> Vec<Check> {
    let advice = "start the receiver, or take the variable away: then the console takes what the lab exports";
    let mut checks = Vec::new();
    for place in places(config) {
        let (host, port) = &place;
        let said = format!("{host}:{port}");
        // Two addresses may be tried.
        let connected =
            timeout(CONNECTS_WITHIN, TcpStream::connect((host.trim_matches(['[', ']']), *port))).await;
        checks.push(match connected {
            Ok(Ok(_)) => Check::ok("OTLP receiver", format!("{said} takes connections")),
            Ok(Err(error)) => Check::fail("OTLP receiver", format!("{said}: {error}"), advice),
            Err(_) => Check::fail(
                "OTLP receiver",
                format!("{said}: no connection within {CONNECTS_WITHIN:?}"),
                advice,
            ),
        });
    }
    checks
}

/// Host and port of each endpoint: what else a URL has may be a secret.
fn places(config: &DoctorConfig) -> BTreeSet<(String, u16)> {
    let otel = &config.otel;
    let is = |value: &Option<String>, word: &str| {
        value.as_deref().is_some_and(|value| value.trim().eq_ignore_ascii_case(word))
    };
    if is(&otel.otel_sdk_disabled, "true") {
        return BTreeSet::new();
    }
    let general = otel.otel_exporter_otlp_endpoint.as_deref();
    // Of a signal that is not exported no endpoint is asked.
    let signals = [
        (&otel.otel_traces_exporter, &otel.otel_exporter_otlp_traces_endpoint),
        (&otel.logs.otel_logs_exporter, &otel.logs.otel_exporter_otlp_logs_endpoint),
        (&otel.metrics.otel_metrics_exporter, &otel.metrics.otel_exporter_otlp_metrics_endpoint),
    ];
    let exported = signals.into_iter().filter(|(exporter, _)| !is(exporter, "none"));
    let urls =
        exported.filter_map(|(_, own)| own.as_deref().or(general)).filter_map(|url| Url::parse(url).ok());
    urls.filter_map(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?))).collect()
}

/// How far the clocks of the console and of the receivers are from this one's, where they say the time.
pub(super) async fn skew(config: &DoctorConfig) -> Vec<Check> {
    let advice = "let both machines set their clocks (NTP): spans of one trace are out of order otherwise";
    let console = reached_at(config.host, config.ports.ports().at(Endpoint::Console));
    let others = places(config).into_iter().map(|(host, port)| format!("{host}:{port}"));
    let http = OneShot::new(ANSWER_WITHIN, 64 * 1024);
    let mut checks = Vec::new();
    for place in std::iter::once(console).chain(others) {
        let Some(there) = time_at(&http, &format!("http://{place}/")).await else { continue };
        let apart = there - jiff::Timestamp::now().as_second();
        checks.push(if apart.abs() <= SKEW {
            Check::ok("clock elsewhere", format!("that of {place} says the same"))
        } else {
            Check::warn("clock elsewhere", format!("that of {place} is {apart:+} s from this one"), advice)
        });
    }
    checks
}

/// The `Date` of an answer, whatever its status, in seconds.
async fn time_at(http: &OneShot, url: &str) -> Option<i64> {
    let answer = http.get(url).await.ok()?;
    seconds(answer.headers.get("date")?.to_str().ok()?)
}

/// Seconds since 1970 of an HTTP date.
fn seconds(date: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(time.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("yesterday"), None);
    }
}
