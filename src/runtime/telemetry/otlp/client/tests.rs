#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use super::*;
use crate::runtime::telemetry::tests::collector::{Behaviour, Collector};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

const LONG: Duration = Duration::from_secs(20);

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// A client behind a proxy.
fn via(url: &Url, proxy: (&Uri, Option<&HeaderValue>), tls: Option<Arc<ClientConfig>>) -> Client {
    Client::by(url, ReceiverRoute::new(url, Some(proxy.0), tls).unwrap(), Some(proxy)).unwrap()
}

fn post(client: &Client) -> Result<ReceiverReply, String> {
    let request = Request::post("/").body(Bytes::from_static(b"spans")).unwrap();
    client.block_on(client.send(request, 1024, LONG))
}

fn kept(body: &[u8]) -> Behaviour {
    Behaviour::Answer(200, body.to_vec())
}

fn head(stream: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

#[test]
fn requests_share_a_connection_and_the_urls_login_is_a_header() {
    let collector = Collector::start(kept(b"taken"), None);
    let address = format!("127.0.0.1:{}", collector.port);
    let client = Client::plain(&url(&format!("http://me:a%20b@{address}/v1/traces?x=1"))).unwrap();
    for _ in 0..3 {
        assert_eq!(post(&client).unwrap().body, "taken");
    }
    assert_eq!(collector.connections(), 1);
    let head = collector.received()[2].head.to_lowercase();
    assert!(head.starts_with("post /v1/traces?x=1 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
    let login = BASE64_STANDARD.encode("me:a b").to_lowercase();
    assert!(head.contains(&format!("authorization: basic {login}\r\n")), "{head}");
}

#[test]
fn a_connection_that_the_other_side_closed_is_replaced() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (closed, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            head(&mut stream).unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            stream.get_mut().shutdown(Shutdown::Both).unwrap();
            closed.send(()).unwrap();
        }
    });
    let client = Client::plain(&url(&format!("http://{address}/"))).unwrap();
    for _ in 0..3 {
        assert_eq!(post(&client).unwrap().status, StatusCode::OK);
        told.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn an_answer_that_is_too_long_or_breaks_off_is_still_an_answer() {
    let collector = Collector::start(kept(&[b'x'; 2000]), None);
    let client = Client::plain(&url(&format!("http://127.0.0.1:{}/", collector.port))).unwrap();
    let reply = post(&client).unwrap();
    assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, 0));
    assert_eq!(post(&client).unwrap().status, StatusCode::OK);
}

#[test]
fn a_proxy_is_given_plain_requests_whole_with_its_login() {
    let proxy = Collector::start(kept(b""), None);
    let uri: Uri = format!("http://127.0.0.1:{}", proxy.port).parse().unwrap();
    let login = HeaderValue::from_static("Basic abc");
    let client = via(&url("http://backend.test:4318/v1/traces"), (&uri, Some(&login)), None);
    post(&client).unwrap();
    let head = proxy.received()[0].head.to_lowercase();
    assert!(head.starts_with("post http://backend.test:4318/v1/traces http/1.1\r\n"), "{head}");
    assert!(
        head.contains("host: backend.test:4318\r\n") && head.contains("proxy-authorization: basic abc\r\n")
    );
}

/// A proxy that tells the head of each CONNECT and leads all of them to `port`.
fn tunnel(port: u16, answer: &'static str) -> (Uri, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (told, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            told.send(head(&mut reader).unwrap()).unwrap();
            let mut stream = stream;
            stream.write_all(answer.as_bytes()).unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut to, mut from) = (server.try_clone().unwrap(), server);
            std::thread::spawn(move || std::io::copy(&mut reader, &mut to));
            std::thread::spawn(move || std::io::copy(&mut from, &mut stream));
        }
    });
    (uri, heads)
}

#[test]
fn a_proxy_is_asked_for_a_tunnel_to_an_https_endpoint_and_sees_nothing_of_it() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["backend.test".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let ring = || Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(ring()).with_safe_default_protocol_versions();
    let server =
        server.unwrap().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let collector = Collector::start(kept(b"taken"), Some(Arc::new(server)));
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let tls = ClientConfig::builder_with_provider(ring()).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(tls.with_root_certificates(roots).with_no_client_auth());
    let endpoint = url("https://backend.test:4318/v1/traces");
    let login = HeaderValue::from_static("Basic abc");

    let (proxy, heads) = tunnel(collector.port, "HTTP/1.1 200 Connection established\r\n\r\n");
    let client = via(&endpoint, (&proxy, Some(&login)), Some(tls.clone()));
    assert_eq!(post(&client).unwrap().body, "taken");
    let asked = heads.recv_timeout(LONG).unwrap();
    assert!(asked.starts_with("CONNECT backend.test:4318 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nProxy-Authorization: Basic abc\r\n"), "{asked}");
    let head = collector.received()[0].head.to_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n") && !head.contains("proxy-"), "{head}");

    let (proxy, _heads) = tunnel(collector.port, "HTTP/1.1 407 Who are you\r\n\r\n");
    let client = via(&endpoint, (&proxy, None), Some(tls));
    assert_eq!(post(&client).err().as_deref(), Some("the proxy answered 407"));
}

#[test]
fn nobody_there_is_a_cause_without_the_address() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::plain(&url(&format!("http://user:secret@127.0.0.1:{port}/"))).unwrap();
    let cause = post(&client).err().unwrap();
    assert!(
        cause.contains("refused") && !cause.contains("127.0.0.1") && !cause.contains("secret"),
        "{cause}"
    );
}
