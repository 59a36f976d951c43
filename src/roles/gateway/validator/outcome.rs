//! What became of an invocation: a verdict, or why there is none.

use actix_web::web::Bytes;
use serde::Deserialize;
use serde_json::Value;

use crate::api::Verdict;

/// Answer of the Lambda API, read whole.
#[derive(Clone, Debug, Default)]
pub(super) struct InvokeAnswer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The invocation's id.
    pub(super) request_id: Option<String>,
    /// Set where the function failed: `Unhandled`, in older runtimes also `Handled`.
    pub(super) function_error: Option<String>,
    /// The kind of a refusal.
    pub(super) error_type: Option<String>,
    /// What the function returned, or why it did not run.
    pub(super) payload: Bytes,
}

/// Why there is no verdict. The text names no address.
#[derive(Debug, thiserror::Error)]
pub(in crate::roles::gateway) enum ValidatorError {
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
    pub(in crate::roles::gateway) fn cause(&self) -> &str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable(cause) | Self::Refused(cause) | Self::Function(cause) | Self::Answer(cause) => {
                cause
            }
        }
    }

    /// The `error.type` of the call's span, and the `reason` of an order that is not validated.
    pub(in crate::roles::gateway) fn kind(&self) -> &'static str {
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

/// What a function returns to API Gateway, as far as it matters here.
#[derive(Deserialize)]
struct ProxyResponse {
    #[serde(default, rename = "statusCode")]
    status: Option<u16>,
    #[serde(default)]
    body: Option<String>,
}

/// The verdict in an answer.
pub(super) fn verdict(answer: &InvokeAnswer) -> Result<Verdict, ValidatorError> {
    if !(200..300).contains(&answer.status) {
        return Err(not_invoked(answer));
    }
    if let Some(kind) = &answer.function_error {
        return Err(ValidatorError::Function(format!("{kind}: {}", cut(&answer.payload))));
    }
    let bad = |error: serde_json::Error| ValidatorError::Answer(error.to_string());
    let response: ProxyResponse = serde_json::from_slice(&answer.payload).map_err(bad)?;
    match (response.status, response.body) {
        (Some(200), Some(body)) => serde_json::from_str(&body).map_err(bad),
        (status, _) => Err(ValidatorError::Answer(format!("statusCode {status:?}"))),
    }
}

/// Why the function did not run, or on an emulator, why it failed.
fn not_invoked(answer: &InvokeAnswer) -> ValidatorError {
    if let Some(cause) = emulated_function_error(&answer.payload) {
        return ValidatorError::Function(cause);
    }
    let kind = answer.error_type.as_deref().unwrap_or("no error type");
    let cause = format!("status {}, {kind}: {}", answer.status, cut(&answer.payload));
    match answer.status {
        400..=499 => ValidatorError::Refused(cause),
        _ => ValidatorError::Unreachable(cause),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_function_said_of_its_failure_is_told_apart_from_what_the_api_says() {
        let report = br#"{"errorType":"Function.Failed","errorMessage":"no"}"#;
        assert!(emulated_function_error(report).is_some());
        for other in [&b"{}"[..], b"", b"<html>", br#"{"Type":"User","Message":"no such function"}"#] {
            assert_eq!(emulated_function_error(other), None);
        }
    }

    #[test]
    fn each_answer_of_the_api_has_its_kind() {
        let verdict_text =
            json!({"valid": true, "errors": [], "warnings": [], "timestamp": "t", "requestId": "r"});
        let good = json!({"statusCode": 200, "body": verdict_text.to_string()}).to_string();
        let report = r#"{"errorType":"Function.Failed","errorMessage":"no"}"#;
        for (status, function_error, payload, expected) in [
            (200, None, good.as_str(), None),
            (200, Some("Unhandled"), report, Some("function_error")),
            (500, None, report, Some("function_error")),
            (200, None, "{\"statusCode\":400,\"body\":\"{}\"}", Some("bad_answer")),
            (200, None, "{\"statusCode\":200,\"body\":\"{}\"}", Some("bad_answer")),
            (200, None, "null", Some("bad_answer")),
            (200, None, "[1]", Some("bad_answer")),
            (202, None, "", Some("bad_answer")),
            (403, None, "{\"Message\":\"denied\"}", Some("refused")),
            (404, None, "", Some("refused")),
            (429, None, "{\"Reason\":\"ConcurrentInvocationLimitExceeded\"}", Some("refused")),
            (302, None, "", Some("unreachable")),
            (502, None, "<html>", Some("unreachable")),
        ] {
            let answer = InvokeAnswer {
                status,
                function_error: function_error.map(str::to_owned),
                payload: Bytes::copy_from_slice(payload.as_bytes()),
                ..InvokeAnswer::default()
            };
            assert_eq!(verdict(&answer).err().map(|error| error.kind()), expected, "{status} {payload}");
        }
    }
}
