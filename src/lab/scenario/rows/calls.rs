//! Calls and statements: too many of them, and what they wait for.

use super::{error, latency_of, plain};
use crate::lab::backend::trace::{Span, SpanKind, Trace};
use crate::lab::expect::Subject;
use crate::lab::scenario::answer::{Answer, AnswerKind};
use crate::lab::scenario::eyes::{millis, most};
use crate::lab::scenario::model::{FaultChoice, Level, Scenario, Setting, Step, Wait};
use crate::schema::{Role, faults};

const ORDER: &str = "POST /api/orders";
const READ_USER: &str = "GET /users/{id}";
/// The least time, in milliseconds, that stands out on a lab that has little to do.
const STANDS_OUT: f64 = 200.0;

pub(crate) static REPEATED_CALL: Scenario = Scenario {
    name: "repeated-call",
    title: "The same statement, again and again",
    level: Level::Beginner,
    learn: "Many quick statements are slow together: a staircase of equal spans is a loop around a query (N+1).",
    stage: &[
        Step::Send(Subject::NewOrder, 2, 3),
        Step::Fault(&[FaultChoice {
            fault: faults::REPEATED_QUERY,
            role: Role::Order,
            settings: &[("times", Setting::Between(5, 20))],
        }]),
        Step::Send(Subject::Orders, 3, 5),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} `GET /api/orders` sends its database more than it used to, and each statement is as quick as ever. How many statements does \
               one request send?",
    answer: AnswerKind::Number { unit: "statements", share: 0.0, slack: 0.0 },
    look: &[
        ("console", "{console}/trace/{trace}"),
        ("Jaeger", "{jaeger}/trace/{trace}"),
        (
            "PromQL",
            "rate(db_client_operation_duration_seconds_count{service=\"order-service\"}[1m]) against rate(http_server_request_duration_seconds_count{service=\"order-service\"}[1m])",
        ),
    ],
    hints: &[
        "Open the trace of one request and look below `GET /orders` of order-service.",
        "Count the spans `SELECT orders`.",
    ],
    explanation: "{answer} statements: one for the page, and one more for each row, one after the other. No span is slow, so no list of slow queries has them; \
                  their number per request does. One statement with all ids (IN, a join) takes their place.",
    fix: "o11y-lab fault clear repeated-query",
    healed: "the list of orders sends one statement",
    sound: Subject::Orders,
    truth: |scene, _| Box::pin(async move { Ok(Answer::Number(1.0 + scene.fault()?.number("times"))) }),
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests("GET /api/orders").await?;
            let statements = traces.iter().map(|trace| count(trace, |span| span.name == "SELECT orders"));
            match most(statements) {
                Some((statements, _)) if statements > 1 => Ok(Answer::count(statements)),
                _ => Err("no request sends more than one statement".to_owned()),
            }
        })
    },
};

pub(crate) static RETRY_STORM: Scenario = Scenario {
    name: "retry-storm",
    title: "A storm of retries",
    level: Level::Intermediate,
    learn: "Retries without a pause and without a budget turn a failure into a load that no user made.",
    stage: &[
        Step::Fault(&[error(Role::User, &[("route", Setting::Route("/users/{id}"))])]),
        Step::Fault(&[FaultChoice {
            fault: faults::RETRY_STORM,
            role: Role::Order,
            settings: &[("times", Setting::Between(3, 9))],
        }]),
        Step::Send(Subject::NewOrder, 3, 5),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} user-service fails, and it has far more requests than there are orders. How many calls does order-service make to it for one order?",
    answer: AnswerKind::Number { unit: "calls", share: 0.0, slack: 0.0 },
    look: &[
        ("console", "{console}/trace/{trace}"),
        ("Jaeger", "{jaeger}/trace/{trace}"),
        (
            "PromQL",
            "sum(rate(http_server_request_duration_seconds_count{service=\"user-service\"}[1m])) / sum(rate(http_server_request_duration_seconds_count{service=\"order-service\"}[1m]))",
        ),
    ],
    hints: &[
        "Below `POST /orders` of order-service there is one CLIENT span for each attempt.",
        "The repeated ones have `http.request.resend_count`; the first one has none.",
    ],
    explanation: "{answer} calls for one order. Each was refused at once, and repeated at once: what is left of user-service answers retries instead of users. \
                  Elsewhere in this lab a retry waits, is made in one place, where the answer asks for it, and from a budget of a tenth of the calls.",
    fix: "o11y-lab fault clear retry-storm, then o11y-lab fault clear error --role user",
    healed: "an order makes one call to user-service again",
    sound: Subject::NewOrder,
    truth: |scene, _| Box::pin(async move { Ok(Answer::Number(1.0 + scene.fault()?.number("times"))) }),
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let is_call = |span: &Span| span.name == READ_USER && span.kind == SpanKind::Client;
            match most(traces.iter().map(|trace| count(trace, is_call))) {
                Some((calls, _)) if calls > 1 => Ok(Answer::count(calls)),
                _ => Err("no order makes more than one call".to_owned()),
            }
        })
    },
};

