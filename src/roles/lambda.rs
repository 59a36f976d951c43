//! order-validator: an AWS Lambda function.
//!
//! | endpoint, locally | answer |
//! |---|---|
//! | `POST /2015-03-31/functions/{name}/invocations` | the Lambda Invoke API |
//!
//! Where the Lambda runtime's environment is there, the handler runs on it. Elsewhere the same
//! handler answers the Invoke API on the role's port. On AWS spans are flushed before each answer:
//! after it the process is frozen, and what is not exported then may never be. Here nothing is
//! frozen, and no order waits for a collector.

mod invoke_api;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use lambda_runtime::{LambdaEvent, service_fn};
use opentelemetry::trace::Status;
use serde_json::{Map, Value, json};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::api::validate;
use crate::config::RoleConfig;
use crate::runtime::propagation::{MessageFields, extract};
use crate::runtime::{Faults, Problem, Runtime, Telemetry};
use crate::schema::Role;

pub use invoke_api::ROUTES;

/// The longest an answer waits for its spans to be exported.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// Runs the role.
pub async fn run(config: RoleConfig) -> anyhow::Result<()> {
    let runtime = Runtime::start(Role::Lambda, &config, ROUTES)?;
    match &config.upstream.lambda_runtime_api {
        Some(_) => {
            let validator = Validator::new(Some(runtime.telemetry().clone()), runtime.faults());
            on_aws(runtime, validator).await
        }
        None => {
            let validator = Validator::new(None, runtime.faults());
            let invoke = invoke_api::Api::new(validator, &config.upstream.lambda_function_name);
            runtime.serve(move |app| invoke_api::router(app, &invoke)).await
        }
    }
}

async fn on_aws(mut runtime: Runtime, validator: Validator) -> anyhow::Result<()> {
    runtime.unlisten();
    // lambda_runtime panics where one of its variables is missing; this is the message instead.
    crate::config::check_lambda_environment()?;
    let shutdown = runtime.shutdown().clone();
    let serving = lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let validator = validator.clone();
        async move {
            let invocation = Invocation::on_aws(&event);
            Ok::<_, lambda_runtime::Error>(validator.answer(&event.payload, invocation).await)
        }
    }));
    tokio::select! {
        ended = serving => ended.map_err(anyhow::Error::from_boxed).context("the Lambda runtime ended")?,
        () = shutdown.wait() => {}
    }
    runtime.stop().await;
    Ok(())
}

/// What is known of one invocation beside its event.
pub(crate) struct Invocation {
    /// `faas.invocation_id`, and the verdict's request id.
    pub(crate) id: String,
    /// Trace context that came with the invocation and not in the event, by header name.
    pub(crate) headers: BTreeMap<String, String>,
}

impl Invocation {
    fn on_aws(event: &LambdaEvent<Value>) -> Self {
        let context = &event.context;
        let mut headers = BTreeMap::new();
        if let Some(client) = &context.client_context {
            headers.extend(client.custom.iter().map(|(k, v)| (k.to_ascii_lowercase(), v.clone())));
        }
        if let Some(xray) = &context.xray_trace_id {
            headers.insert("x-amzn-trace-id".to_owned(), xray.clone());
        }
        Self { id: context.request_id.clone(), headers }
    }
}

/// The handler, the same on AWS and here.
#[derive(Clone)]
pub(crate) struct Validator {
    /// What to flush before an answer, where the process may be frozen after it.
    flush: Option<Telemetry>,
    cold: std::sync::Arc<AtomicBool>,
    faults: Faults,
}

impl Validator {
    fn new(flush: Option<Telemetry>, faults: &Faults) -> Self {
        Self { flush, cold: std::sync::Arc::new(AtomicBool::new(true)), faults: faults.clone() }
    }

