//! The real Prometheus and Alertmanager as processes, with the files of deploy/ and alerts/.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use o11y_lab::lab::backend::metric::MetricSeries;
use serde_json::{Value, json};

use super::brokers::server::{on_path, program};
use super::rules::{files, root};
use super::{Process, backend, eventually, free_port, get, http};

/// Where `url` stands in deploy/alertmanager/alertmanager.yml, once.
pub const WEBHOOK: &str = "http://notify:3003/alerts";

/// The project's own name for Alertmanager, or Debian's.
const ALERTMANAGER: [&str; 2] = ["alertmanager", "prometheus-alertmanager"];

/// Runs one of the tools and returns what it said; a failure is the test's.
#[track_caller]
pub fn tool(name: &str, args: &[&str]) -> String {
    let done = Command::new(program(name, on_path(name))).args(args).output().expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{name} {}:\n{said}", args.join(" "));
    said
}

/// A path of the project as text.
pub fn path(relative: &str) -> String {
    root().join(relative).display().to_string()
}

/// A folder as Prometheus wants it: prometheus.yml as it is, the rules of a profile, `targets` (name
/// of the service, address) and perhaps an Alertmanager.
pub fn folder(profile: &str, targets: &[(String, String)], alertmanager: Option<&str>) -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| {
        let file = temp.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    put("prometheus.yml", std::fs::read_to_string(path("deploy/prometheus/prometheus.yml")).unwrap());
    for file in files(&format!("alerts/{profile}")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        put(&format!("rules/{name}"), std::fs::read_to_string(&file).unwrap());
    }
    let target = |(service, address): &(String, String)| json!({"targets": [address], "labels": {"job": service, "service": service}});
    put("targets/test.json", json!(targets.iter().map(target).collect::<Vec<_>>()).to_string());
    let managers: Vec<_> = alertmanager.iter().map(|address| json!({"targets": [address]})).collect();
    put("alertmanagers/test.json", json!(managers).to_string());
    temp
}

/// The traces that the exemplars of the series behind a query name.
pub fn exemplar_traces(prometheus: &str, query: &str) -> BTreeSet<String> {
    let hour = jiff::SignedDuration::from_hours(1);
    let (start, end) = (jiff::Timestamp::now() - hour, jiff::Timestamp::now() + hour);
    let url = format!("{prometheus}/api/v1/query_exemplars?query={query}&start={start}&end={end}");
    let answer = http::try_send("GET", &url, &[], None).map(|answer| answer.json).unwrap_or_default();
    let series = answer["data"].as_array().into_iter().flatten();
    let exemplars = series.flat_map(|series| series["exemplars"].as_array().into_iter().flatten());
    exemplars.filter_map(|one| one["labels"]["trace_id"].as_str().map(str::to_owned)).collect()
}

/// A server of either kind, stopped when dropped.
pub struct Server {
    pub url: String,
    process: Process,
    folder: tempfile::TempDir,
}

impl Server {
    /// Prometheus on a [`folder`], with the flags that prometheus.yml names.
    pub fn prometheus(folder: tempfile::TempDir) -> Self {
        Self::prometheus_at(&program("prometheus", on_path("prometheus")), folder, &[])
    }

    /// The same with this program and further flags.
    pub fn prometheus_at(program: &Path, folder: tempfile::TempDir, flags: &[&str]) -> Self {
        let runbooks = format!("--web.user-assets={}", path("docs/runbooks"));
        let flags = [&[runbooks.as_str(), "--enable-feature=exemplar-storage"], flags].concat();
        Self::start(program, folder, "prometheus.yml", "--storage.tsdb.path", &flags)
    }

    /// Alertmanager with a text of configuration.
    pub fn alertmanager(config: &str) -> Self {
        let found = ALERTMANAGER.into_iter().find_map(on_path);
        Self::alertmanager_at(&program("alertmanager", found), config)
    }

    /// The same with this program.
    pub fn alertmanager_at(program: &Path, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("alertmanager.yml"), config).unwrap();
        Self::start(program, folder, "alertmanager.yml", "--storage.path", &["--cluster.listen-address="])
    }

    fn start(program: &Path, folder: tempfile::TempDir, config: &str, storage: &str, flags: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let at = |name: &str| -> PathBuf { folder.path().join(name) };
        let mut command = super::process::clean(Command::new(program));
        command.arg(format!("--config.file={}", at(config).display()));
        command.arg(format!("{storage}={}", at("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg(format!("--web.external-url=http://{address}"));
        command.args(flags).current_dir(folder.path());
        let process = Process::spawn(command);
        let url = format!("http://{address}");
        eventually(&format!("{} is ready: {}", program.display(), process.stderr()), || {
            http::try_send("GET", &format!("{url}/-/ready"), &[], None).filter(|answer| answer.status == 200)
        });
        Self { url, process, folder }
    }

    /// What `path` of it answers, as JSON.
    pub fn json(&self, path: &str) -> Value {
        get(&format!("{}{path}", self.url)).json
    }

    /// The series that a query finds.
    #[track_caller]
    pub fn query(&self, expr: &str) -> Vec<MetricSeries> {
        backend::query(&self.url, expr)
    }

    /// What it wrote.
    pub fn said(&self) -> String {
        self.process.stderr()
    }
}