pub(crate) static DATABASE_OR_NETWORK: Scenario = Scenario {
    name: "database-or-network",
    title: "The database, or the network?",
    level: Level::Intermediate,
    learn: "Between a CLIENT span and the SERVER span below it lies the way: what is missing in both ends is the network's.",
    stage: &[
        Step::Fault(&[
            latency_of(faults::SLOW_DB, Role::User, &[("ms", Setting::Between(400, 700))]),
            latency_of(faults::SLOW_NETWORK, Role::Order, &[("ms", Setting::Between(400, 700))]),
        ]),
        Step::Send(Subject::NewOrder, 5, 7),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} order-service waits half a second for user-service. Is the `database` of user-service slow, or the `network` between them?",
    answer: AnswerKind::Word(&["database", "network"]),
    look: &[
        ("console", "{console}/trace/{trace}"),
        ("Jaeger", "{jaeger}/trace/{trace}"),
        (
            "PromQL",
            "rate(http_client_request_duration_seconds_sum{peer_service=\"user-service\"}[1m]) against rate(http_server_request_duration_seconds_sum{service=\"user-service\"}[1m])",
        ),
    ],
    hints: &[
        "Compare the CLIENT span `GET /users/{id}` of order-service with the SERVER span of the same name below it.",
        "Is the time within the SERVER span, or around it?",
    ],
    explanation: "It is the {answer}. A slow database fills the SERVER span from below: `SELECT users` is long. A slow network leaves gaps before and behind the SERVER span, \
                  and user-service, asked by its own metrics, is as quick as ever.",
    fix: "o11y-lab fault clear slow-db --role user, or o11y-lab fault clear slow-network",
    healed: "an order's trace has no span that was made slow",
    sound: Subject::NewOrder,
    truth: |scene, _| {
        Box::pin(async move {
            let database = scene.fault()?.fault == faults::SLOW_DB;
            Ok(Answer::text(if database { "database" } else { "network" }))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let sum = |wanted: &dyn Fn(&Span) -> bool| -> f64 {
                traces.iter().flat_map(|trace| &trace.spans).filter(|span| wanted(span)).map(millis).sum()
            };
            let call = sum(&|span| span.name == READ_USER && span.kind == SpanKind::Client);
            let served = sum(&|span| span.name == READ_USER && span.kind == SpanKind::Server);
            let statement = sum(&|span| span.name == "SELECT users");
            #[allow(clippy::cast_precision_loss, reason = "some dozens")]
            let least = STANDS_OUT * traces.len().max(1) as f64;
            match (call - served, statement) {
                (way, statement) if way.max(statement) < least => Err("nothing stands out".to_owned()),
                (way, statement) => Ok(Answer::text(if way > statement { "network" } else { "database" })),
            }
        })
    },
};

pub(crate) static POOL_EXHAUSTED: Scenario = Scenario {
    name: "pool-exhausted",
    title: "A pool that runs out of connections",
    level: Level::Advanced,
    learn: "A wait for a connection looks like a slow statement: the pool's gauge tells them apart.",
    stage: &[
        Step::Fault(&[plain(faults::POOL_LEAK, Role::User), plain(faults::POOL_LEAK, Role::Order)]),
        Step::Send(Subject::NewOrder, 16, 20),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} requests work for a while, and then each waits until a database gives up. Whose connections are not given back?",
    answer: AnswerKind::Service,
    look: &[
        ("console", "{console}/?status=error"),
        ("PromQL", "db_client_connection_count{state=\"used\"} against db_client_connection_max"),
        ("logs", "{console}/logs?text=connection&level=error"),
    ],
    hints: &[
        "Which statement is red, and whose span is it?",
        "Look at db_client_connection_count of each service: one has used all there are, while nothing runs.",
    ],
    explanation: "It is {answer}: all of its pool is used while it does nothing. The first operations were as ever, since there were connections left; the ones that wait are \
                  red (`error.type` `timeout`), not those that walked off with a connection.",
    fix: "o11y-lab fault clear pool-leak (in a real system: return the connection on every path, errors included)",
    healed: "an order is answered 201 again",
    sound: Subject::NewOrder,
    truth: |scene, _| Box::pin(async move { scene.culprit().map(Answer::text) }),
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let waited = traces.iter().flat_map(|trace| &trace.spans).filter(|span| {
                span.attributes.contains_key("db.query.text") && span.text("error.type") == "timeout"
            });
            let found = most(waited.map(|span| span.service.clone()));
            found
                .map(|(service, _)| Answer::Text(service))
                .ok_or_else(|| "no statement waits in vain".to_owned())
        })
    },
};

fn count(trace: &Trace, wanted: impl Fn(&Span) -> bool) -> usize {
    trace.spans.iter().filter(|span| wanted(span)).count()
}
