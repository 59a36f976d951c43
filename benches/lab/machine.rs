//! Where, when and of what something was measured.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// As many processes wanting a core before anything is started here are other work.
const BUSY: f64 = 0.5;

/// The machine and the moment.
pub fn describe() -> Value {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string();
    json!({
        "date": now,
        "cpu": cpu(),
        "cores": cores,
        "kernel": file("/proc/sys/kernel/osrelease"),
        "load": load(),
        "commit": commit(),
    })
}

/// One line for a person.
pub fn text(machine: &Value) -> String {
    let of = |name: &str| machine[name].as_str().map_or_else(|| machine[name].to_string(), str::to_owned);
    let busy = if machine["load"].as_f64().is_some_and(|load| load > BUSY) {
        "; it was BUSY with other work"
    } else {
        ""
    };
    format!(
        "{}, working tree at {}; {} cores of {}, Linux {}, load before {}{busy}",
        of("date"),
        of("commit"),
        of("cores"),
        of("cpu"),
        of("kernel"),
        of("load")
    )
}

/// The size of a program in bytes, without symbols if binutils are there.
pub fn stripped_size(program: &Path) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("stripped");
    let strip = Command::new("strip").arg("-o").arg(&copy).arg(program).output();
    let smallest = if strip.is_ok_and(|done| done.status.success()) { copy.as_path() } else { program };
    Ok(std::fs::metadata(smallest)?.len())
}

fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn cpu() -> String {
    let info = file("/proc/cpuinfo");
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// Of the last minute.
fn load() -> f64 {
    file("/proc/loadavg").split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let done = Command::new("git").args(arguments).output().ok().filter(|done| done.status.success())?;
        Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "no commit".to_owned() };
    let clean =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changed| changed.is_empty());
    if clean { commit } else { format!("{commit} with changes") }
}
