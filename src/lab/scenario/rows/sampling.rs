//! What is not recorded on purpose: traces that a sampler left out, labels that nobody may make up.

use super::{error, served};
use crate::lab::backend::count::CountSnapshot;
use crate::lab::expect::Subject;
use crate::lab::scenario::answer::{Answer, AnswerKind};
use crate::lab::scenario::model::{Level, Scenario, Setting, Step, Wait};
use crate::schema::{OTHER_ROUTE, Role};

pub(crate) static SAMPLED_AWAY: Scenario = Scenario {
    name: "sampled-away",
    title: "The ghost of an error that was sampled away",
    level: Level::Advanced,
    learn: "Head sampling decides before anything went wrong; tail sampling decides when it is known.",
    stage: &[
        Step::Fault(&[error(Role::Order, &[("route", Setting::Route("/orders"))])]),
        Step::Send(Subject::Orders, 3, 6),
        Step::Unsampled("/api/orders?limit=5", 2, 7),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} `GET /api/orders` fails. Some callers decided at the head not to record their traces. How many of the failed requests \
               left no trace?",
    answer: AnswerKind::Number { unit: "requests", share: 0.0, slack: 0.0 },
    look: &[
        (
            "console",
            "{console}/logs?service=api-gateway&level=error, a traceId on each line: does it lead anywhere?",
        ),
        (
            "PromQL",
            "increase(http_server_request_duration_seconds_count{service=\"api-gateway\", http_route=\"/api/orders\", http_response_status_code=~\"5..\"}[5m])",
        ),
        ("API", "{console}/api/logs?service=api-gateway&level=error"),
    ],
    hints: &[
        "Metrics count every request, sampled or not; so do log lines.",
        "Take the traceId of each line `request failed` of the gateway, and ask for the trace: 404 is a ghost.",
    ],
    explanation: "{answer} requests failed without a trace: their `traceparent` ended with 00, and every service honoured that. No backend can bring \
                  them back. A tail sampler (o11y-lab up --keep error,ratio=0.1) needs every span and then keeps what failed; a head sampler is \
                  cheap, and blind.",
    fix: "o11y-lab fault clear error; sample at the tail what must not be missed",
    healed: "the list of orders is answered 200 again",
    sound: Subject::Orders,
    truth: |scene, _| {
        Box::pin(async move {
            let ghosts = scene.caused().filter(|sent| !sent.sampled && sent.failed()).count();
            if ghosts == 0 {
                Err("no request failed unrecorded".to_owned())
            } else {
                Ok(Answer::count(ghosts))
            }
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let failed = eyes.lines(Role::Gateway, "request failed").await?;
            let mut ghosts = 0;
            for line in failed.iter().filter(|line| line.text("route") == "/api/orders") {
                ghosts += usize::from(eyes.trace(line.text("traceId")).await?.spans.is_empty());
            }
            if failed.is_empty() { Err("no request failed".to_owned()) } else { Ok(Answer::count(ghosts)) }
        })
    },
};

pub(crate) static CARDINALITY: Scenario = Scenario {
    name: "cardinality",
    title: "An attack on cardinality that must not succeed",
    level: Level::Intermediate,
    learn: "A label value comes from a closed set, never from input: else every client can make series until the backend dies.",
    stage: &[
        Step::Note("counted before", strays),
        Step::Note("series before", series),
        Step::Cause(&[Subject::Stray], 20, 60),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} a scanner asks the gateway for paths that no route has, each time for another. Before it, \
               http_server_request_duration_seconds_count{http_route=\"other\"} of api-gateway stood at {counted before}, and all counters of the lab \
               had {series before} series. How many requests did it send?",
    answer: AnswerKind::Number { unit: "requests", share: 0.0, slack: 0.0 },
    look: &[
        ("metrics page", "{api-gateway}/metrics"),
        (
            "PromQL",
            "sum(http_server_request_duration_seconds_count{service=\"api-gateway\", http_route=\"other\"})",
        ),
        ("console", "{console}/?text=url.path=/stray/7, the paths themselves"),
    ],
    hints: &[
        "All of them are one series, by the value `other` of http_route.",
        "The counter now, less what it was before.",
    ],
    explanation: "{answer} requests, and not one new series. With the path as a label each would have made one for every status and bucket. The paths are not \
                  lost: they are in the spans (url.path), whose store is made for values that nobody has seen before.",
    fix: "Nothing broke. Keep it so: label values from closed sets, the rest in spans and lines.",
    healed: "a request of a known route is counted under its template",
    sound: Subject::Root,
    truth: |scene, eyes| {
        Box::pin(async move {
            let sent = scene.caused().count();
            let before = scene.notes.get("series before").copied().unwrap_or_default();
            if (series(&eyes.counts().await?) - before).abs() > f64::EPSILON {
                return Err("the scan made new series".to_owned());
            }
            if sent == 0 { Err("nobody scanned".to_owned()) } else { Ok(Answer::count(sent)) }
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let counts = eyes.counts().await?;
            let grown = strays(&counts) - eyes.number("counted before")?;
            match grown > 0.0 {
                true => Ok(Answer::Number(grown)),
                false => Err("nothing was counted under `other`".to_owned()),
            }
        })
    },
};

/// Requests of the gateway that no route took.
fn strays(counts: &CountSnapshot) -> f64 {
    served(counts, "http_route", |route| route == OTHER_ROUTE)
}

#[allow(clippy::cast_precision_loss, reason = "some thousands")]
fn series(counts: &CountSnapshot) -> f64 {
    counts.values.len() as f64
}
