//! What a lab command prints: standard output is data.

use std::io::{ErrorKind, Write as _};

use serde_json::Value;

/// The same twice, for a person and for a program.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) json: Value,
}

impl Answer {
    /// Prints one of the two.
    pub(super) fn print(&self, in_json: bool) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        let written = match in_json {
            true => writeln!(stdout, "{:#}", self.json),
            false => write!(stdout, "{}", self.text),
        };
        match written {
            // Whoever reads may have seen enough: `o11y-lab queue dead list | head`.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}
