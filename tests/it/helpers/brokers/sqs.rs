//! moto's SQS behind a gate: it keeps everything in memory, so it is cut off and never ended.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::gate::Gate;
use super::server::{Server, program};
use super::{Broker, Settings};
use crate::helpers::{eventually, free_port, http};

/// Deliveries after which SQS itself moves a message to the dead letters: the default of
/// `QUEUE_MAX_ATTEMPTS`.
const MAX_RECEIVE_COUNT: u32 = 5;
const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/venv/bin/moto_server");

/// `moto_server`, with a queue and its dead-letter queue for each name.
pub struct SqsServer {
    _server: Server,
    /// moto's own, for the test's calls.
    direct: u16,
    gate: Gate,
    _folder: tempfile::TempDir,
}

impl SqsServer {
    pub fn boxed() -> Box<dyn Broker> {
        let there = Path::new(SERVER).is_file().then(|| SERVER.into());
        let moto = program("moto_server (.tools/venv)", there);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let command = move || {
            let mut command = Command::new(&moto);
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        };
        let server = Server::start("moto", folder.path(), command, move || {
            http::try_send("GET", &format!("http://127.0.0.1:{port}/moto-api/"), &[], None).is_some()
        });
        Box::new(Self { _server: server, direct: port, gate: Gate::to(port), _folder: folder })
    }

    fn call(&self, action: &str, body: &Value) -> Value {
        let target = format!("AmazonSQS.{action}");
        // moto takes the region from the signature's scope and checks nothing else of it.
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", target.as_str()),
            ("authorization", "AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/sqs/aws4_request"),
        ];
        let url = format!("http://127.0.0.1:{}/", self.direct);
        let body = body.to_string();
        let answer = eventually("moto answers", || {
            http::try_send("POST", &url, &headers, Some(body.as_bytes())).filter(|a| a.status == 200)
        });
        answer.json
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
        vec![
            ("QUEUE_TRANSPORT", "sqs".into()),
            ("QUEUE_NAME", queue.into()),
            ("SQS_QUEUE_URL", format!("http://127.0.0.1:{}/{path}", self.gate.port())),
        ]
    }

    fn stop(&self) {
        self.gate.shut();
    }

    fn start(&self) {
        self.gate.open();
    }
}
