//! Connections to PostgreSQL that are kept for the next operation.
//!
//! The one used last is taken first, and asked whether it lives only after it has been idle for a
//! while: in a busy lab an operation costs its own round trips and no others. When a connection is
//! lost, those that idle are taken for lost too.
//!
//! To open one takes long (a login is thousands of hashes, on one thread for all), so an operation that
//! waits takes whichever comes first, the one being opened for it or one that another has put back; and one
//! that is opened too late for its operation is there for the next.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::commit::ToTheEnd;
use super::connect::{PgServer, PgSession};
use super::failure::DbError;
use super::tx::Tx;

/// Idle for longer than this, a connection is asked before it is used.
const SURE: Duration = Duration::from_secs(1);
/// Idle for longer than this, it is closed: its server may want the memory.
const LONGEST_IDLE: Duration = Duration::from_secs(10 * 60);
/// Older than this, it is closed: a server that has moved is found again.
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 60);

/// Makes connections and keeps those that idle.
pub(super) struct PgPool {
    inner: Arc<PoolInner>,
    /// Sockets die with the runtime they were made on, and an HTTP worker's runtime ends before the
    /// relay and the last readiness checks do: so they are made on the one that opened the database.
    home: Handle,
}

struct PoolInner {
    server: PgServer,
    /// The longest one connection may take to be opened.
    patience: Duration,
    idle: Mutex<Vec<PgHeld>>,
    /// One has been put back, or opened.
    came: Notify,
    /// For as many as there may be, those that are being opened included.
    room: Arc<Semaphore>,
}

/// A connection. One that is dropped is closed, also when its operation is abandoned: it may still
/// be inside a transaction, and whatever the next operation writes would never be committed.
pub(super) struct PgHeld {
    connection: PgConnection,
    session: PgSession,
    in_transaction: bool,
    made: Instant,
    /// When it was used last.
    used: Instant,
    _room: OwnedSemaphorePermit,
}

impl PgHeld {
    /// What statements run on.
    pub(super) fn tx(&mut self) -> Tx<'_> {
        Tx::Postgres(&mut self.connection, self.session)
    }

    pub(super) fn session(&self) -> PgSession {
        self.session
    }

    /// Begins a transaction with this statement.
    pub(super) async fn begin(&mut self, statement: String) -> Result<(), DbError> {
        self.in_transaction = true;
        self.tx().script(statement).await
    }

    /// Ends the transaction with this statement.
    pub(super) async fn end(&mut self, statement: &str) -> Result<(), DbError> {
        self.tx().script(statement.to_owned()).await?;
        self.in_transaction = false;
        Ok(())
    }
}

impl PgPool {
    /// For at most `most` connections. To be made within the runtime that lives as long as the process.
    pub(super) fn new(server: PgServer, patience: Duration, most: usize) -> Self {
        let (idle, came, room) = (Mutex::default(), Notify::new(), Arc::new(Semaphore::new(most)));
        Self { inner: Arc::new(PoolInner { server, patience, idle, came, room }), home: Handle::current() }
    }

    pub(super) fn server(&self) -> &PgServer {
        &self.inner.server
    }

    /// A connection that works, as far as one can know. Give it back with [`PgPool::put`].
    pub(super) async fn get(&self, deadline: Instant) -> Result<PgHeld, DbError> {
        timeout_at(deadline, self.first_to_come()).await.unwrap_or(Err(DbError::NoConnection))
    }

    async fn first_to_come(&self) -> Result<PgHeld, DbError> {
        let mut opening = None;
        loop {
            let mut came = pin!(self.inner.came.notified());
            // From here on, so that none comes unseen between the search and the wait.
            came.as_mut().enable();
            while let Some(mut held) = self.inner.pop() {
                if held.used.elapsed() < SURE || held.connection.ping().await.is_ok() {
                    return Ok(held);
                }
            }
            tokio::select! {
                biased;
                () = came => {}
                opened = ended(&mut opening), if opening.is_some() => {
                    opening = None;
                    opened?;
                }
                room = self.inner.room.clone().acquire_owned(), if opening.is_none() => {
                    opening = Some(self.open(room.map_err(|_| DbError::Closed)?));
                }
            }
        }
    }

    /// Opens a connection and puts it to those that idle, whoever still waits for it.
    fn open(&self, room: OwnedSemaphorePermit) -> JoinHandle<Result<(), DbError>> {
        let inner = self.inner.clone();
        self.home.spawn(async move {
            let opened = timeout(inner.patience, inner.server.connect()).await;
            let (connection, session) = opened.map_err(|_| DbError::NoConnection)??;
            let now = Instant::now();
            inner.keep(PgHeld {
                connection,
                session,
                in_transaction: false,
                made: now,
                used: now,
                _room: room,
            });
            Ok(())
        })
    }

    /// Takes back a connection whose operation has ended with `answer`, and keeps it if it is sound.
    pub(super) fn put<T>(&self, mut held: PgHeld, answer: &Result<T, DbError>) {
        let sound = answer.as_ref().err().is_none_or(DbError::leaves_connection);
        if sound && !held.in_transaction {
            held.used = Instant::now();
            self.inner.keep(held);
        } else if answer.as_ref().is_err_and(DbError::is_away) {
            self.inner.lock().clear();
        }
    }

    /// Commits the transaction of `held`, calls `committed` with what it did, and takes the connection back.
    /// Once begun this goes on although its caller has stopped waiting: a commit that was sent may be done.
    pub(super) async fn commit<T: Send + 'static>(
        self: &Arc<Self>,
        mut held: PgHeld,
        value: T,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, DbError> {
        let pool = self.clone();
        let commit = async move {
            let answer = held.end("COMMIT").await.map(|()| value);
            if let Ok(value) = &answer {
                committed(value);
            }
            pool.put(held, &answer);
            answer
        };
        ToTheEnd::new(Box::pin(commit), self.home.clone()).await
    }

    /// How many idle, after those that did so for too long have been closed.
    pub(super) fn idle(&self) -> usize {
        let mut idle = self.inner.lock();
        idle.retain(|one| one.used.elapsed() < LONGEST_IDLE);
        idle.len()
    }
}

impl PoolInner {
    fn pop(&self) -> Option<PgHeld> {
        let mut idle = self.lock();
        loop {
            let one = idle.pop()?;
            if one.made.elapsed() < LONGEST_LIFE {
                return Some(one);
            }
        }
    }

    fn keep(&self, held: PgHeld) {
        self.lock().push(held);
        self.came.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PgHeld>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of an attempt to open, if there is one.
async fn ended(opening: &mut Option<JoinHandle<Result<(), DbError>>>) -> Result<(), DbError> {
    match opening {
        Some(opening) => opening.await.unwrap_or(Err(DbError::NoConnection)),
        None => std::future::pending().await,
    }
}
