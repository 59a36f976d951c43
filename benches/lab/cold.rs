//! `make bench-build`: CPU seconds of a cold build.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::machine;
use crate::helpers::proc;

/// Most of the base's CPU seconds.
const GOAL: f64 = 0.65;

/// `build`
#[derive(clap::Args, Debug)]
pub struct Options {
    /// The checkout to build
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    source: PathBuf,
    /// A second checkout, which is built first and to which the first is compared
    #[arg(long, value_name = "FOLDER")]
    base: Option<PathBuf>,
}

/// Builds into empty folders, which are removed, and prints.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let machine = machine::text(&machine::describe());
    let base = options.base.as_deref().map(build).transpose()?;
    let source = build(&options.source)?;
    println!("{machine}.\n");
    println!("| cold `cargo build --release --locked` | CPU, s | elapsed, s |\n|---|---:|---:|");
    for (name, cost) in [("base", base), ("program", Some(source))] {
        if let Some((cpu, elapsed)) = cost {
            println!("| {name} | {:.0} | {:.0} |", cpu.as_secs_f64(), elapsed.as_secs_f64());
        }
    }
    if let Some((base, _)) = base {
        let ratio = source.0.as_secs_f64() / base.as_secs_f64();
        println!("\nRatio {ratio:.2}, goal <= {GOAL}: {}.", if ratio <= GOAL { "met" } else { "missed" });
    }
    Ok(())
}

/// CPU time of one build, and how long it took.
fn build(source: &Path) -> anyhow::Result<(Duration, Duration)> {
    let target = tempfile::tempdir()?;
    let cargo = |arguments: &[&str]| -> anyhow::Result<()> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(source).env("CARGO_TARGET_DIR", target.path());
        // Wrappers and flags of the reader's own would make another build of it.
        for name in ["RUSTC_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
            command.env_remove(name);
        }
        // What cargo sets for the program it runs must not decide about the build.
        let inherited = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for name in
            inherited.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
        let status = command.stdin(Stdio::null()).status().context("cargo")?;
        if !status.success() {
            bail!("cargo {} in {}: {status}", arguments.join(" "), source.display());
        }
        Ok(())
    };
    cargo(&["fetch", "--locked"])?;
    // Compilers are children of cargo, which waits for them as we wait for it.
    let spent = || proc::stat(std::process::id()).map(|stat| stat.waited_for).context("no /proc");
    let (before, began) = (spent()?, Instant::now());
    cargo(&["build", "--release", "--locked"])?;
    Ok((spent()? - before, began.elapsed()))
}
