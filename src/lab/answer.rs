//! What a lab command prints: standard output is data.

use std::io::{self, Write as _};

use serde_json::Value;

/// The same twice, for a person and for a program.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) json: Value,
}

impl Answer {
    /// Prints one of the two.
    pub(super) fn print(&self, in_json: bool) -> anyhow::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = match in_json {
            true => writeln!(stdout, "{:#}", self.json),
            false => write!(stdout, "{}", self.text),
        };
        seen_enough(written)
    }
}

/// What became of writing to standard output. That whoever reads has gone is no error: they have seen
/// enough, as in `o11y-lab queue dead list | head`.
pub(super) fn seen_enough(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
