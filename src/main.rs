//! Parse, dispatch, print one error, exit.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use o11y_lab::runtime::writer;

/// Lines that still wait are written however `main` ends, by a panic too, before what it says itself.
struct LastLines;

impl Drop for LastLines {
    fn drop(&mut self) {
        writer::flush_all_blocking(Duration::from_millis(500));
    }
}

fn main() -> ExitCode {
    let last_lines = LastLines;
    let ended = o11y_lab::cli::run();
    drop(last_lines);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            // The same code as for what the command line refuses: nobody should try it again.
            if error.is::<o11y_lab::config::Invalid>() {
                return ExitCode::from(2);
            }
            // As a shell says of a program that SIGINT ended.
            if error.is::<o11y_lab::lab::load::Interrupted>() {
                return ExitCode::from(130);
            }
            if let Some(not) = error.downcast_ref::<o11y_lab::lab::scenario::NotPassed>() {
                return ExitCode::from(not.exit_code);
            }
            if let Some(not) = error.downcast_ref::<o11y_lab::lab::verify::NotVerified>() {
                return ExitCode::from(not.exit_code);
            }
            if let Some(not) = error.downcast_ref::<o11y_lab::lab::running::NotAsWanted>() {
                return ExitCode::from(not.exit_code);
            }
            ExitCode::FAILURE
        }
    }
}
