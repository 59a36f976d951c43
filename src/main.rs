//! Parse, dispatch, print one error, exit.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match o11y_lab::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
