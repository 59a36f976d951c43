//! How a connection to PostgreSQL is made, and whose the session behind it is.
//!
//! A pooler in transaction mode (PgBouncer, RDS Proxy) lends a session for one transaction: what is SET
//! for a session hits the next one who gets it, and a statement that was prepared may be unknown there.
//! So the settings of a session travel in the startup packet, which a pooler refuses or drops and never
//! passes on, and one of them is read back. Where it is not there, each transaction makes the settings for
//! itself, and nothing is prepared under a name.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Executor, Row};
use tokio::time::sleep;
use tracing::info;

/// Between two attempts to connect to a server that is starting.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(300);

/// A setting of our own, which says whose session it is. PostgreSQL takes any name that has a dot.
const MARK: &str = "o11y_lab.schema";
const READ_MARK: &str = "SELECT current_setting('o11y_lab.schema', true)";

/// Whose the session behind a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PgSession {
    /// This connection's, with our settings, for as long as it lasts.
    Own,
    /// A pooler's, for one transaction.
    Lent,
}

/// Where the server is, and what every session of ours is set to.
pub(super) struct PgServer {
    schema: String,
    /// How long a statement may take.
    patience: Duration,
    plain: PgConnectOptions,
    behind_pooler: AtomicBool,
}

impl PgServer {
    pub(super) fn new(options: PgConnectOptions, schema: String, patience: Duration) -> Self {
        // The digits of floating-point numbers, of which we store none: poolers refuse that setting.
        let plain = options.extra_float_digits(None);
        Self { schema, patience, plain, behind_pooler: AtomicBool::new(false) }
    }

    /// Begins a transaction on a session of this kind.
    pub(super) fn begin(&self, session: PgSession) -> String {
        match session {
            PgSession::Own => "BEGIN".to_owned(),
            PgSession::Lent => self.begin_within(self.patience),
        }
    }

    /// Begins a transaction whose statements may take so long, on a session of either kind.
    pub(super) fn begin_within(&self, limit: Duration) -> String {
        let local = |(name, value)| format!("; SET LOCAL {name} TO '{value}'");
        let settings: String = self.settings(limit).into_iter().map(local).collect();
        format!("BEGIN{settings}")
    }

    /// The last one frees the locks of a client that vanished in the middle of a transaction.
    fn settings(&self, limit: Duration) -> [(&'static str, String); 3] {
        let milliseconds = limit.as_millis().max(1);
        [
            ("search_path", self.schema.clone()),
            ("statement_timeout", milliseconds.to_string()),
            ("idle_in_transaction_session_timeout", (milliseconds * 4).to_string()),
        ]
    }

    /// Goes on trying while the server refuses as one that is starting does. Await it with a time limit.
    pub(super) async fn connect(&self) -> sqlx::Result<(PgConnection, PgSession)> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_connect().await {
                Err(error) if may_pass(&error) => {}
                connected => return connected,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_connect(&self) -> sqlx::Result<(PgConnection, PgSession)> {
        if !self.behind_pooler.load(Ordering::Relaxed) {
            match self.own_session().await {
                Ok(Some(connection)) => return Ok((connection, PgSession::Own)),
                Ok(None) => {}
                Err(error) if refuses_settings(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let connection = self.plain.connect().await?;
        if !self.behind_pooler.swap(true, Ordering::Relaxed) {
            info!("A connection pooler stands before PostgreSQL: settings are made in each transaction");
        }
        Ok((connection, PgSession::Lent))
    }

    /// `None` where the session does not have our settings.
    async fn own_session(&self) -> sqlx::Result<Option<PgConnection>> {
        let settings = self.settings(self.patience).into_iter().chain([(MARK, self.schema.clone())]);
        let mut connection = self.plain.clone().options(settings).connect().await?;
        // Not prepared: it is not known yet whether the session stays.
        let mark: Option<String> = connection.fetch_one(sqlx::raw_sql(READ_MARK)).await?.try_get(0)?;
        Ok((mark.as_deref() == Some(&self.schema)).then_some(connection))
    }
}

/// protocol_violation, as PgBouncer says it; feature_not_supported, as RDS Proxy does.
fn refuses_settings(error: &sqlx::Error) -> bool {
    has_code(error, &["08P01", "0A000"])
}

fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        // too_many_connections, cannot_connect_now
        error => has_code(error, &["53300", "57P03"]),
    }
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| codes.contains(&&*code))
}
