#![allow(clippy::unwrap_used)]
use std::cell::RefCell;
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A service that gives each request the next of these answers, and the heads of what it was asked.
async fn answering(answers: &'static [&'static str]) -> (HttpClient, Rc<RefCell<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Rc::new(RefCell::new(Vec::new()));
    let heads = asked.clone();
    actix_web::rt::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let heads = heads.clone();
            actix_web::rt::spawn(async move {
                let mut head = vec![0; 4096];
                while let Ok(read @ 1..) = socket.read(&mut head).await {
                    let number = heads.borrow().len();
                    heads.borrow_mut().push(String::from_utf8_lossy(&head[..read]).into_owned());
                    let answer = answers.get(number).copied().unwrap_or(answers[answers.len() - 1]);
                    socket.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    let time = Duration::from_secs(20);
    (HttpClient::new("user-service", &base, time, time), asked)
}

const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const REFUSED_FOR_NOW: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n";
const REFUSED_FOR_LONG: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n";
const REFUSED_FOR_EVER: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 18446744073709551615\r\ncontent-length: 0\r\n\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[actix_web::test]
async fn only_an_answer_that_asks_for_another_attempt_is_given_one_and_only_in_time() {
    for (answers, call, expected) in [
        (&[REFUSED_FOR_NOW, FINE][..], Call::get("GET /users"), (200, 2)),
        (&[REFUSED_FOR_NOW], Call::get("GET /users"), (503, 3)),
        (&[REFUSED], Call::get("GET /users"), (503, 1)),
        (&[REFUSED_FOR_LONG], Call::get("GET /users"), (503, 1)),
        (&[REFUSED_FOR_EVER], Call::get("GET /users"), (503, 1)),
        (&[REFUSED_FOR_NOW], Call::send("POST /users", Bytes::new()), (503, 1)),
    ] {
        let (client, asked) = answering(answers).await;
        let reply = client.call(call).await.unwrap();
        assert_eq!((reply.status.as_u16(), asked.borrow().len()), expected, "{answers:?}");
    }
    let (client, asked) = answering(&[REFUSED_FOR_NOW]).await;
    while client.retries.spend() {}
    assert_eq!(client.call(Call::get("GET /users")).await.unwrap().status.as_u16(), 503);
    assert_eq!(asked.borrow().len(), 1, "the budget is spent");
}

#[test]
fn the_colons_of_an_ipv6_address_are_no_ports() {
    assert_eq!(host_and_port("[::1]:3001"), ("[::1]", Some("3001")));
    assert_eq!(host_and_port("[::1]"), ("[::1]", None));
    assert_eq!(host_and_port("user:80"), ("user", Some("80")));
    assert_eq!(host_and_port("user"), ("user", None));
}

#[actix_web::test]
async fn a_service_is_told_how_long_its_caller_waits_for_it() {
    let (client, asked) = answering(&[FINE]).await;
    let told = |number: usize| -> u64 {
        let head = asked.borrow()[number].clone();
        let line = head.lines().find_map(|line| line.strip_prefix("x-envoy-expected-rq-timeout-ms: "));
        line.unwrap_or_else(|| panic!("{head}")).parse().unwrap()
    };
    client.call(Call::get("GET /users")).await.unwrap();
    assert!((10_000..=20_000).contains(&told(0)), "{}", told(0));
    let soon = Instant::now() + Duration::from_secs(5);
    deadline::scope(soon, client.call(Call::get("GET /users"))).await.unwrap();
    assert!((1..=5_000).contains(&told(1)), "{}", told(1));
}

#[test]
fn retry_after_is_read_in_both_of_its_forms() {
    let read = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        retry_after(&headers)
    };
    assert_eq!(read("7"), Some(Duration::from_secs(7)));
    assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
    let later = HttpDate::from(SystemTime::now() + Duration::from_secs(90)).to_string();
    assert!(read(&later).is_some_and(|wait| wait > Duration::from_secs(60)), "{later}");
    for bad in ["", "-1", "soon", "1.5"] {
        assert_eq!(read(bad), None, "{bad}");
    }
}
