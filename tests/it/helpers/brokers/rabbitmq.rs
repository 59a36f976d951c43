//! A private RabbitMQ with an epmd of its own, in one process group.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::server::{Server, on_path, program};
use super::tls::Certificates;
use super::{Broker, Settings};
use crate::helpers::free_port_base;

/// The first thing a client says, and the frame with which a server begins.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";
const METHOD_FRAME: u8 = 1;

/// `rabbitmq-server` with a plain and a TLS port; the login is guest, guest.
pub struct RabbitServer {
    server: Server,
    port: u16,
    certificates: Certificates,
    _folder: tempfile::TempDir,
}

impl RabbitServer {
    pub fn boxed() -> Box<dyn Broker> {
        let rabbit = program("rabbitmq-server", script());
        let epmd = program("epmd", on_path("epmd"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().to_owned();
        let certificates = Certificates::make(&dir);
        let port = free_port_base();
        configure(&dir, port, &certificates);
        let command = move || {
            // epmd in the foreground: as a daemon it would outlive everybody.
            let mut command = Command::new("sh");
            command.args(["-c", "\"$1\" -port $ERL_EPMD_PORT & exec \"$2\"", "sh"]).arg(&epmd).arg(&rabbit);
            environment(&mut command, &dir, port);
            command
        };
        let server = Server::start("rabbitmq", folder.path(), command, move || greets(port).is_some());
        Box::new(Self { server, port, certificates, _folder: folder })
    }
}

/// The server under the package's folder: the wrapper on the PATH changes user.
fn script() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/rabbitmq/lib").ok()?;
    versions.flatten().map(|version| version.path().join("sbin/rabbitmq-server")).find(|file| file.is_file())
}

fn configure(dir: &Path, port: u16, certificates: &Certificates) {
    let text = format!(
        "listeners.tcp.default = 127.0.0.1:{port}\n\
         listeners.ssl.default = 127.0.0.1:{}\n\
         ssl_options.cacertfile = {}\n\
         ssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\n\
         ssl_options.verify = verify_none\n\
         vm_memory_high_watermark.relative = 0.9\n\
         disk_free_limit.absolute = 1MB\n\
         log.console = false\n",
        port + 1,
        certificates.authority.display(),
        certificates.certificate.display(),
        certificates.key.display(),
    );
    std::fs::write(dir.join("rabbitmq.conf"), text).expect("a file");
    std::fs::write(dir.join("plugins"), "[].\n").expect("a file");
}

fn environment(command: &mut Command, dir: &Path, port: u16) {
    let path = |name: &str| dir.join(name).into_os_string();
    command
        .env("HOME", dir)
        .env("RABBITMQ_NODENAME", format!("t{port}@localhost"))
        .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
        .env("RABBITMQ_CONF_ENV_FILE", path("none"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
        .env("RABBITMQ_MNESIA_BASE", path("data"))
        .env("RABBITMQ_LOG_BASE", path("log"))
        .env("RABBITMQ_PID_FILE", path("pid"))
        .env("RABBITMQ_DIST_PORT", (port + 2).to_string())
        .env("ERL_EPMD_PORT", (port + 3).to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        // Schedulers that spin while they wait would be the tests' heaviest load.
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none");
}

/// Listeners are what RabbitMQ starts last.
fn greets(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(HELLO).ok()?;
    let mut first = [0];
    stream.read_exact(&mut first).ok()?;
    (first[0] == METHOD_FRAME).then_some(())
}

impl Broker for RabbitServer {
    fn settings(&self, queue: &str) -> Settings {
        vec![
            ("QUEUE_TRANSPORT", "rabbitmq".into()),
            ("QUEUE_NAME", queue.into()),
            ("AMQP_URL", format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)),
        ]
    }

    fn tls_settings(&self, queue: &str) -> Option<Settings> {
        Some(vec![
            ("QUEUE_TRANSPORT", "rabbitmq".into()),
            ("QUEUE_NAME", queue.into()),
            ("AMQP_URL", format!("amqps://guest:guest@localhost:{}/%2f", self.port + 1)),
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
