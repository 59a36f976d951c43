//! The time a request spends on a new connection, apart from the time it then takes.
//!
//! The client's pool decides inside a request whether it opens a connection. The request leaves its
//! stopwatch where the connector, which runs within it, finds it. A connection of another request may be
//! free before the one is open: then the request goes by that one, and the new one is not its own.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Extensions, Request, Uri};
use hyper_util::client::legacy::connect::{
    CaptureConnection, Connected, Connection, HttpInfo, capture_connection,
};
use tower_service::Service;

tokio::task_local! {
    static STOPWATCH: Arc<ConnectStopwatch>;
}

/// How long one request's connection took: name look-up, TCP and TLS.
#[derive(Debug, Default)]
pub(super) struct ConnectStopwatch {
    started: OnceLock<Instant>,
    /// With the connection's own address.
    took: OnceLock<(Duration, Option<SocketAddr>)>,
    /// Which connection the request goes by.
    used: OnceLock<CaptureConnection>,
}

impl ConnectStopwatch {
    /// Will know which connection a request goes by, that is to be measured.
    pub(super) fn follow<B>(&self, request: &mut Request<B>) {
        let _ = self.used.set(capture_connection(request));
    }

    /// Runs a request; the connection that it opens is measured here.
    pub(super) async fn measure<T>(self: Arc<Self>, request: impl Future<Output = T>) -> T {
        STOPWATCH.scope(self, request).await
    }

    /// How long it took; `None` where the request went by another one, or none came about.
    pub(super) fn took(&self) -> Option<Duration> {
        let (took, opened) = self.took.get()?;
        self.goes_by().is_none_or(|used| used == *opened).then_some(*took)
    }

    /// Whether a connection was asked for, and the request has none yet.
    pub(super) fn waits(&self) -> bool {
        self.started.get().is_some() && self.took.get().is_none() && self.goes_by().is_none()
    }

    /// The address of the request's connection, as soon as it has one.
    fn goes_by(&self) -> Option<Option<SocketAddr>> {
        self.used.get()?.connection_metadata().as_ref().map(own_address)
    }
}

fn own_address(connected: &Connected) -> Option<SocketAddr> {
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    extras.get::<HttpInfo>().map(HttpInfo::local_addr)
}

/// A connector whose connections are measured.
#[derive(Clone)]
pub(super) struct Measured<C>(pub(super) C);

impl<C> Service<Uri> for Measured<C>
where
    C: Service<Uri, Response: Connection>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let stopwatch = STOPWATCH.try_with(Arc::clone).unwrap_or_default();
        let started = *stopwatch.started.get_or_init(Instant::now);
        let connecting = self.0.call(to);
        Box::pin(async move {
            let connected = connecting.await;
            if let Ok(connection) = &connected {
                let _ = stopwatch.took.set((started.elapsed(), own_address(&connection.connected())));
            }
            connected
        })
    }
}

#[cfg(test)]
mod tests;
