//! A process that takes OTLP/HTTP: the lab's console, or a Jaeger with its memory store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use serde_json::json;

use super::running::at_rest;
use crate::helpers::process::{clean, signal_pid};
use crate::helpers::{free_port, http, proc};

const READY_WITHIN: Duration = Duration::from_secs(30);
const RESTS_WITHIN: Duration = Duration::from_secs(60);

/// Killed when dropped.
pub struct Receiver {
    child: Child,
    /// Where it takes spans.
    pub otlp: String,
    /// Where it answers questions.
    pub page: String,
    folder: tempfile::TempDir,
}

impl Receiver {
    /// The console alone; its standard input is held open, as its end is the console's.
    pub fn console(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let base = crate::helpers::free_port_base();
        let mut command = clean(Command::new(program));
        command.args(["console", "--port-base", &base.to_string(), "--otlp-grpc-port", "0"]);
        // A folder is named by a word, and is this one's own.
        let own = |word: &&str| match *word {
            "FOLDER" => folder.path().join("retained"),
            other => PathBuf::from(other),
        };
        command.args(arguments.iter().map(own));
        let at = |port: u16| format!("http://127.0.0.1:{port}");
        Self::start(command, at(base + 6), at(base + 5), "/ready", folder)
    }

    /// Jaeger with nothing but what takes spans, stores them in memory and answers.
    pub fn jaeger() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let [otlp, query, query_grpc] = [(); 3].map(|()| free_port());
        let at = |port: u16| format!("127.0.0.1:{port}");
        let config = json!({
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "pipelines": {"traces": {
                    "receivers": ["otlp"], "processors": ["batch"], "exporters": ["jaeger_storage_exporter"],
                }},
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "error"}},
            },
            "extensions": {
                // As many spans as the console keeps.
                "jaeger_storage": {"backends": {"traces": {"memory": {"max_traces": 4200}}}},
                "jaeger_query": {
                    "storage": {"traces": "traces"},
                    "http": {"endpoint": at(query)}, "grpc": {"endpoint": at(query_grpc)},
                },
            },
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": at(otlp)}}}},
            "processors": {"batch": {}},
            "exporters": {"jaeger_storage_exporter": {"trace_storage": "traces"}},
        });
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, config.to_string())?;
        let mut command = clean(Command::new(jaeger_program()));
        command.arg("--config").arg(file);
        let url = |port| format!("http://{}", at(port));
        Self::start(command, url(otlp), url(query), "/api/services", folder)
    }

    fn start(
        mut command: Command,
        otlp: String,
        page: String,
        ready: &str,
        folder: tempfile::TempDir,
    ) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(File::create(folder.path().join("stderr"))?);
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut receiver = Self { child, otlp, page, folder };
        let until = Instant::now() + READY_WITHIN;
        let url = format!("{}{ready}", receiver.page);
        while http::try_send("GET", &url, &[], None).is_none_or(|answer| answer.status != 200) {
            if receiver.child.try_wait()?.is_some() || Instant::now() > until {
                let said = std::fs::read_to_string(receiver.folder.path().join("stderr")).unwrap_or_default();
                bail!("not ready: {command:?}\n{said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(receiver)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time so far, read when nothing is done any more.
    pub fn cpu_at_rest(&self) -> anyhow::Result<Duration> {
        at_rest(RESTS_WITHIN, || proc::cpu(self.pid()))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        signal_pid(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Where `scripts/provision --backends` puts it.
pub fn jaeger_program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/backends/jaeger/jaeger")
}
