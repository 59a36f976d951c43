//! What changed: a clock, a version, the memory of a process, the luck of some users.

use std::collections::{BTreeMap, BTreeSet};

use super::latency_of;
use crate::lab::backend::trace::{Span, SpanKind, Trace};
use crate::lab::expect::Subject;
use crate::lab::scenario::answer::{Answer, AnswerKind};
use crate::lab::scenario::eyes::{millis, most};
use crate::lab::scenario::model::{FaultChoice, Level, Scenario, Setting, Step, Wait};
use crate::schema::{FAULT_ATTRIBUTE, Role, SERVICES, faults};

const ORDER: &str = "POST /api/orders";
const READ_USER: &str = "GET /users/{id}";

pub(crate) static USER_OUTAGE: Scenario = Scenario {
    name: "user-outage",
    title: "Some users, always; the others, never",
    level: Level::Intermediate,
    learn: "A share of errors is one number for two stories: all users now and then, or some users always.",
    stage: &[
        Step::Send(Subject::NewUser, 12, 16),
        Step::Fault(&[FaultChoice {
            fault: faults::USER_OUTAGE,
            role: Role::User,
            settings: &[("ratio", Setting::Ratio(0.4))],
        }]),
        Step::Send(Subject::OneUser, 40, 50),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} a part of `GET /api/users/{id}` fails. It is not a part of the requests, but of the users: how many of those who were asked for fail each time?",
    answer: AnswerKind::Number { unit: "users", share: 0.0, slack: 0.0 },
    look: &[
        ("console", "{console}/?text=GET%20/api/users/{id}&status=error, url.path in the details"),
        ("Jaeger", "{jaeger}/search?service=user-service"),
        ("API", "{console}/api/traces?service=user-service&limit=100"),
    ],
    hints: &[
        "Metrics have the template `/users/{id}`, and must have no more. Spans have the path.",
        "Group the SERVER spans of user-service by `url.path`: which paths are red?",
    ],
    explanation: "{answer} users fail whenever they come, and the others never do. The error ratio of the route looks like bad luck for everybody; spans, which may carry what \
                  labels must not, show that it is a shard, a tenant, a corrupt row.",
    fix: "o11y-lab fault clear user-outage",
    healed: "a user is answered 200 again",
    sound: Subject::NewUser,
    truth: |_, eyes| {
        Box::pin(async move {
            let traces = eyes.requests("GET /api/users/{id}").await?;
            users(&traces, |span| span.attributes.contains_key(FAULT_ATTRIBUTE))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests("GET /api/users/{id}").await?;
            users(&traces, |span| span.text("http.response.status_code").starts_with('5'))
        })
    },
};

/// How many paths of users have such a SERVER span.
fn users(traces: &[Trace], wanted: impl Fn(&Span) -> bool) -> Result<Answer, String> {
    let spans = traces.iter().flat_map(|trace| &trace.spans);
    let served = spans.filter(|span| span.name == READ_USER && span.kind == SpanKind::Server);
    let paths: BTreeSet<_> = served.filter(|span| wanted(span)).map(|span| span.text("url.path")).collect();
    if paths.is_empty() { Err("no user fails".to_owned()) } else { Ok(Answer::count(paths.len())) }
}

pub(crate) static CLOCK_SKEW: Scenario = Scenario {
    name: "clock-skew",
    title: "A child that begins before its parent",
    level: Level::Intermediate,
    learn: "Each machine writes its own time: durations can be trusted, and the order of spans of two machines cannot.",
    stage: &[
        Step::Fault(&[skewed(Role::User), skewed(Role::Order), skewed(Role::Lambda)]),
        Step::Send(Subject::NewOrder, 3, 5),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} spans begin before the call that they answer. Whose clock is slow?",
    answer: AnswerKind::Service,
    look: &[
        ("console", "{console}/trace/{trace}"),
        ("Jaeger", "{jaeger}/trace/{trace}, which moves such spans and says so"),
        ("API", "{console}/api/v3/traces/{trace}, startTimeUnixNano"),
    ],
    hints: &[
        "Find a SERVER span that begins before its parent, the CLIENT span of another service.",
        "All spans of one service lie together; those that it calls lie right again.",
    ],
    explanation: "It is {answer}: all of its spans lie too early by the same time, and their durations are right, since these are taken with another clock. Log lines and spans of one \
                  request disagree about when it was. NTP repairs it; a backend that moves spans only hides it.",
    fix: "o11y-lab fault clear clock-skew",
    healed: "no span of a new order begins before its parent",
    sound: Subject::NewOrder,
    truth: |scene, _| Box::pin(async move { scene.culprit().map(Answer::text) }),
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let early = traces.iter().flat_map(|trace| {
                let before_parent = |span: &&Span| {
                    let slack = 200_000_000;
                    trace.parent(span).is_some_and(|parent| span.start + slack < parent.start)
                };
                trace.spans.iter().filter(before_parent).map(|span| span.service.clone())
            });
            let found = most(early);
            found
                .map(|(service, _)| Answer::Text(service))
                .ok_or_else(|| "no span begins before its parent".to_owned())
        })
    },
};

