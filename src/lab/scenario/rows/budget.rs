//! Promises: how fast a budget burns, when that pages, and an alert that looks at the wrong number.

use super::{error, latency, served};
use crate::lab::backend::count::CountSnapshot;
use crate::lab::backend::trace::{SpanKind, Trace};
use crate::lab::expect::Subject;
use crate::lab::scenario::answer::{Answer, AnswerKind};
use crate::lab::scenario::eyes::{Eyes, millis};
use crate::lab::scenario::model::{FaultChoice, Level, Scenario, Setting, Step, Wait};
use crate::lab::scenario::scene::Scene;
use crate::schema::{AVAILABILITY, FAULT_ATTRIBUTE, Role};

/// The share of requests that the promise lets fail.
const BUDGET: f64 = AVAILABILITY.allowed;
/// The rate at which ErrorBudgetFastBurn pages, over an hour.
const FAST_BURN: f64 = AVAILABILITY.pages[0].factor;
const USERS: &str = "GET /api/users";
const STATUS: &str = "http_response_status_code";

/// So many of the requests for the list of users fail at the gateway.
const fn failing(settings: &'static [(&'static str, Setting)]) -> FaultChoice {
    error(Role::Gateway, settings)
}

const ROUTE: (&str, Setting) = ("route", Setting::Route("/api/users"));
const STAGE: [Step; 4] = [
    Step::Note("requests before", requests),
    Step::Note("errors before", errors),
    Step::Fault(&[
        failing(&[ROUTE, ("ratio", Setting::Ratio(0.25))]),
        failing(&[ROUTE, ("ratio", Setting::Ratio(0.4))]),
        failing(&[ROUTE, ("ratio", Setting::Ratio(0.6))]),
    ]),
    Step::Send(Subject::Users, 60, 90),
];

pub(crate) static BURN_RATE: Scenario = Scenario {
    name: "burn-rate",
    title: "How fast does the budget burn?",
    level: Level::Advanced,
    learn: "A burn rate is the share of errors over the share that is allowed: 1 uses the budget up in exactly its period.",
    stage: &STAGE,
    question: "The promise is that 99.5 % of the gateway's requests succeed over 30 days. Since {began} some fail. Before, the gateway had served {requests before} \
               requests, {errors before} of them with a 5xx. At which rate does the budget burn?",
    answer: AnswerKind::Number { unit: "", share: 0.05, slack: 0.5 },
    look: &[
        ("metrics page", "{api-gateway}/metrics, http_server_request_duration_seconds_count"),
        (
            "PromQL",
            "sum(http_server_request_duration_seconds_count{service=\"api-gateway\"}), the same with http_response_status_code=~\"5..\"; where it runs for some minutes: slo:current_burn_rate:ratio",
        ),
        ("rules", "alerts/production/slo.yml"),
    ],
    hints: &[
        "First the share of errors: new errors over new requests.",
        "Then divide by what may fail: 1 - 0.995.",
    ],
    explanation: "It burns at {answer}. The share of errors over the 0.5 % that may fail. At 1 the budget of 30 days lasts 30 days; at this rate it lasts 30 days \
                  divided by it.",
    fix: "o11y-lab fault clear error --role gateway",
    healed: "the list of users is answered 200 again",
    sound: Subject::Users,
    truth: |scene, _| {
        Box::pin(async move { failed_share(scene).map(|share| Answer::Number(share / BUDGET)) })
    },
    solve: |eyes| Box::pin(async move { seen_share(eyes).await.map(|share| Answer::Number(share / BUDGET)) }),
};

pub(crate) static WILL_IT_PAGE: Scenario = Scenario {
    name: "will-it-page",
    title: "Will it page, and when?",
    level: Level::Advanced,
    learn: "A burn-rate alert looks over a window: a steady failure has to fill enough of it before anybody is woken.",
    stage: &STAGE,
    question: "As in burn-rate: 99.5 % are promised, before {began} the gateway had served {requests before} requests, {errors before} with a 5xx. Suppose that traffic and \
               failures go on at this share, with no errors in the hour before. ErrorBudgetFastBurn pages at 14.4 times the budget over one hour (and over five \
               minutes). After how many minutes does it page?",
    answer: AnswerKind::Number { unit: "minutes", share: 0.05, slack: 0.5 },
    look: &[
        ("metrics page", "{api-gateway}/metrics, http_server_request_duration_seconds_count"),
        ("PromQL", "slo:sli_error:ratio_rate1h > 14.4 * slo:error_budget:ratio"),
        ("rules", "alerts/production/burn.yml, docs/alerts.md"),
    ],
    hints: &[
        "It pages when the share of errors over the last hour passes 14.4 × 0.005 = 7.2 %.",
        "After m minutes the hour holds m/60 of the share of errors. When is that 7.2 %?",
        "60 × 0.072 / share of errors.",
    ],
    explanation: "After {answer} minutes: that is when 60 × 0.072 / (share of errors) have passed. The five minutes are long above by then; they end the page soon \
                  after the repair. A failure twice as bad pages in half the time, and one below 7.2 % never does: for that there are the slower windows.",
    fix: "o11y-lab fault clear error --role gateway",
    healed: "the list of users is answered 200 again",
    sound: Subject::Users,
    truth: |scene, _| Box::pin(async move { failed_share(scene).and_then(pages_after) }),
    solve: |eyes| Box::pin(async move { seen_share(eyes).await.and_then(pages_after) }),
};

