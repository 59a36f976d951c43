//! Where the function is: a stand-in over plain HTTP, or AWS.

use std::fmt::Display;

use super::aws::AwsAccess;
use crate::api::lambda::INVOKE_PATH;
use crate::config::RoleConfig;
use crate::runtime::client::encode;

/// A function and how it is reached.
pub(super) struct InvokeTarget {
    /// As it is configured: a name, an ARN or a part of one, perhaps with a version or alias.
    pub(super) function: String,
    /// The region it is in.
    pub(super) region: String,
    /// The URL of an invocation.
    pub(super) url: String,
    /// Credentials and TLS, where it is AWS; a stand-in has neither.
    pub(super) aws: Option<AwsAccess>,
}

impl InvokeTarget {
    /// Reads the configuration, and where it is AWS the SDK's own.
    pub(super) async fn of(config: &RoleConfig) -> Self {
        let upstream = &config.upstream;
        let (function, region) = (upstream.lambda_function_name.clone(), config.lambda_region().to_owned());
        let (endpoint, aws) = match config.local_lambda_endpoint() {
            Some(endpoint) => (endpoint, None),
            None => {
                let (aws, endpoint) = AwsAccess::load(&region, upstream.upstream_connect_timeout).await;
                (config.lambda_endpoint().map_or(endpoint, str::to_owned), Some(aws))
            }
        };
        let url = url(&endpoint, &function);
        Self { function, region, url, aws }
    }
}

fn url(endpoint: &str, function: &str) -> String {
    let name: &dyn Display = &encode(function);
    format!("{}{}", endpoint.trim_end_matches('/'), INVOKE_PATH.replace("{name}", &name.to_string()))
}

/// AWS's own endpoint in `region` (AWS General Reference, "AWS Lambda endpoints and quotas"; the
/// partitions' domains are those of the SDK's partition table).
pub(super) fn aws_endpoint(region: &str, fips: bool, dual_stack: bool) -> String {
    let service = if fips { "lambda-fips" } else { "lambda" };
    let (domain, dual_stack_domain) = match region.split('-').next().unwrap_or_default() {
        "cn" => ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        "eusc" => ("amazonaws.eu", "api.amazonwebservices.eu"),
        _ if region.starts_with("us-isob-") => ("sc2s.sgov.gov", "api.aws.scloud"),
        _ if region.starts_with("us-isof-") => ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
        _ if region.starts_with("us-iso-") => ("c2s.ic.gov", "api.aws.ic.gov"),
        _ if region.starts_with("eu-isoe-") => ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
        _ => ("amazonaws.com", "api.aws"),
    };
    format!("https://{service}.{region}.{}", if dual_stack { dual_stack_domain } else { domain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_stays_one_segment_of_the_path() {
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:order-validator:live";
        let expected = "http://h:1/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012\
                        %3Afunction%3Aorder-validator%3Alive/invocations";
        assert_eq!(url("http://h:1/", arn), expected);
        assert_eq!(url("http://h:1", "_"), "http://h:1/2015-03-31/functions/_/invocations");
    }

    #[test]
    fn every_partition_has_its_own_domain() {
        for (region, fips, dual_stack, expected) in [
            ("eu-central-1", false, false, "https://lambda.eu-central-1.amazonaws.com"),
            ("us-east-1", true, false, "https://lambda-fips.us-east-1.amazonaws.com"),
            ("us-east-1", false, true, "https://lambda.us-east-1.api.aws"),
            ("us-gov-west-1", false, false, "https://lambda.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", false, false, "https://lambda.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", false, true, "https://lambda.cn-north-1.api.amazonwebservices.com.cn"),
            ("us-iso-east-1", false, false, "https://lambda.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", false, false, "https://lambda.us-isob-east-1.sc2s.sgov.gov"),
            ("eusc-de-east-1", false, false, "https://lambda.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(aws_endpoint(region, fips, dual_stack), expected);
        }
    }
}
