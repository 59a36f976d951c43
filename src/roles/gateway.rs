//! api-gateway: the only public entry.
//!
//! | endpoint | answer |
//! |---|---|
//! | `GET /` | service, version, endpoints |
//! | `GET /openapi.json` | this table, for machines |
//! | `GET, POST /api/users`, `GET /api/users/{id}` | user-service's answers |
//! | `GET, POST /api/orders`, `GET /api/orders/{id}` | order-service's answers |
//! | `PATCH /api/orders/{id}/status` | order-service's answer |
//! | `POST /api/orders/validate` | the validator's verdict, nothing stored |
//!
//! A new order is validated by the Lambda first. Where the Lambda cannot be reached the gateway
//! goes on without it and says so: order-service guards with the same rules.

mod validator;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use metrics::{Counter, counter};
use opentelemetry::KeyValue;
use serde_json::json;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use self::validator::{ValidatorClient, ValidatorError, ValidatorSettings};
use super::{PAGE_COPIES, RoleAnswer};
use crate::api::client::IDEMPOTENCY_KEY;
use crate::api::{MAX_PAGE_BYTES, OrderClient, PageQuery, Passed, UserClient};
use crate::config::RoleConfig;
use crate::runtime::body::{JsonText, id};
use crate::runtime::http::room;
use crate::runtime::{Faults, Problem, Runtime};
use crate::schema::registry::VALIDATION_SKIPPED;
use crate::schema::{OTHER_ROUTE, Role, Route, names};

/// What the router below serves.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/", statuses: &[200] },
    Route { method: "GET", path: "/openapi.json", statuses: &[200] },
    Route { method: "GET", path: "/api/users", statuses: &[200, 400, 502] },
    Route { method: "POST", path: "/api/users", statuses: &[201, 409, 502] },
    Route { method: "GET", path: "/api/users/{id}", statuses: &[200, 404, 502] },
    Route { method: "GET", path: "/api/orders", statuses: &[200, 400, 502] },
    Route { method: "POST", path: "/api/orders", statuses: &[201, 404, 409, 502] },
    Route { method: "POST", path: "/api/orders/validate", statuses: &[200] },
    Route { method: "GET", path: "/api/orders/{id}", statuses: &[200, 404, 502] },
    Route { method: "PATCH", path: "/api/orders/{id}/status", statuses: &[200, 404, 409, 502] },
];

/// The API for machines (OpenAPI 3).
pub const OPENAPI: &str = include_str!("openapi.json");

/// Runs the role.
pub async fn run(config: RoleConfig) -> anyhow::Result<()> {
    let mut runtime = Runtime::start(Role::Gateway, &config, ROUTES)?;
    let counters = EndpointCounters::all();
    runtime.on_answer(move |route, status| EndpointCounters::count(&counters, route, status));
    runtime.prefer(Role::User, &config.upstream.user_service_url);
    runtime.prefer(Role::Order, &config.upstream.order_service_url);
    if let Some(endpoint) = config.local_lambda_endpoint() {
        runtime.prefer(Role::Lambda, &endpoint);
    }
    let validator = ValidatorSettings::read(&config).await;
    let faults = runtime.faults().clone();
    runtime.serve(move |app| router(app, &validator, &config, &faults)).await
}

fn router(app: &mut ServiceConfig, validator: &ValidatorSettings, config: &RoleConfig, faults: &Faults) {
    app.app_data(Data::new(validator.client()))
        .app_data(Data::new(UserClient::new(&config.upstream, faults)))
        .app_data(Data::new(OrderClient::new(&config.upstream, faults)))
        .service(web::resource("/").get(index))
        .service(web::resource("/openapi.json").get(openapi))
        .service(web::resource("/api/users").get(list_users).post(create_user))
        .service(web::resource("/api/users/{id}").get(read_user))
        .service(web::resource("/api/orders").get(list_orders).post(create_order))
        .service(web::resource("/api/orders/validate").post(validate_order))
        .service(web::resource("/api/orders/{id}").get(read_order))
        .service(web::resource("/api/orders/{id}/status").patch(set_status));
}

/// The gateway's own counters, looked up once: those of a route, or of `other`.
struct EndpointCounters {
    endpoint: &'static str,
    requests: Counter,
    errors: Counter,
}

