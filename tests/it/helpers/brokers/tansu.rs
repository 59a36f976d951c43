//! tansu: a broker that speaks Kafka's protocol and keeps its data in a SQLite file.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::server::Server;
use super::tls::Proxy;
use super::{Broker, Settings};
use crate::helpers::{DEADLINE, free_port};

const TANSU: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/tansu/bin/tansu");
const USER: &str = "lab";
const PASSWORD: &str = "not-so-secret";

/// One broker without a login; one with, behind a proxy that speaks TLS, once that is asked for.
pub struct TansuServer {
    server: Server,
    port: u16,
    guarded: OnceLock<Guarded>,
    folder: tempfile::TempDir,
}

/// tansu 0.6 cannot be given a certificate: its `--cert` and `--key` exclude each other.
struct Guarded {
    _broker: Server,
    proxy: Proxy,
}

impl TansuServer {
    pub fn boxed() -> Box<dyn Broker> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let server = start("tansu", folder.path(), port, &format!("127.0.0.1:{port}"), &[]);
        index_headers(&folder.path().join("tansu.db"));
        Box::new(Self { server, port, guarded: OnceLock::new(), folder })
    }
}

fn start(name: &'static str, folder: &Path, port: u16, advertised: &str, more: &'static [&str]) -> Server {
    assert!(Path::new(TANSU).is_file(), "tansu is not built; scripts/kafka-broker builds it");
    let dir = folder.to_owned();
    let advertised = advertised.to_owned();
    let command = move || {
        // The path of the data is taken from the working directory, whatever it is.
        let mut command = Command::new("sh");
        command.args(["-c", "cd \"$0\" && exec \"$@\""]).arg(&dir).args([TANSU, "broker"]).args(more);
        command.arg(format!("--storage-engine=sqlite://{name}.db"));
        command.arg(format!("--listener-url=tcp://127.0.0.1:{port}"));
        command.arg(format!("--advertised-listener-url=tcp://{advertised}"));
        command
    };
    Server::start(name, folder, command, move || answers(port).is_some())
}

/// tansu 0.6 searches the headers of all records for those of one, and answers nobody meanwhile: after
/// some thousand messages no call is answered in time. In the file, so it is there after a restart.
fn index_headers(data: &Path) {
    let db = rusqlite::Connection::open(data).expect("tansu's file");
    db.busy_timeout(DEADLINE).expect("a time limit");
    db.execute_batch("CREATE INDEX header_of ON header (topition, offset_id)")
        .expect("an index for tansu's headers");
}

/// Asks which calls it knows, as every client does first.
fn answers(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    // Length; call 18 in version 0; a number that comes back; no client id.
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff]).ok()?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).ok()?;
    (answer[7] == 7).then_some(())
}

fn guard(folder: &Path) -> Guarded {
    let (inner, port) = (free_port(), free_port());
    let advertised = format!("localhost:{port}");
    let open = start("guarded", folder, inner, &advertised, &[]);
    let mut create = Command::new(TANSU);
    create.args(["user", "create", USER, PASSWORD, "--mechanism=scram256"]);
    create.arg(format!("--broker=tcp://127.0.0.1:{inner}"));
    assert!(create.status().expect("tansu runs").success(), "a user is made");
    drop(open);
    let broker = start("guarded", folder, inner, &advertised, &["--authentication"]);
    Guarded { _broker: broker, proxy: Proxy::listening(port, inner, folder) }
}

impl Broker for TansuServer {
    fn settings(&self, queue: &str) -> Settings {
        vec![
            ("QUEUE_TRANSPORT", "kafka".into()),
            ("QUEUE_NAME", queue.into()),
            ("KAFKA_BROKERS", format!("127.0.0.1:{}", self.port)),
        ]
    }

    fn tls_settings(&self, queue: &str) -> Option<Settings> {
        let guarded = self.guarded.get_or_init(|| guard(self.folder.path()));
        Some(vec![
            ("QUEUE_TRANSPORT", "kafka".into()),
            ("QUEUE_NAME", queue.into()),
            ("KAFKA_BROKERS", format!("localhost:{}", guarded.proxy.port)),
            ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl".into()),
            ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-256".into()),
            ("KAFKA_SASL_USERNAME", USER.into()),
            ("KAFKA_SASL_PASSWORD", PASSWORD.into()),
            ("QUEUE_CA_FILE", guarded.proxy.authority.display().to_string()),
        ])
    }

    fn stop(&self) {
        self.server.kill();
    }

    fn start(&self) {
        self.server.run();
    }
}
