//! How an invocation travels: over plain HTTP to a stand-in, over TLS and signed to AWS.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use actix_web::web::Bytes;
use awc::error::{ConnectError, SendRequestError};

use super::endpoint::InvokeTarget;
use super::outcome::{InvokeAnswer, ValidatorError};
use crate::api::lambda::{ERROR_TYPE, FUNCTION_ERROR, REQUEST_ID};
use crate::runtime::client::connections;

/// The largest answer of a synchronous invocation, in bytes (Lambda quotas).
pub(super) const MAX_ANSWER: usize = 6 * 1024 * 1024;

/// Sender of invocations, of one thread.
pub(super) enum InvokeTransport {
    /// To a stand-in, with the authorization it reads.
    Plain {
        /// The connections.
        client: awc::Client,
        /// See [`unsigned`].
        authorization: String,
    },
    /// To AWS.
    Aws,
}

impl InvokeTransport {
    pub(super) fn new(target: &Arc<InvokeTarget>, connect_timeout: Duration) -> Self {
        match target.aws {
            Some(_) => Self::Aws,
            None => {
                let authorization = unsigned(&target.region);
                Self::Plain { client: connections(connect_timeout), authorization }
            }
        }
    }

    /// Sends an event, once.
    pub(super) async fn invoke(
        &self,
        target: &InvokeTarget,
        event: &Bytes,
    ) -> Result<InvokeAnswer, ValidatorError> {
        match (self, &target.aws) {
            (Self::Plain { client, authorization }, _) => {
                plain(client, authorization, &target.url, event).await
            }
            (Self::Aws, Some(aws)) => aws.invoke(&target.url, event).await,
            (Self::Aws, None) => Err(ValidatorError::Unreachable("no access to AWS".to_owned())),
        }
    }
}

/// What tells a stand-in for all of AWS which service and region are meant. Nothing is signed:
/// credentials of this machine's user are never used over plain HTTP, and a stand-in knows none.
fn unsigned(region: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=local/20150331/{region}/lambda/aws4_request, \
         SignedHeaders=host, Signature=unsigned"
    )
}

async fn plain(
    client: &awc::Client,
    authorization: &str,
    url: &str,
    event: &Bytes,
) -> Result<InvokeAnswer, ValidatorError> {
    let request = client
        .post(url)
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((AUTHORIZATION, authorization));
    let mut response = request.send_body(event.clone()).await.map_err(failed)?;
    let payload = response.body().limit(MAX_ANSWER).await;
    let payload = payload.map_err(|error| ValidatorError::Unreachable(error.to_string()))?;
    let headers = response.headers();
    Ok(InvokeAnswer {
        status: response.status().as_u16(),
        request_id: text(headers, REQUEST_ID),
        function_error: text(headers, FUNCTION_ERROR),
        error_type: text(headers, ERROR_TYPE),
        payload,
    })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn failed(error: SendRequestError) -> ValidatorError {
    match error {
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
            ValidatorError::Timeout
        }
        other => ValidatorError::Unreachable(other.to_string()),
    }
}
