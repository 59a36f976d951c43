//! Bodies of exports: read within one budget of bytes, then unpacked.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, web};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest body taken, as sent and unpacked, in bytes.
pub(super) const MOST_SENT: usize = 8 << 20;
pub(super) use crate::otlp::MOST_UNPACKED;
/// Bytes of all bodies that are being read, however many connections send.
const MOST_READING: usize = 32 << 20;
const SHARE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why an export is not taken.
pub(super) struct OtlpRefusal(pub(super) StatusCode, pub(super) String);

impl OtlpRefusal {
    fn new<T>(status: StatusCode, why: &str) -> Result<T, Self> {
        Err(Self(status, why.into()))
    }
}

/// How a body is written, in the words of its request.
#[derive(Clone, Copy)]
pub(super) struct BodyHead<'a> {
    pub(super) content_type: &'a [u8],
    /// Empty where it is plain.
    pub(super) coding: &'a [u8],
}

impl<'a> BodyHead<'a> {
    pub(super) fn of(request: &'a HttpRequest) -> Self {
        let value = |name| request.headers().get(name).map_or(&b""[..], |value| value.as_bytes());
        Self { content_type: value(header::CONTENT_TYPE), coding: value(header::CONTENT_ENCODING) }
    }
}

/// One budget for the bodies of all connections, over HTTP and gRPC.
pub(super) struct BodyBudget {
    /// What of it is not in use; a permit is a byte.
    free: Arc<Semaphore>,
    /// The longest that an export waits for its share; its client tries again.
    patience: Duration,
    /// Held by the export that is unpacked, decoded and taken.
    turn: Mutex<()>,
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self::new(MOST_READING, SHARE_TIMEOUT)
    }
}

impl BodyBudget {
    fn new(bytes: usize, patience: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes)), patience, turn: Mutex::default() }
    }

    /// Waits until no other export is unpacked and decoded: what that takes is bounded for one.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Room for a body of so many bytes, to be dropped with it.
    pub(super) async fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, OtlpRefusal> {
        let permits = u32::try_from(bytes).ok().filter(|_| bytes <= MOST_SENT);
        let Some(permits) = permits else { return too_large() };
        let share = tokio::time::timeout(self.patience, self.free.clone().acquire_many_owned(permits)).await;
        match share {
            Ok(Ok(share)) => Ok(share),
            _ => OtlpRefusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many exports at once"),
        }
    }

    /// Reads a body once there is room for all that it may become. It comes with its share, to be
    /// dropped together.
    pub(super) async fn read(
        &self,
        request: &HttpRequest,
        body: web::Payload,
    ) -> Result<(web::Bytes, OwnedSemaphorePermit), OtlpRefusal> {
        let told = request.headers().get(header::CONTENT_LENGTH);
        let told = told.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let room = told.unwrap_or(MOST_SENT);
        let share = self.share(room).await?;
        match tokio::time::timeout(BODY_TIMEOUT, collect(body, room)).await {
            Ok(read) => read.map(|bytes| (bytes, share)),
            Err(_) => OtlpRefusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in 10 s"),
        }
    }
}

/// Never more than `room` bytes, reserved at once: growing would hold twice as much for a moment.
pub(super) async fn collect<E>(
    mut body: impl Stream<Item = Result<web::Bytes, E>> + Unpin,
    room: usize,
) -> Result<web::Bytes, OtlpRefusal> {
    let mut bytes = Vec::with_capacity(room);
    while let Some(chunk) = body.next().await {
        let Ok(chunk) = chunk else {
            return OtlpRefusal::new(StatusCode::BAD_REQUEST, "the body did not arrive whole");
        };
        if bytes.len() + chunk.len() > room {
            return too_large();
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

fn too_large<T>() -> Result<T, OtlpRefusal> {
    OtlpRefusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 8 MiB")
}

/// Undoes the body's content coding.
pub(super) fn unpack(coding: &[u8], body: web::Bytes) -> Result<web::Bytes, OtlpRefusal> {
    let unpacked = match coding.trim_ascii().to_ascii_lowercase().as_slice() {
        b"" | b"identity" => return Ok(body),
        b"gzip" | b"x-gzip" => inflate(MultiGzDecoder::new(&body[..])),
        b"deflate" if is_zlib(&body) => inflate(ZlibDecoder::new(&body[..])),
        b"deflate" => inflate(DeflateDecoder::new(&body[..])),
        _ => {
            let why = "Content-Encoding must be gzip, deflate or identity";
            return OtlpRefusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
        }
    };
    match unpacked {
        Err(_) => OtlpRefusal::new(StatusCode::BAD_REQUEST, "the body is not what its Content-Encoding says"),
        Ok(bytes) if bytes.len() > MOST_UNPACKED => {
            OtlpRefusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 16 MiB unpacked")
        }
        Ok(bytes) => Ok(bytes.into()),
    }
}

/// One byte more than is taken shows that there was too much.
fn inflate(packed: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    packed.take(MOST_UNPACKED as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// HTTP's deflate is zlib's format (RFC 9110, 8.4.1.2); some clients send it without the header, which
/// is two bytes: the method 8, and a check by 31 (RFC 1950).
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [method, check, ..]
        if method & 0x0f == 8 && u16::from_be_bytes([*method, *check]) % 31 == 0)
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    /// Reads a body of `size` bytes; the status where it is refused.
    async fn read(budget: &BodyBudget, size: usize, told: bool) -> Result<OwnedSemaphorePermit, StatusCode> {
        let mut request = TestRequest::post().set_payload(vec![b' '; size]);
        // A payload sets the header, and nothing takes it out again.
        if !told {
            request = request.insert_header((header::CONTENT_LENGTH, "none"));
        }
        let (request, mut payload) = request.to_http_parts();
        let body =
            web::Payload::from_request(&request, &mut payload).await.unwrap_or_else(|_| unreachable!());
        let read = budget.read(&request, body).await;
        read.map(|(bytes, share)| {
            assert_eq!(bytes.len(), size);
            share
        })
        .map_err(|refusal| refusal.0)
    }

    #[actix_web::test]
    async fn a_body_waits_for_its_share_and_is_told_to_come_again() {
        let budget = BodyBudget::new(MOST_SENT, Duration::from_millis(10));
        let first = read(&budget, 100, true).await;
        assert!(first.is_ok());
        assert_eq!(read(&budget, MOST_SENT, true).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(read(&budget, 1, false).await.err(), Some(StatusCode::SERVICE_UNAVAILABLE));
        assert!(read(&budget, MOST_SENT - 100, true).await.is_ok());
        drop(first);
        assert!(read(&budget, 1, false).await.is_ok());
        assert_eq!(read(&budget, MOST_SENT + 1, true).await.err(), Some(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(budget.free.available_permits(), MOST_SENT);
    }
}
