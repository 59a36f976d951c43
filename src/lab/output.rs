//! The output of a lab command: standard output is data.

use std::io::{self, Write as _};

use serde_json::Value;

/// One result twice, for a person and for a program.
pub(crate) struct CommandOutput {
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl CommandOutput {
    /// Prints one of the two.
    pub(crate) fn print(&self, in_json: bool) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = match in_json {
            true => writeln!(stdout, "{:#}", self.json),
            false => write!(stdout, "{}", self.text),
        };
        tolerate_closed_pipe(written)
    }
}

/// The result of writing to standard output. A closed pipe is no error: the reader has seen enough, as
/// in `o11y-lab queue dead list | head`.
pub(crate) fn tolerate_closed_pipe(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
