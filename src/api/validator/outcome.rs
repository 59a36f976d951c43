//! What became of an invocation: a verdict, or why there is none.

use aws_sdk_lambda::error::{DisplayErrorContext, SdkError};
use aws_sdk_lambda::operation::invoke::{InvokeError, InvokeOutput};
use aws_sdk_lambda::primitives::Blob;
use serde_json::Value;

use crate::api::Verdict;

/// Why there is no verdict. The text names no address.
#[derive(Debug, thiserror::Error)]
pub enum ValidatorError {
    /// Not within the time allowed.
    #[error("the validator did not answer in time")]
    Timeout,
    /// The Lambda API could not be reached, or failed itself.
    #[error("the validator cannot be reached")]
    Unreachable(String),
    /// The Lambda API refused the call: permissions, the function's name, too many at once.
    #[error("the validator cannot be called")]
    Refused(String),
    /// The function ran and failed.
    #[error("the validator failed")]
    Function(String),
    /// The function answered something that is no verdict.
    #[error("the validator's answer could not be read")]
    Answer(String),
}

impl ValidatorError {
    /// What the log should know and the client should not.
    pub fn cause(&self) -> &str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable(cause) | Self::Refused(cause) | Self::Function(cause) | Self::Answer(cause) => {
                cause
            }
        }
    }

    /// The `error.type` of the call's span, and the `reason` of an order that is not validated.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "refused",
            Self::Function(_) => "function_error",
            Self::Answer(_) => "bad_answer",
        }
    }

    /// The `outcome` of the call in the metric of calls.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "4xx",
            Self::Function(_) | Self::Answer(_) => "5xx",
        }
    }
}

/// Why there is no output.
pub(super) fn not_invoked(error: &SdkError<InvokeError>) -> ValidatorError {
    let cause = || DisplayErrorContext(error).to_string();
    match error {
        SdkError::TimeoutError(_) => ValidatorError::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => ValidatorError::Timeout,
        SdkError::ServiceError(refusal) => {
            let (status, body) = (refusal.raw().status(), refusal.raw().body().bytes().unwrap_or_default());
            match emulated_function_error(body) {
                Some(cause) => ValidatorError::Function(cause),
                None if status.is_client_error() => ValidatorError::Refused(cause()),
                None => ValidatorError::Unreachable(cause()),
            }
        }
        _ => ValidatorError::Unreachable(cause()),
    }
}

/// cargo-lambda answers a function's failure as an error of its own, with what the function reported
/// as the body; Lambda answers 200 with a header.
fn emulated_function_error(body: &[u8]) -> Option<String> {
    let report: Value = serde_json::from_slice(body).ok()?;
    report.get("errorType").and(report.get("errorMessage")).map(|_| cut(body))
}

/// As much of what a function said as a log line needs.
fn cut(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(500).collect()
}

/// The verdict in an output.
pub(super) fn verdict(output: &InvokeOutput) -> Result<Verdict, ValidatorError> {
    let payload = output.payload().map(Blob::as_ref).unwrap_or_default();
    if let Some(kind) = output.function_error() {
        return Err(ValidatorError::Function(format!("{kind}: {}", cut(payload))));
    }
    let bad = |cause: String| ValidatorError::Answer(cause);
    let answer: Value = serde_json::from_slice(payload).map_err(|e| bad(e.to_string()))?;
    match (answer["statusCode"].as_u64(), answer["body"].as_str()) {
        (Some(200), Some(body)) => serde_json::from_str(body).map_err(|e| bad(e.to_string())),
        (status, _) => Err(bad(format!("statusCode {status:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_said_of_its_failure_is_told_apart_from_what_the_api_says() {
        let report = br#"{"errorType":"Function.Failed","errorMessage":"no"}"#;
        assert!(emulated_function_error(report).is_some());
        for other in [&b"{}"[..], b"", b"<html>", br#"{"Type":"User","Message":"no such function"}"#] {
            assert_eq!(emulated_function_error(other), None);
        }
    }
}
