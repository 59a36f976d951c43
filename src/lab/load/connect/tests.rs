//! Connections that open when they should, too late, or never.
#![allow(clippy::unwrap_used)]
use std::future::{pending, ready};
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{App, HttpServer, web};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::*;

/// A connector that connects at once, or never.
struct Scripted(bool);

struct Connectionless;

impl Connection for Connectionless {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Service<Uri> for Scripted {
    type Response = Connectionless;
    type Error = ();
    type Future = Pin<Box<dyn Future<Output = Result<Connectionless, ()>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        if self.0 { Box::pin(ready(Ok(Connectionless))) } else { Box::pin(pending()) }
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
    let connecting = stuck.clone().measure(async { Measured(Scripted(false)).call(Uri::default()).await });
    assert!(tokio::time::timeout(Duration::from_millis(1), connecting).await.is_err());
    assert!(stuck.took().is_none() && stuck.waits());
}

/// The first connection opens at once, others when they are let through.
#[derive(Clone)]
struct Gated {
    to: SocketAddr,
    asked: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Service<Uri> for Gated {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (to, gate) = (self.to, self.gate.clone());
        let first = self.asked.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            if !first {
                gate.acquire().await.unwrap().forget();
            }
            Ok(TokioIo::new(TcpStream::connect(to).await?))
        })
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[actix_web::test]
async fn a_connection_that_opens_after_the_request_went_by_another_is_neither_waited_for_nor_its_own() {
    let (answers, arrived) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = HttpServer::new({
        let (answers, arrived) = (answers.clone(), arrived.clone());
        move || {
            let (answers, arrived) = (answers.clone(), arrived.clone());
            App::new().default_service(web::to(move || {
                let (answers, arrived) = (answers.clone(), arrived.clone());
                async move {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    answers.acquire().await.unwrap().forget();
                    "answered"
                }
            }))
        }
    });
    let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
    let to = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let connector = Gated { to, asked: asked.clone(), gate: gate.clone() };
    let client = Client::builder(TokioExecutor::new()).build(Measured(connector));
    let send = || {
        let stopwatch = Arc::<ConnectStopwatch>::default();
        let mut request = Request::get(format!("http://{to}/")).body(Empty::<Bytes>::new()).unwrap();
        stopwatch.follow(&mut request);
        let client = client.clone();
        let answered = async move { client.request(request).await.unwrap().into_body().collect().await };
        (stopwatch.clone(), actix_web::rt::spawn(stopwatch.measure(answered)))
    };

    let (one, first) = send();
    until("the first request arrives", || arrived.load(Ordering::SeqCst) == 1).await;
    let (two, second) = send();
    until("the second asks for a connection", || asked.load(Ordering::SeqCst) == 2).await;
    assert!(two.waits());
    answers.add_permits(1);
    first.await.unwrap().unwrap();
    until("the second goes by the first one's", || arrived.load(Ordering::SeqCst) == 2).await;
    assert!(!two.waits());
    gate.add_permits(1);
    until("its own opens", || two.took.get().is_some()).await;
    answers.add_permits(1);
    second.await.unwrap().unwrap();
    assert!(one.took().is_some() && two.took().is_none(), "{one:?} {two:?}");
    handle.stop(false).await;
}
