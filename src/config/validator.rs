//! Where the gateway's validator is: what the settings say, and what follows where they say nothing.

use super::RoleConfig;
use crate::schema::Role;

/// A stand-in asks for no region; an event still names one.
const LOCAL_REGION: &str = "us-east-1";

impl RoleConfig {
    /// The Lambda API that the AWS SDK's variables name, if they name one.
    pub fn lambda_endpoint(&self) -> Option<&str> {
        self.upstream.lambda_endpoint.as_deref().or(self.queue.broker.aws_endpoint.as_deref())
    }

    /// The endpoint of a stand-in: one that is named and speaks plain HTTP, or, where nothing points to
    /// AWS at all, the lambda role on its usual port.
    pub(crate) fn local_lambda_endpoint(&self) -> Option<String> {
        match (self.lambda_endpoint(), &self.upstream.aws_region) {
            (Some(endpoint), _) => endpoint.starts_with("http://").then(|| endpoint.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(format!("http://127.0.0.1:{}", Role::Lambda.service().port())),
        }
    }

    /// The function's region.
    pub(crate) fn lambda_region(&self) -> &str {
        self.upstream.aws_region.as_deref().unwrap_or(LOCAL_REGION)
    }
}
