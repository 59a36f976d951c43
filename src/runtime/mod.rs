//! What every role stands on: telemetry, metrics, HTTP in and out, health, shutdown.
//!
//! A role supplies a route table, a router and, if it has one, a background task; [`Runtime`] does
//! the rest: it binds first, serves later, and stops in one order (intake, requests, background
//! tasks, spans).

pub mod body;
pub mod client;
pub mod deadline;
pub mod error;
pub mod fault;
pub mod health;
pub mod http;
pub mod metrics;
pub mod oneshot;
pub(crate) mod process;
pub mod propagation;
pub mod redact;
pub mod shutdown;
pub mod telemetry;
pub(crate) mod tls;
pub mod writer;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::ServiceConfig;
use anyhow::Context;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub use error::Problem;
pub use fault::Faults;
pub use health::Health;
pub use shutdown::Shutdown;
pub use telemetry::Telemetry;

use crate::config::{HttpConfig, RoleConfig};
use crate::schema::{Role, Route, Service};

/// What a role logs when its work is done and only the export of its last telemetry is left.
pub(crate) const STOPPED: &str = "stopped";
/// The longest the last export of spans may hold up the exit.
const FLUSH_DEADLINE: Duration = Duration::from_secs(3);

/// Time a task may take beyond the deadline to release what it could not finish.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// One running role.
pub struct Runtime {
    service: &'static Service,
    routes: &'static [Route],
    http: HttpConfig,
    address: SocketAddr,
    /// Taken by [`Runtime::serve`].
    listener: Option<TcpListener>,
    telemetry: Telemetry,
    recorder: metrics::Recorder,
    health: Health,
    faults: Faults,
    shutdown: Shutdown,
    last_call: Shutdown,
    background: Vec<JoinHandle<()>>,
    on_answer: http::OnAnswer,
}

impl Runtime {
    /// Starts telemetry and metrics and takes the port; nothing is served yet.
    pub fn start(role: Role, config: &RoleConfig, routes: &'static [Route]) -> anyhow::Result<Self> {
        let service = role.service();
        // Metrics before telemetry: the exporter counts from its first span on.
        let recorder = metrics::Recorder::install(service, routes)?;
        let telemetry = telemetry::start(service.name, &config.otel, &config.log, Some(&recorder))?;
        let port = config.http.port.unwrap_or(service.port());
        let listener = TcpListener::bind((config.http.host, port))
            .with_context(|| format!("cannot listen on {}:{port} (--port, PORT)", config.http.host))?;
        let shutdown = Shutdown::new(config.http.shutdown_grace);
        shutdown.listen().context("cannot listen for signals")?;
        Ok(Self {
            service,
            routes,
            http: config.http.clone(),
            address: listener.local_addr()?,
            listener: Some(listener),
            telemetry,
            recorder,
            health: Health::default(),
            faults: match config.fault.faults_enabled {
                true => Faults::possible(role, routes),
                false => Faults::default(),
            },
            last_call: shutdown.later_stage(),
            shutdown,
            background: Vec::new(),
            on_answer: Arc::new(|_, _| {}),
        })
    }

    /// Releases the port: on AWS Lambda nothing connects.
    pub fn unlisten(&mut self) {
        self.listener = None;
    }

    /// What this process needs; roles add to it.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What goes wrong here on purpose.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Says on `/ready` whether another service is there. Its outage must not take this one out of
    /// rotation too, so it does not decide.
    pub fn prefer(&self, peer: Role, base: &str) {
        let base = base.to_owned();
        self.health.prefer(peer.service().name, move || {
            let base = base.clone();
            Box::pin(async move { client::listens(&base).await })
        });
    }

    /// Begins at the first signal: for tasks that take in work.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Begins when the last request has been answered: for tasks that finish work requests left.
    pub fn last_call(&self) -> &Shutdown {
        &self.last_call
    }

    /// The spans' guard, for a role that must flush before it answers.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// Host and port: tells instances of one service apart.
    pub fn owner(&self) -> String {
        format!("{}:{}", gethostname::gethostname().to_string_lossy(), self.address.port())
    }

    /// Calls `count` with route and status of every answer: for a role's own request counters.
    pub fn on_answer(&mut self, count: impl Fn(Option<&'static Route>, StatusCode) + Send + Sync + 'static) {
        self.on_answer = Arc::new(count);
    }

    /// Runs a task beside the server; [`Runtime::serve`] waits for it at the end.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        self.background.push(actix_web::rt::spawn(task));
    }

    /// Stops what runs beside the server, flushes the spans; the last thing a role does.
    pub async fn stop(self) {
        self.shutdown.begin();
        self.last_call.begin();
        for task in self.background {
            if timeout(self.shutdown.remaining() + LAST_WORDS, task).await.is_err() {
                tracing::warn!("a background task did not finish within the grace period");
            }
        }
        tracing::info!("{STOPPED}");
        self.telemetry.shutdown(FLUSH_DEADLINE).await;
    }

    /// Serves until told to stop, then drains. `configure` runs once in each worker thread.
    pub async fn serve<F>(mut self, configure: F) -> anyhow::Result<()>
    where
        F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
    {
        let listener = self.listener.take().context("already serving")?;
        self.background
            .push(actix_web::rt::spawn(metrics::upkeep(self.recorder.clone(), self.shutdown.clone())));
        self.background.push(actix_web::rt::spawn(fault::expire(self.faults.clone(), self.shutdown.clone())));
        let surface = http::Surface {
            service: self.service,
            routes: http::RouteTable::new(self.routes),
            recorder: self.recorder.clone(),
            health: self.health.clone(),
            faults: self.faults.clone(),
            request_timeout: self.http.request_timeout,
            hosts: http::KnownHosts::of(&self.http),
            in_flight: http::ServerInFlight::default(),
            memory: http::Memory::default(),
            on_answer: self.on_answer.clone(),
        };
        let in_flight = surface.in_flight.clone();
        // The same socket: closed only when the last comers have been answered.
        let socket = listener.try_clone().context("cannot share the socket")?;
        let server = http::server(listener, &self.http, surface, configure)?;
        let handle = server.handle();
        let mut server = actix_web::rt::spawn(server);
        tracing::info!(address = %self.address, version = env!("CARGO_PKG_VERSION"), "listening");
        let ended = tokio::select! {
            ended = &mut server => Some(ended),
            () = self.shutdown.wait() => None,
        };
        if ended.is_none() {
            let deadline = self.shutdown.deadline();
            tracing::info!(
                graceSeconds = (self.shutdown.remaining().as_secs_f64() * 10.0).round() / 10.0,
                "draining"
            );
            self.health.drain();
            http::stop(handle, socket, in_flight, deadline).await;
        }
        self.stop().await;
        match ended {
            Some(ended) => Ok(ended.context("the HTTP server ended by itself")??),
            None => Ok(()),
        }
    }
}
