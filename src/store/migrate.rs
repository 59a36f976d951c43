//! Migrations: run at start, and again until they succeed.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Row, SqlSafeStr};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::engine::Engine;
use super::failure::{self, TOO_SLOW};
use crate::schema::{Role, Service};

/// `Err` holds the reason why no operation can run yet.
pub(super) type State = Result<(), &'static str>;

/// The longest one attempt may take, waiting for another process that migrates included.
const ATTEMPT: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What to migrate, and where.
pub(super) struct Plan {
    pub(super) service: &'static Service,
    pub(super) engine: Engine,
    /// PostgreSQL's schema for this service.
    pub(super) schema: Option<String>,
}

struct Step {
    version: i64,
    about: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! step {
    ($version:literal, $file:literal) => {
        Step {
            version: $version,
            about: $file,
            sqlite: include_str!(concat!("migrations/sqlite/", $file, ".sql")),
            postgres: include_str!(concat!("migrations/postgres/", $file, ".sql")),
        }
    };
}

/// A step that has been released is never edited: its checksum is stored. Changes are new steps.
fn steps(role: Role) -> &'static [Step] {
    match role {
        Role::User => &[step!(1, "users/0001_users")],
        Role::Order => &[step!(1, "orders/0001_orders")],
        Role::Notify => &[step!(1, "notifications/0001_notifications")],
        Role::Gateway | Role::Lambda => &[],
    }
}

/// Starts migrating in the background; the receiver learns of every attempt. The task ends with
/// success, or when nobody is left to hear of it.
pub(super) fn start(pool: AnyPool, plan: Plan) -> watch::Receiver<State> {
    let (sender, receiver) = watch::channel(Err("the database has not answered yet"));
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = persist(&pool, &plan, &sender) => {}
        }
    });
    receiver
}

async fn persist(pool: &AnyPool, plan: &Plan, sender: &watch::Sender<State>) {
    let mut pause = FIRST_PAUSE;
    let mut told = String::new();
    loop {
        let (reason, detail) = match timeout(ATTEMPT, attempt(pool, plan)).await {
            Ok(Ok(())) => {
                info!(system = plan.engine.system(), "Database ready");
                let _ = sender.send_replace(Ok(()));
                return;
            }
            Ok(Err(error)) => (reason_of(&error), error.to_string()),
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

fn reason_of(error: &MigrateError) -> &'static str {
    match error {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => {
            let code = e.as_database_error().and_then(|e| e.code());
            failure::reason(e, code.as_deref()).unwrap_or("the database refused the migrations")
        }
        _ => "the database's schema is not one this version can use",
    }
}

async fn attempt(pool: &AnyPool, plan: &Plan) -> Result<(), MigrateError> {
    // Taken out of the pool and closed afterwards: the migrator's advisory lock and the longer
    // limit must not outlive this attempt, however it ends.
    let mut connection = pool.acquire().await?.detach();
    let mut migrator = Migrator::with_migrations(migrations(plan));
    // A table for each service, so that several can share one SQLite file.
    let schema_name = plan.service.name.replace('-', "_");
    migrator.dangerous_set_table_name(format!("{schema_name}_migrations"));
    if let Some(schema) = &plan.schema {
        let limit = format!("SET statement_timeout = {}", ATTEMPT.as_millis());
        sqlx::raw_sql(AssertSqlSafe(limit)).execute(&mut connection).await?;
        // IF NOT EXISTS asks for the right to create even where there is nothing to create.
        if !schema_exists(&mut connection, schema).await? {
            migrator.create_schema(format!("\"{schema}\""));
        }
    }
    // What `run` does, less a generic bound through which the future would not count as Send.
    migrator.run_direct(None, &mut connection, false).await?;
    connection.close().await?;
    Ok(())
}

async fn schema_exists(connection: &mut AnyConnection, schema: &str) -> sqlx::Result<bool> {
    let rows: Vec<AnyRow> = sqlx::query("SELECT COUNT(*) FROM pg_catalog.pg_namespace WHERE nspname = $1")
        .bind(schema)
        .fetch_all(connection)
        .await?;
    rows.first().map_or(Ok(false), |row| Ok(row.try_get::<i64, _>(0)? > 0))
}

fn migrations(plan: &Plan) -> Vec<Migration> {
    let migration = |step: &Step| {
        let sql = match plan.engine {
            Engine::Sqlite => step.sqlite,
            Engine::Postgres => step.postgres,
        };
        let about = Cow::Borrowed(step.about);
        Migration::new(step.version, about, MigrationType::Simple, sql.into_sql_str(), false)
    };
    steps(plan.service.role).iter().map(migration).collect()
}
