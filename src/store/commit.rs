//! A commit that its caller no longer waits for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Longest time that what is left may take. Only a server that is silent takes it: one that answers ends a
/// commit by `statement_timeout`.
const LATEST: Duration = Duration::from_secs(60);

/// Future that runs to its end also where it is dropped before: then on `home`, for [`LATEST`] at most. Awaited
/// it costs nothing beside the future itself.
pub(super) struct ToTheEnd<T: Send + 'static> {
    work: Option<BoxFuture<'static, T>>,
    home: Handle,
}

impl<T: Send + 'static> ToTheEnd<T> {
    pub(super) fn new(work: BoxFuture<'static, T>, home: Handle) -> Self {
        Self { work: Some(work), home }
    }
}

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let outcome = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(outcome)
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            // The timer is made where it runs: the caller's runtime may be ending.
            self.home.spawn(async move { drop(timeout(LATEST, work).await) });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_dropped_half_way_goes_on_and_what_was_awaited_is_done_once() {
        let (go_on, wait) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let work = async move {
            wait.await.unwrap();
            tell.send("done").unwrap();
        };
        let mut dropped = ToTheEnd::new(Box::pin(work), Handle::current());
        assert!(futures_util::poll!(&mut dropped).is_pending());
        drop(dropped);
        go_on.send(()).unwrap();
        assert_eq!(told.await, Ok("done"));
        let awaited = ToTheEnd::new(Box::pin(async { 7 }), Handle::current());
        assert_eq!(awaited.await, 7);
    }
}
