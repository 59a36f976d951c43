//! The SDK's client for a queue's URL, and what its failures mean.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{Builder, Credentials, SharedHttpClient};
use aws_sdk_sqs::error::BuildError;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};

use crate::config::BrokerConfig;
use crate::queue::QueueError;
use crate::queue::broker::{CALL_TIMEOUT, authority, unavailable};

/// The second attempt is for a connection that was closed while it was idle; the caller tries
/// again anyway.
const ATTEMPTS: u32 = 2;
/// Where a stand-in is when neither its URL nor the environment says so.
const DEFAULT_REGION: &str = "us-east-1";

/// Makes a client for the queue of this URL; nothing is called yet.
pub(super) async fn connect(
    config: &BrokerConfig,
    queue_url: &str,
) -> Result<aws_sdk_sqs::Client, QueueError> {
    let region = match region(queue_url) {
        Some(region) => Region::new(region.to_owned()),
        None => {
            let named = EnvironmentVariableRegionProvider::new().region().await;
            named.unwrap_or(Region::from_static(DEFAULT_REGION))
        }
    };
    let builder = match endpoint(config, queue_url) {
        // Credentials of this machine's user are never sent to a stand-in over plain HTTP.
        Some(endpoint) if endpoint.starts_with("http://") => Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
            .http_client(aws_smithy_http_client::Builder::new().build_http()),
        endpoint => {
            let loader = aws_config::defaults(BehaviorVersion::latest())
                .region(region.clone())
                .http_client(https(config)?);
            let mut builder = Builder::from(&loader.load().await);
            if let Some(endpoint) = endpoint {
                builder = builder.endpoint_url(endpoint);
            }
            builder
        }
    };
    let config = builder
        .region(region)
        .timeout_config(TimeoutConfig::builder().connect_timeout(CALL_TIMEOUT / 2).build())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .build();
    Ok(aws_sdk_sqs::Client::from_conf(config))
}

/// Over TLS, and through the proxy that the environment names (`HTTPS_PROXY`, `NO_PROXY`), if it does.
fn https(config: &BrokerConfig) -> Result<SharedHttpClient, QueueError> {
    let context = match authority(config.queue_ca_file.as_deref())? {
        None => tls::TlsContext::default(),
        Some(authority) => {
            let trusted = tls::TrustStore::empty().with_pem_certificate(authority);
            let context = tls::TlsContext::builder().with_trust_store(trusted).build();
            context.map_err(|_| unavailable("cannot be asked over TLS"))?
        }
    };
    let client = aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, _| {
        let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let mut connector = Connector::builder()
            .tls_provider(ring)
            .tls_context(context.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.build()
    });
    Ok(client)
}

/// Where the API is, if not where the SDK would look for it: what a setting says, else where the
/// queue is, unless that is AWS itself.
fn endpoint(config: &BrokerConfig, queue_url: &str) -> Option<String> {
    let named = config.sqs_endpoint.as_ref().or(config.aws_endpoint.as_ref());
    named.cloned().or_else(|| (!is_aws_s_own(queue_url)).then(|| origin(queue_url).to_owned()))
}

/// The URL without its path.
fn origin(url: &str) -> &str {
    url.match_indices('/').nth(2).map_or(url, |(end, _)| &url[..end])
}

/// Whether the SDK finds this queue's API by its region.
fn is_aws_s_own(url: &str) -> bool {
    let names = matches!(labels(url)[..], ["sqs", _, "amazonaws", ..] | [_, "queue", "amazonaws", ..]);
    names && url.starts_with("https://")
}

/// The region in a name of AWS's: `sqs.REGION.amazonaws.com`, the older `REGION.queue.amazonaws.com` and
/// `queue.amazonaws.com`, those for both versions of IP, for FIPS 140 and of VPC endpoints; stand-ins have
/// `sqs.REGION.localhost.localstack.cloud`.
fn region(url: &str) -> Option<&str> {
    let labels = labels(url);
    let after = |service: &str| labels.get(labels.iter().position(|label| *label == service)? + 1).copied();
    let named = match labels[..] {
        ["queue", "amazonaws", ..] => Some(DEFAULT_REGION),
        [region, "queue", "amazonaws", ..] => Some(region),
        _ => after("sqs").or_else(|| after("sqs-fips")),
    };
    named.filter(|name| name.contains('-') && name.ends_with(|last: char| last.is_ascii_digit()))
}

/// The parts of the host's name.
fn labels(url: &str) -> Vec<&str> {
    let host = origin(url).split_once("://").map_or("", |(_, host)| host);
    host.split('.').collect()
}

/// Whether this code says that a receipt stands for nothing any more: the message was deleted, or
/// its visibility timeout ended.
pub(super) fn gone(code: &str) -> bool {
    ["ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"].contains(&code)
}

/// A request that the SDK cannot build lacks a field that we set.
pub(super) fn built<T>(request: Result<T, BuildError>) -> Result<T, QueueError> {
    request.map_err(|error| QueueError::Refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_what_is_named_else_aws_for_its_own_queues_else_where_the_queue_is() {
        let aws = "https://sqs.eu-west-1.amazonaws.com/1/q";
        let mut config = BrokerConfig::default();
        assert_eq!((endpoint(&config, aws), region(aws)), (None, Some("eu-west-1")));
        assert_eq!(endpoint(&config, "https://eu-west-1.queue.amazonaws.com/1/q"), None);
        for (url, expected) in [
            ("http://127.0.0.1:5000/1/q", "http://127.0.0.1:5000"),
            (
                "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/1/q",
                "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com",
            ),
            // The user's credentials must not go over the wire in plain text, not even signed.
            ("http://sqs.eu-west-1.amazonaws.com/1/q", "http://sqs.eu-west-1.amazonaws.com"),
        ] {
            assert_eq!(endpoint(&config, url).as_deref(), Some(expected));
        }
        config.aws_endpoint = Some("http://all".to_owned());
        assert_eq!(endpoint(&config, aws).as_deref(), Some("http://all"));
        config.sqs_endpoint = Some("http://sqs".to_owned());
        assert_eq!(endpoint(&config, aws).as_deref(), Some("http://sqs"));
    }

    #[test]
    fn the_region_is_the_one_in_the_queue_s_name_wherever_it_stands() {
        for (host, expected) in [
            ("sqs.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("eu-west-1.queue.amazonaws.com", Some("eu-west-1")),
            ("queue.amazonaws.com", Some("us-east-1")),
            ("sqs.ap-southeast-2.api.aws", Some("ap-southeast-2")),
            ("sqs-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("vpce-0a1b-2c.sqs.eu-central-1.vpce.amazonaws.com", Some("eu-central-1")),
            ("sqs.eu-west-1.localhost.localstack.cloud:4566", Some("eu-west-1")),
            ("localhost:9324", None),
            ("127.0.0.1:5000", None),
            ("sqs.internal", None),
        ] {
            assert_eq!(region(&format!("https://{host}/1/q")), expected, "{host}");
        }
        assert!(!is_aws_s_own("https://sqs.eu-west-1.api.aws/1/q"), "the name itself is called");
    }
}
