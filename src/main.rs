//! Parse, dispatch, print one error, exit.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match o11y_lab::cli::run() {
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
            ExitCode::FAILURE
        }
    }
}
