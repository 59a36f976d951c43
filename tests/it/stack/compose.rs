//! The project, started by its own files and taken down again with its volumes.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{PORT_BASE, ask, docker, printed, with_stand_ins};
use crate::helpers::{Lab, Process};

/// Seconds in which everything has to be healthy, on two cores that nothing else wants.
pub const HEALTHY_WITHIN: u32 = 300;
/// The longest `stop_grace_period` and Docker's own for the others, in seconds, and some for the engine itself.
pub const STOPPED_WITHIN: u32 = 40;

/// A running project.
pub struct Stack {
    files: Vec<&'static str>,
    profile: Option<&'static str>,
    env: BTreeMap<&'static str, String>,
}

impl Stack {
    /// That of compose.yaml with this queue.
    pub fn with_queue(transport: &'static str) -> Self {
        let mut files = vec!["compose.yaml"];
        if with_stand_ins() {
            files.push("tests/tools/stand-ins/compose.yaml");
        }
        let profile = (transport != "redis").then_some(transport);
        Self { files, profile, env: BTreeMap::from([("QUEUE_TRANSPORT", transport.to_owned())]) }
    }

    /// That of compose.light.yaml.
    pub fn light() -> Self {
        Self { files: vec!["compose.yaml", "compose.light.yaml"], profile: None, env: BTreeMap::new() }
    }

    /// A setting that `up` reads the next time.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.env.insert(name, value.to_owned());
    }

    fn command(&self, seconds: u32, args: &[&str]) -> Command {
        let mut words = vec!["compose"];
        self.files.iter().for_each(|file| words.extend(["--file", file]));
        self.profile.iter().for_each(|profile| words.extend(["--profile", profile]));
        words.extend(args);
        let mut command = docker(seconds, &words);
        command.envs(&self.env);
        command
    }

    #[track_caller]
    pub fn run(&self, seconds: u32, args: &[&str]) -> String {
        printed(self.command(seconds, args))
    }

    /// Starts what is not there as the files have it, and waits for the health checks.
    #[track_caller]
    pub fn up(&self) -> Duration {
        self.up_only(&[])
    }

    /// The same of these services, and of what they need.
    #[track_caller]
    pub fn up_only(&self, services: &[&str]) -> Duration {
        let began = Instant::now();
        let within = HEALTHY_WITHIN.to_string();
        let up = ["up", "--detach", "--no-build", "--pull", "never", "--wait", "--wait-timeout", &within];
        self.run(HEALTHY_WITHIN + 30, &[&up, services].concat());
        began.elapsed()
    }

    /// The roles as the tests' helpers know a lab; its process only follows what the containers print.
    pub fn lab(&self) -> Lab {
        let follow = self.command(7200, &["logs", "--follow", "--tail", "0", "gateway"]);
        Lab::adopt(Process::spawn(follow), std::path::Path::new("/"), PORT_BASE)
    }

    /// The names of its services.
    pub fn services(&self) -> Vec<String> {
        self.run(60, &["ps", "--all", "--services"]).lines().map(str::to_owned).collect()
    }

    pub fn has(&self, service: &str) -> bool {
        self.services().iter().any(|name| name == service)
    }

    pub fn id(&self, service: &str) -> String {
        self.run(60, &["ps", "--all", "--quiet", service])
    }

    /// What `docker inspect` says of a service's container.
    pub fn inspect(&self, service: &str) -> Value {
        let text = ask(&["inspect", &self.id(service)]);
        let all: Value = serde_json::from_str(&text).expect("JSON");
        all[0].clone()
    }

    /// Memory in use and its limit in bytes, by service, as the kernel counts it for the limit without what it could drop.
    pub fn memory(&self) -> BTreeMap<String, (f64, f64)> {
        let ids: BTreeMap<_, _> = self.services().into_iter().map(|name| (self.id(&name), name)).collect();
        let mut words = vec!["stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.MemUsage}}"];
        words.extend(ids.keys().map(String::as_str));
        let text = printed(docker(120, &words));
        let row = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            Some((ids.get(words[0])?.clone(), (bytes(words[1])?, bytes(words[3])?)))
        };
        text.lines().filter_map(row).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(folder) = std::env::var_os("STACK_REPORT") {
            let said = self.command(60, &["logs", "--no-color", "--tail", "200"]).output();
            let name = format!(
                "{}.log",
                self.profile.unwrap_or(self.files.last().unwrap_or(&"stack")).replace('/', "-")
            );
            let file = std::path::Path::new(&folder).join(name);
            let _ = said.map(|said| std::fs::write(file, said.stdout));
        }
        let _ = self.command(120, &["down", "--volumes", "--timeout", "5"]).output();
    }
}

/// `12.5MiB`.
fn bytes(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let factor = match &text[unit..] {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    text[..unit].parse::<f64>().ok().map(|number| number * factor)
}
