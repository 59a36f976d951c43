//! One attempt to migrate: the steps that are missing and what is noted of them, in one transaction.
//!
//! The table of notes, its checksums and the number of the lock are those of sqlx's migrator, which
//! did this in earlier versions: their databases are taken over, and none of them migrates at the
//! same time.

use std::path::Path;
use std::time::Instant;

use flate2::Crc;
use sha2::{Digest, Sha384};

use super::{MigrationStep, steps};
use crate::config::LAST_ORDER_FILE;
use crate::schema::{Role, Service};
use crate::sqlite::SqliteError;
use crate::store::engine::{Engine, schema};
use crate::store::failure::DbError;
use crate::store::statement::{Row, Statement};
use crate::store::tx::{Tx, run_on_sqlite};

/// What is noted of a step.
struct Noted {
    version: i64,
    checksum: Vec<u8>,
    success: bool,
}

/// Migrates a file. Where nothing is missing it is not written to. A failure leaves the connection
/// in a transaction: it is to be closed.
pub(super) fn to_file(
    connection: &mut rusqlite::Connection,
    service: &'static Service,
) -> Result<(), SqliteError> {
    if run_on_sqlite(connection, |mut tx| Box::pin(async move { is_complete(&mut tx, service).await }))? {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    run_on_sqlite(connection, |mut tx| {
        Box::pin(async move { apply(&mut tx, service, Engine::Sqlite).await })
    })?;
    if service.role == Role::Order {
        begin_after_last_order(connection)?;
    }
    Ok(connection.execute_batch("COMMIT")?)
}

/// Lets a new file's ids begin after those of the one before it, where that left its last one.
fn begin_after_last_order(connection: &rusqlite::Connection) -> Result<(), SqliteError> {
    let file = connection.path().map(|path| Path::new(path).with_file_name(LAST_ORDER_FILE));
    let last = file.and_then(|file| std::fs::read_to_string(file).ok());
    if let Some(last) = last.and_then(|text| text.trim().parse::<i64>().ok()) {
        let begin = "INSERT INTO sqlite_sequence (name, seq) SELECT 'orders', ?1 \
                     WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'orders')";
        connection.execute(begin, [last])?;
    }
    Ok(())
}

async fn is_complete(tx: &mut Tx<'_>, service: &'static Service) -> Result<bool, DbError> {
    let find = Statement::new("SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = $1");
    let tables: i64 = tx.one(find.bind(table(service)), |row| row.get(0)).await?;
    Ok(tables > 0 && missing(tx, service, Engine::Sqlite).await?.is_empty())
}

/// Migrates a server's schema, which is made if there is none, in the transaction that has begun. One
/// process at a time: the others wait, at most so long as a statement may take. The lock is the
/// transaction's, not the session's, which may be a pooler's.
pub(super) async fn to_server(mut tx: Tx<'_>, service: &'static Service) -> Result<(), DbError> {
    let database = Statement::new("SELECT CAST(current_database() AS TEXT)");
    let database: String = tx.one(database, |row| row.get(0)).await?;
    let lock = Statement::new("SELECT pg_advisory_xact_lock($1)").bind(lock_number(&database));
    tx.execute(lock).await?;
    let schema = schema(service);
    // IF NOT EXISTS asks for the right to create even where there is nothing to create.
    let find = Statement::new("SELECT COUNT(*) FROM pg_catalog.pg_namespace WHERE nspname = $1");
    let schemas: i64 = tx.one(find.bind(schema.as_str()), |row| row.get(0)).await?;
    if schemas == 0 {
        tx.script(format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    apply(&mut tx, service, Engine::Postgres).await
}

/// Runs what is missing, in the transaction that has begun.
async fn apply(tx: &mut Tx<'_>, service: &'static Service, engine: Engine) -> Result<(), DbError> {
    let table = table(service);
    let (time, bytes) = match engine {
        Engine::Sqlite => ("TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP", "BLOB"),
        Engine::Postgres => ("TIMESTAMPTZ NOT NULL DEFAULT now()", "BYTEA"),
    };
    tx.script(format!(
        "CREATE TABLE IF NOT EXISTS {table} (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on {time}, success BOOLEAN NOT NULL, checksum {bytes} NOT NULL, \
         execution_time BIGINT NOT NULL)"
    ))
    .await?;
    for step in missing(tx, service, engine).await? {
        let started = Instant::now();
        let sql = step.sql(engine);
        tx.script(sql.to_owned()).await?;
        let note = Statement::assembled(format!(
            "INSERT INTO {table} (version, description, success, checksum, execution_time) \
             VALUES ($1, $2, TRUE, $3, $4)"
        ));
        let nanoseconds = i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let note = note.bind(step.version).bind(step.about).bind(checksum(sql)).bind(nanoseconds);
        tx.execute(note).await?;
    }
    Ok(())
}

/// The steps that have not run yet; an error where those that have are not ours.
async fn missing(
    tx: &mut Tx<'_>,
    service: &'static Service,
    engine: Engine,
) -> Result<Vec<&'static MigrationStep>, DbError> {
    let select = Statement::assembled(format!(
        "SELECT version, checksum, CAST(CASE WHEN success THEN 1 ELSE 0 END AS BIGINT) FROM {} ORDER BY version",
        table(service)
    ));
    let notes = tx.rows(select, noted).await?;
    let steps = steps(service.role);
    for note in &notes {
        let step = steps.iter().find(|step| step.version == note.version);
        let wrong = match step {
            _ if !note.success => "was not finished",
            None => "is not known to this version",
            Some(step) if checksum(step.sql(engine)) != note.checksum => "has been changed since it ran",
            Some(_) => continue,
        };
        return Err(DbError::Unusable(format!("migration {} {wrong}", note.version)));
    }
    Ok(steps.iter().filter(|step| !notes.iter().any(|note| note.version == step.version)).collect())
}

fn noted(row: &Row<'_>) -> Result<Noted, DbError> {
    Ok(Noted { version: row.get(0)?, checksum: row.get(1)?, success: row.get::<i64>(2)? != 0 })
}

/// One for each service, so that several can share a file.
fn table(service: &Service) -> String {
    format!("{}_migrations", schema(service))
}

fn checksum(sql: &str) -> Vec<u8> {
    Sha384::digest(sql.as_bytes()).to_vec()
}

/// sqlx's: a number of its own times the CRC-32 of the database's name.
fn lock_number(database: &str) -> i64 {
    let mut crc = Crc::new();
    crc.update(database.as_bytes());
    0x3d32_ad9e * i64::from(crc.sum())
}

impl MigrationStep {
    fn sql(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }
}
