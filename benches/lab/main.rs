//! `make bench`, `make measure`, `make bench-build`: what the release build costs, measured from outside.
//!
//! ```text
//! make bench                                   the figures of target/release/o11y-lab
//! make bench BASE=/elsewhere/o11y-lab          and beside them those of another build, in turn, with ratios
//! make bench ARGS='--only syscalls,load --rounds 5 --json FILE'
//! make measure                                 memory, idle CPU, start times, size
//! make bench-verify                            100,000 spans, read and judged: time and memory
//! make bench-build [BASE_SOURCE=FOLDER]        CPU seconds of a cold build: many minutes
//! ```
//!
//! The measured programs are given by path and run as processes of their own. This one only starts them,
//! sends requests and reads /proc, so it is built in the dev profile, as the tests are. Needs Linux and wrk,
//! for system calls strace, for Redis redis-server: `scripts/provision --bench`; to draw, the browser of the tests
//! (`scripts/provision`). What cannot be measured
//! is said and ends it with 1; a goal that is missed is in the table only.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person"
)]

mod answers;
mod bench;
mod calls;
mod cold;
mod drawing;
mod exports;
#[path = "../../tests/it/helpers/mod.rs"]
#[allow(unused_imports, reason = "the tests use all of it")]
mod helpers;
mod idle;
mod intake;
mod load;
mod machine;
mod measures;
mod receiver;
mod report;
mod requests;
mod running;
mod samples;
mod strace;
mod telemetry;
mod tools;
mod verify;
mod wrk;

use std::process::ExitCode;

use clap::Parser;

/// What the release build costs, measured from outside
#[derive(Parser, Debug)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// `cargo bench` adds this
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// CPU, throughput, memory, system calls, size: one program, or two in turn
    Bench(bench::Options),
    /// Memory, idle CPU, start times and size of a lab at rest
    Measure(idle::Options),
    /// 100,000 spans, read and judged by `o11y-lab verify`
    Verify(verify::Options),
    /// CPU seconds of a cold build
    Build(cold::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Measure(options) => idle::run(&options).map(|()| true),
        Command::Verify(options) => verify::run(&options),
        Command::Build(options) => cold::run(&options).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
