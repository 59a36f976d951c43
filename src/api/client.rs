//! Typed clients: callers name users and orders, never URLs.

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{PageQuery, User};
use crate::config::UpstreamConfig;
use crate::runtime::client::{Call, HttpClient, Reply};
use crate::runtime::{Faults, Problem};
use crate::schema::Role;

/// Makes a retried creation the same creation (IETF draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Answer of another service that is passed on as it is.
#[derive(Debug)]
pub struct Passed {
    /// 2xx; everything else has become a [`Problem`].
    pub status: StatusCode,
    /// The resource's own path, of a 201.
    pub location: Option<String>,
    /// The body, as it came.
    pub body: Bytes,
}

/// Client of user-service.
#[derive(Clone)]
pub struct UserClient(HttpClient);

impl UserClient {
    /// A client for this thread.
    pub fn new(config: &UpstreamConfig, faults: &Faults) -> Self {
        Self(client(Role::User, &config.user_service_url, config, faults))
    }

    /// A client for a service that is itself called by others: its timeout is short enough for its
    /// own caller, which waits as long as we would, to get the answer that follows from it.
    pub fn behind(config: &UpstreamConfig, faults: &Faults) -> Self {
        let upstream_timeout = config.upstream_timeout * 3 / 4;
        Self::new(&UpstreamConfig { upstream_timeout, ..config.clone() }, faults)
    }

    /// Whether there is a user with this id; what the user is like is not read.
    pub async fn exists(&self, id: i64) -> Result<bool, Problem> {
        let reply = self.0.call(Call::get("GET /users/{id}").param(id)).await?;
        Ok(reply.status != StatusCode::NOT_FOUND && passable(reply, Role::User).map(|_| true)?)
    }

    /// Reads one user; `None` where there is none with this id.
    pub async fn find(&self, id: i64) -> Result<Option<User>, Problem> {
        let reply = self.0.call(Call::get("GET /users/{id}").param(id)).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        parse(passable(reply, Role::User)?).map(Some)
    }

    /// Reads one user, as it is.
    pub async fn get(&self, id: i64) -> Result<Passed, Problem> {
        pass(self.0.call(Call::get("GET /users/{id}").param(id)).await?, Role::User)
    }

    /// Lists users.
    pub async fn list(&self, page: PageQuery) -> Result<Passed, Problem> {
        let call = Call { query: Some(page.to_query()), ..Call::get("GET /users") };
        pass(self.0.call(call).await?, Role::User)
    }

    /// Creates a user.
    pub async fn create(&self, user: Bytes) -> Result<Passed, Problem> {
        pass(self.0.call(Call::send("POST /users", user)).await?, Role::User)
    }
}

/// Client of order-service.
#[derive(Clone)]
pub struct OrderClient(HttpClient);

impl OrderClient {
    /// A client for this thread.
    pub fn new(config: &UpstreamConfig, faults: &Faults) -> Self {
        Self(client(Role::Order, &config.order_service_url, config, faults))
    }

    /// Reads one order with its user.
    pub async fn get(&self, id: i64) -> Result<Passed, Problem> {
        pass(self.0.call(Call::get("GET /orders/{id}").param(id)).await?, Role::Order)
    }

    /// Lists orders.
    pub async fn list(&self, page: PageQuery) -> Result<Passed, Problem> {
        let call = Call { query: Some(page.to_query()), ..Call::get("GET /orders") };
        pass(self.0.call(call).await?, Role::Order)
    }

    /// Creates an order. The key makes it safe to repeat, so a broken connection is tried again.
    pub async fn create(&self, order: Bytes, idempotency_key: &str) -> Result<Passed, Problem> {
        let call = Call {
            headers: vec![(IDEMPOTENCY_KEY, idempotency_key.to_owned())],
            idempotent: true,
            ..Call::send("POST /orders", order)
        };
        pass(self.0.call(call).await?, Role::Order)
    }

    /// Changes an order's status.
    pub async fn set_status(&self, id: i64, body: Bytes) -> Result<Passed, Problem> {
        let call = Call::send("PATCH /orders/{id}/status", body).param(id);
        pass(self.0.call(call).await?, Role::Order)
    }
}

fn client(role: Role, base: &str, config: &UpstreamConfig, faults: &Faults) -> HttpClient {
    HttpClient::new(role.service().name, base, config.upstream_connect_timeout, config.upstream_timeout)
        .with_faults(faults)
}

/// Only what is passed on says when to try again: a service that answers for itself would have its own
/// callers repeat what it has repeated already.
fn pass(reply: Reply, from: Role) -> Result<Passed, Problem> {
    let retry_after = reply.retry_after;
    let reply = passable(reply, from).map_err(|problem| problem.with_retry_after(retry_after))?;
    let location = reply.location.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Passed { status: reply.status, location, body: reply.body })
}

/// What another service refuses with a 4xx is the client's to know, word for word, and so is why it
/// is not available: our services name nothing internal there. Its other 5xx keep only their meaning.
fn passable(reply: Reply, from: Role) -> Result<Reply, Problem> {
    let peer = from.service().name;
    match reply.status {
        status if status.is_success() => Ok(reply),
        status if status.is_client_error() => Err(refusal(status, &reply.body)),
        StatusCode::GATEWAY_TIMEOUT => Err(Problem::timeout(format!("{peer} did not get an answer in time"))),
        StatusCode::SERVICE_UNAVAILABLE => Err(Problem::unavailable(
            upstream_detail(&reply.body).unwrap_or(format!("{peer} is not available")),
        )),
        status => Err(Problem::new(StatusCode::BAD_GATEWAY, format!("{peer} failed"))
            .because(format!("{peer} answered {}", status.as_u16()))),
    }
}

/// Part of RFC 9457 problem details that we pass on.
#[derive(Default, Deserialize)]
struct UpstreamProblem {
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

fn refusal(status: StatusCode, body: &[u8]) -> Problem {
    let upstream: UpstreamProblem = serde_json::from_slice(body).unwrap_or_default();
    let detail = if upstream.detail.is_empty() { "refused".to_owned() } else { upstream.detail };
    Problem::new(status, detail).with_errors(upstream.errors).with_warnings(upstream.warnings)
}

fn upstream_detail(body: &[u8]) -> Option<String> {
    let upstream: UpstreamProblem = serde_json::from_slice(body).ok()?;
    (!upstream.detail.is_empty()).then_some(upstream.detail)
}

fn parse<T: DeserializeOwned>(reply: Reply) -> Result<T, Problem> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        Problem::new(StatusCode::BAD_GATEWAY, "an upstream's answer could not be read").because(error)
    })
}
