//! A private Apache Kafka: one node, broker and controller in one process.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::server::{Server, on_path, program};
use super::tls::Certificates;
use super::{Broker, Settings};
use crate::helpers::free_port_base;

/// Options of the Java machine that `scripts/provision` wrote, with the broker's jars.
const OPTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/kafka/java.options");
/// The cluster's id: 16 bytes in the URL's Base64.
const CLUSTER: &str = "bzExeS1sYWItdGVzdHMtMQ";
/// What formatting makes in the broker's data folder.
const FORMATTED: [&str; 2] =
    ["meta.properties", "__cluster_metadata-0/00000000000000000000-0000000000.checkpoint"];
const USER: &str = "lab";
const PASSWORD: &str = "not-so-secret";

/// A broker with a plain port and one with TLS and a login.
pub struct KafkaServer {
    server: Server,
    port: u16,
    certificates: Certificates,
    _folder: tempfile::TempDir,
}

impl KafkaServer {
    pub fn boxed() -> Box<dyn Broker> {
        assert!(Path::new(OPTIONS).is_file(), "Kafka is not installed; scripts/provision installs it");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificates = Certificates::make(folder.path());
        let port = free_port_base();
        let properties = folder.path().join("server.properties");
        std::fs::write(&properties, configuration(folder.path(), port, &certificates)).expect("a file");
        format(&folder.path().join("data"), &properties);
        let command = move || {
            let mut command = java();
            command.arg("kafka.Kafka").arg(&properties);
            command
        };
        let server = Server::start("kafka", folder.path(), command, move || answers(port).is_some());
        Box::new(Self { server, port, certificates, _folder: folder })
    }
}

fn java() -> Command {
    let mut command = Command::new(program("java", on_path("java")));
    command.arg(format!("@{OPTIONS}"));
    command
}

fn configuration(folder: &Path, port: u16, certificates: &Certificates) -> String {
    let keystore = folder.join("keystore.pem");
    let read = |file| std::fs::read_to_string(file).expect("a file");
    std::fs::write(&keystore, read(&certificates.key) + &read(&certificates.certificate)).expect("a file");
    let (tls, controller) = (port + 1, port + 2);
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         log.dirs={}\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\n\
         listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{tls},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://localhost:{tls}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         ssl.keystore.type=PEM\n\
         ssl.keystore.location={}\n\
         sasl.enabled.mechanisms=SCRAM-SHA-256\n\
         listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;\n",
        folder.join("data").display(),
        keystore.display(),
    );
    // One node keeps one copy of everything, and of partitions that keep offsets one is enough.
    for (name, value) in [
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.num.partitions", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        // A member of the newer protocol that is dead is noticed as soon as one of the classic may be.
        ("group.consumer.min.session.timeout.ms", "6000"),
        ("group.consumer.session.timeout.ms", "6000"),
        ("group.consumer.min.heartbeat.interval.ms", "500"),
        ("group.consumer.heartbeat.interval.ms", "500"),
        // The first member of a group does not wait for others.
        ("group.initial.rebalance.delay.ms", "0"),
    ] {
        writeln!(text, "{name}={value}").expect("text");
    }
    text
}

/// Formats the data folder: by Kafka's tool for the first broker of this process, with what that made
/// for all further ones, whose settings differ in nothing that is in there.
fn format(data: &Path, properties: &Path) {
    static MADE: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let mut command = java();
        command.args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER, "--config"]);
        command.arg(properties).arg("--add-scram");
        command.arg(format!("SCRAM-SHA-256=[name={USER},password={PASSWORD}]"));
        let done = command.stdout(Stdio::null()).stderr(Stdio::piped()).output().expect("java runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        FORMATTED.map(|file| std::fs::read(data.join(file)).expect("a formatted folder"))
    });
    for (file, content) in FORMATTED.iter().zip(made) {
        let file = data.join(file);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        if !file.exists() {
            std::fs::write(file, content).expect("a file");
        }
    }
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

impl Broker for KafkaServer {
    fn settings(&self, queue: &str) -> Settings {
        vec![
            ("QUEUE_TRANSPORT", "kafka".into()),
            ("QUEUE_NAME", queue.into()),
            ("KAFKA_BROKERS", format!("127.0.0.1:{}", self.port)),
        ]
    }

    fn tls_settings(&self, queue: &str) -> Option<Settings> {
        Some(vec![
            ("QUEUE_TRANSPORT", "kafka".into()),
            ("QUEUE_NAME", queue.into()),
            ("KAFKA_BROKERS", format!("localhost:{}", self.port + 1)),
            ("KAFKA_SECURITY_PROTOCOL", "sasl_ssl".into()),
            ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-256".into()),
            ("KAFKA_SASL_USERNAME", USER.into()),
            ("KAFKA_SASL_PASSWORD", PASSWORD.into()),
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
