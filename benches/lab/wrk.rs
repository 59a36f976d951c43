//! HTTP load by wrk: one thread, 32 connections, closed loop.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

pub const CONNECTIONS: u32 = 32;
/// wrk ends by itself; this much later it is ended.
const OVERTIME: Duration = Duration::from_secs(15);

/// What one run of wrk saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub requests: u64,
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
}

/// Sends `requests` of one kind for some time. `script` is a Lua file that says what to send.
///
/// # Errors
/// wrk failed, or an answer was not 2xx: numbers of errors are no numbers.
pub fn run(url: &str, script: Option<&Path>, time: Duration) -> anyhow::Result<Load> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{}s", time.as_secs()), "--latency"]);
    command.args(["--timeout", "10s"]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut wrk = command.spawn().context("wrk")?;
    let until = Instant::now() + time + OVERTIME;
    // It prints less than a pipe holds, so it may be waited for before it is read.
    while wrk.try_wait()?.is_none() {
        if Instant::now() > until {
            let _ = wrk.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let done = wrk.wait_with_output()?;
    let said = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        bail!("wrk {}: {said}{}", done.status, String::from_utf8_lossy(&done.stderr));
    }
    parse(&said).with_context(|| format!("wrk on {url} said:\n{said}"))
}

/// Reads what wrk prints with `--latency`.
pub fn parse(said: &str) -> anyhow::Result<Load> {
    if let Some(trouble) =
        said.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors"))
    {
        bail!("{}", trouble.trim());
    }
    let percentile = |name: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(name)).context("no percentile")?;
        time(line.trim()).with_context(|| format!("the time {line}"))
    };
    let requests = said.lines().find_map(|line| line.split_once(" requests in ")).context("no requests")?.0;
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:")).context("no rate")?;
    Ok(Load {
        requests: requests.trim().parse()?,
        per_second: rate.trim().parse()?,
        p50: percentile("50%")?,
        p99: percentile("99%")?,
    })
}

fn time(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let scale = match &text[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    let value: f64 = text[..unit].parse().ok()?;
    Duration::try_from_secs_f64(value * scale).ok()
}
