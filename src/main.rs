//! Parse, dispatch, print one error, exit.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match o11y_lab::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            // The same code as for what the command line refuses: nobody should try it again.
            let invalid = error.downcast_ref::<o11y_lab::config::Invalid>().is_some();
            if invalid { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
