//! The handler on the Lambda runtime.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;

use super::extension;
use super::{FunctionError, Invocation, ValidatorFunction};
use crate::config::LambdaEnvironment;
use crate::runtime::{Runtime, Shutdown};

/// Answers invocations until told to stop.
///
/// Nothing connects to a function, so nothing listens; but where faults are possible `/faults` is
/// served on the role's port, which an emulator's user can reach.
pub(super) async fn run(
    mut runtime: Runtime,
    function: &LambdaEnvironment,
    faults: bool,
) -> anyhow::Result<()> {
    let validator = ValidatorFunction::on_aws(function, runtime.telemetry(), runtime.faults());
    extension::register(&function.runtime_api).await;
    let polling = poll(validator, runtime.shutdown().clone());
    if faults {
        let (polled, served) = tokio::join!(polling, runtime.serve(|_| {}));
        return polled.and(served);
    }
    runtime.unlisten();
    let polled = polling.await;
    runtime.stop().await;
    polled
}

async fn poll(validator: ValidatorFunction, shutdown: Shutdown) -> anyhow::Result<()> {
    let polling = lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let validator = validator.clone();
        async move { validator.answer(&event.payload, invocation(&event.context)).await }
    }));
    let ended = tokio::select! {
        ended = polling => ended.map_err(anyhow::Error::from_boxed).context("the Lambda runtime ended"),
        () = shutdown.wait() => Ok(()),
    };
    shutdown.begin();
    ended
}

fn invocation(context: &lambda_runtime::Context) -> Invocation {
    let custom = context.client_context.iter().flat_map(|client| &client.custom);
    Invocation {
        id: context.request_id.clone(),
        client: custom.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>(),
        xray: context.xray_trace_id.clone(),
        arn: Some(context.invoked_function_arn.clone()).filter(|arn| arn.starts_with("arn:")),
        deadline: UNIX_EPOCH.checked_add(Duration::from_millis(context.deadline)),
    }
}

impl From<FunctionError> for Diagnostic {
    fn from(failure: FunctionError) -> Self {
        Self { error_type: failure.kind.to_owned(), error_message: failure.message }
    }
}
