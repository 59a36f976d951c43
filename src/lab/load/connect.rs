//! The time a request spends on a new connection, apart from the time it then takes.
//!
//! The client's pool decides inside a request whether it opens a connection. The request leaves its
//! stopwatch where the connector, which runs within it, finds it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Uri;
use tower_service::Service;

tokio::task_local! {
    static STOPWATCH: Arc<ConnectStopwatch>;
}

/// How long one request's connection took: name look-up, TCP and TLS.
#[derive(Debug, Default)]
pub(super) struct ConnectStopwatch {
    started: OnceLock<Instant>,
    took: OnceLock<Duration>,
}

impl ConnectStopwatch {
    /// Runs a request; the connection that it opens is measured here.
    pub(super) async fn measure<T>(self: Arc<Self>, request: impl Future<Output = T>) -> T {
        STOPWATCH.scope(self, request).await
    }

    /// How long it took; `None` where a connection was there already, or none came about.
    pub(super) fn took(&self) -> Option<Duration> {
        self.took.get().copied()
    }

    /// Whether a connection was asked for and is not there yet.
    pub(super) fn waits(&self) -> bool {
        self.started.get().is_some() && self.took.get().is_none()
    }
}

/// A connector whose connections are measured.
#[derive(Clone)]
pub(super) struct Measured<C>(pub(super) C);

impl<C> Service<Uri> for Measured<C>
where
    C: Service<Uri>,
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
            if connected.is_ok() {
                let _ = stopwatch.took.set(started.elapsed());
            }
            connected
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    /// A connector that connects at once, or never.
    struct Scripted(bool);

    impl Service<Uri> for Scripted {
        type Response = ();
        type Error = ();
        type Future = Pin<Box<dyn Future<Output = Result<(), ()>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Uri) -> Self::Future {
            if self.0 { Box::pin(ready(Ok(()))) } else { Box::pin(pending()) }
        }
    }

    #[actix_web::test]
    async fn a_request_knows_whether_it_still_waits_for_its_connection() {
        let none = Arc::<ConnectStopwatch>::default();
        none.clone().measure(ready(())).await;
        assert!(none.took().is_none() && !none.waits());

        let made = Arc::<ConnectStopwatch>::default();
        let connecting = made.clone().measure(async { Measured(Scripted(true)).call(Uri::default()).await });
        assert!(connecting.await.is_ok());
        assert!(made.took().is_some() && !made.waits());

        let stuck = Arc::<ConnectStopwatch>::default();
        let connecting =
            stuck.clone().measure(async { Measured(Scripted(false)).call(Uri::default()).await });
        assert!(tokio::time::timeout(Duration::from_millis(1), connecting).await.is_err());
        assert!(stuck.took().is_none() && stuck.waits());
    }
}
