//! `/faults`, where a role has it.
//!
//! | endpoint | answer |
//! |---|---|
//! | `GET /faults` | what is active, with the seconds left |
//! | `POST /faults` | sets one, in place of the same one before; 400 with every wrong field |
//! | `DELETE /faults` | clears all |
//! | `DELETE /faults/{name}` | clears one; 404 where the role cannot have it |

use actix_web::HttpResponse;
use actix_web::guard::{GuardContext, fn_guard};
use actix_web::web::{self, Data, Path, ServiceConfig};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{FaultRequest, Faults};
use crate::runtime::Problem;
use crate::runtime::body::JsonBody;
use crate::schema::Fault;

/// Where the consumer sends back what a fault made dead letters; see its router.
pub const REPLAY: &str = "/faults/replay";

impl Faults {
    /// The methods of a path below `/faults`, where this role serves it.
    pub fn methods(&self, path: &str) -> Option<&'static str> {
        self.0.as_ref()?;
        match path.strip_prefix("/faults")? {
            "" => Some("GET, POST, DELETE"),
            _ if path == REPLAY => Some("POST"),
            rest if rest.starts_with('/') => Some("DELETE"),
            _ => None,
        }
    }

    /// Adds the endpoints, where this role can have faults.
    pub fn routes(&self, app: &mut ServiceConfig) {
        if self.0.is_some() {
            app.app_data(Data::new(self.clone()))
                .service(web::resource("/faults").get(list).post(set).delete(clear))
                .service(web::resource("/faults/{name}").guard(fn_guard(is_name)).delete(clear_one));
        }
    }
}

/// Whether what is asked for below `/faults` is a fault, and not what the consumer serves there.
fn is_name(context: &GuardContext<'_>) -> bool {
    context.head().uri.path() != REPLAY
}

async fn list(all: Data<Faults>) -> HttpResponse {
    let now = Instant::now();
    let active: Vec<Value> = all.active(now).into_iter().map(|one| one.to_json(now)).collect();
    HttpResponse::Ok().json(json!({ "active": active }))
}

async fn set(all: Data<Faults>, body: JsonBody) -> Result<HttpResponse, Problem> {
    let inner = all.0.as_ref().ok_or_else(none_here)?;
    let wanted = FaultRequest::parse(&body.0, inner.role, inner.routes).map_err(Problem::invalid)?;
    let now = Instant::now();
    let active = all.set(wanted, now).ok_or_else(none_here)?;
    Ok(HttpResponse::Ok().json(active.to_json(now)))
}

async fn clear(all: Data<Faults>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "cleared": all.clear(None) }))
}

async fn clear_one(all: Data<Faults>, name: Path<String>) -> Result<HttpResponse, Problem> {
    let role = all.0.as_ref().ok_or_else(none_here)?.role;
    if !Fault::of(role).any(|fault| fault.name == name.as_str()) {
        return Err(none_here());
    }
    Ok(HttpResponse::Ok().json(json!({ "cleared": all.clear(Some(&name)) })))
}

fn none_here() -> Problem {
    Problem::not_found("no such fault")
}
