//! Migrations: run at start, and again until they succeed.

mod apply;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::db::Backend;
use super::failure::{DbError, TOO_SLOW};
use super::pool::PgPool;
use crate::schema::{Role, Service};
use crate::sqlite::Prepare;

/// `Err` holds the reason why no operation can run yet.
pub(super) type MigrationState = Result<(), &'static str>;

/// The longest one attempt may take, waiting for another process that migrates included.
const ATTEMPT: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What to migrate.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) service: &'static Service,
}

struct MigrationStep {
    version: i64,
    about: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! step {
    ($version:literal, $file:literal) => {
        MigrationStep {
            version: $version,
            about: $file,
            sqlite: include_str!(concat!("migrations/sqlite/", $file, ".sql")),
            postgres: include_str!(concat!("migrations/postgres/", $file, ".sql")),
        }
    };
}

/// A step that has been released is never edited: its checksum is stored. Changes are new steps.
fn steps(role: Role) -> &'static [MigrationStep] {
    match role {
        Role::User => &[step!(1, "users/0001_users")],
        Role::Order => &[step!(1, "orders/0001_orders")],
        Role::Notify => &[step!(1, "notifications/0001_notifications")],
        Role::Gateway | Role::Lambda => &[],
    }
}

impl Plan {
    /// A file is migrated whenever it is opened: it may be another one than before.
    pub(super) fn on_each_file(self) -> Prepare {
        std::sync::Arc::new(move |connection| apply::to_file(connection, self.service))
    }
}

/// Starts migrating in the background; the receiver learns of every attempt. The task ends with
/// success, or when there is no receiver any more.
pub(super) fn start(backend: Backend, plan: Plan) -> watch::Receiver<MigrationState> {
    let (sender, receiver) = watch::channel(Err("the database has not answered yet"));
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = persist(&backend, plan, &sender) => {}
        }
    });
    receiver
}

async fn persist(backend: &Backend, plan: Plan, sender: &watch::Sender<MigrationState>) {
    let mut pause = FIRST_PAUSE;
    let mut told = String::new();
    loop {
        let (reason, detail) = match timeout(ATTEMPT, attempt(backend, plan)).await {
            Ok(Ok(())) => {
                info!(system = backend.engine().system(), "Database ready");
                let _ = sender.send_replace(Ok(()));
                return;
            }
            Ok(Err(error)) => {
                (error.reason().unwrap_or("the database refused the migrations"), error.to_string())
            }
            Err(_) => (TOO_SLOW, TOO_SLOW.to_owned()),
        };
        // The same trouble every few seconds is one line, not a stream of them.
        if detail != told {
            warn!(reason = %detail, "Database not ready, trying again");
            told = detail;
        }
        let _ = sender.send_replace(Err(reason));
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn attempt(backend: &Backend, plan: Plan) -> Result<(), DbError> {
    match backend {
        Backend::Sqlite(file) => Ok(file.read(|_| Ok(())).await?),
        Backend::Postgres(pool) => on_server(pool, plan.service).await,
    }
}

/// In one transaction: the longer limit must not outlive this attempt, however it ends.
async fn on_server(pool: &PgPool, service: &'static Service) -> Result<(), DbError> {
    let mut held = pool.get(Instant::now() + ATTEMPT).await?;
    held.begin(pool.server().begin_within(ATTEMPT)).await?;
    apply::to_server(held.tx(), service).await?;
    held.end("COMMIT").await?;
    pool.put(held, &Ok(()));
    Ok(())
}
