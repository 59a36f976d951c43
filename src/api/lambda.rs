//! The Lambda Invoke API (AWS Lambda API Reference, Invoke), as far as the gateway, which calls it,
//! and the lambda role, which stands in for it, agree on it.

/// Route template of a synchronous invocation.
pub const INVOKE_PATH: &str = "/2015-03-31/functions/{name}/invocations";
/// Response header that is there where the function failed.
pub const FUNCTION_ERROR: &str = "x-amz-function-error";
/// Response header with the invocation's id.
pub const REQUEST_ID: &str = "x-amzn-requestid";
/// Response header with the kind of a refusal.
pub const ERROR_TYPE: &str = "x-amzn-errortype";

/// The name in what names a function: itself, its ARN (`arn:aws:lambda:REGION:ACCOUNT:function:NAME`) or
/// a part of that, each perhaps with a version or alias behind it.
pub fn function_name(text: &str) -> &str {
    let name = text.rsplit_once("function:").map_or(text, |(_, name)| name);
    name.split(':').next().unwrap_or(name)
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
