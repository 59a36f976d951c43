//! Room for what is large: bodies and answers of all requests together are bounded, so that no number of
//! allowed requests takes more memory than the process may have.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::ResponseError;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::web::{Bytes, Data};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Surface;
use crate::runtime::Problem;

/// The room of one process, in bytes. The allocator may keep as much again of what was large once, and a
/// role with its connections takes some 15 MiB; compose gives it 56.
const TOTAL: usize = 12 * 1024 * 1024;
/// What takes less is not asked for: the number of connections bounds it.
const SMALL: usize = 8 * 1024;
/// How long a request waits for room.
const PATIENCE: Duration = Duration::from_secs(1);
/// When a client that found none should come again.
const COME_AGAIN: Duration = Duration::from_secs(1);
/// What of an answer is handed to the connection at once, which copies it.
const PIECE: usize = 32 * 1024;

/// The room of a process. Clones share it.
#[derive(Clone)]
pub struct Memory(Arc<Semaphore>);

/// Room taken, until it is dropped.
#[derive(Debug, Default)]
pub struct Room(#[allow(dead_code, reason = "released when it is dropped")] Option<OwnedSemaphorePermit>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOTAL)))
    }
}

/// Room for so many bytes in the process that serves `request`.
///
/// # Errors
/// 503 where others had all of it for a second.
pub async fn room(request: &HttpRequest, bytes: usize) -> Result<Room, Problem> {
    match request.app_data::<Data<Surface>>() {
        Some(surface) => surface.memory.room(bytes).await,
        None => Ok(Room::default()),
    }
}

impl Memory {
    /// See [`room`].
    pub async fn room(&self, bytes: usize) -> Result<Room, Problem> {
        let Some(bytes) = permits(bytes) else { return Ok(Room::default()) };
        match timeout(PATIENCE, self.0.clone().acquire_many_owned(bytes)).await {
            Ok(Ok(permit)) => Ok(Room(Some(permit))),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// Keeps room for the body of a response until its client has taken it. Where there is none, the client
    /// is told to come again: the body is there already, so nothing is won by waiting.
    pub(super) fn hold(&self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let size = match response.response().body().size() {
            BodySize::Sized(size) => usize::try_from(size).unwrap_or(usize::MAX),
            _ => return response,
        };
        let Some(bytes) = permits(size) else { return response };
        match self.0.clone().try_acquire_many_owned(bytes) {
            Ok(permit) => response.map_body(|_, body| match body.try_into_bytes() {
                Ok(bytes) => BoxBody::new(HeldBody { bytes, _room: Room(Some(permit)) }),
                Err(body) => body,
            }),
            // What it asked for is done, and to say otherwise would have it done again. Its body was no smaller.
            Err(_) if !response.request().method().is_safe() => response,
            Err(_) => {
                let answer = busy().in_current_span().error_response();
                response.into_response(answer)
            }
        }
    }
}

fn permits(bytes: usize) -> Option<u32> {
    (bytes > SMALL).then(|| u32::try_from(bytes.min(TOTAL)).unwrap_or(u32::MAX))
}

fn busy() -> Problem {
    Problem::unavailable("too much is being served at once").with_retry_after(Some(COME_AGAIN))
}

/// The body of an answer, handed out in pieces: what the client does not take stays here, where it is counted.
struct HeldBody {
    bytes: Bytes,
    _room: Room,
}

impl MessageBody for HeldBody {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let piece = this.bytes.split_to(this.bytes.len().min(PIECE));
        Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[actix_web::test]
    async fn what_is_large_has_room_only_while_others_leave_some() {
        let memory = Memory::default();
        let large = memory.room(TOTAL * 2).await.unwrap();
        assert!(memory.room(SMALL).await.is_ok(), "what is small needs none");
        let refused = memory.room(SMALL + 1).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), 503);
        assert_eq!(refused.error_response().headers().get("retry-after").unwrap(), "1");
        drop(large);
        assert!(memory.room(SMALL + 1).await.is_ok());
    }

    #[actix_web::test]
    async fn an_answer_leaves_in_pieces_and_keeps_its_room_until_the_last() {
        let memory = Memory::default();
        let answer = actix_web::HttpResponse::Ok().body(vec![b'x'; TOTAL - SMALL]);
        let request = actix_web::test::TestRequest::default().to_http_request();
        let held = memory.hold(ServiceResponse::new(request.clone(), answer));
        assert_eq!(held.response().body().size(), BodySize::Sized((TOTAL - SMALL) as u64));
        let second = actix_web::HttpResponse::Ok().body(vec![b'x'; SMALL + 1]);
        assert_eq!(memory.hold(ServiceResponse::new(request, second)).status().as_u16(), 503);
        let done = actix_web::HttpResponse::Created().body(vec![b'x'; SMALL + 1]);
        let request = actix_web::test::TestRequest::post().to_http_request();
        assert_eq!(
            memory.hold(ServiceResponse::new(request, done)).status().as_u16(),
            201,
            "it was carried out"
        );
        let mut body = std::pin::pin!(held.into_body());
        let first = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await;
        assert_eq!(first.unwrap().unwrap().len(), PIECE);
        assert!(memory.0.available_permits() < SMALL + 1);
    }
}
