//! moto's SQS behind a gate: it keeps everything in memory, so it is cut off and never ended.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::gate::Gate;
use super::server::{Server, program};
use super::tls::Certificates;
use super::{Broker, Settings};
use crate::helpers::{eventually, free_port};

/// Deliveries after which SQS itself moves a message to the dead letters: the default of
/// `QUEUE_MAX_ATTEMPTS`.
const MAX_RECEIVE_COUNT: u32 = 5;
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/venv/bin/python");
/// `moto_server` with its own lock where it forgot it, as compose's profile `sqs` runs it.
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/sqs/serve.py");

/// `moto_server`, with a queue and its dead-letter queue for each name.
pub struct SqsServer {
    _server: Server,
    /// Where moto itself is, for the test's calls.
    direct: String,
    client: reqwest::blocking::Client,
    gate: Gate,
    /// Where it speaks TLS.
    certificates: Option<Certificates>,
    _folder: tempfile::TempDir,
}

impl SqsServer {
    pub fn boxed() -> Box<dyn Broker> {
        Box::new(Self::in_the_open())
    }

    /// One whose API a test calls too.
    pub fn in_the_open() -> Self {
        Self::start_server(false)
    }

    /// One that speaks TLS, whose settings therefore name an authority. It takes any credentials,
    /// but the client wants to have some; they are not among the settings.
    pub fn over_tls() -> Self {
        Self::start_server(true)
    }

    fn start_server(tls: bool) -> Self {
        let there = Path::new(PYTHON).is_file().then(|| PYTHON.into());
        let python = program("moto_server (.tools/venv)", there);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificates = tls.then(|| Certificates::make(folder.path()));
        let port = free_port();
        let mut args: Vec<_> = ["-H", "127.0.0.1", "-p", &port.to_string()].map(OsString::from).into();
        if let Some(made) = &certificates {
            args.extend(["-c".into(), made.certificate.clone().into(), "-k".into(), made.key.clone().into()]);
        }
        let command = move || {
            let mut command = Command::new(&python);
            command.arg(SERVER).args(&args).env_remove("QUEUE_NAME");
            command
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::blocking::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true);
        let client = client.timeout(Duration::from_secs(20)).build().expect("a client");
        let direct = format!("{}://localhost:{port}", if tls { "https" } else { "http" });
        let (probe, url) = (client.clone(), format!("{direct}/moto-api/"));
        let server = Server::start("moto", folder.path(), command, move || probe.get(&url).send().is_ok());
        Self { _server: server, direct, client, gate: Gate::to(port), certificates, _folder: folder }
    }

    /// Calls the API of SQS past the gate.
    pub fn call(&self, action: &str, body: &Value) -> Value {
        let request = || {
            self.client
                .post(format!("{}/", self.direct))
                .header("content-type", "application/x-amz-json-1.0")
                .header("x-amz-target", format!("AmazonSQS.{action}"))
                // moto takes the region from the signature's scope and checks nothing else of it.
                .header("authorization", "AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/sqs/aws4_request")
                .body(body.to_string())
        };
        eventually("moto answers", || {
            let answer = request().send().ok().filter(|answer| answer.status() == 200)?;
            serde_json::from_str(&answer.text().ok()?).ok().or(Some(Value::Null))
        })
    }

    fn create(&self, name: &str, attributes: &Value) -> String {
        let created = self.call("CreateQueue", &json!({"QueueName": name, "Attributes": attributes}));
        created["QueueUrl"].as_str().expect("a URL").to_owned()
    }
}

impl Broker for SqsServer {
    fn settings(&self, queue: &str) -> Settings {
        let dead = self.create(&format!("{queue}-dead"), &json!({}));
        let asked =
            self.call("GetQueueAttributes", &json!({"QueueUrl": dead, "AttributeNames": ["QueueArn"]}));
        let redrive = json!({
            "deadLetterTargetArn": asked["Attributes"]["QueueArn"],
            "maxReceiveCount": MAX_RECEIVE_COUNT,
        });
        let url = self.create(queue, &json!({"RedrivePolicy": redrive.to_string()}));
        let path = url.splitn(4, '/').nth(3).expect("account and name").to_owned();
        let mut settings = vec![("QUEUE_TRANSPORT", "sqs".to_owned()), ("QUEUE_NAME", queue.to_owned())];
        let origin = match &self.certificates {
            Some(made) => {
                settings.push(("QUEUE_CA_FILE", made.authority.display().to_string()));
                format!("https://localhost:{}", self.gate.port())
            }
            None => format!("http://127.0.0.1:{}", self.gate.port()),
        };
        settings.push(("SQS_QUEUE_URL", format!("{origin}/{path}")));
        settings
    }

    fn stop(&self) {
        self.gate.shut();
    }

    fn start(&self) {
        self.gate.open();
    }
}
