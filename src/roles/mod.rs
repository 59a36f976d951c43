//! The five services. Each file reads top-down: the endpoints in its header, the router, the
//! handlers. Roles never import roles.

pub mod gateway;
pub mod lambda;
pub mod notify;
pub mod order;
pub mod user;

use actix_web::web::Data;

use crate::config::{Invalid, RoleConfig};
use crate::runtime::{Problem, Runtime};
use crate::schema::Role;
use crate::store::{Db, StoreError};

/// How often a page is in memory until it is an answer: rows, text, and the text's room to grow.
const PAGE_COPIES: usize = 3;

/// What a handler returns.
type RoleAnswer = Result<actix_web::HttpResponse, Problem>;

/// Runs one role until it is told to stop.
pub async fn run(role: Role, config: RoleConfig) -> anyhow::Result<()> {
    match role {
        Role::Gateway => gateway::run(config).await,
        Role::User => user::run(config).await,
        Role::Order => order::run(config).await,
        Role::Notify => notify::run(config).await,
        Role::Lambda => lambda::run(config).await,
    }
}

/// The one place that maps what a store says to what a client reads.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(what) => Self::conflict(what),
            StoreError::NotFound => Self::not_found("no such resource"),
            StoreError::Transition { from, to } => {
                Self::conflict(format!("an order that is {} cannot become {}", from.as_str(), to.as_str()))
            }
            StoreError::Unavailable(reason) => Self::unavailable(reason),
            StoreError::Internal(cause) | StoreError::Config(cause) => Self::internal(cause),
        }
    }
}

/// Opens a role's database; only settings that can never work are an error.
async fn open_store(role: Role, config: &RoleConfig, runtime: &mut Runtime) -> anyhow::Result<Db> {
    let db = Db::open(role.service(), &config.store).await.map_err(|error| match error {
        StoreError::Config(text) => anyhow::Error::new(Invalid(text)),
        other => other.into(),
    })?;
    db.watch(runtime);
    runtime.spawn(db.clone().watch_pool(runtime.shutdown().clone()));
    Ok(db)
}

/// State that every worker shares.
fn shared<T: Clone + 'static>(value: &T) -> Data<T> {
    Data::new(value.clone())
}
