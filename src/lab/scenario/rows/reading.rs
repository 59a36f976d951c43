//! Reading one trace, and many of them: where does the time go?

use std::collections::BTreeMap;

use super::latency;
use crate::lab::backend::trace::{SpanKind, Trace};
use crate::lab::expect::{ORDER_TRACE, Subject};
use crate::lab::scenario::answer::{Answer, AnswerKind};
use crate::lab::scenario::eyes::{Eyes, millis, self_millis};
use crate::lab::scenario::model::{FaultChoice, Level, Scenario, Setting, Step, Wait};
use crate::schema::{Role, faults};

/// The least mean time, in milliseconds, that stands out on a lab that has little to do.
const STANDS_OUT: f64 = 300.0;
const ORDER: &str = "POST /api/orders";
const READ_USER: &str = "/users/{id}";

pub(crate) static WATERFALL: Scenario = Scenario {
    name: "waterfall",
    title: "Read a waterfall",
    level: Level::Beginner,
    learn: "A trace is a tree of spans: who called whom, when each began, how long it took.",
    stage: &[
        Step::Fault(&[latency(
            Role::User,
            &[("ms", Setting::Between(200, 900)), ("route", Setting::Route(READ_USER))],
        )]),
        Step::Send(Subject::NewOrder, 1, 1),
        Step::Wait(Wait::Traced),
    ],
    question: "One order was sent; its trace is {trace}. How many milliseconds did user-service work on it, that is, how \
               long is its SERVER span `GET /users/{id}`?",
    answer: AnswerKind::Number { unit: "ms", share: 0.05, slack: 5.0 },
    look: &[
        ("console", "{console}/trace/{trace}"),
        ("Jaeger", "{jaeger}/trace/{trace}"),
        ("API", "{console}/api/v3/traces/{trace}"),
    ],
    hints: &[
        "Open the trace. Each row is a span, indented below its caller; the bar is its time.",
        "Two spans are called `GET /users/{id}`: the caller's (CLIENT, order-service) and the one asked for (SERVER, user-service).",
        "Click the row of user-service: its details have the duration.",
    ],
    explanation: "It is {answer} ms. The CLIENT span of order-service around it is a little longer: the difference is the way \
                  there and back. All spans above wait for this one, so each is long; only this one works, or rather sleeps.",
    fix: "o11y-lab fault clear latency --role user",
    healed: "an order's trace has no span that was made slow",
    sound: Subject::NewOrder,
    truth: |scene, eyes| {
        Box::pin(async move {
            let id = scene.last().and_then(|sent| sent.trace.clone()).ok_or("the order has no trace")?;
            let took = server_span(&eyes.trace(&id).await?, Role::User.service().name)?;
            let (least, shown) = (scene.fault()?.number("ms"), format!("{took:.0} ms"));
            if took < least {
                Err(format!("user-service took {shown}, less than was staged"))
            } else {
                Ok(Answer::Number(took))
            }
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let trace = eyes.trace(eyes.fact("trace")).await?;
            server_span(&trace, "user-service").map(Answer::Number)
        })
    },
};

fn server_span(trace: &Trace, service: &str) -> Result<f64, String> {
    let mut spans =
        trace.spans.iter().filter(|span| span.kind == SpanKind::Server && span.service == service);
    spans.next().map(millis).ok_or_else(|| format!("no SERVER span of {service} in the trace"))
}

