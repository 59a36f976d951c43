//! A small blocking HTTP client for one address: keeps one connection, follows no redirect.

use std::time::Duration;

use anyhow::{Context as _, Result};
use http::header::{AUTHORIZATION, HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::connection::{Connection, ReceiverRoute};
use super::tls;
use crate::config::{basic_login, is_loopback};
use crate::runtime::error::innermost;
use crate::runtime::telemetry::settings::{Export, Protocol};

/// Sends requests to one URL. Its runtime belongs to whichever thread waits for an answer, so an idle
/// client costs no thread and no wake-up.
pub(crate) struct Client {
    /// Taken when dropped.
    runtime: Option<Runtime>,
    route: ReceiverRoute,
    /// The request's target: a path, or where a proxy takes the request itself, the whole URL.
    target: Uri,
    headers: HeaderMap,
    kept: Mutex<Option<Connection>>,
}

/// An answer.
pub(crate) struct ReceiverReply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Empty where it is larger than was allowed, or broke off.
    pub(crate) body: Bytes,
    /// The fields behind the body.
    pub(crate) trailers: HeaderMap,
}

impl Client {
    /// A client for the endpoint of the settings, by the proxy that the environment names for it.
    ///
    /// # Errors
    /// A PEM file that cannot be used, or no authorities to trust for an https endpoint.
    pub(super) fn for_export(export: &Export) -> Result<Self> {
        let url = &export.endpoint;
        let local = url.host_str().is_some_and(is_loopback);
        let uri: Uri = url.as_str().parse().context("the OTLP endpoint")?;
        let proxy = (!local).then(|| Matcher::from_env().intercept(&uri)).flatten();
        let proxy = proxy.as_ref().map(|proxy| (proxy.uri(), proxy.basic_auth()));
        let over_tls =
            url.scheme() == "https" || proxy.is_some_and(|(uri, _)| uri.scheme_str() == Some("https"));
        // Or the system's authorities are loaded for nothing, and a container without any fails.
        let tls = if over_tls { Some(tls::config(&export.files)?) } else { None };
        let route = ReceiverRoute::new(url, proxy.map(|(uri, _)| uri), tls)?;
        let http2 = export.protocol == Protocol::Grpc;
        Self::by(url, if http2 { route.over_http2() } else { route }, proxy)
    }

    /// A client for a plain `http` URL that no proxy stands before.
    ///
    /// # Errors
    /// The URL has no host.
    pub(crate) fn plain(url: &Url) -> Result<Self> {
        Self::by(url, ReceiverRoute::new(url, None, None)?, None)
    }

    /// A client that goes by `route`, with what the proxy there wants as authorization.
    fn by(url: &Url, route: ReceiverRoute, proxy: Option<(&Uri, Option<&HeaderValue>)>) -> Result<Self> {
        let mut client = Self::build(url, route)?;
        if let Some((_, Some(login))) = proxy {
            if client.route.proxy_takes_requests() {
                client.headers.insert(PROXY_AUTHORIZATION, login.clone());
            } else {
                client.route.login = Some(login.clone());
            }
        }
        Ok(client)
    }

    fn build(url: &Url, route: ReceiverRoute) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let mut bare = url.clone();
        bare.set_fragment(None);
        let (login, _) = (login(url), bare.set_username("").and_then(|()| bare.set_password(None)));
        let whole = route.proxy_takes_requests() || route.is_http2();
        let target = if whole { bare.as_str() } else { &bare[url::Position::BeforePath..] };
        let mut headers = HeaderMap::new();
        // HTTP/2 takes it from the target.
        if !route.is_http2() {
            let host = &bare[url::Position::BeforeHost..url::Position::AfterPort];
            headers.insert(HOST, HeaderValue::from_str(host)?);
        }
        headers.extend(login.map(|login| (AUTHORIZATION, login)));
        Ok(Self {
            runtime: Some(runtime.context("the OTLP client cannot be built")?),
            target: target.parse()?,
            route,
            headers,
            kept: Mutex::default(),
        })
    }

    /// Runs `future` on the calling thread.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(future),
            None => Err("the client is closed".to_owned()),
        }
    }

    /// Sends one request, whose target is replaced by the client's own, and waits at most `left`; reads
    /// at most `most` bytes of the answer. Only inside [`Client::block_on`]. An error is the cause,
    /// without the URL.
    pub(crate) async fn send(
        &self,
        mut request: Request<Bytes>,
        most: usize,
        left: Duration,
    ) -> Result<ReceiverReply, String> {
        *request.uri_mut() = self.target.clone();
        for (name, value) in &self.headers {
            request.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
        let deadline = Instant::now() + left;
        let Ok(answered) = timeout_at(deadline, self.exchange(request.map(Full::new))).await else {
            return Err("the backend did not answer in time".to_owned());
        };
        let (connection, answer) = answered?;
        let (head, body) = answer.into_parts();
        // An answer that cannot be read is still an answer: its status has been said.
        let body = timeout_at(deadline, Limited::new(body, most).collect()).await;
        let (body, trailers) = match body {
            Ok(Ok(body)) => {
                *self.kept.lock().await = Some(connection);
                let trailers = body.trailers().cloned().unwrap_or_default();
                (body.to_bytes(), trailers)
            }
            _ => Default::default(),
        };
        Ok(ReceiverReply { status: head.status, headers: head.headers, body, trailers })
    }

    /// The head of the answer, with the connection that brings the rest: the kept one, or where the
    /// other side has closed that, a new one.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), String> {
        // A connection that was closed meanwhile says so once its task has run.
        tokio::task::yield_now().await;
        let kept = self.kept.lock().await.take();
        if let Some(mut connection) = kept
            && connection.ready().await.is_ok()
        {
            match connection.send_request(request.clone()).await {
                Ok(answer) => return Ok((connection, answer)),
                // Nothing of the request was sent.
                Err(error) if error.is_canceled() => {}
                Err(error) => return Err(innermost(&error)),
            }
        }
        let mut connection = self.route.connect().await?;
        let answer = connection.send_request(request).await.map_err(|error| innermost(&error))?;
        Ok((connection, answer))
    }
}

/// User and password in a URL, as `Authorization` wants them.
fn login(url: &Url) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&basic_login(url)?).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Where async code drops it, a runtime must not wait for its threads.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
