//! One HTTP request, by default on a connection of its own: a deadline over all of it, a limit on the answer.
//!
//! For requests outside the traced path: probes, scrapes, commands, readers of telemetry backends.
//! Calls between services are [`super::client`]'s, which traces, measures and repeats them.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use awc::error::{ConnectError, PayloadError, SendRequestError};
use futures_util::StreamExt as _;
use rustls::ClientConfig;

/// A client for single requests. Not for other threads: build one where it is used, inside an actix
/// `System` or a tokio `LocalSet`. Redirects are answers.
pub struct OneShot {
    client: awc::Client,
    deadline: Duration,
    limit: usize,
    /// Whether connections are kept for the next request.
    keeps: bool,
}

/// The answer to one request, whatever its status.
#[derive(Debug)]
pub struct OneShotAnswer {
    /// The status code.
    pub status: StatusCode,
    /// The headers, as they came.
    pub headers: HeaderMap,
    /// The whole body, within the limit.
    pub body: Bytes,
}

/// Why there is no answer. The texts hold no URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OneShotError {
    /// The deadline passed first.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// No connection, or one that broke before the head of the answer.
    #[error("{0}")]
    Unreachable(String),
    /// The body is longer than the limit, in bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The body broke off.
    #[error("the answer broke off: {0}")]
    Broken(String),
}

impl OneShot {
    /// Requests that take at most `deadline` each, connecting and reading included, and whose answers
    /// have at most `limit` bytes. Plain HTTP only.
    pub fn new(deadline: Duration, limit: usize) -> Self {
        Self::over(deadline, limit, None)
    }

    /// The same; where this TLS is given, https too.
    pub(crate) fn over(deadline: Duration, limit: usize, tls: Option<Arc<ClientConfig>>) -> Self {
        let connector = awc::Connector::new().timeout(deadline).handshake_timeout(deadline);
        let connector = match tls {
            Some(tls) => connector.rustls_0_23(tls),
            None => connector,
        };
        let client =
            awc::Client::builder().connector(connector).disable_timeout().disable_redirects().finish();
        Self { client, deadline, limit, keeps: false }
    }

    /// The same over connections that are kept for the next request, for many requests to one server. Not for a role: its
    /// drain would wait for a connection that is idle.
    pub(crate) fn keeping(self) -> Self {
        Self { keeps: true, ..self }
    }

    /// GET.
    ///
    /// # Errors
    /// There was no answer, not all of it in time, or more of it than the limit.
    pub async fn get(&self, url: &str) -> Result<OneShotAnswer, OneShotError> {
        self.send(Method::GET, url, &[], None).await
    }

    /// Any method, with further headers. A body is JSON.
    ///
    /// # Errors
    /// As for [`OneShot::get`].
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        json: Option<String>,
    ) -> Result<OneShotAnswer, OneShotError> {
        let answered = async {
            let mut response = match self.head(&method, url, headers, json.clone(), self.keeps).await {
                // The server may have closed a kept connection just when it was used again; a GET can be repeated.
                Err(OneShotError::Unreachable(_)) if self.keeps && method == Method::GET => {
                    self.head(&method, url, headers, json, false).await?
                }
                head => head?,
            };
            let body = response.body().limit(self.limit).await.map_err(|error| self.not_read(&error))?;
            Ok(OneShotAnswer { status: response.status(), headers: response.headers().clone(), body })
        };
        self.in_time(answered).await
    }

    /// The status of a GET; the body is not waited for.
    ///
    /// # Errors
    /// There was no answer in time.
    pub async fn status(&self, url: &str) -> Result<StatusCode, OneShotError> {
        let answered = async {
            let response = self.head(&Method::GET, url, &[], None, self.keeps).await?;
            Ok(response.status())
        };
        self.in_time(answered).await
    }

    /// GET of an answer that is larger than memory should hold: its status, and each chunk of its body to `take`. The
    /// deadline is over all of it.
    ///
    /// # Errors
    /// As for [`OneShot::get`]; or what `take` says, as [`OneShotError::Broken`].
    pub async fn download(
        &self,
        url: &str,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<StatusCode, OneShotError> {
        let answered = async {
            let mut response = self.head(&Method::GET, url, &[], None, false).await?;
            let mut length = 0;
            while let Some(chunk) = response.next().await {
                let chunk = chunk.map_err(|error| self.not_read(&error))?;
                length += chunk.len();
                if length > self.limit {
                    return Err(OneShotError::TooLong(self.limit));
                }
                take(&chunk).map_err(|why| OneShotError::Broken(why.to_string()))?;
            }
            Ok(response.status())
        };
        self.in_time(answered).await
    }

    async fn in_time<T>(
        &self,
        answered: impl Future<Output = Result<T, OneShotError>>,
    ) -> Result<T, OneShotError> {
        let timeout = OneShotError::Timeout(self.deadline);
        tokio::time::timeout(self.deadline, answered).await.unwrap_or(Err(timeout))
    }

    async fn head(
        &self,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        json: Option<String>,
        keeps: bool,
    ) -> Result<
        awc::ClientResponse<impl futures_util::Stream<Item = Result<Bytes, PayloadError>>>,
        OneShotError,
    > {
        // Without keep-alive: an idle connection of ours must not be what a drain waits for.
        let request = self.client.request(method.clone(), url);
        let mut request = if keeps { request } else { request.force_close() };
        for header in headers {
            request = request.insert_header(*header);
        }
        let sent = match json {
            Some(json) => request.insert_header(("content-type", "application/json")).send_body(json).await,
            None => request.send().await,
        };
        sent.map_err(|error| match error {
            SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => {
                OneShotError::Timeout(self.deadline)
            }
            other => OneShotError::Unreachable(other.to_string()),
        })
    }

    fn not_read(&self, error: &PayloadError) -> OneShotError {
        match error {
            PayloadError::Overflow => OneShotError::TooLong(self.limit),
            other => OneShotError::Broken(other.to_string()),
        }
    }
}

