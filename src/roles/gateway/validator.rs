//! Typed client of the order validator, an AWS Lambda function.
//!
//! Locally it is the same call to the Lambda Invoke API, with another endpoint. The event is an
//! API Gateway proxy event whose headers carry the trace context, as they would behind a real one.

mod aws;
mod credentials;
mod endpoint;
mod event;
mod outcome;
mod transport;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use tokio::time::{sleep, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::api::Verdict;
use crate::api::lambda::function_name;
use crate::config::RoleConfig;
use crate::runtime::client::{AttemptGuard, CallDurations, RetryBudget};
use crate::runtime::deadline;
use crate::schema::Role;

use endpoint::InvokeTarget;
pub(super) use outcome::ValidatorError;
use outcome::{InvokeAnswer, verdict};
use transport::InvokeTransport;

/// Attempts in all; validation has no effects, so repeating it is safe.
const ATTEMPTS: u32 = 2;
/// The longest wait before the second one.
const BACKOFF: Duration = Duration::from_millis(100);

/// Configuration of the client, read once; each worker makes a client of it.
#[derive(Clone)]
pub(super) struct ValidatorSettings {
    target: Arc<InvokeTarget>,
    connect_timeout: Duration,
    timeout: Duration,
}

impl ValidatorSettings {
    /// Reads the configuration; nothing is called yet.
    pub(super) async fn read(config: &RoleConfig) -> Self {
        let upstream = &config.upstream;
        Self {
            target: Arc::new(InvokeTarget::of(config).await),
            connect_timeout: upstream.upstream_connect_timeout,
            timeout: upstream.lambda_timeout,
        }
    }

    /// A client for this thread.
    pub(super) fn client(&self) -> ValidatorClient {
        ValidatorClient {
            target: self.target.clone(),
            transport: InvokeTransport::new(&self.target, self.connect_timeout),
            durations: CallDurations::of(Role::Lambda.service().name),
            retries: RetryBudget::default(),
            span_name: format!("invoke {}", Role::Lambda.service().name),
            timeout: self.timeout,
        }
    }
}

/// Client of the validator. Its connections belong to one thread.
pub(super) struct ValidatorClient {
    target: Arc<InvokeTarget>,
    transport: InvokeTransport,
    durations: CallDurations,
    retries: RetryBudget,
    span_name: String,
    timeout: Duration,
}

impl ValidatorClient {
    /// Asks for a verdict on `order`, a JSON text.
    pub(super) async fn validate(&self, order: &[u8]) -> Result<Verdict, ValidatorError> {
        let span = tracing::info_span!(
            "invoke",
            otel.name = self.span_name,
            otel.kind = "client",
            otel.status_code = Empty,
            faas.invoked_name = function_name(&self.target.function),
            faas.invoked_provider = "aws",
            faas.invoked_region = self.target.region,
            rpc.system.name = "aws-api",
            rpc.method = "Lambda/Invoke",
            aws.request_id = Empty,
            "error.type" = Empty,
        );
        let guard = AttemptGuard::new(span.clone(), &self.durations);
        let deadline = deadline::at_most(Instant::now() + self.timeout);
        let invoked = timeout_at(deadline.into(), self.invoke(order)).instrument(span).await;
        let outcome = invoked.unwrap_or(Err(ValidatorError::Timeout));
        match &outcome {
            Ok(_) => guard.ended("2xx", None),
            Err(error) => guard.ended(error.outcome(), Some(error.kind())),
        }
        outcome
    }

    async fn invoke(&self, order: &[u8]) -> Result<Verdict, ValidatorError> {
        let event = Bytes::from(event::of(order));
        self.retries.earn();
        for _ in 1..ATTEMPTS {
            let outcome = self.transport.invoke(&self.target, &event).await;
            if !worth_repeating(&outcome) || !self.retries.spend() {
                return settle(outcome);
            }
            sleep(BACKOFF.mul_f64(fastrand::f64())).await;
        }
        settle(self.transport.invoke(&self.target, &event).await)
    }
}

/// Whether another attempt may help: nothing came back, too many calls at once, a failure of the API.
fn worth_repeating(outcome: &Result<InvokeAnswer, ValidatorError>) -> bool {
    match outcome {
        Ok(answer) => answer.status == 429 || answer.status >= 500,
        Err(error) => matches!(error, ValidatorError::Unreachable(_) | ValidatorError::Timeout),
    }
}

fn settle(outcome: Result<InvokeAnswer, ValidatorError>) -> Result<Verdict, ValidatorError> {
    let answer = outcome?;
    if let Some(id) = &answer.request_id {
        Span::current().record("aws.request_id", id);
    }
    verdict(&answer)
}