impl EndpointCounters {
    fn all() -> Vec<Self> {
        let mut endpoints: Vec<_> = ROUTES.iter().map(|route| route.path).chain([OTHER_ROUTE]).collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        let of = |endpoint| Self {
            endpoint,
            requests: counter!(names::GATEWAY_REQUESTS, "endpoint" => endpoint),
            errors: counter!(names::GATEWAY_ERRORS, "endpoint" => endpoint),
        };
        endpoints.into_iter().map(of).collect()
    }

    fn count(all: &[Self], route: Option<&'static Route>, status: StatusCode) {
        let endpoint = route.map_or(OTHER_ROUTE, |route| route.path);
        let Some(counters) = all.iter().find(|one| one.endpoint == endpoint) else { return };
        counters.requests.increment(1);
        if status.is_server_error() {
            counters.errors.increment(1);
        }
    }
}

async fn index() -> HttpResponse {
    let endpoints: Vec<_> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    HttpResponse::Ok().json(json!({
        "service": Role::Gateway.service().name,
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": endpoints,
    }))
}

async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(OPENAPI)
}

async fn list_users(users: Data<UserClient>, request: HttpRequest) -> RoleAnswer {
    let page = PageQuery::parse(request.query_string()).map_err(Problem::invalid)?;
    let _room = room(&request, MAX_PAGE_BYTES * PAGE_COPIES).await?;
    users.list(page).await.map(answer)
}

async fn create_user(users: Data<UserClient>, body: JsonText) -> RoleAnswer {
    users.create(body.0).await.map(answer)
}

async fn read_user(users: Data<UserClient>, path: Path<String>) -> RoleAnswer {
    let id = id(&path).ok_or_else(|| Problem::not_found("no such user"))?;
    users.get(id).await.map(answer)
}

async fn list_orders(orders: Data<OrderClient>, request: HttpRequest) -> RoleAnswer {
    let page = PageQuery::parse(request.query_string()).map_err(Problem::invalid)?;
    let _room = room(&request, MAX_PAGE_BYTES * PAGE_COPIES).await?;
    orders.list(page).await.map(answer)
}

async fn create_order(
    orders: Data<OrderClient>,
    validator: Data<ValidatorClient>,
    request: HttpRequest,
    body: JsonText,
) -> RoleAnswer {
    match validator.validate(&body.0).await {
        Ok(verdict) if !verdict.valid => {
            return Err(Problem::invalid(verdict.errors).with_warnings(verdict.warnings));
        }
        Ok(_) => {}
        Err(error) => skip_validation(&error),
    }
    // A key of our own where the client has none: then a call whose answer was lost on the way
    // from order-service can be repeated without a second order.
    let key = match request.headers().get(IDEMPOTENCY_KEY).map(|value| value.to_str()) {
        None => Uuid::now_v7().to_string(),
        Some(Ok(key)) => key.to_owned(),
        Some(Err(_)) => return Err(Problem::invalid(vec!["Idempotency-Key must be printable".into()])),
    };
    orders.create(body.0, &key).await.map(answer)
}

async fn validate_order(validator: Data<ValidatorClient>, body: JsonText) -> RoleAnswer {
    match validator.validate(&body.0).await {
        Ok(verdict) => Ok(HttpResponse::Ok().json(verdict)),
        Err(error @ ValidatorError::Timeout) => Err(Problem::timeout(error.to_string())),
        Err(error) => Err(Problem::unavailable(error.to_string()).because(error.cause())),
    }
}

async fn read_order(orders: Data<OrderClient>, path: Path<String>) -> RoleAnswer {
    let id = id(&path).ok_or_else(|| Problem::not_found("no such order"))?;
    orders.get(id).await.map(answer)
}

async fn set_status(orders: Data<OrderClient>, path: Path<String>, body: JsonText) -> RoleAnswer {
    let id = id(&path).ok_or_else(|| Problem::not_found("no such order"))?;
    orders.set_status(id, body.0).await.map(answer)
}

fn answer(passed: Passed) -> HttpResponse {
    let mut response = HttpResponse::build(passed.status);
    if let Some(location) = passed.location {
        response.insert_header((header::LOCATION, format!("/api{location}")));
    }
    response.content_type("application/json").body(passed.body)
}

fn skip_validation(error: &ValidatorError) {
    counter!(names::GATEWAY_VALIDATION_SKIPPED, "reason" => error.kind()).increment(1);
    let span = Span::current();
    span.set_attribute(VALIDATION_SKIPPED, true);
    span.add_event(VALIDATION_SKIPPED, vec![KeyValue::new("reason", error.kind())]);
    tracing::warn!(
        reason = error.kind(),
        cause = error.cause(),
        "Order passed on without the validator's verdict"
    );
}
