//! One service's database: a bounded pool that may be lost and found again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::StoreError;
use super::engine::{Engine, Target};
use super::migrate::{self, Plan, State};
use super::session::{Op, Session};
use crate::config::StoreConfig;
use crate::runtime::{Faults, Runtime, Shutdown};
use crate::schema::{Service, faults, names};

/// How long [`Db::open`] waits for the first attempt to migrate.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// `/ready` gives its checks a second; a little less lets us say the reason ourselves.
const READY_WAIT: Duration = Duration::from_millis(900);
/// Time between two looks at the pool.
const POOL_INTERVAL: Duration = Duration::from_secs(1);
/// The longest a test waits for connections to close.
#[cfg(test)]
const CLOSE_WAIT: Duration = Duration::from_secs(2);

static READY: Op = Op::quiet("SELECT", "(none)");

/// A service's database. Clones share one pool.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    pool: AnyPool,
    engine: Engine,
    namespace: String,
    timeout: Duration,
    schema: watch::Receiver<State>,
    runtime: Handle,
    faults: OnceLock<Faults>,
}

impl Db {
    /// Opens the database of `service`, to be called within the runtime that lives as long as the
    /// process. A database that is away is no error: operations answer [`StoreError::Unavailable`]
    /// until it is back and migrated, which goes on being tried in the background.
    ///
    /// # Errors
    /// [`StoreError::Config`] where the URL or the data folder can never work.
    pub async fn open(service: &'static Service, config: &StoreConfig) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let target = Target::of(service, config)?;
        let setup = target.setup.clone();
        let most = u32::try_from(config.database_max_connections).unwrap_or(u32::MAX);
        let pool = AnyPoolOptions::new()
            .max_connections(most)
            .acquire_timeout(config.database_timeout)
            .after_connect(move |connection, _| {
                let setup = sqlx::AssertSqlSafe(setup.clone());
                Box::pin(async move { sqlx::raw_sql(setup).execute(connection).await.map(drop) })
            })
            // The spans and metrics of this module say what the statements do.
            .connect_lazy_with(target.options.disable_statement_logging());
        let plan = Plan { service, engine: target.engine, schema: target.schema };
        let mut schema = migrate::start(pool.clone(), plan);
        let _ = timeout(FIRST_WAIT, schema.changed()).await;
        let inner = Inner {
            pool,
            engine: target.engine,
            namespace: target.namespace,
            timeout: config.database_timeout,
            schema,
            runtime: Handle::current(),
            faults: OnceLock::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether operations can run: migrated, and the database answers.
    ///
    /// # Errors
    /// The reason, in words that name no address.
    pub async fn ready(&self) -> Result<(), String> {
        let ask = async {
            // Not `session`: no fault hits readiness.
            let mut session = Session::open(self, &READY).await?;
            session.rows(sqlx::query("SELECT 1"), |_| Ok(())).await
        };
        match timeout(READY_WAIT.min(self.inner.timeout), ask).await {
            Ok(answer) => answer.map(drop).map_err(|e| e.to_string()),
            Err(_) => Err(super::failure::TOO_SLOW.to_owned()),
        }
    }

    /// Makes readiness depend on the database's answer, and the database as slow as the role's faults
    /// want it.
    pub fn watch(&self, runtime: &Runtime) {
        self.inner.faults.get_or_init(|| runtime.faults().clone());
        let db = self.clone();
        runtime.health().require("store", move || {
            let db = db.clone();
            Box::pin(async move { db.ready().await })
        });
    }

    /// Closes the pool, as a database that is lost; what cannot be closed in time is left behind.
    #[cfg(test)]
    pub(super) async fn close(&self) {
        let _ = timeout(CLOSE_WAIT, self.inner.pool.close()).await;
    }

    /// Begins an operation: takes a connection, starts its clock and, where traced, its span.
    pub(super) async fn session(&self, op: &'static Op) -> Result<Session, StoreError> {
        let mut session = Session::open(self, op).await?;
        let slow = self.inner.faults.get().and_then(|all| all.hits(faults::SLOW_DB));
        if let Some(slow) = slow {
            session.linger(slow.extra()).await?;
        }
        Ok(session)
    }

    /// A connection of the pool. It is made on the runtime that opened the database, because a
    /// socket dies with the runtime it was made on, and an HTTP worker's runtime ends before the
    /// relay and the last readiness checks do.
    pub(super) async fn connect(&self, deadline: Instant) -> sqlx::Result<PoolConnection<Any>> {
        let acquiring = AbortOnDropHandle::new(self.inner.runtime.spawn(self.inner.pool.acquire()));
        match timeout_at(deadline, acquiring).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(_)) => Err(sqlx::Error::PoolClosed),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// Why no operation can run yet, if so.
    pub(super) fn state(&self) -> State {
        *self.inner.schema.borrow()
    }

    /// When an operation that begins now must be over.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.inner.timeout
    }

    pub(super) fn engine(&self) -> Engine {
        self.inner.engine
    }

    /// `db.namespace`.
    pub(super) fn namespace(&self) -> &str {
        &self.inner.namespace
    }

    /// The runtime the connections live on.
    pub(super) fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// Shows the pool's size until `shutdown` begins. By the clock and not with each operation: the
    /// last one of a burst would leave the burst's number standing for as long as nobody comes.
    pub async fn watch_pool(self, shutdown: Shutdown) {
        let pool = &self.inner.pool;
        metrics::gauge!(names::DB_POOL_MAX).set(f64::from(pool.options().get_max_connections()));
        while !shutdown.begun() {
            let idle = pool.num_idle();
            let used = (pool.size() as usize).saturating_sub(idle);
            metrics::gauge!(names::DB_POOL, "state" => "idle").set(idle as f64);
            metrics::gauge!(names::DB_POOL, "state" => "used").set(used as f64);
            tokio::select! { () = sleep(POOL_INTERVAL) => {}, () = shutdown.wait() => {} }
        }
    }
}
