//! Failures: where one begins, and those that nobody is told of.

use super::{error, plain};
use crate::lab::backend::trace::{SpanKind, SpanStatus};
use crate::lab::expect::{ORDER_TRACE, Subject};
use crate::lab::scenario::answer::{Answer, AnswerKind};
use crate::lab::scenario::eyes::{most, origin};
use crate::lab::scenario::model::{Level, Scenario, Setting, Step, Wait};
use crate::schema::{Role, faults};

const ORDER: &str = "POST /api/orders";
const READ_USER: (&str, Setting) = ("route", Setting::Route("/users/{id}"));
const TAKE_ORDER: (&str, Setting) = ("route", Setting::Route("/orders"));

pub(crate) static DEEP_ERROR: Scenario = Scenario {
    name: "deep-error",
    title: "An error that starts services away",
    level: Level::Beginner,
    learn: "A failure paints everything above it red; it began in the lowest span that is red.",
    stage: &[
        Step::Fault(&[error(Role::User, &[READ_USER]), error(Role::Order, &[TAKE_ORDER])]),
        Step::Send(Subject::NewOrder, 4, 6),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} orders are answered 502. In which service does the failure begin?",
    answer: AnswerKind::Service,
    look: &[
        ("console", "{console}/?status=error"),
        ("Jaeger", "{jaeger}/search?service=api-gateway&tags=%7B%22error%22%3A%22true%22%7D"),
        (
            "PromQL",
            "sum by (service) (rate(http_server_request_duration_seconds_count{http_response_status_code=~\"5..\"}[1m]))",
        ),
    ],
    hints: &[
        "502 says: somebody behind me failed. Who said 500?",
        "Follow the red spans down until nothing below is red.",
        "That span has the `exception` event; the others pass the failure on.",
    ],
    explanation: "It begins in {answer}: its SERVER span is red, has the `exception` event, and nothing red is below it. The others \
                  are red because they depend on it. An exception is recorded once, where it happens.",
    fix: "o11y-lab fault clear error",
    healed: "an order is answered 201 again",
    sound: Subject::NewOrder,
    truth: |scene, _| Box::pin(async move { scene.culprit().map(Answer::text) }),
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let origins = traces.iter().filter_map(|trace| Some(origin(trace)?.service.clone()));
            most(origins)
                .map(|(service, _)| Answer::Text(service))
                .ok_or_else(|| "no order failed".to_owned())
        })
    },
};

pub(crate) static LYING_LINE: Scenario = Scenario {
    name: "lying-line",
    title: "A log line that lies without its trace",
    level: Level::Intermediate,
    learn: "A line blames the one who answered its writer; the trace id on it leads to the one who failed.",
    stage: &[
        Step::Fault(&[error(Role::User, &[READ_USER]), error(Role::Order, &[TAKE_ORDER])]),
        Step::Send(Subject::NewOrder, 2, 3),
        Step::Wait(Wait::Traced),
    ],
    question: "The gateway wrote `request failed` and `order-service failed` with the traceId {trace}. In which span did the failure \
               really begin; what is its name?",
    answer: AnswerKind::SpanName,
    look: &[
        ("console", "{console}/logs?text={trace}, then the line's trace"),
        ("LogQL", "{service_name=~\".+\"} |= \"{trace}\""),
        ("API", "{console}/api/logs?traceId={trace}"),
    ],
    hints: &[
        "The gateway knows order-service only. Whom does that one call?",
        "All lines of the trace have the same traceId: read those with level error, the lowest service last.",
        "The spanId of the line with a `cause` that names no other service is that of the span.",
    ],
    explanation: "It began in `{answer}`. The line of the gateway is true about what it saw, and wrong as a diagnosis: who pages a team \
                  by it may wake the wrong one. Ids on every line make lines and spans one story.",
    fix: "o11y-lab fault clear error",
    healed: "an order is answered 201 again",
    sound: Subject::NewOrder,
    truth: |scene, _| {
        Box::pin(async move {
            let service = scene.culprit()?;
            let server = |row: &&crate::lab::expect::ExpectedSpan| {
                row.service == service && row.kind == SpanKind::Server
            };
            let row = ORDER_TRACE.iter().find(server).ok_or("an order does not reach it")?;
            Ok(Answer::text(row.name))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let trace = eyes.trace(eyes.fact("trace")).await?;
            let began = origin(&trace).ok_or("nothing in this trace failed")?;
            Ok(Answer::text(began.name.as_str()))
        })
    },
};

