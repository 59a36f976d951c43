//! order-service: orders, and the outbox that tells the world about them.
//!
//! | endpoint | answer |
//! |---|---|
//! | `POST /orders` | 201 and `Location`; 400 invalid; 404 unknown user; 503/504 user-service away |
//! | `GET /orders?limit=&after=` | a page, in order of id |
//! | `GET /orders/{id}` | the order with its user, or 404 |
//! | `PATCH /orders/{id}/status` | the order; 409 where the transition is not allowed |
//!
//! An order and its message are stored in one transaction; the relay publishes the message
//! afterwards. So a broker that is down costs the client nothing, and a crash loses nothing.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use metrics::{counter, histogram};
use serde::Serialize;
use serde_json::Value;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use super::{PAGE_COPIES, RoleAnswer, open_store, shared};
use crate::api::client::IDEMPOTENCY_KEY;
use crate::api::{
    Event, EventKind, MAX_PAGE_BYTES, NewOrder, Order, OrderWithUser, PageQuery, Status, UserClient,
};
use crate::config::RoleConfig;
use crate::queue::{self, Message, relay};
use crate::runtime::body::{JsonBody, id};
use crate::runtime::http::room;
use crate::runtime::propagation::fields_of_current_span;
use crate::runtime::{Faults, Problem, Runtime};
use crate::schema::{FAULT_ATTRIBUTE, Role, Route, faults, names};
use crate::store::{Created, Orders, StoreError};

/// What the router below serves.
pub const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/orders", statuses: &[201, 404, 409, 502] },
    Route { method: "GET", path: "/orders", statuses: &[200, 400] },
    Route { method: "GET", path: "/orders/{id}", statuses: &[200, 404] },
    Route { method: "PATCH", path: "/orders/{id}/status", statuses: &[200, 404, 409] },
];

/// Runs the role.
pub async fn run(config: RoleConfig) -> anyhow::Result<()> {
    let mut runtime = Runtime::start(Role::Order, &config, ROUTES)?;
    let db = open_store(Role::Order, &config, &mut runtime).await?;
    let orders = Orders::new(db);
    runtime.spawn(orders.clone().forget_keys(config.store.retention, runtime.shutdown().clone()));
    let queue = queue::open(&config.queue, &config.store.data_dir()).await?;
    queue::watch(&queue, Role::Order.service().queue, &mut runtime);
    runtime.prefer(Role::User, &config.upstream.user_service_url);
    let (faults, last_call) = (runtime.faults().clone(), runtime.last_call().clone());
    let relay = relay::run(Arc::new(orders.outbox()), queue, runtime.owner(), faults.clone(), last_call);
    runtime.spawn(relay);
    runtime.serve(move |app| router(app, &orders, &config, &faults)).await
}

fn router(app: &mut ServiceConfig, orders: &Orders, config: &RoleConfig, faults: &Faults) {
    app.app_data(shared(orders))
        .app_data(shared(faults))
        .app_data(Data::new(UserClient::behind(&config.upstream, faults)))
        .service(web::resource("/orders").get(list).post(create))
        .service(web::resource("/orders/{id}").get(read))
        .service(web::resource("/orders/{id}/status").patch(set_status));
}

async fn create(
    orders: Data<Orders>,
    users: Data<UserClient>,
    request: HttpRequest,
    body: JsonBody,
) -> RoleAnswer {
    let key = idempotency_key(&request)?;
    let new = NewOrder::from_json(&body.0).map_err(|e| refuse("validation", Problem::invalid(e)))?;
    match users.exists(new.user_id).await {
        Ok(true) => {}
        Ok(false) => return Err(refuse("user_not_found", Problem::not_found("no such user"))),
        Err(problem) => return Err(refuse("user_unavailable", problem)),
    }
    // Counted where it is stored, as part of this request.
    let span = Span::current();
    let count = move |order: &Order| span.in_scope(|| count(order));
    let stored = orders.create(&new, key.as_deref(), message(EventKind::OrderCreated), count).await;
    let order = match stored.map_err(store_failed)? {
        Created::Now(order) => {
            tracing::info!(orderId = order.id, total = order.total.dollars(), "Order created");
            order
        }
        Created::Before(order) => {
            tracing::info!(orderId = order.id, "Order was created before with this idempotency key");
            order
        }
    };
    let location = format!("/orders/{}", order.id);
    Ok(HttpResponse::Created().insert_header((header::LOCATION, location)).json(order))
}

