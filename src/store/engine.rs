//! Which database, where, and how each of its connections is set up.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::any::AnyConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::StoreError;
use crate::config::{StoreConfig, default_data_dir};
use crate::schema::Service;

/// What a path keeps unencoded in a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// The databases this program speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// A file of the service's own.
    Sqlite,
    /// A schema of the service's own.
    Postgres,
}

impl Engine {
    /// `db.system.name`.
    pub(super) fn system(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }

    /// Begins a transaction that writes. SQLite takes the write lock at once: a transaction that
    /// reads first and writes later fails when another writer came between, without any waiting.
    pub(super) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }
}

/// Everything needed to connect.
pub(super) struct Target {
    pub(super) engine: Engine,
    pub(super) options: AnyConnectOptions,
    /// `db.namespace`.
    pub(super) namespace: String,
    /// Run on every new connection.
    pub(super) setup: Arc<str>,
    /// PostgreSQL's schema for this service.
    pub(super) schema: Option<String>,
}

impl Target {
    /// Reads the settings of one service; fails only where they can never work.
    pub(super) fn of(service: &'static Service, config: &StoreConfig) -> Result<Self, StoreError> {
        // The server gives up before we do: then the connection is sound and can be used again.
        let patience = config.database_timeout * 3 / 4;
        match config.database_url.as_deref() {
            Some(url) if url.starts_with("sqlite:") => {
                if url.contains("mode=memory") || url.contains(":memory:") {
                    let text =
                        "--database-url (DATABASE_URL) cannot be used: a database in memory forgets its rows";
                    return Err(StoreError::Config(text.to_owned()));
                }
                sqlite(SqliteConnectOptions::from_str(url).map_err(bad_url)?.get_filename(), patience)
            }
            Some(url) => postgres(url, service, patience),
            None => {
                let folder = config.data_dir.clone().unwrap_or_else(default_data_dir);
                sqlite(&folder.join(file_name(service)?), patience)
            }
        }
    }
}

fn file_name(service: &Service) -> Result<&'static str, StoreError> {
    service.store.ok_or_else(|| StoreError::Config(format!("{} keeps no database", service.name)))
}

fn bad_url(error: sqlx::Error) -> StoreError {
    StoreError::Config(format!("--database-url (DATABASE_URL) cannot be used: {error}"))
}

fn sqlite(file: &Path, patience: Duration) -> Result<Target, StoreError> {
    let unusable =
        |e| StoreError::Config(format!("cannot write to {} (--data-dir, DATA_DIR): {e}", file.display()));
    let file = std::path::absolute(file).map_err(unusable)?;
    prepare_file(&file).map_err(unusable)?;
    // Encoded by hand: sqlx's own URL leaves a '%' as it is, and panics at some relative paths.
    let path = percent_encode(file.as_os_str().as_encoded_bytes(), PATH);
    let options = AnyConnectOptions::from_str(&format!("sqlite://{path}?mode=rwc")).map_err(bad_url)?;
    // NORMAL with a write-ahead log survives the death of any process; only a power cut can cost
    // the last transactions. Commits without an fsync are what keeps a laptop's lab quick.
    let setup = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;",
        patience.as_millis().max(1)
    );
    let namespace = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Target { engine: Engine::Sqlite, options, namespace, setup: setup.into(), schema: None })
}

/// Makes the folder and an empty file, readable by this user alone. A file that exists is left to
/// the first connection: what is wrong with it may be put right while we run.
fn prepare_file(file: &Path) -> std::io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn postgres(url: &str, service: &Service, patience: Duration) -> Result<Target, StoreError> {
    // Parsed here for its errors; the pool parses it again, TLS parameters included.
    let parsed = PgConnectOptions::from_str(url).map_err(bad_url)?;
    let mut options = AnyConnectOptions::from_str(url).map_err(bad_url)?;
    let url = &mut options.database_url;
    if !url.query_pairs().any(|(key, _)| key == "application_name") {
        url.query_pairs_mut().append_pair("application_name", service.name);
    }
    let schema = service.name.replace('-', "_");
    let milliseconds = patience.as_millis().max(1);
    // The last one frees the locks of a client that vanished in the middle of a transaction.
    let setup = format!(
        "SET search_path TO \"{schema}\"; SET statement_timeout = {milliseconds}; \
         SET idle_in_transaction_session_timeout = {};",
        milliseconds * 4
    );
    let namespace = format!("{}|{schema}", parsed.get_database().unwrap_or(parsed.get_username()));
    Ok(Target { engine: Engine::Postgres, options, namespace, setup: setup.into(), schema: Some(schema) })
}
