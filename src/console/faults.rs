//! Faults from the page: the table, what is active, set and clear. Each ends by itself.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::jaeger;
use super::own_page::{own_page_with_token, small_json};
use super::start::{Refusal, lab};
use super::state::Console;
use crate::config::VerifyConfig;
use crate::lab::fault::described;
use crate::lab::fault::staged::{FaultSupport, RoleFaults};
use crate::schema::{Fault, Role, SERVICES, Service};

/// Longest wait for what is active at a role: the others are not to wait for one that hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Adds the routes that change something.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    let acts = web::scope("/api/faults")
        .wrap(from_fn(own_page_with_token))
        .app_data(small_json())
        .service(web::resource("/set").route(web::post().to(set)))
        .service(web::resource("/clear").route(web::post().to(clear)))
        .default_service(web::to(|| async { jaeger::error(StatusCode::NOT_FOUND, "no such page") }));
    app.service(acts);
}

/// `GET /api/faults/table`: `{"faults":[…],"roles":[…]}`: every fault, and of each role its `service`; no role is asked.
pub(super) async fn table() -> HttpResponse {
    let role = |service: &Service| json!({"role": service.role.as_str(), "service": service.name});
    let roles: Vec<_> = SERVICES.iter().map(role).collect();
    HttpResponse::Ok().json(json!({"faults": described(), "roles": roles}))
}

/// `GET /api/faults`: `{"faults":[…],"roles":[…],"active":[…]}`: the table; of each role its `service`, whether faults can be set
/// there (`can`) and where they cannot `why`; what is active, with `role`, `service`, `secondsLeft` and its settings. A role
/// that hangs delays that by [`ANSWER_WITHIN`].
pub(super) async fn list(console: web::Data<Console>) -> HttpResponse {
    match lab(&console) {
        Ok(config) => now(&config).await,
        Err(refusal) => refusal.into(),
    }
}

async fn now(config: &VerifyConfig) -> HttpResponse {
    let asked = SERVICES.iter().map(|service| async move { (service, asked(config, service).await) });
    let (mut roles, mut active) = (Vec::new(), Vec::new());
    for (service, found) in join_all(asked).await {
        let (role, name) = (service.role.as_str(), service.name);
        let (found, why) = match found {
            FaultSupport::Active(found) => (found, None),
            FaultSupport::Disabled(_) => (Vec::new(), Some(format!("{name} takes no faults"))),
            FaultSupport::Unreachable(_) => {
                (Vec::new(), Some(format!("{name} does not answer: its faults are not known")))
            }
        };
        roles.push(json!({"role": role, "service": name, "can": why.is_none(), "why": why}));
        for mut fault in found {
            (fault["role"], fault["service"]) = (json!(role), json!(name));
            active.push(fault);
        }
    }
    HttpResponse::Ok().json(json!({"faults": described(), "roles": roles, "active": active}))
}

async fn asked(config: &VerifyConfig, service: &Service) -> FaultSupport {
    RoleFaults::within(&config.of(service.role), ANSWER_WITHIN).support().await
}

/// Refuses at once what is meant for a role that hangs.
async fn hangs(config: &VerifyConfig, role: Role) -> Option<HttpResponse> {
    let service = role.service();
    let away = matches!(asked(config, service).await, FaultSupport::Unreachable(_));
    let why = format!("{} does not answer", service.name);
    away.then(|| jaeger::error(StatusCode::BAD_GATEWAY, &why))
}

#[derive(Deserialize)]
struct FaultToSet {
    role: String,
    fault: String,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

/// Where a fault of the table is set or cleared.
fn place(role: &str, fault: &str) -> Result<(Role, &'static Fault), Refusal> {
    let fault = Fault::named(fault).ok_or("no such fault");
    let found = fault.and_then(|fault| {
        let role = fault.roles.iter().find(|known| known.as_str() == role);
        Ok((*role.ok_or("that role cannot have this fault")?, fault))
    });
    found.map_err(|why| Refusal(StatusCode::BAD_REQUEST, why))
}

/// `POST /api/faults/set {"role":…,"fault":…,"seconds":…,…}`: what is active then, as [`list`] tells it.
async fn set(console: web::Data<Console>, wanted: web::Json<FaultToSet>) -> HttpResponse {
    let FaultToSet { role, fault, mut settings } = wanted.into_inner();
    let (config, (role, fault)) = match (lab(&console), place(&role, &fault)) {
        (Ok(config), Ok(place)) => (config, place),
        (Err(refusal), _) | (_, Err(refusal)) => return refusal.into(),
    };
    if let Some(refusal) = hangs(&config, role).await {
        return refusal;
    }
    settings.insert("fault".to_owned(), json!(fault.name));
    match RoleFaults::at(&config.of(role)).set(&settings.into()).await {
        Ok(()) => now(&config).await,
        Err(why) => jaeger::error(StatusCode::BAD_REQUEST, &why),
    }
}

#[derive(Deserialize)]
struct FaultToClear {
    role: String,
    fault: String,
}

/// `POST /api/faults/clear {"role":…,"fault":…}`: what is active then.
async fn clear(console: web::Data<Console>, wanted: web::Json<FaultToClear>) -> HttpResponse {
    let (config, (role, fault)) = match (lab(&console), place(&wanted.role, &wanted.fault)) {
        (Ok(config), Ok(place)) => (config, place),
        (Err(refusal), _) | (_, Err(refusal)) => return refusal.into(),
    };
    if let Some(refusal) = hangs(&config, role).await {
        return refusal;
    }
    match RoleFaults::at(&config.of(role)).clear(fault.name).await {
        Ok(()) => now(&config).await,
        Err(why) => jaeger::error(StatusCode::BAD_GATEWAY, &why),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::console::sample::{self, get, post, token};

    #[actix_web::test]
    async fn the_table_is_told_without_a_lab_and_what_is_no_fault_of_a_role_is_refused() {
        let console = sample::console();
        let told = get(&console, "/api/faults").await;
        let said = told.json;
        assert_eq!((told.status, &said["active"]), (200, &json!([])));
        for role in said["roles"].as_array().unwrap() {
            let why =
                format!("{} does not answer: its faults are not known", role["service"].as_str().unwrap());
            assert_eq!((&role["can"], &role["why"]), (&json!(false), &json!(why)));
        }
        let table = get(&console, "/api/faults/table").await.json;
        assert_eq!(
            (&table["faults"], table["roles"].as_array().unwrap().len()),
            (&said["faults"], SERVICES.len())
        );
        assert_eq!(said["faults"].as_array().unwrap().len(), crate::schema::FAULTS.len());
        let token = token(&console).await;
        let headers = [("content-type", "application/json"), ("x-console-token", token.as_str())];
        for (body, why) in [
            (r#"{"role":"order","fault":"<img>"}"#, "no such fault"),
            (r#"{"role":"lambda","fault":"slow-db"}"#, "that role cannot have this fault"),
            (r#"{"role":"order"}"#, "the body is not what is expected"),
        ] {
            for path in ["/api/faults/set", "/api/faults/clear"] {
                let said = post(&console, path, &headers, body).await;
                assert_eq!(
                    (said.status, &said.json["errors"][0]["msg"]),
                    (400, &json!(why)),
                    "{path} {body}"
                );
            }
        }
    }
}