/// The share of what was sent that failed.
#[allow(clippy::cast_precision_loss, reason = "some dozens")]
fn failed_share(scene: &Scene) -> Result<f64, String> {
    let (all, failed) = (scene.caused().count(), scene.caused().filter(|sent| sent.failed()).count());
    if failed == 0 { Err("nothing failed".to_owned()) } else { Ok(failed as f64 / all as f64) }
}

/// The share of errors among what the gateway served since.
async fn seen_share(eyes: &Eyes) -> Result<f64, String> {
    let counts = eyes.counts().await?;
    let served = requests(&counts) - eyes.number("requests before")?;
    let failed = errors(&counts) - eyes.number("errors before")?;
    if failed > 0.0 { Ok(failed / served) } else { Err("no request failed".to_owned()) }
}

fn pages_after(share: f64) -> Result<Answer, String> {
    let threshold = FAST_BURN * BUDGET;
    if share <= threshold {
        Err("it never pages".to_owned())
    } else {
        Ok(Answer::Number(60.0 * threshold / share))
    }
}

fn requests(counts: &CountSnapshot) -> f64 {
    served(counts, STATUS, |_| true)
}

fn errors(counts: &CountSnapshot) -> f64 {
    served(counts, STATUS, |status| status.starts_with('5'))
}

pub(crate) static WRONG_ALERT: Scenario = Scenario {
    name: "wrong-alert",
    title: "An alert that is wrong",
    level: Level::Advanced,
    learn: "A mean hides those who suffer: alert on the share of requests beyond a bound, not on the average.",
    stage: &[
        Step::Fault(&[latency(
            Role::Gateway,
            &[ROUTE, ("ms", Setting::Between(700, 900)), ("ratio", Setting::Ratio(0.3))],
        )]),
        Step::Send(Subject::Users, 30, 40),
        Step::Wait(Wait::Traced),
    ],
    question: "An alert on the mean latency of `GET /api/users` above 0.5 s is silent, and customers complain since {began}. What percentage of these \
               requests took longer than 0.5 s?",
    answer: AnswerKind::Number { unit: "%", share: 0.02, slack: 1.0 },
    look: &[
        ("console", "{console}/?text=GET%20/api/users&minDuration=500ms, against all of them"),
        (
            "PromQL",
            "1 - sum(increase(http_server_request_duration_seconds_bucket{service=\"api-gateway\", http_route=\"/api/users\", le=\"0.5\"}[5m])) / sum(increase(http_server_request_duration_seconds_count{service=\"api-gateway\", http_route=\"/api/users\"}[5m]))",
        ),
        ("Jaeger", "{jaeger}/search?service=api-gateway&minDuration=500ms"),
    ],
    hints: &[
        "The mean of seven quick ones and three slow ones is not slow.",
        "Count the traces of `GET /api/users` since then that are longer than 500 ms, and all of them.",
    ],
    explanation: "{answer} % took longer than half a second, while the mean stays below it: no customer has the mean. The lab's own promise (99 % within 0.5 s) \
                  counts them by the bucket le=\"0.5\".",
    fix: "o11y-lab fault clear latency --role gateway; alert on the share beyond the bound",
    healed: "the list of users is quick again",
    sound: Subject::Users,
    truth: |_, eyes| {
        Box::pin(async move {
            let traces = eyes.requests(USERS).await?;
            // The one thing a learner should not go by: the fault marks what it hits.
            let hit =
                |trace: &Trace| trace.spans.iter().any(|span| span.attributes.contains_key(FAULT_ATTRIBUTE));
            percentage(&traces, hit)
        })
    },
    solve: |eyes| {
        Box::pin(async move {
            let traces = eyes.requests(USERS).await?;
            let slow = |trace: &Trace| {
                let mut roots =
                    trace.spans.iter().filter(|span| span.name == USERS && span.kind == SpanKind::Server);
                roots.any(|span| millis(span) > 500.0)
            };
            percentage(&traces, slow)
        })
    },
};

#[allow(clippy::cast_precision_loss, reason = "some dozens")]
fn percentage(traces: &[Trace], wanted: impl Fn(&Trace) -> bool) -> Result<Answer, String> {
    match traces.iter().filter(|trace| wanted(trace)).count() {
        0 => Err("no request took long".to_owned()),
        found => Ok(Answer::Number(100.0 * found as f64 / traces.len() as f64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_twice_the_threshold_pages_after_half_an_hour_and_one_below_it_never() {
        let after = pages_after(0.072 * 2.0).map(|answer| answer.shown());
        assert_eq!(after.as_deref(), Ok("30"));
        assert!(pages_after(0.05).is_err());
    }
}
