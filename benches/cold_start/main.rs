//! `make bench-cold-start`: how long the function takes from the start of its process to the first time
//! it asks the Lambda runtime for an invocation, which is what Lambda calls init and a caller waits for.
//!
//! The runtime API is a stand-in of ours, the collector a port where nobody is: on Lambda neither is
//! worth waiting for. Ends with 1 if the goal is missed.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program for a person"
)]

#[path = "../../tests/it/helpers/standin.rs"]
mod standin;

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Longest 95th percentile.
const GOAL: Duration = Duration::from_millis(50);
/// Starts that are measured, after one that brings the file into memory.
const STARTS: usize = 40;
/// Longest wait for one start.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    start();
    let mut times: Vec<_> = (0..STARTS).map(|_| start()).collect();
    times.sort();
    let at = |part: f64| times[((STARTS - 1) as f64 * part).round() as usize].as_secs_f64() * 1e3;
    let met = times[((STARTS - 1) as f64 * 0.95).round() as usize] < GOAL;
    println!("| init of the function, ms | p50 | p95 | most | goal |");
    println!("|---|---:|---:|---:|---|");
    let verdict = if met { "met" } else { "MISSED" };
    println!(
        "| {STARTS} starts | {:.1} | {:.1} | {:.1} | p95 < {} ms: {verdict} |",
        at(0.5),
        at(0.95),
        at(1.0),
        GOAL.as_millis()
    );
    std::process::exit(i32::from(!met));
}

/// Starts the function once; the time until it asks.
fn start() -> Duration {
    let (tell, asked) = channel();
    let address = standin::serve(move |method, path, _| match (method, path) {
        ("POST", "/2020-01-01/extension/register") => {
            Some(standin::response("200 OK", "lambda-extension-identifier: one\r\n", "{}"))
        }
        ("GET", "/2018-06-01/runtime/invocation/next") => {
            tell.send(Instant::now()).expect("somebody waits");
            None
        }
        _ => None,
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_o11y-lab"));
    command
        .arg("lambda")
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "order-validator"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "eu-west-1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
            ("PORT", "0"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let started = Instant::now();
    let function = Ended(command.spawn().expect("the function starts"));
    let asked = asked.recv_timeout(PATIENCE).expect("the function asks for an invocation");
    drop(function);
    asked - started
}

/// A child that is ended, whatever becomes of the measurement.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
