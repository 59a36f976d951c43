//! The handler, the same on AWS and here: one span, one verdict, one line.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use opentelemetry::trace::Status;
use opentelemetry::{Context, KeyValue};
use serde_json::{Value, json};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::event::{FunctionAnswer, InvokeEvent};
use crate::api::validate;
use crate::config::LambdaEnvironment;
use crate::runtime::propagation::{MessageFields, extract_over, extract_xray};
use crate::runtime::{Faults, Telemetry};
use crate::schema::Role;

/// The longest an answer waits for its spans to be exported: less than a caller waits for it.
const FLUSH_DEADLINE: Duration = Duration::from_secs(1);
/// What an answer needs of the time that Lambda leaves it.
const RESERVE: Duration = Duration::from_millis(100);

/// Invocation, as far as it is known beside its event.
#[derive(Default)]
pub(super) struct Invocation {
    /// `faas.invocation_id`, and the verdict's request id.
    pub(super) id: String,
    /// The client context's `custom` map.
    pub(super) client: BTreeMap<String, String>,
    /// AWS's own `X-Amzn-Trace-Id`.
    pub(super) xray: Option<String>,
    /// The function as it was invoked, perhaps with a version or an alias.
    pub(super) arn: Option<String>,
    /// When Lambda ends the invocation.
    pub(super) deadline: Option<SystemTime>,
}

impl Invocation {
    /// The caller's trace context and baggage. The event's headers are nearest to the caller; the
    /// client context is what a caller without headers has; X-Ray's header, which AWS sets by itself,
    /// counts where both are silent.
    fn parent(&self, event: InvokeEvent<'_>) -> Context {
        let known = self.xray.as_deref().map(extract_xray).unwrap_or_default();
        let known = extract_over(&known, &MessageFields(&self.client));
        extract_over(&known, &MessageFields(&event.headers()))
    }

    fn span(&self, event: InvokeEvent<'_>, function: &str, cold: bool) -> Span {
        let method = event.method();
        let of_http = |text| method.and(text);
        // arn:aws:lambda:REGION:ACCOUNT:function:NAME, perhaps with a version behind it
        let parts: Vec<_> = self.arn.iter().flat_map(|arn| arn.split(':')).collect();
        let span = tracing::info_span!(
            "invocation",
            otel.name = Role::Lambda.service().name,
            otel.kind = "server",
            faas.name = function,
            faas.trigger = event.trigger(),
            faas.invocation_id = self.id,
            faas.coldstart = cold,
            aws.lambda.invoked_arn = self.arn,
            cloud.account.id = parts.get(4),
            cloud.resource_id = parts.get(..7).map(|parts| parts.join(":")),
            http.request.method = method,
            http.route = of_http(event.route()),
            url.path = of_http(event.path()),
            http.response.status_code = Empty,
        );
        // An error here means tracing is off; the span is then a plain one.
        let _ = span.set_parent(self.parent(event));
        span
    }

    /// How long spans may take to leave.
    fn flush_deadline(&self) -> Duration {
        let left = |at: SystemTime| at.duration_since(SystemTime::now()).unwrap_or_default();
        let left = self.deadline.map_or(FLUSH_DEADLINE, |at| left(at).saturating_sub(RESERVE));
        left.min(FLUSH_DEADLINE)
    }
}

/// Function error, as Lambda calls it: why an invocation has no answer. Its caller reads both.
#[derive(Debug)]
pub(super) struct FunctionError {
    pub(super) kind: &'static str,
    pub(super) message: String,
}

/// The function: the order validator.
#[derive(Clone)]
pub(super) struct ValidatorFunction {
    name: Arc<str>,
    /// What to flush before an answer, where the process may be frozen after it.
    flush: Option<Telemetry>,
    cold: Arc<AtomicBool>,
    faults: Faults,
}

impl ValidatorFunction {
    /// On this machine, where nothing freezes.
    pub(super) fn here(faults: &Faults) -> Self {
        let cold = Arc::new(AtomicBool::new(true));
        Self { name: Role::Lambda.service().name.into(), flush: None, cold, faults: faults.clone() }
    }

    /// On the Lambda runtime.
    pub(super) fn on_aws(function: &LambdaEnvironment, telemetry: &Telemetry, faults: &Faults) -> Self {
        let cold = Arc::new(AtomicBool::new(function.on_demand));
        let flush = Some(telemetry.clone());
        Self { name: function.name.as_str().into(), flush, cold, faults: faults.clone() }
    }

