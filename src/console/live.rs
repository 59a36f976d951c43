//! The live feed of open pages: server-sent events with generation numbers, no data.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::state::{Console, Generation};
use crate::runtime::Shutdown;

/// Open pages at once.
const MOST_FEEDS: usize = 64;
/// The shortest time between two events of one feed, however busy the lab is.
const BREATH: Duration = Duration::from_millis(300);
/// Longest time without an event: by its beat a page tells a console that is quiet from one that hangs, and the console
/// finds out that a browser is gone. The page waits for three of them (`ui/app.js`).
const BEAT: Duration = Duration::from_secs(5);

/// The permits of open pages.
pub(super) struct Feeds(Arc<Semaphore>);

impl Default for Feeds {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_FEEDS)))
    }
}

struct Feed {
    changes: watch::Receiver<Generation>,
    shutdown: Arc<Shutdown>,
    first: bool,
    beat: Duration,
    _place: OwnedSemaphorePermit,
}

/// `GET /api/live`: `event: change` with the generations as JSON, at once and after every change; `event: beat` where there
/// was none for [`BEAT`].
pub(super) async fn feed(
    console: web::Data<Console>,
    feeds: web::Data<Feeds>,
    shutdown: web::Data<Shutdown>,
) -> HttpResponse {
    let Ok(place) = feeds.0.clone().try_acquire_owned() else {
        return HttpResponse::ServiceUnavailable().body("too many open pages");
    };
    let (changes, shutdown) = (console.changes(), shutdown.into_inner());
    let feed = Feed { changes, shutdown, first: true, beat: BEAT, _place: place };
    HttpResponse::Ok().content_type("text/event-stream").streaming(stream::unfold(feed, next))
}

async fn next(mut feed: Feed) -> Option<(Result<web::Bytes, Infallible>, Feed)> {
    if !std::mem::replace(&mut feed.first, false) {
        tokio::select! {
            () = feed.shutdown.wait() => return None,
            () = tokio::time::sleep(feed.beat) => {
                return Some((Ok(web::Bytes::from_static(b"event: beat\ndata: {}\n\n")), feed));
            }
            changed = settled(&mut feed.changes) => changed?,
        }
    }
    let now = *feed.changes.borrow_and_update();
    let text = serde_json::to_string(&now).ok()?;
    Some((Ok(format!("event: change\ndata: {text}\n\n").into()), feed))
}

/// Waits for a change, then lets more of them gather.
async fn settled(changes: &mut watch::Receiver<Generation>) -> Option<()> {
    changes.changed().await.ok()?;
    tokio::time::sleep(BREATH).await;
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::console::sample;

    #[actix_web::test]
    async fn a_quiet_console_beats_so_that_a_page_knows_it_is_there() {
        let console = sample::console();
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let shutdown = Arc::new(Shutdown::new(Duration::ZERO));
        let (changes, beat) = (console.changes(), Duration::from_millis(1));
        let mut feed = Feed { changes, shutdown, first: true, beat, _place: place };
        for expected in ["event: change\n", "event: beat\n", "event: beat\n"] {
            let (event, after) = next(feed).await.unwrap();
            assert!(event.unwrap().starts_with(expected.as_bytes()), "{expected:?}");
            feed = after;
        }
    }
}
