//! The `console` exporter: items as OTLP/JSON on standard output, a line each, between the lines of the log.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::runtime::telemetry::signal::Signal;
use crate::runtime::writer::LossyWriter;

/// Bytes after which the exporter waits until they are written. It is no thread that anything waits for, and a batch
/// is larger than what the writer holds.
const PIECE: usize = 64 * 1024;
/// The longest it waits for who reads; then lines are dropped and counted like those of the log.
const PATIENCE: Duration = Duration::from_secs(1);

/// The writer of the log's lines, which other lines of the same stream must go by as well.
#[derive(Clone)]
pub(in crate::runtime::telemetry) struct StdoutLines(pub(in crate::runtime::telemetry) Arc<LossyWriter>);

impl StdoutLines {
    /// Writes an export, given as protobuf.
    pub(super) fn export(&self, signal: Signal, message: &[u8]) {
        let mut written = 0;
        // What was encoded here is an export.
        let _ = crate::otlp::export_lines(message, signal.label(), |line| {
            written += line.len() + 1;
            self.0.line(line);
            if written >= PIECE {
                written = 0;
                self.0.written(PATIENCE);
            }
        });
    }
}

impl fmt::Debug for StdoutLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StdoutLines")
    }
}
