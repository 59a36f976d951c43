//! Whether the database that the settings name can be had, asked without changing anything in it.

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::config::StoreConfig;

/// Connects to the PostgreSQL of the settings and leaves again; `None` where they name none.
///
/// # Errors
/// The URL cannot be used, or the server cannot be had within the settings' time limit; without URL and login.
pub async fn reached(config: &StoreConfig) -> Option<Result<(), String>> {
    let url = config.database_url.as_deref().filter(|url| !url.starts_with("sqlite:"))?;
    let asked = async {
        let options = PgConnectOptions::from_str(url).map_err(|error| error.to_string())?;
        // As the services connect: a pooler refuses the setting.
        let connection =
            options.extra_float_digits(None).connect().await.map_err(|error| error.to_string())?;
        connection.close().await.map_err(|error| error.to_string())
    };
    let late = || Err(format!("no connection within {:?}", config.database_timeout));
    Some(tokio::time::timeout(config.database_timeout, asked).await.unwrap_or_else(|_| late()))
}
