//! user-service: users.
//!
//! | endpoint | answer |
//! |---|---|
//! | `POST /users` | 201 and `Location`; 400 invalid; 409 email taken |
//! | `GET /users?limit=&after=` | a page, in order of id |
//! | `GET /users/{id}` | the user, or 404 |

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use metrics::counter;
use serde::Serialize;

use super::{PAGE_COPIES, RoleAnswer, open_store, shared};
use crate::api::{MAX_PAGE_BYTES, NewUser, PageQuery, User};
use crate::config::RoleConfig;
use crate::runtime::body::{JsonBody, id};
use crate::runtime::http::room;
use crate::runtime::{Problem, Runtime};
use crate::schema::{Role, Route, names};
use crate::store::Users;

/// What the router below serves.
pub const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/users", statuses: &[201, 409] },
    Route { method: "GET", path: "/users", statuses: &[200, 400] },
    Route { method: "GET", path: "/users/{id}", statuses: &[200, 404] },
];

/// Runs the role.
pub async fn run(config: RoleConfig) -> anyhow::Result<()> {
    let mut runtime = Runtime::start(Role::User, &config, ROUTES)?;
    runtime.on_answer(count);
    let db = open_store(Role::User, &config, &mut runtime).await?;
    let users = Users::new(db);
    runtime.serve(move |app| router(app, &users)).await
}

fn router(app: &mut ServiceConfig, users: &Users) {
    app.app_data(shared(users))
        .service(web::resource("/users").get(list).post(create))
        .service(web::resource("/users/{id}").get(read));
}

fn count(_: Option<&'static Route>, status: StatusCode) {
    if status.is_server_error() {
        counter!(names::USERS_ERRORS).increment(1);
    }
}

async fn create(users: Data<Users>, body: JsonBody) -> RoleAnswer {
    let new = NewUser::from_json(&body.0).map_err(Problem::invalid)?;
    let user = users.create(&new).await?;
    counter!(names::USERS_CREATED).increment(1);
    tracing::info!(userId = user.id, "User created");
    let location = format!("/users/{}", user.id);
    Ok(HttpResponse::Created().insert_header((header::LOCATION, location)).json(user))
}

/// Answer of `GET /users`.
#[derive(Serialize)]
struct UserPage {
    count: usize,
    next: Option<i64>,
    users: Vec<User>,
}

async fn list(users: Data<Users>, request: HttpRequest) -> RoleAnswer {
    let query = PageQuery::parse(request.query_string()).map_err(Problem::invalid)?;
    let _room = room(&request, MAX_PAGE_BYTES * PAGE_COPIES).await?;
    let page = users.list(query).await?;
    Ok(HttpResponse::Ok().json(UserPage { count: page.rows.len(), next: page.next, users: page.rows }))
}

async fn read(users: Data<Users>, path: Path<String>) -> RoleAnswer {
    let missing = || Problem::not_found("no such user");
    let id = id(&path).ok_or_else(missing)?;
    let user = users.get(id).await?.ok_or_else(missing)?;
    Ok(HttpResponse::Ok().json(user))
}
