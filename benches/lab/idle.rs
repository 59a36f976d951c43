//! `make measure`: a lab at rest.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::machine;
use super::running::{RunningLab, program};

/// Start-up's own work is over.
const SETTLE: Duration = Duration::from_secs(10);

/// `measure`
#[derive(clap::Args, Debug)]
pub struct Options {
    /// The program to measure
    #[arg(long, value_name = "FILE", default_value = "target/release/o11y-lab")]
    program: PathBuf,
    /// How long CPU time is watched, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3600))]
    idle: u16,
}

/// Measures and prints.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let (program, machine) = (program(&options.program)?, machine::describe());
    let lab = RunningLab::start(&program, &[])?;
    let started = lab.start_times();
    std::thread::sleep(SETTLE);
    let (began, before) = (Instant::now(), lab.cpu());
    std::thread::sleep(Duration::from_secs(options.idle.into()));
    let (watched, after) = (began.elapsed().as_secs_f64(), lab.cpu());
    let memory = lab.memory()?;
    println!(
        "| process | RSS, MiB | PSS, MiB | private, MiB | CPU idle over {} s, % of a core | start to ready |",
        options.idle
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let mut spent_in_all = 0.0;
    for (name, memory) in &memory {
        let spent = after[name].saturating_sub(before[name]).as_secs_f64() / watched * 100.0;
        spent_in_all += spent;
        // `up` is ready when all are: that is the last line's.
        let took = if name == "up" { None } else { started.get(name).copied() };
        line(&format!("`{name}`"), *memory, spent, took);
    }
    line("all", memory.into_values().sum(), spent_in_all, started.get("up").copied());
    println!(
        "\nProgram: {:.1} MiB. {}.",
        machine::stripped_size(&program)? as f64 / 1024.0 / 1024.0,
        machine::text(&machine)
    );
    Ok(())
}

fn line(name: &str, memory: crate::helpers::proc::Memory, spent: f64, took: Option<Duration>) {
    let mib = |kib: u64| kib as f64 / 1024.0;
    let took = took.map_or("-".to_owned(), |took| format!("{} ms", took.as_millis()));
    println!(
        "| {name} | {:.1} | {:.1} | {:.1} | {spent:.2} | {took} |",
        mib(memory.rss),
        mib(memory.pss),
        mib(memory.private)
    );
}