/// Counts an order once it is stored, whether or not its client is told so in time.
fn count(order: &Order) {
    counter!(names::ORDERS_CREATED).increment(1);
    counter!(names::ORDERS_BY_STATUS, "status" => order.status.as_str()).increment(1);
    histogram!(names::ORDER_VALUE).record(order.total.dollars());
}

/// Answer of `GET /orders`.
#[derive(Serialize)]
struct OrderPage {
    count: usize,
    next: Option<i64>,
    orders: Vec<Order>,
}

async fn list(orders: Data<Orders>, faults: Data<Faults>, request: HttpRequest) -> RoleAnswer {
    let query = PageQuery::parse(request.query_string()).map_err(Problem::invalid)?;
    let _room = room(&request, MAX_PAGE_BYTES * PAGE_COPIES).await?;
    let page = orders.list(query).await?;
    if let Some(settings) = faults.hits(faults::REPEATED_QUERY) {
        read_again(&orders, &page.rows, settings.times()).await?;
    }
    Ok(HttpResponse::Ok().json(OrderPage { count: page.rows.len(), next: page.next, orders: page.rows }))
}

/// A fault: a query for a page, and then one for each of its rows, round and round until it was `times`.
async fn read_again(orders: &Orders, rows: &[Order], times: u32) -> Result<(), Problem> {
    Span::current().set_attribute(FAULT_ATTRIBUTE, faults::REPEATED_QUERY);
    let mut ids = rows.iter().map(|row| row.id).cycle();
    for _ in 0..times {
        // Of an empty page too: no order has the id 0.
        orders.get(ids.next().unwrap_or_default()).await?;
    }
    Ok(())
}

async fn read(orders: Data<Orders>, users: Data<UserClient>, path: Path<String>) -> RoleAnswer {
    let id = id(&path).ok_or_else(no_such_order)?;
    let order = orders.get(id).await?.ok_or_else(no_such_order)?;
    // The order is ours to answer even while user-service is not there to embed its part.
    let user = users.find(order.user_id).await.unwrap_or_else(|problem| {
        tracing::warn!(orderId = id, reason = problem.detail(), "Order answered without its user");
        None
    });
    Ok(HttpResponse::Ok().json(OrderWithUser { order, user }))
}

async fn set_status(orders: Data<Orders>, path: Path<String>, body: JsonBody) -> RoleAnswer {
    let id = id(&path).ok_or_else(no_such_order)?;
    let next = body.0.get("status").and_then(Value::as_str).and_then(Status::parse).ok_or_else(|| {
        let error = "status must be one of pending, completed, failed, cancelled";
        refuse("validation", Problem::invalid(vec![error.to_owned()]))
    })?;
    let changed = orders.set_status(id, next, message(EventKind::OrderStatusChanged)).await;
    let order = changed.map_err(store_failed)?;
    counter!(names::ORDERS_BY_STATUS, "status" => order.status.as_str()).increment(1);
    tracing::info!(orderId = order.id, status = order.status.as_str(), "Order status changed");
    Ok(HttpResponse::Ok().json(order))
}

/// Makes the message about what is about to happen. It carries the context of the request's span,
/// which is not known where the store calls it.
fn message(kind: EventKind) -> impl FnOnce(&Order) -> Message + Send + 'static {
    let headers = fields_of_current_span().into_iter().collect();
    move |order| Message {
        id: Uuid::now_v7().to_string(),
        key: order.id.to_string(),
        headers,
        body: serde_json::to_vec(&Event::of(kind, order)).unwrap_or_default(),
    }
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<String>, Problem> {
    let Some(value) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::invalid(vec!["Idempotency-Key must be 1 to 255 printable characters".into()])),
    }
}

fn refuse(reason: &'static str, problem: Problem) -> Problem {
    counter!(names::ORDERS_ERRORS, "reason" => reason).increment(1);
    problem
}

fn store_failed(error: StoreError) -> Problem {
    let reason = match error {
        StoreError::Transition { .. } => "transition",
        StoreError::Conflict(_) => "conflict",
        StoreError::NotFound => return no_such_order(),
        _ => "store",
    };
    refuse(reason, error.into())
}

fn no_such_order() -> Problem {
    Problem::not_found("no such order")
}
