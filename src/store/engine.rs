//! Which database, where, and how each of its connections is set up.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::StoreError;
use super::connect::PgServer;
use crate::config::{StoreConfig, default_data_dir};
use crate::schema::Service;
use crate::sqlite::make_file;

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
}

/// Everything needed to connect.
pub(super) struct Target {
    pub(super) place: DatabasePlace,
    /// `db.namespace`.
    pub(super) namespace: String,
    /// How long the server or SQLite may take. They stop before we do: then the connection is sound
    /// and can be used again.
    pub(super) patience: Duration,
}

/// Where the rows are.
pub(super) enum DatabasePlace {
    File(PathBuf),
    Server(Box<PgServer>),
}

impl Target {
    /// Reads the settings of one service; fails only where they can never work.
    pub(super) fn of(service: &'static Service, config: &StoreConfig) -> Result<Self, StoreError> {
        let patience = config.database_timeout * 3 / 4;
        match config.database_url.as_deref() {
            Some(url) if url.starts_with("sqlite:") => sqlite(&file_of(url)?, patience),
            Some(url) => postgres(url, service, patience),
            None => {
                let folder = config.data_dir.clone().unwrap_or_else(default_data_dir);
                sqlite(&folder.join(file_name(service)?), patience)
            }
        }
    }
}

/// PostgreSQL's schema of a service, and the beginning of its table of migrations.
pub(super) fn schema(service: &Service) -> String {
    service.name.replace('-', "_")
}

fn file_name(service: &Service) -> Result<&'static str, StoreError> {
    service.store.ok_or_else(|| StoreError::Config(format!("{} keeps no database", service.name)))
}

fn bad_url(error: impl std::fmt::Display) -> StoreError {
    StoreError::Config(format!("--database-url (DATABASE_URL) cannot be used: {error}"))
}

/// The path in `sqlite://path?parameters`, percent-decoded. Parameters other programs understand are
/// allowed, but for those that would say something other than what happens.
fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    let rest = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    if path.contains(":memory:") || parameters.split('&').any(|one| one == "mode=memory") {
        return Err(bad_url("a database in memory forgets its rows"));
    }
    for parameter in parameters.split('&').filter(|one| !one.is_empty()) {
        match parameter.split_once('=').unwrap_or((parameter, "")) {
            ("mode", "rw" | "rwc" | "ro") | ("cache", "private" | "shared") | ("vfs", _) => {}
            ("immutable", "true" | "false" | "1" | "0") => {}
            (name, _) => return Err(bad_url(format!("parameter {name:?} or its value is unknown"))),
        }
    }
    let path = percent_decode_str(path).decode_utf8().map_err(bad_url)?;
    Ok(PathBuf::from(&*path))
}

fn sqlite(file: &Path, patience: Duration) -> Result<Target, StoreError> {
    let unusable =
        |e| StoreError::Config(format!("cannot write to {} (--data-dir, DATA_DIR): {e}", file.display()));
    let file = std::path::absolute(file).map_err(unusable)?;
    make_file(&file).map_err(unusable)?;
    let namespace = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Target { place: DatabasePlace::File(file), namespace, patience })
}

fn postgres(url: &str, service: &Service, patience: Duration) -> Result<Target, StoreError> {
    let mut options = PgConnectOptions::from_str(url).map_err(bad_url)?;
    if options.get_application_name().is_none() {
        options = options.application_name(service.name);
    }
    let schema = schema(service);
    let namespace = format!("{}|{schema}", options.get_database().unwrap_or(options.get_username()));
    // The spans and metrics of this module say what the statements do.
    let server = PgServer::new(options.disable_statement_logging(), schema, patience);
    Ok(Target { place: DatabasePlace::Server(Box::new(server)), namespace, patience })
}