    /// Answers an API Gateway proxy event with a proxy response.
    pub(crate) async fn answer(&self, event: &Value, invocation: Invocation) -> Value {
        let service = Role::Lambda.service().name;
        let span = tracing::info_span!(
            "invocation",
            otel.name = service,
            otel.kind = "server",
            faas.name = service,
            faas.trigger = "http",
            faas.invocation_id = invocation.id,
            faas.coldstart = self.cold.swap(false, Ordering::Relaxed),
        );
        let mut headers = invocation.headers;
        headers.extend(event_headers(event));
        let _ = span.set_parent(extract(&MessageFields(&headers)));
        let id = invocation.id;
        let answer = async {
            match self.faults.request(&ROUTES[0]).await {
                Ok(()) => judge(event, &id),
                Err(problem) => fail(&problem, &id),
            }
        };
        let answer = answer.instrument(span).await;
        if let Some(telemetry) = &self.flush {
            telemetry.flush(FLUSH_DEADLINE).await;
        }
        answer
    }
}

fn event_headers(event: &Value) -> impl Iterator<Item = (String, String)> + '_ {
    let headers = event.get("headers").and_then(Value::as_object).into_iter().flat_map(Map::iter);
    headers.filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned())))
}

fn judge(event: &Value, request_id: &str) -> Value {
    match order_of(event) {
        Ok(order) => {
            let verdict = validate::verdict(&order, request_id);
            tracing::info!(
                requestId = request_id,
                valid = verdict.valid,
                errors = verdict.errors.len(),
                "Order validated"
            );
            response(200, json!(verdict))
        }
        Err(error) => {
            tracing::info!(requestId = request_id, reason = error, "Event refused");
            response(400, json!({ "error": error, "requestId": request_id }))
        }
    }
}

/// The answer of a function that failed.
fn fail(problem: &Problem, request_id: &str) -> Value {
    let span = Span::current();
    span.set_attribute("error.type", problem.status().as_str().to_owned());
    span.set_status(Status::error(problem.cause().unwrap_or_default().to_owned()));
    tracing::error!(requestId = request_id, cause = problem.cause(), "Invocation failed");
    response(problem.status().as_u16(), json!({ "error": problem.detail(), "requestId": request_id }))
}

fn order_of(event: &Value) -> Result<Value, &'static str> {
    let body = event.get("body").and_then(Value::as_str).ok_or("missing body")?;
    let decoded;
    let bytes = if event.get("isBase64Encoded") == Some(&json!(true)) {
        use base64::Engine;
        decoded =
            base64::engine::general_purpose::STANDARD.decode(body).map_err(|_| "body is not valid base64")?;
        &decoded
    } else {
        body.as_bytes()
    };
    serde_json::from_slice(bytes).map_err(|_| "body is not valid JSON")
}

fn response(status: u16, body: Value) -> Value {
    json!({
        "statusCode": status,
        "headers": { "content-type": "application/json" },
        "body": body.to_string(),
        "isBase64Encoded": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_a_readable_body_is_a_400_answer() {
        for event in [json!(null), json!({}), json!({"body": null}), json!({"body": "{"}), json!({"body": 3})]
        {
            assert_eq!(judge(&event, "r")["statusCode"], 400, "{event}");
        }
        let encoded = json!({"body": "not base64!", "isBase64Encoded": true});
        assert_eq!(judge(&encoded, "r")["statusCode"], 400);
    }

    #[test]
    fn a_verdict_is_a_200_answer_whether_valid_or_not() {
        let plain = json!({"body": "{\"userId\":1,\"items\":[\"a\"],\"total\":1}"});
        let encoded = json!({"body": "eyJ1c2VySWQiOjB9", "isBase64Encoded": true});
        for (event, valid) in [(plain, true), (encoded, false)] {
            let answer = judge(&event, "r");
            assert_eq!(answer["statusCode"], 200);
            let verdict: Value =
                serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
            assert_eq!((&verdict["valid"], &verdict["requestId"]), (&json!(valid), &json!("r")));
        }
    }
}