pub(crate) static SLOW_HOP: Scenario = Scenario {
    name: "slow-hop",
    title: "Find the slow hop",
    level: Level::Beginner,
    learn: "A span's own time is what its children leave of it; the slow service is where that grows, not the longest span.",
    stage: &[
        Step::Fault(&[
            latency(Role::User, &[("ms", Setting::Between(400, 700))]),
            latency(Role::Order, &[("ms", Setting::Between(400, 700))]),
            latency(Role::Lambda, &[("ms", Setting::Between(400, 700))]),
            latency(Role::Gateway, &[("ms", Setting::Between(400, 700))]),
        ]),
        Step::Send(Subject::NewOrder, 6, 8),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} orders take half a second. Which service is the slow one?",
    answer: AnswerKind::Service,
    look: &[
        ("console", "{console}/?text=POST%20/api/orders, the critical path in a trace"),
        ("Jaeger", "{jaeger}/search?service=api-gateway"),
        (
            "PromQL",
            "histogram_quantile(0.95, sum by (service, http_route, le) (rate(http_server_request_duration_seconds_bucket[1m])))",
        ),
    ],
    hints: &[
        "The root is long in any case: everything below it is part of it.",
        "Look for a SERVER span that is long while nothing below it is.",
        "In the PromQL answer the slow service and all of its callers are slow. Who of them calls nobody that is slow?",
    ],
    explanation: "It is {answer}: its span is long, and what it calls is quick. Its callers are as slow, because they wait for it. \
                  That is why an alert on latency should sit at the edge, and the trace say where it comes from.",
    fix: "o11y-lab fault clear latency",
    healed: "an order's trace has no span that was made slow",
    sound: Subject::NewOrder,
    truth: |scene, _| Box::pin(async move { scene.culprit().map(Answer::text) }),
    solve: |eyes| Box::pin(async move { slowest(eyes, |_, span| span.service.clone(), |_| true).await }),
};

pub(crate) static SLOW_QUERY: Scenario = Scenario {
    name: "slow-query",
    title: "Find the slow query",
    level: Level::Beginner,
    learn: "A database has no service of its own here: its time is a CLIENT span of the one who asks, named by its statement.",
    stage: &[
        Step::Fault(&[slow_db(Role::Order), slow_db(Role::User)]),
        Step::Send(Subject::NewOrder, 6, 8),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} orders take half a second, and a database is to blame. Which statement is it; what is its span called?",
    answer: AnswerKind::SpanName,
    look: &[
        ("console", "{console}/?text=db.system.name=sqlite"),
        ("Jaeger", "{jaeger}/search?service=order-service"),
        (
            "PromQL",
            "sum by (service, db_operation_name) (rate(db_client_operation_duration_seconds_sum[1m]))",
        ),
    ],
    hints: &[
        "Spans of statements have `db.query.text`; their names are the operation and the table.",
        "An order has two of them, of two services.",
    ],
    explanation: "It is `{answer}`. Its span is a CLIENT's with nothing below it: the database does not trace itself, so the \
                  caller's span is all there is of it, the wait for a connection included.",
    fix: "o11y-lab fault clear slow-db",
    healed: "an order's trace has no statement that was made slow",
    sound: Subject::NewOrder,
    truth: |scene, _| {
        Box::pin(async move {
            let service = scene.culprit()?;
            let is_query = |row: &&crate::lab::expect::ExpectedSpan| {
                row.service == service && row.attributes.contains(&"db.query.text")
            };
            let row = ORDER_TRACE.iter().find(is_query).ok_or("an order has no statement there")?;
            Ok(Answer::text(row.name))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            slowest(eyes, |_, span| span.name.clone(), |span| span.attributes.contains_key("db.query.text"))
                .await
        })
    },
};

const fn slow_db(role: Role) -> FaultChoice {
    FaultChoice { fault: faults::SLOW_DB, role, settings: &[("ms", Setting::Between(400, 600))] }
}

type Span = crate::lab::backend::trace::Span;

/// Whose own time is the longest over all orders, by the name that `key` gives a span.
async fn slowest(
    eyes: &Eyes,
    key: impl Fn(&Trace, &Span) -> String,
    wanted: impl Fn(&Span) -> bool,
) -> Result<Answer, String> {
    let traces = eyes.requests(ORDER).await?;
    let mut own: BTreeMap<String, f64> = BTreeMap::new();
    for trace in &traces {
        // What comes after the answer keeps nobody waiting.
        let waits = |span: &&Span| span.kind != SpanKind::Producer && span.service != "notification-service";
        for span in trace.spans.iter().filter(waits).filter(|span| wanted(span)) {
            *own.entry(key(trace, span)).or_default() += self_millis(trace, span);
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "some dozens")]
    let orders = traces.len().max(1) as f64;
    let slowest = own.into_iter().max_by(|one, other| one.1.total_cmp(&other.1));
    match slowest.filter(|(_, sum)| sum / orders >= STANDS_OUT) {
        Some((key, _)) => Ok(Answer::Text(key)),
        None => Err("nothing stands out: no span has a long time of its own".to_owned()),
    }
}
