//! The panels of the metrics page: one table. Each reads metrics by their OTLP names, whoever sends them.

const HTTP_SERVER: &str = "http.server.request.duration";
const HTTP_CLIENT: &str = "http.client.request.duration";
const SENT: &str = "messaging.client.sent.messages";
const CONSUMED: &str = "messaging.client.consumed.messages";
const PROCESS: &str = "messaging.process.duration";
const OUTBOX: &str = "queue.outbox.pending";
const AGE: &str = "queue.message.age";
const LAG: &str = "queue.consumer.lag";
const DEAD: &str = "queue.dead_letters";
const DATABASE: &str = "db.client.operation.duration";
const POOL: &str = "db.client.connection.count";
const CPU: &str = "process.cpu.time";
const MEMORY: &str = "process.memory.usage";
const THREADS: &str = "process.thread.count";
const DROPPED: &str = "telemetry.items.dropped";
const LOST: &str = "telemetry.items.lost";

/// What is drawn of the series that a line joins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Figure {
    /// How much came a second: of a counter itself, of a histogram its observations.
    Rate,
    /// The sum of the values themselves.
    Value,
    /// The bucket bound that so large a share of a histogram's observations does not exceed.
    Quantile(f64),
    /// The share of observations whose attribute begins so, divided by `of`; over the window, in seconds.
    Share { attribute: &'static str, begins: &'static str, of: f64, window: u64 },
}

/// Which series, how they are joined to lines, and what a line shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// What its lines are called where a panel has several sources; empty where it has one.
    pub(super) name: &'static str,
    pub(super) metric: &'static str,
    /// The attribute and its only value wanted.
    pub(super) only: Option<(&'static str, &'static str)>,
    /// By which attributes lines are told apart where one service is chosen; otherwise each service has one line.
    pub(super) by: &'static [&'static str],
    pub(super) figure: Figure,
}

/// One chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// Of the values drawn: UCUM, `{thing}`, or `1` for a ratio.
    pub(super) unit: &'static str,
    pub(super) about: &'static str,
    pub(super) sources: &'static [Source],
    /// Values that mean something, with what they mean.
    pub(super) limits: &'static [(f64, &'static str)],
    /// The only service that it is about, if it is.
    pub(super) service: Option<&'static str>,
}

/// Seconds in which shares and quantiles are taken.
pub(super) const LATELY: u64 = 60;
const ROUTE: &[&str] = &["http.request.method", "http.route"];
const SERVER_ERROR: Figure =
    Figure::Share { attribute: "http.response.status_code", begins: "5", of: 1.0, window: LATELY };

/// The burn rate of an SLO of 99.5 %: the share of failures over the share that it allows (the SRE workbook, chapter 5).
const fn burn(window: u64) -> Figure {
    Figure::Share { attribute: "http.response.status_code", begins: "5", of: 0.005, window }
}

const fn source(metric: &'static str, by: &'static [&'static str], figure: Figure) -> Source {
    Source { name: "", metric, only: None, by, figure }
}

const fn named(
    name: &'static str,
    metric: &'static str,
    by: &'static [&'static str],
    figure: Figure,
) -> Source {
    Source { name, metric, only: None, by, figure }
}

const fn panel(
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    about: &'static str,
    sources: &'static [Source],
) -> Panel {
    Panel { id, title, unit, about, sources, limits: &[], service: None }
}

/// In the order of the page.
pub(super) static PANELS: &[Panel] = &[
    panel(
        "requests",
        "Requests",
        "{request}/s",
        "HTTP requests served",
        &[source(HTTP_SERVER, ROUTE, Figure::Rate)],
    ),
    panel(
        "errors",
        "Errors",
        "1",
        "the share of requests answered with a 5xx, over a minute",
        &[source(HTTP_SERVER, ROUTE, SERVER_ERROR)],
    ),
    panel(
        "latency",
        "Latency, p95",
        "s",
        "requests served, over a minute: the upper bound of the bucket",
        &[source(HTTP_SERVER, ROUTE, Figure::Quantile(0.95))],
    ),
    panel(
        "calls",
        "Calls to other services, p95",
        "s",
        "HTTP calls made, over a minute: the upper bound of the bucket",
        &[source(HTTP_CLIENT, &["service.peer.name", "server.address"], Figure::Quantile(0.95))],
    ),
    Panel {
        limits: &[
            (14.4, "pages over 5 min"),
            (6.0, "pages over 30 min"),
            (1.0, "all of the budget, in its time"),
        ],
        service: Some("api-gateway"),
        ..panel(
            "burn",
            "Burn rate of the availability SLO",
            "1",
            "the gateway's share of 5xx over the 0.5 % that it may have",
            &[named("5 min", HTTP_SERVER, &[], burn(300)), named("30 min", HTTP_SERVER, &[], burn(1_800))],
        )
    },
    panel(
        "messages",
        "Messages",
        "{message}/s",
        "published and processed",
        &[
            named("published", SENT, &[], Figure::Rate),
            named("processed", CONSUMED, &["status"], Figure::Rate),
        ],
    ),
    panel(
        "backlog",
        "Backlog",
        "{message}",
        "messages that wait in the outbox and in the queue, and dead letters",
        &[
            named("outbox", OUTBOX, &[], Figure::Value),
            named("queue", LAG, &[], Figure::Value),
            named("dead letters", DEAD, &[], Figure::Value),
        ],
    ),
    panel(
        "age",
        "Age of messages, p95",
        "s",
        "since they were stored with their order until they were first tried, over a minute: the upper bound of the bucket",
        &[source(AGE, &[], Figure::Quantile(0.95))],
    ),
    panel(
        "processing",
        "Processing of a message, p95",
        "s",
        "over a minute: the upper bound of the bucket",
        &[source(PROCESS, &[], Figure::Quantile(0.95))],
    ),
    panel(
        "database",
        "Database operations, p95",
        "s",
        "over a minute: the upper bound of the bucket",
        &[source(DATABASE, &["db.operation.name"], Figure::Quantile(0.95))],
    ),
    panel(
        "pool",
        "Database connections in use",
        "{connection}",
        "of the pool of each service",
        &[Source {
            only: Some(("db.client.connection.state", "used")),
            ..source(POOL, &["db.client.connection.pool.name"], Figure::Value)
        }],
    ),
    panel(
        "cpu",
        "CPU",
        "{core}",
        "processor time a second, user and system",
        &[source(CPU, &[], Figure::Rate)],
    ),
    panel("memory", "Memory", "By", "resident, shared pages included", &[source(MEMORY, &[], Figure::Value)]),
    panel("threads", "Threads", "{thread}", "of the process", &[source(THREADS, &[], Figure::Value)]),
    panel(
        "telemetry",
        "Telemetry lost",
        "{item}/s",
        "spans, log records and data points that did not arrive",
        &[
            named("dropped", DROPPED, &["signal"], Figure::Rate),
            named("not accepted", LOST, &["signal"], Figure::Rate),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::OTLP_METRICS;

    #[test]
    fn every_panel_has_an_id_of_its_own_and_reads_a_metric_that_the_lab_sends() {
        for (at, panel) in PANELS.iter().enumerate() {
            assert!(PANELS[..at].iter().all(|other| other.id != panel.id), "{}", panel.id);
            for source in panel.sources {
                assert!(OTLP_METRICS.iter().any(|row| row.name == source.metric), "{}", source.metric);
            }
        }
    }
}