pub(crate) static DEGRADED: Scenario = Scenario {
    name: "degraded",
    title: "A dependency fails, and no request does",
    level: Level::Intermediate,
    learn: "What degrades gracefully fails in silence: it needs a counter of its own.",
    stage: &[
        Step::Send(Subject::NewOrder, 2, 3),
        Step::Fault(&[plain(faults::ERROR, Role::Lambda)]),
        Step::Send(Subject::NewOrder, 4, 9),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} every order was answered 201. How many of them were accepted without the validator's verdict?",
    answer: AnswerKind::Number { unit: "orders", share: 0.0, slack: 0.0 },
    look: &[
        ("console", "{console}/?text=invoke%20order-validator&status=error"),
        ("PromQL", "sum by (reason) (increase(gateway_validation_skipped_total[5m]))"),
        ("metrics page", "{api-gateway}/metrics, gateway_validation_skipped_total"),
    ],
    hints: &[
        "Look at the children of `POST /api/orders` in a trace: is one of them red while the root is not?",
        "Count the traces in which `invoke order-validator` failed, or what gateway_validation_skipped_total grew by.",
    ],
    explanation: "{answer} orders were passed on without a verdict. The gateway chose to go on, as it should: order-service guards with the \
                  same rules. But no status, no error ratio and no latency tells of it: only the counter and the red child do.",
    fix: "o11y-lab fault clear error --role lambda",
    healed: "an order's invocation of the validator succeeds",
    sound: Subject::NewOrder,
    truth: |scene, _| {
        Box::pin(
            async move { Ok(Answer::count(scene.caused().filter(|sent| sent.is_accepted_order()).count())) },
        )
    },
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let skipped = |trace: &&crate::lab::backend::trace::Trace| {
                let failed = |span: &crate::lab::backend::trace::Span| {
                    span.name == "invoke order-validator" && span.status == SpanStatus::Error
                };
                trace.spans.iter().any(failed)
            };
            match traces.iter().filter(skipped).count() {
                0 => Err("every order has its verdict".to_owned()),
                skipped => Ok(Answer::count(skipped)),
            }
        })
    },
};

pub(crate) static SILENT_FAILURE: Scenario = Scenario {
    name: "silent-failure",
    title: "No error anywhere, and fewer orders",
    level: Level::Advanced,
    learn: "A 4xx is no error of a server: what a release of a client breaks shows only in what is missing.",
    stage: &[
        Step::Send(Subject::NewOrder, 2, 3),
        Step::Cause(&[Subject::BadOrder, Subject::OrphanOrder], 8, 12),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} fewer orders come in. No span of a server is red, no 5xx is counted, no alert fires. Which status do those \
               get who try?",
    answer: AnswerKind::Number { unit: "", share: 0.0, slack: 0.0 },
    look: &[
        ("console", "{console}/?text=POST%20/api/orders&status=4xx"),
        (
            "PromQL",
            "sum by (http_response_status_code) (increase(http_server_request_duration_seconds_count{service=\"api-gateway\", http_route=\"/api/orders\", http_request_method=\"POST\"}[5m]))",
        ),
        ("business", "rate(orders_created_total[5m])"),
    ],
    hints: &[
        "Errors are what a server could not do. What does it refuse?",
        "List the traces of `POST /api/orders` by their status.",
    ],
    explanation: "They get {answer}: an answer, and not an error, by the conventions. So error ratio and budget stay clean while the business \
                  stands still. An alert on the success of orders (OrderSuccessLow) watches what customers came for.",
    fix: "Roll the client back that sends what is refused.",
    healed: "an order is answered 201",
    sound: Subject::NewOrder,
    truth: |scene, _| {
        Box::pin(async move {
            let (status, _) = most(scene.caused().map(|sent| sent.status)).ok_or("nothing was refused")?;
            Ok(Answer::Number(f64::from(status)))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let statuses = traces.iter().filter_map(|trace| {
                let root =
                    trace.spans.iter().find(|span| span.name == ORDER && span.kind == SpanKind::Server)?;
                root.text("http.response.status_code").parse::<u16>().ok().filter(|status| *status != 201)
            });
            let (status, _) = most(statuses).ok_or("every order was accepted")?;
            Ok(Answer::Number(f64::from(status)))
        })
    },
};
