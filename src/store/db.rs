//! One service's database, which may be lost and found again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use super::StoreError;
use super::engine::{DatabasePlace, Engine, Target};
use super::leak::{Leak, Trouble};
use super::migrate::{self, MigrationState, Plan};
use super::op::Op;
use super::pool::PgPool;
use crate::config::StoreConfig;
use crate::runtime::fault::FaultSettings;
use crate::runtime::{Faults, Runtime, Shutdown};
use crate::schema::{Service, faults, names};
use crate::sqlite::{FileOptions, SqliteFile};

/// How long [`Db::open`] waits for the first attempt to migrate.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// `/ready` gives its checks a second; a little less lets us say the reason ourselves.
const READY_WAIT: Duration = Duration::from_millis(900);
/// Bytes on the disk of a SQLite file below which a transaction may not fit: its pages go into the log first.
const LEAST_ROOM: u64 = 1 << 20;
/// Time between two updates of the pool's gauges.
const POOL_INTERVAL: Duration = Duration::from_secs(1);

static READY: Op = Op::quiet("SELECT", "(none)");

/// A service's database. Clones share one file's thread or one pool.
#[derive(Clone)]
pub struct Db {
    inner: Arc<DbInner>,
}

struct DbInner {
    backend: Backend,
    namespace: String,
    timeout: Duration,
    /// As many as there may be connections.
    places: Semaphore,
    most: usize,
    schema: watch::Receiver<MigrationState>,
    faults: OnceLock<Faults>,
    leak: Leak,
}

/// What the operations run on. Clones share it.
#[derive(Clone)]
pub(super) enum Backend {
    Sqlite(SqliteFile),
    Postgres(Arc<PgPool>),
}

impl Backend {
    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }
}

/// Whether a file can grow; one that cannot be had is the store's to say. A look at the disk's counters: nothing is
/// written.
async fn has_room(file: &SqliteFile) -> Result<(), String> {
    match timeout(READY_WAIT, file.bytes_left()).await {
        Ok(Ok(left)) if left < LEAST_ROOM => Err("the disk is full: what writes is refused".to_owned()),
        Err(_) => Err(super::failure::TOO_SLOW.to_owned()),
        Ok(_) => Ok(()),
    }
}

impl Db {
    /// Opens the database of `service`, to be called within the runtime that lives as long as the
    /// process. A database that is away is no error: operations answer [`StoreError::Unavailable`]
    /// until it is back and migrated, which goes on being tried in the background.
    ///
    /// # Errors
    /// [`StoreError::Config`] where the URL or the data folder can never work.
    pub async fn open(service: &'static Service, config: &StoreConfig) -> Result<Self, StoreError> {
        let Target { place, namespace, patience } = Target::of(service, config)?;
        let plan = Plan { service };
        let most = config.database_max_connections.min(Semaphore::MAX_PERMITS);
        let backend = match place {
            DatabasePlace::File(path) => Backend::Sqlite(SqliteFile::new(FileOptions {
                path,
                busy_timeout: patience,
                run_timeout: patience,
                prepare: plan.on_each_file(),
            })),
            DatabasePlace::Server(server) => {
                Backend::Postgres(Arc::new(PgPool::new(*server, config.database_timeout * 2, most)))
            }
        };
        let mut schema = migrate::start(backend.clone(), plan);
        let _ = timeout(FIRST_WAIT, schema.changed()).await;
        let inner = DbInner {
            backend,
            namespace,
            timeout: config.database_timeout,
            places: Semaphore::new(most),
            most,
            schema,
            faults: OnceLock::new(),
            leak: Leak::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether operations can run: migrated, and the database answers.
    ///
    /// # Errors
    /// The reason, in words that name no address.
    pub async fn ready(&self) -> Result<(), String> {
        match timeout(READY_WAIT.min(self.inner.timeout), self.ask(&READY)).await {
            Ok(answer) => answer.map_err(|e| e.to_string()),
            Err(_) => Err(super::failure::TOO_SLOW.to_owned()),
        }
    }

    /// Makes readiness depend on the database's answer, and the database as slow and its pool as small as
    /// the role's faults want them.
    pub fn watch(&self, runtime: &Runtime) {
        self.inner.faults.get_or_init(|| runtime.faults().clone());
        let db = self.clone();
        runtime.faults().on_change(faults::POOL_LEAK, move |settings| {
            db.inner.leak.changed(&db.inner.places, settings.map(FaultSettings::connections));
        });
        let db = self.clone();
        runtime.health().require("store", move || {
            let db = db.clone();
            Box::pin(async move { db.ready().await })
        });
        if let Backend::Sqlite(file) = &self.inner.backend {
            let file = file.clone();
            // What is there can still be read, and another instance would have the same disk.
            runtime.health().prefer("disk", move || {
                let file = file.clone();
                Box::pin(async move { has_room(&file).await })
            });
        }
    }

    /// Closes the database, as one that is lost.
    #[cfg(test)]
    pub(super) async fn close(&self) {
        self.inner.places.close();
        if let Backend::Sqlite(file) = &self.inner.backend {
            file.close().await;
        }
    }

    /// What faults do to the operation that begins now.
    pub(super) fn trouble(&self) -> Trouble {
        let Some(all) = self.inner.faults.get() else { return Trouble::default() };
        Trouble {
            slow: all.hits(faults::SLOW_DB).map(|slow| slow.extra()),
            scarce: self.inner.leak.lasts(),
            leaks: all.hits(faults::POOL_LEAK).is_some(),
        }
    }

    pub(super) fn leak(&self) -> &Leak {
        &self.inner.leak
    }

    /// Whether every place has leaked.
    pub(super) fn leaked_all(&self) -> bool {
        self.inner.leak.leaked() >= self.inner.most
    }

    /// Why no operation can run yet, if so.
    pub(super) fn state(&self) -> MigrationState {
        *self.inner.schema.borrow()
    }

    /// When an operation that begins now must be over.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.inner.timeout
    }

    pub(super) fn backend(&self) -> &Backend {
        &self.inner.backend
    }

    pub(super) fn places(&self) -> &Semaphore {
        &self.inner.places
    }

    pub(super) fn engine(&self) -> Engine {
        self.inner.backend.engine()
    }

    /// `db.namespace`.
    pub(super) fn namespace(&self) -> &str {
        &self.inner.namespace
    }

    /// Shows the pool's size until `shutdown` begins. By the clock and not with each operation: the
    /// last one of a burst would leave the burst's number standing until the next one. Of a file,
    /// whose thread is one connection for all, the gauge shows the operations under way.
    pub async fn watch_pool(self, shutdown: Shutdown) {
        let DbInner { backend, places, most, .. } = &*self.inner;
        metrics::gauge!(names::DB_POOL_MAX).set(*most as f64);
        let idle_gauge = metrics::gauge!(names::DB_POOL, "state" => "idle");
        let used_gauge = metrics::gauge!(names::DB_POOL, "state" => "used");
        while !shutdown.begun() {
            let free = places.available_permits();
            let idle = match backend {
                Backend::Sqlite(_) => free,
                Backend::Postgres(pool) => pool.idle(),
            };
            idle_gauge.set(idle as f64);
            used_gauge.set(most.saturating_sub(free) as f64);
            tokio::select! { () = sleep(POOL_INTERVAL) => {}, () = shutdown.wait() => {} }
        }
    }
}
