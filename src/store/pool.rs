//! Connections to PostgreSQL that are kept for the next operation.
//!
//! The one used last is taken first, and asked whether it lives only after it has been idle for a
//! while: in a busy lab an operation costs its own round trips and no others. When a connection is
//! lost, those that idle are taken for lost too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::failure::DbError;

/// Idle for longer than this, a connection is asked before it is used.
const SURE: Duration = Duration::from_secs(1);
/// Idle for longer than this, it is closed: its server may want the memory.
const LONGEST_IDLE: Duration = Duration::from_secs(10 * 60);
/// Older than this, it is closed: a server that has moved is found again.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 60);
/// Between two attempts to connect to a server that is starting.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(300);

/// How connections are made, and those that idle. How many are in use at once is the caller's to
/// bound.
pub(super) struct PgPool {
    options: PgConnectOptions,
    /// Run on every new connection.
    setup: Arc<str>,
    idle: Mutex<Vec<PgHeld>>,
    /// Sockets die with the runtime they were made on, and an HTTP worker's runtime ends before the
    /// relay and the last readiness checks do: so they are made on the one that opened the database.
    home: Handle,
}

/// A connection. One that is dropped is closed, also when its operation is abandoned: it may still
/// be inside a transaction, and whatever the next operation writes would never be committed.
pub(super) struct PgHeld {
    connection: PgConnection,
    made: Instant,
    /// When it was used last.
    used: Instant,
}

impl PgHeld {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    async fn is_alive(&mut self, deadline: Instant) -> bool {
        matches!(timeout_at(deadline, self.connection.ping()).await, Ok(Ok(())))
    }
}

impl PgPool {
    /// To be made within the runtime that lives as long as the process.
    pub(super) fn new(options: PgConnectOptions, setup: Arc<str>) -> Self {
        Self { options, setup, idle: Mutex::default(), home: Handle::current() }
    }

    /// A connection that works, as far as one can know. Give it back with [`PgPool::put`].
    pub(super) async fn get(&self, deadline: Instant) -> Result<PgHeld, DbError> {
        while let Some(mut held) = self.pop() {
            if held.used.elapsed() < SURE || held.is_alive(deadline).await {
                return Ok(held);
            }
        }
        let (connection, now) = (self.connect(deadline).await?, Instant::now());
        Ok(PgHeld { connection, made: now, used: now })
    }

    /// Takes back a connection whose operation has ended with `answer`, and keeps it if it is sound.
    pub(super) fn put<T>(&self, mut held: PgHeld, answer: &Result<T, DbError>, in_transaction: bool) {
        let sound = match answer {
            Ok(_) => true,
            Err(error) => error.is_refusal() && !in_transaction,
        };
        if sound {
            held.used = Instant::now();
            self.lock().push(held);
        } else if answer.as_ref().is_err_and(DbError::is_away) {
            self.lock().clear();
        }
    }

    /// A new connection that is never kept.
    pub(super) async fn connect(&self, deadline: Instant) -> Result<PgConnection, DbError> {
        let (options, setup) = (self.options.clone(), self.setup.clone());
        let connecting = AbortOnDropHandle::new(self.home.spawn(connect(options, setup)));
        match timeout_at(deadline, connecting).await {
            Ok(Ok(connected)) => Ok(connected?),
            Ok(Err(_)) | Err(_) => Err(DbError::NoConnection),
        }
    }

    /// How many idle, after those that did so for too long have been closed.
    pub(super) fn idle(&self) -> usize {
        let mut idle = self.lock();
        idle.retain(|one| one.used.elapsed() < LONGEST_IDLE);
        idle.len()
    }

    fn pop(&self) -> Option<PgHeld> {
        let mut idle = self.lock();
        loop {
            let one = idle.pop()?;
            if one.made.elapsed() < LONGEST_LIFE {
                return Some(one);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PgHeld>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes on trying while the server refuses as one that is starting does.
async fn connect(options: PgConnectOptions, setup: Arc<str>) -> sqlx::Result<PgConnection> {
    let mut pause = FIRST_PAUSE;
    loop {
        match options.connect().await {
            Ok(mut connection) => {
                connection.execute(sqlx::raw_sql(AssertSqlSafe(setup.to_string()))).await?;
                return Ok(connection);
            }
            Err(error) if may_pass(&error) => {}
            Err(error) => return Err(error),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        // too_many_connections, cannot_connect_now
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("53300" | "57P03")),
        _ => false,
    }
}
