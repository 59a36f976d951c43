//! What a server sees of a request, and what becomes of one that is not answered.
#![allow(clippy::unwrap_used)]
use actix_web::http::header::HeaderMap;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use super::*;

/// A client whose spans are sampled by `sampler` and go nowhere.
fn client(base: &str, timeout: Duration, sampler: Sampler) -> LoadClient {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
    let tracer = BoxedTracer::new(Box::new(provider.tracer("load")));
    let client = LoadClient::new(base, timeout, 2, tracer).unwrap();
    client.trace(true);
    client
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

async fn echo(request: HttpRequest, body: String) -> HttpResponse {
    let names = ["user-agent", "traceparent", "content-type"];
    let headers = names.map(|name| header(request.headers(), name));
    HttpResponse::Created().body(format!("{} {body}", headers.join(" ")))
}

#[actix_web::test]
async fn a_request_has_a_trace_of_its_own_and_says_who_sends_it() {
    let server = HttpServer::new(|| {
        App::new()
            .route("/echo", web::post().to(echo))
            .route("/large", web::get().to(|| async { "x".repeat(3 * KEPT + 1) }))
            .route(
                "/moved",
                web::get()
                    .to(|| async { HttpResponse::Found().insert_header(("location", "/large")).finish() }),
            )
    });
    let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let always = client(&base, Duration::from_secs(20), Sampler::AlwaysOn);

    let one = always.send("POST /echo", "/echo", "{}".to_owned()).await;
    let two = always.send("POST /echo", "/echo", "{}".to_owned()).await;
    assert_ne!(one.trace, two.trace);
    assert!(one.connect.is_some() && two.connect.is_none(), "{:?} {:?}", one.connect, two.connect);
    let answer = one.result.unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    let words: Vec<_> = text.split(' ').collect();
    assert_eq!(
        (answer.status, words[0], words[2], words[3]),
        (201, "o11y-lab-load", "application/json", "{}")
    );
    let parent: Vec<_> = words[1].split('-').collect();
    assert_eq!(
        (parent[0], parent[1], parent[2].len(), parent[3]),
        ("00", one.trace.unwrap().id.as_str(), 16, "01")
    );

    // What the sampler drops is not recorded by those behind it either.
    let never = client(&base, Duration::from_secs(20), Sampler::AlwaysOff);
    let dropped = never.send("POST /echo", "/echo", "{}".to_owned()).await;
    let text = String::from_utf8(dropped.result.unwrap().body).unwrap();
    assert!(text.contains("-00 application/json"), "{text}");
    assert!(!dropped.trace.unwrap().sampled);
    // Without spans of its own it is nobody's parent.
    never.trace(false);
    let untraced = never.send("POST /echo", "/echo", "{}".to_owned()).await;
    let text = String::from_utf8(untraced.result.unwrap().body).unwrap();
    assert_eq!((text.as_str(), untraced.trace), ("o11y-lab-load  application/json {}", None));

    let large = always.send("GET /large", "/large", String::new()).await.result.unwrap();
    assert_eq!(large.body.len(), KEPT, "the rest is read and forgotten");
    let moved = always.send("GET /moved", "/moved", String::new()).await.result.unwrap();
    assert_eq!(moved.status, 302, "a redirect is an answer");
    handle.stop(false).await;
}

#[actix_web::test]
async fn a_port_that_nobody_listens_on_is_no_connection() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = client(&base, Duration::from_secs(20), Sampler::AlwaysOn);
    let reply = client.send("GET /", "/", String::new()).await;
    assert!(matches!(reply.result, Err(LoadFailure::Connect(why)) if why.contains("refused")));
}

#[actix_web::test]
async fn whoever_never_answers_is_a_timeout() {
    // Connections are taken by the kernel, and never read.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let client = client(&base, Duration::from_millis(100), Sampler::AlwaysOn);
    let reply = client.send("GET /", "/", String::new()).await;
    assert_eq!(reply.result.err(), Some(LoadFailure::Timeout));
}