const fn skewed(role: Role) -> FaultChoice {
    latency_of(faults::CLOCK_SKEW, role, &[("ms", Setting::Between(2000, 5000))])
}

pub(crate) static MEMORY_LEAK: Scenario = Scenario {
    name: "memory-leak",
    title: "A memory leak, in three signals",
    level: Level::Advanced,
    learn: "A leak shows in a gauge as a ramp, in lines as a complaint, in traces as what the ramp follows.",
    stage: &[
        Step::Fault(&[growing(Role::User), growing(Role::Order), growing(Role::Gateway)]),
        Step::Send(Subject::NewOrder, 40, 48),
    ],
    question: "Since {began} a process takes more memory with each request, and gives none of it back. Which service is it?",
    answer: AnswerKind::Service,
    look: &[
        ("PromQL", "delta(process_resident_memory_bytes[5m])"),
        ("logs", "{console}/logs?text=cache"),
        ("metrics page", "{user-service}/metrics, and those of the others: process_resident_memory_bytes"),
    ],
    hints: &[
        "process_resident_memory_bytes of each service, now and after a few more requests.",
        "One of them writes a line about a cache now and then.",
    ],
    explanation: "It is {answer}: its resident memory follows its requests and not the time, its line `Cache grows and nothing is removed from it` has the trace of a request that \
                  made it grow, and no duration changes until the kernel ends it. Alert on the slope, long before the limit.",
    fix: "o11y-lab fault clear memory-growth",
    healed: "an order is answered as ever, and what was taken is given back",
    sound: Subject::NewOrder,
    truth: |scene, _| Box::pin(async move { scene.culprit().map(Answer::text) }),
    solve: |eyes| {
        Box::pin(async move {
            for service in &SERVICES {
                let complaints =
                    eyes.lines(service.role, "Cache grows and nothing is removed from it").await?;
                if !complaints.is_empty() {
                    return Ok(Answer::text(service.name));
                }
            }
            Err("no service complains of a cache".to_owned())
        })
    },
};

/// 40 orders are 16 MiB and more, and a line is written for each 8 MiB.
const fn growing(role: Role) -> FaultChoice {
    FaultChoice { fault: faults::MEMORY_GROWTH, role, settings: &[("kib", Setting::Between(400, 500))] }
}

pub(crate) static BAD_DEPLOY: Scenario = Scenario {
    name: "bad-deploy",
    title: "A deploy that made it worse",
    level: Level::Advanced,
    learn: "With the version on every span, before and after a deploy is a comparison and not a memory.",
    stage: &[
        Step::Send(Subject::NewOrder, 4, 6),
        Step::Fault(&[deployed(Role::Gateway), deployed(Role::Order)]),
        Step::Send(Subject::NewOrder, 4, 6),
        Step::Wait(Wait::Traced),
    ],
    question: "Since {began} one service was deployed, and orders got slower. What is the version that is to be rolled back (the value of `service.version`)?",
    answer: AnswerKind::Value,
    look: &[
        ("console", "{console}/trace/{trace}, a span's details"),
        ("PromQL", "build_info, and its changes over time"),
        ("Jaeger", "{jaeger}/trace/{trace}, Process: service.version"),
    ],
    hints: &[
        "`service.version` is an attribute of the resource: one value for all spans of a process.",
        "One service has two values since then. Compare its durations by them.",
    ],
    explanation: "It is {answer}: the same spans of the same service are slower with this version than with the one before, in the same minutes. Without the attribute there would be only \
                  a curve that rose at some time.",
    fix: "o11y-lab fault clear deploy (the rollback)",
    healed: "an order's trace has no span that was made slow",
    sound: Subject::NewOrder,
    truth: |scene, _| {
        Box::pin(async move {
            scene.fault()?;
            Ok(Answer::text(faults::NEXT_VERSION))
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(ORDER).await?;
            let mut durations: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
            for span in
                traces.iter().flat_map(|trace| &trace.spans).filter(|span| span.kind == SpanKind::Server)
            {
                let version = span.resource.get("service.version").and_then(serde_json::Value::as_str);
                let key = (span.service.clone(), version.unwrap_or_default().to_owned());
                durations.entry(key).or_default().push(millis(span));
            }
            let versions = |service: &str| durations.keys().filter(|(of, _)| of == service).count();
            #[allow(clippy::cast_precision_loss, reason = "some dozens")]
            let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
            let deployed = durations.iter().filter(|((service, _), _)| versions(service) > 1);
            let slower = deployed.max_by(|one, other| mean(one.1).total_cmp(&mean(other.1)));
            slower
                .map(|((_, version), _)| Answer::text(version.as_str()))
                .ok_or_else(|| "nothing was deployed".to_owned())
        })
    },
};

const fn deployed(role: Role) -> FaultChoice {
    latency_of(faults::DEPLOY, role, &[("ms", Setting::Between(300, 500))])
}