impl OneShotAnswer {
    /// Whether the status is a 2xx.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The body as JSON; `None` where it is none, or not of this shape.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that gives every request this answer and then holds the connection.
    async fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        actix_web::rt::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                actix_web::rt::spawn(async move {
                    let _ = socket.read(&mut [0; 1024]).await;
                    let _ = socket.write_all(answer.as_bytes()).await;
                    std::future::pending::<()>().await;
                });
            }
        });
        url
    }

    #[actix_web::test]
    async fn an_answer_that_never_ends_or_is_too_long_is_an_error_and_its_status_can_be_had_alone() {
        let quick = OneShot::new(Duration::from_millis(300), 10);
        let endless = answering("HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nabc").await;
        assert_eq!(quick.get(&endless).await.unwrap_err(), OneShotError::Timeout(quick.deadline));
        assert_eq!(quick.status(&endless).await, Ok(StatusCode::CREATED));
        let silent = answering("").await;
        assert_eq!(quick.status(&silent).await, Err(OneShotError::Timeout(quick.deadline)));
        let patient = OneShot::new(Duration::from_secs(20), 10);
        let long = answering("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n0123456789a").await;
        assert_eq!(patient.get(&long).await.unwrap_err(), OneShotError::TooLong(10));
        let moved = answering("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 2\r\n\r\n{}").await;
        let answer = patient.get(&moved).await.unwrap();
        assert_eq!((answer.status, answer.is_success()), (StatusCode::FOUND, false));
        assert_eq!(answer.json::<serde_json::Value>(), Some(serde_json::json!({})));
    }

    /// A server that closes each connection, without saying so, after as many answers as this.
    async fn closing_after(answers: usize) -> (String, std::rc::Rc<std::cell::Cell<usize>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let connections = std::rc::Rc::new(std::cell::Cell::new(0));
        let counted = connections.clone();
        actix_web::rt::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counted.set(counted.get() + 1);
                for _ in 0..answers {
                    let _ = socket.read(&mut [0; 1024]).await;
                    let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                }
                let _ = socket.read(&mut [0; 1024]).await;
            }
        });
        (url, connections)
    }

    #[actix_web::test]
    async fn a_connection_is_kept_where_that_is_wanted_and_one_that_was_closed_when_it_was_used_again_is_replaced()
     {
        let (url, connections) = closing_after(3).await;
        let keeping = OneShot::new(Duration::from_secs(20), 10).keeping();
        for asked in 1..=6 {
            // The fourth question finds a connection that ends without an answer.
            assert!(keeping.get(&url).await.unwrap().is_success(), "{asked}");
        }
        assert_eq!(connections.get(), 3);
        let (url, connections) = closing_after(1).await;
        let single = OneShot::new(Duration::from_secs(20), 10);
        for _ in 0..3 {
            single.get(&url).await.unwrap();
        }
        assert_eq!(connections.get(), 3);
    }

    #[actix_web::test]
    async fn a_port_that_nothing_listens_on_is_unreachable() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = OneShot::new(Duration::from_secs(20), 10).get(&url).await.unwrap_err();
        assert!(matches!(&error, OneShotError::Unreachable(why) if why.contains("refused")), "{error:?}");
    }
}
