//! The server side of HTTP, once: root span, RED metrics, limits, timeouts, problem answers, and
//! the routes every role has.

mod below;
mod connection;
mod drain;
mod host;
mod memory;
mod observe;
mod root_span;
mod routes;
mod served;
mod socket;
mod upgrade;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpServiceBuilder;
use actix_http::error::DispatchError;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Extensions, Server, ServiceRequest};
use actix_web::http::StatusCode;
use actix_web::http::header::VARY;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpRequest, HttpResponse};
use serde_json::json;
use tracing_actix_web::TracingLogger;

pub(crate) use drain::LAME_DUCK;
pub use drain::{ServerInFlight, stop};
pub use host::KnownHosts;
pub use memory::{Memory, Room, room};
pub use routes::RouteTable;
pub(in crate::runtime) use routes::unmatched_answers;

use self::socket::ClientSocket;
use super::body::BodyArrival;
use super::metrics::{PageFormat, Recorder};
use super::{Faults, Health, Problem};
use crate::config::HttpConfig;
use crate::schema::{Route, Service, faults, names};

/// How long an idle connection is kept; longer than any of our clients keeps one, so that the
/// client is always the first to close it and no request meets a closing connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Time for a client to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is closed on unread bytes goes on reading, so that its last answer arrives.
const LINGER: Duration = Duration::from_secs(1);
/// Connections one worker accepts; more wait in the listen queue. Each takes some 20 KiB.
const MAX_CONNECTIONS: usize = 256;

/// A role as its shared routes and middleware know it.
pub struct Surface {
    /// The role's row of the service table.
    pub service: &'static Service,
    /// The role's own routes and their series.
    pub routes: RouteTable,
    /// Its metrics.
    pub recorder: Recorder,
    /// What it needs.
    pub health: Health,
    /// What goes wrong here on purpose.
    pub faults: Faults,
    /// The longest one request may take.
    pub request_timeout: Duration,
    /// Names it answers to.
    pub hosts: KnownHosts,
    /// Connections and requests being served.
    pub in_flight: ServerInFlight,
    /// Room for large bodies and answers.
    pub memory: Memory,
    /// The role's own counters.
    pub on_answer: OnAnswer,
}

/// A role's own request counters: called with every answer but the operational ones, the matched
/// route, if any, and the status.
pub type OnAnswer = Arc<dyn Fn(Option<&'static Route>, StatusCode) + Send + Sync>;

/// Where a request goes, found once for span, metrics and log line.
#[derive(Clone, Copy)]
enum Destination {
    /// A path for operators, and the methods it knows.
    Operational(&'static str),
    /// A row of the route table, by index.
    Row(usize),
}

impl Surface {
    /// Where `request` goes, by the path as the router reads it: percent-decoded.
    fn destination(&self, request: &ServiceRequest) -> Destination {
        let path = request.match_info().as_str();
        match self.operational(path) {
            Some(methods) => Destination::Operational(methods),
            None => Destination::Row(self.routes.find(request.method(), path)),
        }
    }

    /// The methods of a path that is for operators and not for users, if it is one: it has no spans,
    /// no RED metrics, and no fault hits it.
    fn operational(&self, path: &str) -> Option<&'static str> {
        match path {
            "/health" | "/ready" | "/metrics" => Some("GET"),
            _ => self.faults.methods(path),
        }
    }
}

/// Builds the server of a role; `configure` adds the role's routes in each worker.
pub fn server<F>(
    listener: TcpListener,
    config: &HttpConfig,
    surface: Surface,
    configure: F,
) -> std::io::Result<Server>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    ::metrics::gauge!(names::RUNTIME_WORKERS).set(config.http_workers as f64);
    let grace = config.shutdown_grace.as_secs().max(1);
    let address = listener.local_addr()?;
    let surface = Data::new(surface);
    let builder = Server::build()
        .workers(config.http_workers)
        .worker_max_blocking_threads(4)
        .max_concurrent_connections(MAX_CONNECTIONS)
        .shutdown_timeout(grace)
        .disable_signals();
    let draining = builder.graceful_shutdown_signal();
    let service = move || {
        let (draining, accepted) = (draining.clone(), surface.clone());
        let app = App::new()
            .app_data(surface.clone())
            .wrap(from_fn(host::known))
            .wrap(from_fn(observe::observe))
            .wrap(TracingLogger::<root_span::ServerSpan>::new())
            .service(web::resource("/health").get(health))
            .service(web::resource("/ready").get(ready))
            .service(web::resource("/metrics").get(metrics))
            .configure(|app| surface.faults.routes(app))
            .configure(configure.clone())
            .default_service(web::to(async || Err::<HttpResponse, _>(Problem::not_found("no such resource"))))
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let http = HttpServiceBuilder::default()
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(LINGER)
            .local_addr(address)
            .on_connect_ext(|socket: &ClientSocket, extensions: &mut Extensions| {
                extensions.insert(socket.opened());
                extensions.insert(socket.state().clone());
                extensions.insert(BodyArrival::default());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let socket = move |stream: TcpStream| {
            send_at_once(&stream);
            let peer = stream.peer_addr().ok();
            std::future::ready(Ok::<_, DispatchError>((ClientSocket::new(stream, accepted.clone()), peer)))
        };
        fn_service(socket).and_then(http)
    };
    Ok(builder.listen("http", listener, service)?.run())
}

/// Sets TCP_NODELAY on an accepted connection. Without it the second of two pipelined answers waits
/// for the client to acknowledge the first, which clients delay by 40 ms.
fn send_at_once(stream: &TcpStream) {
    // Slower where it fails, and nothing worse.
    let _ = stream.set_nodelay(true);
}

async fn health(surface: Data<Surface>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "healthy", "service": surface.service.name }))
}

async fn ready(surface: Data<Surface>) -> HttpResponse {
    let mut readiness = surface.health.readiness().await;
    if surface.faults.hits(faults::SLOW_START).is_some() {
        readiness.still_starting();
    }
    let code = if readiness.status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(code).json(readiness)
}

async fn metrics(request: HttpRequest, surface: Data<Surface>) -> HttpResponse {
    let format = PageFormat::wanted(&request);
    HttpResponse::Ok()
        .content_type(format.content_type())
        .insert_header((VARY, "accept"))
        .body(surface.recorder.render(format))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[actix_web::test]
    async fn the_second_of_two_pipelined_answers_does_not_wait_for_an_acknowledgement() {
        let listener = actix_web::rt::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        send_at_once(&accepted);
        assert!(accepted.nodelay().unwrap());
    }
}
