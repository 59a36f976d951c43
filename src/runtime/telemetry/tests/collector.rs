//! A tiny OTLP receiver that can misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

/// What it does with a request.
#[derive(Clone)]
pub(in crate::runtime::telemetry) enum Behaviour {
    /// Accepts the connection and never says anything.
    Hang,
    /// Answers with this status and body.
    Answer(u16, Vec<u8>),
}

/// One request as it arrived; header names in lower case.
#[derive(Clone, Debug)]
pub(in crate::runtime::telemetry) struct Received {
    pub(in crate::runtime::telemetry) head: String,
    pub(in crate::runtime::telemetry) body: Vec<u8>,
}

impl Received {
    pub(in crate::runtime::telemetry) fn export(&self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest::decode(self.body.as_slice()).unwrap()
    }
}

/// Runs until the test process ends.
pub(in crate::runtime::telemetry) struct Collector {
    pub(in crate::runtime::telemetry) port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Collector {
    pub(in crate::runtime::telemetry) fn start(
        behaviour: Behaviour,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (received, connections) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (requests, open) = (received.clone(), connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                open.lock().unwrap().push(stream.try_clone().unwrap());
                let (behaviour, requests, tls) = (behaviour.clone(), requests.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &behaviour, &requests),
                    Some(config) => {
                        let session = rustls::ServerConnection::new(config).unwrap();
                        serve(rustls::StreamOwned::new(session, stream), &behaviour, &requests);
                    }
                });
            }
        });
        Self { port, received, connections }
    }

    pub(in crate::runtime::telemetry) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(in crate::runtime::telemetry) fn connections(&self) -> usize {
        self.connections.lock().unwrap().len()
    }
}

fn serve(stream: impl Read + Write, behaviour: &Behaviour, requests: &Mutex<Vec<Received>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream) {
        requests.lock().unwrap().push(request);
        let Behaviour::Answer(status, body) = behaviour else { continue };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        let answer = [head.as_bytes(), body].concat();
        if stream.get_mut().write_all(&answer).and_then(|()| stream.get_mut().flush()).is_err() {
            return;
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Received> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(Received { head, body })
}