    /// Answers an event with a response; its span has left when this returns, if it can.
    pub(super) async fn answer(
        &self,
        event: &Value,
        invocation: Invocation,
    ) -> Result<FunctionAnswer, FunctionError> {
        let event = InvokeEvent(event);
        let span = invocation.span(event, &self.name, self.cold.swap(false, Ordering::Relaxed));
        let outcome = settled(self.judge(event, &invocation.id), &invocation.id).instrument(span).await;
        if let Some(telemetry) = &self.flush {
            telemetry.flush(invocation.flush_deadline()).await;
        }
        outcome
    }

    async fn judge(&self, event: InvokeEvent<'_>, id: &str) -> Result<FunctionAnswer, FunctionError> {
        self.faults.request(&super::ROUTES[0], "").await.map_err(|problem| FunctionError {
            kind: "Function.Failed",
            message: problem.detail().to_owned(),
        })?;
        let (status, body) = verdict(event, id);
        if event.method().is_some() {
            Span::current().record("http.response.status_code", i64::from(status));
        }
        Ok(event.response(status, body))
    }
}

/// Notes how it went, on the active span and in the log. A panic is one invocation's failure, and
/// not the end of a process whose spans would be lost with it.
async fn settled<T>(
    work: impl Future<Output = Result<T, FunctionError>>,
    id: &str,
) -> Result<T, FunctionError> {
    let panicked =
        |_| Err(FunctionError { kind: "Function.Panicked", message: "the function panicked".to_owned() });
    let outcome = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(panicked);
    if let Err(FunctionError { kind, message }) = &outcome {
        let span = Span::current();
        span.set_attribute("error.type", *kind);
        span.set_status(Status::error(message.clone()));
        let exception =
            vec![KeyValue::new("exception.type", *kind), KeyValue::new("exception.message", message.clone())];
        span.add_event("exception", exception);
        tracing::error!(requestId = id, errorType = kind, cause = message, "Invocation failed");
    }
    outcome
}

/// Status and body of the answer.
fn verdict(event: InvokeEvent<'_>, id: &str) -> (u16, String) {
    match event.order() {
        Ok(order) => {
            let verdict = validate::verdict(&order, id);
            let errors = verdict.errors.len();
            tracing::info!(requestId = id, valid = verdict.valid, errors, "Order validated");
            // Texts and a flag: there is nothing in them that JSON cannot say.
            (200, serde_json::to_string(&verdict).unwrap_or_default())
        }
        Err(error) => {
            tracing::info!(requestId = id, reason = error, "Event refused");
            (400, json!({ "error": error, "requestId": id }).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_a_200_answer_whether_valid_or_not_and_a_bad_event_a_400() {
        let plain = json!({"body": "{\"userId\":1,\"items\":[\"a\"],\"total\":1}"});
        let encoded = json!({"body": "eyJ1c2VySWQiOjB9", "isBase64Encoded": true});
        for (event, valid) in [(plain, true), (encoded, false)] {
            let (status, body) = verdict(InvokeEvent(&event), "r");
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            assert_eq!((status, &body["valid"], &body["requestId"]), (200, &json!(valid), &json!("r")));
        }
        assert_eq!(verdict(InvokeEvent(&json!({})), "r").0, 400);
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_whose_text_tells_the_caller_nothing() {
        let work = async { if true { panic!("at 10.0.0.1") } else { Ok(Value::Null) } };
        let failure = settled(work, "r").await.err().map(|failure| (failure.kind, failure.message));
        assert_eq!(failure, Some(("Function.Panicked", "the function panicked".to_owned())));
    }

    #[test]
    fn spans_leave_before_lambda_ends_the_invocation() {
        let of = |deadline| Invocation { deadline, ..Invocation::default() }.flush_deadline();
        let now = SystemTime::now();
        assert_eq!(of(None), FLUSH_DEADLINE);
        assert_eq!(of(now.checked_add(Duration::from_secs(60))), FLUSH_DEADLINE);
        assert!(of(now.checked_add(Duration::from_millis(500))) <= Duration::from_millis(400));
        assert_eq!(of(now.checked_sub(Duration::from_secs(1))), Duration::ZERO);
    }
}
