//! `make bench-verify`: `o11y-lab verify` on 100,000 spans, by the lab's console and by the page of each role.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::machine;
use super::running::{RunningLab, program};
use crate::helpers::proc;
use crate::helpers::process::clean;

/// With the tenth of every other request these are 100,890 spans.
const ORDERS: &str = "5700";
/// The most that it may take from the last answer on, and the most memory.
const SECONDS: f64 = 10.0;
const MIB: f64 = 300.0;
/// Room in the console for all of it.
const ROOM: [(&str, &str); 3] =
    [("CONSOLE_MAX_SPANS", "200000"), ("CONSOLE_MAX_LOGS", "200000"), ("CONSOLE_MAX_MEMORY_MIB", "1024")];
const PAUSE: Duration = Duration::from_millis(10);

/// `verify`
#[derive(clap::Args, Debug)]
pub struct Options {
    /// The program to measure
    #[arg(long, value_name = "FILE", default_value = "target/release/o11y-lab")]
    program: PathBuf,
}

/// Measures and prints; whether both goals are reached.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    let (program, machine) = (program(&options.program)?, machine::describe());
    let lab = RunningLab::start(&program, &ROOM)?;
    let child = start(&program, lab.gateway())?;
    let (report, cpu, peak) = watch(child)?;
    let sending = report["seconds"].as_f64().context("no seconds in the report")?;
    let took = report["judging"].as_f64().context("no judging time in the report")?;
    let claims = report["claims"].as_array().context("no claims in the report")?;
    let complete =
        claims.iter().find(|claim| claim["id"] == "traces.complete").context("no traces were judged")?;
    println!("{}.\n", machine::text(&machine));
    println!("{}: {}, {} claims.\n", report["verdict"], complete["found"], claims.len());
    println!(
        "| sending, s | from the last answer to the report, s | CPU of `verify`, s | peak memory, MiB |"
    );
    println!("|---:|---:|---:|---:|");
    println!(
        "| {sending:.1} | {took:.1} (goal <= {SECONDS}) | {:.1} | {peak:.0} (goal <= {MIB}) |",
        cpu.as_secs_f64()
    );
    if report["verdict"] != "pass" {
        let red = claims.iter().filter(|claim| claim["verdict"] != "pass");
        bail!("{:#?}", red.collect::<Vec<_>>());
    }
    Ok(took <= SECONDS && peak <= MIB)
}

fn start(program: &Path, port: u16) -> anyhow::Result<Child> {
    let mut command = clean(Command::new(program));
    command.args([
        "verify",
        "--json",
        "--orders",
        ORDERS,
        "--within",
        "120s",
        "--port-base",
        &port.to_string(),
    ]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().with_context(|| program.display().to_string())
}

/// Waits for its end: the report, CPU time and the most memory it had, in MiB.
fn watch(mut child: Child) -> anyhow::Result<(Value, Duration, f64)> {
    let (mut cpu, mut peak) = (Duration::ZERO, 0);
    // Its report is a few KiB, less than a pipe holds.
    while child.try_wait()?.is_none() {
        cpu = cpu.max(proc::cpu(child.id()));
        peak = peak.max(proc::peak(child.id()).unwrap_or_default());
        std::thread::sleep(PAUSE);
    }
    let report = serde_json::from_reader(child.stdout.take().context("no output")?)?;
    Ok((report, cpu, peak as f64 / 1024.0))
}
