//! notification-service: consumes the queue, sends notifications, receives alerts.
//!
//! | endpoint | answer |
//! |---|---|
//! | `GET /notifications?orderId=&before=&limit=` | the notifications sent, newest first |
//! | `GET /stats` | transport, waiting, in flight, dead |
//! | `POST /alerts` | Alertmanager's webhook, version "4" |
//! | `GET /alerts` | the alerts received, newest first |
//! | `POST /faults/replay` | sends the dead letters back that a fault made; only where faults are possible |

mod handler;

use std::sync::Arc;

use actix_web::web::{self, Data, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use metrics::counter;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{PAGE_COPIES, RoleAnswer, open_store, shared};
use crate::api::MAX_PAGE_BYTES;
use crate::config::{RoleConfig, Transport};
use crate::queue::{self, Queue, worker};
use crate::runtime::body::{JsonBody, JsonUpTo};
use crate::runtime::http::room;
use crate::runtime::{Problem, Runtime, fault};
use crate::schema::{Role, Route, names};
use crate::store::{NewAlert, Notifications};

/// What the router below serves.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/notifications", statuses: &[200, 400] },
    Route { method: "GET", path: "/stats", statuses: &[200] },
    Route { method: "POST", path: "/alerts", statuses: &[200] },
    Route { method: "GET", path: "/alerts", statuses: &[200] },
];

/// Runs the role.
pub async fn run(config: RoleConfig) -> anyhow::Result<()> {
    let mut runtime = Runtime::start(Role::Notify, &config, ROUTES)?;
    let db = open_store(Role::Notify, &config, &mut runtime).await?;
    let notifications = Notifications::new(db);
    runtime.spawn(notifications.clone().forget(config.store.retention, runtime.shutdown().clone()));
    let queue = queue::open(&config.queue, &config.store.data_dir()).await?;
    queue::watch(&queue, Role::Notify.service().queue, &mut runtime);
    let handler = handler::NotificationSender::new(notifications.clone(), config.notify.notify_delay);
    let handler = queue::fault::Faulty::new(handler, runtime.faults());
    let policy = worker::Policy::from(&config.queue);
    runtime.spawn(worker::run(queue.clone(), Arc::new(handler), policy, runtime.shutdown().clone()));
    let faults = runtime.faults().are_possible();
    let state = NotifyState { queue, transport: config.queue.queue_transport, faults };
    runtime.serve(move |app| router(app, &notifications, &state)).await
}

/// The largest webhook, in bytes: Alertmanager puts a whole group of alerts into one, does not try
/// a refused one again, and the group is largest when it matters most.
const MAX_WEBHOOK: usize = 1024 * 1024;

#[derive(Clone)]
struct NotifyState {
    queue: Arc<dyn Queue>,
    transport: Transport,
    /// Whether faults are possible here.
    faults: bool,
}

fn router(app: &mut ServiceConfig, notifications: &Notifications, state: &NotifyState) {
    app.app_data(shared(notifications))
        .app_data(shared(state))
        .service(web::resource("/notifications").get(list))
        .service(web::resource("/stats").get(stats))
        .service(web::resource("/alerts").get(alerts).post(receive_alerts));
    if state.faults {
        app.service(web::resource(fault::REPLAY).post(replay));
    }
}

/// `?orderId=&before=&limit=`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotificationFilter {
    order_id: Option<String>,
    before: Option<String>,
    limit: Option<String>,
}

async fn list(
    notifications: Data<Notifications>,
    request: HttpRequest,
    filter: Query<NotificationFilter>,
) -> RoleAnswer {
    let number = |text: &Option<String>, name: &str| match text.as_deref().filter(|t| !t.is_empty()) {
        None => Ok(None),
        Some(text) => crate::runtime::body::id(text)
            .map(Some)
            .ok_or_else(|| Problem::invalid(vec![format!("{name} must be a positive integer")])),
    };
    let order_id = number(&filter.order_id, "orderId")?;
    let before = number(&filter.before, "before")?.unwrap_or(i64::MAX);
    let limit = number(&filter.limit, "limit")?.unwrap_or(100).min(1_000);
    let _room = room(&request, MAX_PAGE_BYTES * PAGE_COPIES).await?;
    let (rows, more) = notifications.list(order_id, before, limit).await?;
    let next = rows.last().filter(|_| more).map(|row| row.id);
    Ok(HttpResponse::Ok().json(json!({ "count": rows.len(), "notifications": rows, "next": next })))
}

async fn stats(state: Data<NotifyState>) -> RoleAnswer {
    let depth = state.queue.depth().await.map_err(|error| Problem::unavailable(error.to_string()))?;
    Ok(HttpResponse::Ok().json(json!({
        "transport": state.transport.as_str(),
        "queue": state.queue.name(),
        "waiting": depth.waiting,
        "inFlight": depth.in_flight,
        "dead": depth.dead,
    })))
}

/// What `queue dead replay --all` does, for those who heal a fault and do not know where the queue is.
async fn replay(state: Data<NotifyState>, _: JsonBody) -> RoleAnswer {
    let replayed = state.queue.replay(None).await;
    let replayed = replayed.map_err(|error| Problem::unavailable(error.to_string()))?;
    Ok(HttpResponse::Ok().json(json!({ "replayed": replayed })))
}

async fn receive_alerts(notifications: Data<Notifications>, mut body: JsonUpTo<MAX_WEBHOOK>) -> RoleAnswer {
    let alerts = webhook(body.take()).ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "body must be an Alertmanager webhook, version \"4\"")
    })?;
    // All or none, and counted when that is known: Alertmanager sends all of a failed webhook again.
    notifications.record_alerts(&alerts).await?;
    for alert in &alerts {
        let status = if alert.status == "firing" { "firing" } else { "resolved" };
        counter!(names::ALERTS_RECEIVED, "status" => status).increment(1);
        let label = |name: &str| alert.labels.get(name).and_then(Value::as_str).unwrap_or_default();
        tracing::warn!(
            alert = label("alertname"),
            severity = label("severity"),
            alertService = label("service"),
            status,
            "Alert received"
        );
    }
    Ok(HttpResponse::Ok().json(json!({ "received": alerts.len() })))
}

/// The alerts of a webhook message (Alertmanager configuration, `webhook_config`). What is large in it is
/// moved and not copied.
fn webhook(mut body: Value) -> Option<Vec<NewAlert>> {
    if body.get("version")?.as_str()? != "4" {
        return None;
    }
    let Value::Array(alerts) = body.get_mut("alerts")?.take() else { return None };
    alerts.into_iter().map(alert).collect()
}

fn alert(mut value: Value) -> Option<NewAlert> {
    let mut object = |name: &str| Some(value.get_mut(name)?.take()).filter(Value::is_object);
    let (labels, annotations) = (object("labels")?, object("annotations").unwrap_or_else(|| json!({})));
    let printable = |text: &&str| text.len() <= 200 && !text.chars().any(char::is_control);
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(printable).map(str::to_owned);
    let status = text("status").filter(|status| status == "firing" || status == "resolved")?;
    Some(NewAlert {
        fingerprint: text("fingerprint").unwrap_or_default(),
        status,
        labels,
        annotations,
        starts_at: text("startsAt").unwrap_or_default(),
        ends_at: text("endsAt"),
    })
}

async fn alerts(notifications: Data<Notifications>, request: HttpRequest) -> RoleAnswer {
    let _room = room(&request, MAX_WEBHOOK * PAGE_COPIES).await?;
    let (rows, more) = notifications.alerts().await?;
    Ok(HttpResponse::Ok().json(json!({ "count": rows.len(), "alerts": rows, "more": more })))
}
