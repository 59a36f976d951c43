//! A private Redis: every write in its append-only file before it is answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::server::{Server, on_path, program};
use super::tls::Certificates;
use super::{Broker, Settings};
use crate::helpers::free_port_base;

const USER: &str = "lab";
const PASSWORD: &str = "not-so-secret";

/// `redis-server` with a plain and a TLS port.
pub struct RedisServer {
    server: Server,
    port: u16,
    certificates: Certificates,
    _folder: tempfile::TempDir,
}

impl RedisServer {
    pub fn boxed() -> Box<dyn Broker> {
        let redis = program("redis-server", on_path("redis-server"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificates = Certificates::make(folder.path());
        let port = free_port_base();
        let mut words: Vec<String> = [
            ("--bind", "127.0.0.1".to_owned()),
            ("--port", port.to_string()),
            ("--tls-port", (port + 1).to_string()),
            ("--tls-cert-file", certificates.certificate.display().to_string()),
            ("--tls-key-file", certificates.key.display().to_string()),
            ("--tls-ca-cert-file", certificates.authority.display().to_string()),
            ("--tls-auth-clients", "no".to_owned()),
            ("--dir", folder.path().display().to_string()),
            ("--appendonly", "yes".to_owned()),
            ("--save", String::new()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        words.push("--user".to_owned());
        words.extend([USER, "on", &format!(">{PASSWORD}"), "~*", "&*", "+@all"].map(str::to_owned));
        let command = move || {
            let mut command = Command::new(&redis);
            command.args(&words);
            command
        };
        let server = Server::start("redis", folder.path(), command, move || pong(port).is_some());
        Box::new(Self { server, port, certificates, _folder: folder })
    }
}

fn pong(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"PING\r\n").ok()?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).ok()?;
    (&answer == b"+PONG").then_some(())
}

impl Broker for RedisServer {
    fn settings(&self, queue: &str) -> Settings {
        vec![
            ("QUEUE_TRANSPORT", "redis".into()),
            ("QUEUE_NAME", queue.into()),
            ("REDIS_URL", format!("redis://127.0.0.1:{}", self.port)),
        ]
    }

    fn tls_settings(&self, queue: &str) -> Option<Settings> {
        Some(vec![
            ("QUEUE_TRANSPORT", "redis".into()),
            ("QUEUE_NAME", queue.into()),
            ("REDIS_URL", format!("rediss://{USER}:{PASSWORD}@localhost:{}", self.port + 1)),
            ("QUEUE_CA_FILE", self.certificates.authority.display().to_string()),
        ])
    }

    fn stop(&self) {
        self.server.kill();
    }

    fn start(&self) {
        self.server.run();
    }
}
