//! AWS's side of an invocation: credentials, TLS, Signature Version 4.

use std::time::{Duration, SystemTime};

use actix_web::web::Bytes;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_types::service_config::ServiceConfigKey;

use super::credentials::CredentialCache;
use super::endpoint::aws_endpoint;
use super::outcome::{InvokeAnswer, ValidatorError};
use super::transport::MAX_ANSWER;
use crate::api::lambda::{ERROR_TYPE, FUNCTION_ERROR, REQUEST_ID};

const RING: tls::Provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);

/// What a call to AWS needs. The connections are shared by all threads.
pub(super) struct AwsAccess {
    connector: SharedHttpConnector,
    credentials: CredentialCache,
    region: String,
}

impl AwsAccess {
    /// Reads the SDK's variables and files. Also answers the endpoint that they name, AWS's own
    /// where they name none.
    pub(super) async fn load(region: &str, connect_timeout: Duration) -> (Self, String) {
        let https = aws_smithy_http_client::Builder::new().tls_provider(RING).build_https();
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .http_client(https);
        let config = loader.load().await;
        let settings = HttpConnectorSettings::builder().connect_timeout(connect_timeout).build();
        let mut connector = Connector::builder().tls_provider(RING).connector_settings(settings);
        connector.set_sleep_impl(config.sleep_impl());
        let access = Self {
            connector: SharedHttpConnector::new(connector.build()),
            credentials: CredentialCache::new(config.credentials_provider()),
            region: region.to_owned(),
        };
        (access, endpoint(&config, region))
    }

    /// Sends `event` to `url`, signed.
    pub(super) async fn invoke(&self, url: &str, event: &Bytes) -> Result<InvokeAnswer, ValidatorError> {
        let credentials = self.credentials.get().await.map_err(ValidatorError::Unreachable)?;
        let request = signed(url, event, credentials, &self.region).map_err(ValidatorError::Unreachable)?;
        let response = self.connector.call(request).await.map_err(|error| failed(&error))?;
        let header = |name| response.headers().get(name).map(str::to_owned);
        let mut answer = InvokeAnswer {
            status: response.status().as_u16(),
            request_id: header(REQUEST_ID),
            function_error: header(FUNCTION_ERROR),
            error_type: header(ERROR_TYPE),
            payload: Bytes::new(),
        };
        answer.payload = read(response.into_body()).await?;
        Ok(answer)
    }
}

/// The endpoint of the SDK's own settings: of this service, of all services, of the region.
fn endpoint(config: &SdkConfig, region: &str) -> String {
    let key =
        ServiceConfigKey::builder().service_id("lambda").env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let of_service = key.build().ok().and_then(|key| config.service_config()?.load_config(key));
    let named = of_service.or_else(|| config.endpoint_url().map(str::to_owned));
    let (fips, dual_stack) = (config.use_fips(), config.use_dual_stack());
    named.unwrap_or_else(|| aws_endpoint(region, fips.unwrap_or_default(), dual_stack.unwrap_or_default()))
}

fn signed(url: &str, event: &Bytes, credentials: Credentials, region: &str) -> Result<HttpRequest, String> {
    const CONTENT_TYPE: (&str, &str) = ("content-type", "application/json");
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("lambda")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build();
    let parameters = parameters.map_err(|error| error.to_string())?.into();
    let signable = SignableRequest::new("POST", url, [CONTENT_TYPE].into_iter(), SignableBody::Bytes(event));
    let signed = signable.and_then(|signable| sign(signable, &parameters));
    let (instructions, _) = signed.map_err(|error| DisplayErrorContext(&error).to_string())?.into_parts();
    let mut request = HttpRequest::new(SdkBody::from(event.clone()));
    request.set_method("POST").map_err(|error| error.to_string())?;
    request.set_uri(url).map_err(|error| error.to_string())?;
    request.headers_mut().insert(CONTENT_TYPE.0, CONTENT_TYPE.1);
    for (name, value) in instructions.headers() {
        request.headers_mut().insert(name.to_owned(), value.to_owned());
    }
    Ok(request)
}

fn failed(error: &ConnectorError) -> ValidatorError {
    match error.is_timeout() {
        true => ValidatorError::Timeout,
        false => ValidatorError::Unreachable(DisplayErrorContext(error).to_string()),
    }
}

async fn read(body: SdkBody) -> Result<Bytes, ValidatorError> {
    let mut stream = ByteStream::new(body);
    let mut payload = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk =
            chunk.map_err(|error| ValidatorError::Unreachable(DisplayErrorContext(error).to_string()))?;
        if payload.len() + chunk.len() > MAX_ANSWER {
            return Err(ValidatorError::Answer("too long".to_owned()));
        }
        payload.extend_from_slice(&chunk);
    }
    Ok(payload.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_to_aws_is_signed_with_body_region_and_session() {
        let url = "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/arn%3Aaws/invocations";
        let with = |event: &'static [u8]| {
            let session = Some("session".to_owned());
            let credentials = Credentials::new("AKIDEXAMPLE", "secret", session, None, "test");
            signed(url, &Bytes::from_static(event), credentials, "eu-west-1").unwrap()
        };
        let request = with(b"{}");
        let header = |name| request.headers().get(name).unwrap();
        let authorization = header("authorization");
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
        assert!(authorization.contains("/eu-west-1/lambda/aws4_request"), "{authorization}");
        let names = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token";
        assert!(authorization.contains(names), "{authorization}");
        assert_eq!(
            (header("x-amz-security-token"), request.uri(), request.method()),
            ("session", url, "POST")
        );
        assert_ne!(with(b"{ }").headers().get("authorization"), Some(authorization));
    }
}
