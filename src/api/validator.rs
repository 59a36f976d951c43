//! The typed client of the order validator, an AWS Lambda function.
//!
//! Locally it is the same call to the Lambda Invoke API, with another endpoint. The event is an
//! API Gateway proxy event whose headers carry the trace context, as they would behind a real one.

mod outcome;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::config::{Credentials, SharedHttpClient};
use aws_sdk_lambda::operation::invoke::InvokeOutput;
use aws_sdk_lambda::primitives::Blob;
use aws_smithy_http_client::tls;
use serde_json::{Map, Value, json};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::Verdict;
use crate::config::RoleConfig;
use crate::runtime::propagation::fields_of_current_span;
use crate::schema::{Role, names};

pub use outcome::ValidatorError;
use outcome::{not_invoked, verdict};

/// Attempts in all; validation has no effects, so repeating it is safe.
const ATTEMPTS: u32 = 2;
/// The longest wait before the second one; the SDK's own would take half of the time allowed.
const BACKOFF: Duration = Duration::from_millis(100);
/// Where the function is when nothing says otherwise: the lambda role on this machine.
const LOCAL_REGION: &str = "us-east-1";

/// A client of the validator. Clones share connections.
#[derive(Clone)]
pub struct ValidatorClient {
    sdk: aws_sdk_lambda::Client,
    function: Arc<str>,
    region: Arc<str>,
}

impl ValidatorClient {
    /// Reads the configuration; nothing is called yet.
    pub async fn new(config: &RoleConfig) -> Self {
        let (local, named) = (local_endpoint(config), config.lambda_endpoint());
        let config = &config.upstream;
        let region = config.aws_region.clone().unwrap_or_else(|| LOCAL_REGION.to_owned());
        let builder = match local {
            // Credentials of this machine's user are never sent to a stand-in over plain HTTP.
            Some(endpoint) => aws_sdk_lambda::config::Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .endpoint_url(endpoint)
                .credentials_provider(Credentials::new("local", "local", None, None, "local"))
                .http_client(plain_http()),
            None => on_aws(named, &region).await,
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.upstream_connect_timeout)
            .operation_timeout(config.lambda_timeout)
            .build();
        let sdk = builder
            .region(Region::new(region.clone()))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(BACKOFF))
            .build();
        let function = config.lambda_function_name.as_str().into();
        Self { sdk: aws_sdk_lambda::Client::from_conf(sdk), function, region: region.into() }
    }

    /// Asks for a verdict on `order`.
    pub async fn validate(&self, order: &Value) -> Result<Verdict, ValidatorError> {
        let span = tracing::info_span!(
            "invoke",
            otel.name = format!("invoke {}", Role::Lambda.service().name),
            otel.kind = "client",
            otel.status_code = Empty,
            faas.invoked_name = function_name(&self.function),
            faas.invoked_provider = "aws",
            faas.invoked_region = &*self.region,
            rpc.system.name = "aws-api",
            rpc.method = "Lambda/Invoke",
            aws.request_id = Empty,
            "error.type" = Empty,
        );
        let started = Instant::now();
        let outcome = self.invoke(order).instrument(span.clone()).await;
        settle(&span, &outcome, started);
        outcome
    }

    async fn invoke(&self, order: &Value) -> Result<Verdict, ValidatorError> {
        let payload = Blob::new(event(order).to_string());
        let request = self.sdk.invoke().function_name(&*self.function).payload(payload);
        let output = request.send().await.map_err(|error| not_invoked(&error))?;
        if let Some(id) = aws_request_id(&output) {
            Span::current().record("aws.request_id", id);
        }
        verdict(&output)
    }
}

/// The name in what names a function: itself, its ARN (`arn:aws:lambda:REGION:ACCOUNT:function:NAME`) or
/// a part of that, each perhaps with a version or alias behind it.
pub fn function_name(text: &str) -> &str {
    let name = text.rsplit_once("function:").map_or(text, |(_, name)| name);
    name.split(':').next().unwrap_or(name)
}

fn settle(span: &Span, outcome: &Result<Verdict, ValidatorError>, started: Instant) {
    if let Err(error) = outcome {
        span.record("error.type", error.kind());
        span.record("otel.status_code", "ERROR");
    }
    let label = outcome.as_ref().map_or_else(ValidatorError::outcome, |_| "2xx");
    let labels = [("peer_service", Role::Lambda.service().name), ("outcome", label)];
    metrics::histogram!(names::HTTP_CLIENT_DURATION, &labels).record(started.elapsed().as_secs_f64());
}

/// The endpoint of a stand-in: one that is named and speaks plain HTTP, or, where nothing points to
/// AWS at all, the lambda role on its usual port.
pub fn local_endpoint(config: &RoleConfig) -> Option<String> {
    match (config.lambda_endpoint(), &config.upstream.aws_region) {
        (Some(endpoint), _) => endpoint.starts_with("http://").then(|| endpoint.to_owned()),
        (None, Some(_)) => None,
        (None, None) => Some(format!("http://127.0.0.1:{}", Role::Lambda.service().port())),
    }
}

async fn on_aws(endpoint: Option<&str>, region: &str) -> aws_sdk_lambda::config::Builder {
    let https = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .http_client(https);
    let builder = aws_sdk_lambda::config::Builder::from(&loader.load().await);
    match endpoint {
        Some(endpoint) => builder.endpoint_url(endpoint),
        None => builder,
    }
}

fn plain_http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// An API Gateway proxy event (payload format 1.0), as far as the validator reads it.
fn event(order: &Value) -> Value {
    let mut headers = Map::from_iter([("content-type".to_owned(), json!("application/json"))]);
    headers.extend(fields_of_current_span().into_iter().map(|(name, value)| (name, json!(value))));
    json!({
        "httpMethod": "POST",
        "path": "/api/orders/validate",
        "headers": headers,
        "body": order.to_string(),
        "isBase64Encoded": false,
    })
}

fn aws_request_id(output: &InvokeOutput) -> Option<&str> {
    aws_sdk_lambda::operation::RequestId::request_id(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_alike_however_it_is_invoked() {
        for text in [
            "order-validator",
            "order-validator:live",
            "123456789012:function:order-validator",
            "arn:aws:lambda:us-east-1:123456789012:function:order-validator",
            "arn:aws:lambda:us-east-1:123456789012:function:order-validator:7",
        ] {
            assert_eq!(function_name(text), "order-validator", "{text}");
        }
    }
}
