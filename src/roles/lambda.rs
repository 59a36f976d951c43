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

mod event;
mod extension;
mod handler;
mod invoke_api;
mod on_aws;

use crate::config::{LambdaEnvironment, RoleConfig};
use crate::runtime::Runtime;
use crate::schema::Role;

use handler::{FunctionError, Invocation, ValidatorFunction};
pub use invoke_api::ROUTES;

/// Runs the role.
pub async fn run(config: RoleConfig) -> anyhow::Result<()> {
    // Before telemetry starts: lambda_runtime panics where one of its variables is missing.
    let function = LambdaEnvironment::read()?;
    let runtime = Runtime::start(Role::Lambda, &config, ROUTES)?;
    match function {
        Some(function) => on_aws::run(runtime, &function, config.fault.faults_enabled).await,
        None => {
            let validator = ValidatorFunction::here(runtime.faults());
            let invoke = invoke_api::InvokeApi::new(validator, &config.upstream.lambda_function_name);
            runtime.serve(move |app| invoke_api::router(app, &invoke)).await
        }
    }
}
