//! Request bodies and path ids: read once, refused clearly.

mod arrival;
mod parsable;

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::arrival::BodyArrival;
use self::parsable::Parsable;
use super::Problem;
use super::http::{Room, Surface};

/// The largest request body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// The JSON body of an ordinary request.
pub type JsonBody = JsonUpTo<MAX_BODY>;

/// JSON request body of at most `LIMIT` bytes, parsed. Not typed: the rules of `api` judge it, so
/// that a wrong type is a listed error and not a parser's message.
pub struct JsonUpTo<const LIMIT: usize>(
    pub Value,
    #[allow(dead_code, reason = "kept until the body is dropped")] Room,
);

/// JSON request body of at most [`MAX_BODY`] bytes as it came, to be passed on. It is certain that
/// another of our services can parse it.
pub struct JsonText(pub web::Bytes, #[allow(dead_code, reason = "kept until the body is dropped")] Room);

/// What a parsed body may take in memory for each of its bytes: `0,` is a [`Value`] of 32 bytes in a list
/// that doubles.
pub const PARSED: usize = 24;
/// What a body that is passed on takes: itself, the validator's event, and what is sent.
const PASSED_ON: usize = 4;

impl<const LIMIT: usize> JsonUpTo<LIMIT> {
    /// Moves the value out.
    pub fn take(&mut self) -> Value {
        self.0.take()
    }
}

impl<const LIMIT: usize> FromRequest for JsonUpTo<LIMIT> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = read(request, payload, LIMIT, PARSED);
        Box::pin(async move {
            let (bytes, room) = read.await?;
            Ok(Self(parse(&bytes)?, room))
        })
    }
}

impl FromRequest for JsonText {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = read(request, payload, MAX_BODY, PASSED_ON);
        Box::pin(async move {
            let (bytes, room) = read.await?;
            parse::<Parsable>(&bytes)?;
            Ok(Self(bytes, room))
        })
    }
}

/// Reads a JSON body, and none of a body that its head already makes impossible.
fn read(
    request: &HttpRequest,
    payload: &mut Payload,
    limit: usize,
    copies: usize,
) -> impl Future<Output = Result<(web::Bytes, Room), Problem>> + 'static {
    let refused = check_head(request, limit).err();
    let reading = read_at_most(request, payload.take(), limit, copies);
    async move {
        match refused {
            Some(problem) => Err(problem),
            None => reading.await,
        }
    }
}

/// Reads a body, and no more of it than `limit` bytes, with room for so many `copies` of it. It has half of
/// the time of a request to arrive, so that the other half is left for the work; a body that takes longer
/// is the client's failure.
pub fn read_at_most(
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
    copies: usize,
) -> impl Future<Output = Result<(web::Bytes, Room), Problem>> + 'static {
    let arrival = request.conn_data::<BodyArrival>().cloned().unwrap_or_default();
    let surface = request.app_data::<web::Data<Surface>>().cloned();
    let size = length(request).map_or(limit, |length| length.min(limit));
    async move {
        let (room, time) = match &surface {
            Some(surface) => (surface.memory.room(size * copies).await?, surface.request_timeout / 2),
            None => (Room::default(), Duration::MAX),
        };
        arrival.begin();
        let read = tokio::time::timeout(time, collect(payload, limit)).await;
        let bytes = read.unwrap_or_else(|_| Err(late()))?;
        arrival.complete();
        Ok((bytes, room))
    }
}

/// The length that a request gives its body.
fn length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What a body that did not arrive in time is answered with.
pub(super) fn late() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
}

/// A body that came in one piece is not copied.
async fn collect(mut payload: Payload, limit: usize) -> Result<web::Bytes, Problem> {
    let mut first = web::Bytes::new();
    let mut more = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(unreadable)?;
        if first.len().max(more.len()) + chunk.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() && more.is_empty() {
            first = chunk;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&chunk);
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

fn check_head(request: &HttpRequest, limit: usize) -> Result<(), Problem> {
    let text = |name| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media_type =
        text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type != "application/json" {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-type must be application/json",
        ));
    }
    let encoding = text(header::CONTENT_ENCODING).trim();
    if !(encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must not be encoded")
            .with_header(header::ACCEPT_ENCODING, "identity"));
    }
    // Refused before it is read, so that a client that waits for 100-continue never sends it.
    if length(request).is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    Ok(())
}

fn too_large(limit: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("body must be at most {limit} bytes"))
}

fn unreadable(error: PayloadError) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "body could not be read").because(error)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        // Line and column help; the parser's wording may quote the input, so it stays inside.
        let place = format!("body is not valid JSON at line {}, column {}", error.line(), error.column());
        Problem::new(StatusCode::BAD_REQUEST, place)
    })
}

/// A path segment that is a row's id: digits only, 1 to 2^63-1. Anything else names no row.
pub fn id(segment: &str) -> Option<i64> {
    let digits = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| segment.parse().ok()).flatten().filter(|id| *id > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_make_an_id() {
        assert_eq!(id("1"), Some(1));
        assert_eq!(id("9223372036854775807"), Some(i64::MAX));
        for bad in
            ["", "0", "-1", "+1", "1abc", "abc", "9223372036854775808", "../1", "1 ", "1.0", "0x1", "١"]
        {
            assert_eq!(id(bad), None, "{bad}");
        }
    }
}
