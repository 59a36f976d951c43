//! The panels of the metrics page: one table. Each reads metrics by their OTLP names, whoever sends them.

use super::panel::{Figure, LATELY, Panel, PanelSubject, Share, Source};
use crate::schema::{AVAILABILITY, Role, SERVICES};

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
const GATEWAY: &str = SERVICES[Role::Gateway as usize].name;

const ROUTE: &[&str] = &["http.request.method", "http.route"];
const DAY: u64 = 86_400;

/// Answers with a 5xx, over a share that is allowed.
const fn failed(of: f64, window: u64) -> Share {
    Share { attribute: "http.response.status_code", begins: "5", of, window }
}

/// The burn rate of the objective: the share of failures over the share that it allows (the SRE workbook, chapter 5).
const fn burn(minutes: u64) -> Figure {
    Figure::Share(failed(AVAILABILITY.allowed, minutes * 60))
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
    let (subject, exemplars) = (PanelSubject::All, false);
    Panel { id, title, unit, about, sources, limits: &[], subject, exemplars, period: None }
}

/// Three lines of one histogram.
const fn percentiles(metric: &'static str) -> [Source; 3] {
    [
        named("p50", metric, &[], Figure::Percentile(50.0)),
        named("p95", metric, &[], Figure::Percentile(95.0)),
        named("p99", metric, &[], Figure::Percentile(99.0)),
    ]
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
        &[source(HTTP_SERVER, ROUTE, Figure::Share(failed(1.0, LATELY)))],
    ),
    Panel {
        exemplars: true,
        ..panel(
            "latency",
            "Latency",
            "s",
            "requests served, over a minute: upper bounds of buckets. Dots are exemplars, the slowest of their time",
            &percentiles(HTTP_SERVER),
        )
    },
    Panel {
        subject: PanelSubject::Chosen,
        ..panel(
            "routes",
            "Latency by route, p95",
            "s",
            "requests served, over a minute: the upper bound of the bucket",
            &[source(HTTP_SERVER, ROUTE, Figure::Percentile(95.0))],
        )
    },
    panel(
        "calls",
        "Calls to other services, p95",
        "s",
        "HTTP calls made, over a minute: the upper bound of the bucket",
        &[source(HTTP_CLIENT, &["service.peer.name", "server.address"], Figure::Percentile(95.0))],
    ),
    Panel {
        limits: &[
            (AVAILABILITY.pages[0].factor, "pages over 5 min"),
            (AVAILABILITY.pages[1].factor, "pages over 30 min"),
            (1.0, "all of the budget, in its time"),
        ],
        subject: PanelSubject::Only(GATEWAY),
        ..panel(
            "burn",
            "Burn rate of the availability SLO",
            "1",
            "the gateway's share of 5xx over the 0.5 % that it may have",
            &[
                named("5 min", HTTP_SERVER, &[], burn(AVAILABILITY.pages[0].minutes)),
                named("30 min", HTTP_SERVER, &[], burn(AVAILABILITY.pages[1].minutes)),
            ],
        )
    },
    Panel {
        limits: &[(0.0, "left")],
        subject: PanelSubject::Only(GATEWAY),
        period: Some(AVAILABILITY.days * DAY),
        ..panel(
            "budget",
            "Error budget left of the availability SLO",
            "1",
            "of the 0.5 % of the gateway's requests that may fail",
            &[source(HTTP_SERVER, &[], Figure::Left(failed(AVAILABILITY.allowed, AVAILABILITY.days * DAY)))],
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
        "Age of messages",
        "s",
        "since they were stored with their order until they were first tried, over a minute: upper bounds of buckets",
        &percentiles(AGE),
    ),
    panel(
        "processing",
        "Processing of a message",
        "s",
        "over a minute: upper bounds of buckets",
        &percentiles(PROCESS),
    ),
    panel(
        "database",
        "Database operations, p95",
        "s",
        "over a minute: the upper bound of the bucket",
        &[source(DATABASE, &["db.operation.name"], Figure::Percentile(95.0))],
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

    #[test]
    fn the_words_of_the_objectives_limits_say_its_numbers() {
        let panel = |id: &str| PANELS.iter().find(|panel| panel.id == id);
        let (Some(burn), Some(budget)) = (panel("burn"), panel("budget")) else { panic!("both are there") };
        for (page, (_, means)) in AVAILABILITY.pages.iter().zip(burn.limits) {
            assert_eq!(*means, format!("pages over {} min", page.minutes));
        }
        for panel in [burn, budget] {
            assert!(panel.about.contains(&format!("{} %", AVAILABILITY.allowed * 100.0)), "{}", panel.about);
            assert_eq!(panel.subject, PanelSubject::Only(AVAILABILITY.role.service().name));
        }
    }
}
