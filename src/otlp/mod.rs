//! OTLP's two encodings: the messages as tables, and from one encoding to the other by them.
//!
//! 1. [`fields`] OTLP's messages as tables: numbers, JSON names, types; [`metric_fields`] those of metrics
//! 2. [`json`] JSON into protobuf by those tables, so that there is one decoder; [`scalar`] its single values
//! 3. [`to_json`] the way back; [`lines`] the same, a line for each item
//! 4. [`weigh`] what a message would take in memory, before it is decoded
//! 5. [`points`] metrics, whose items have data points that are again read one by one
//! 6. [`packed`] spans as the bytes that came in, checked and read without being decoded
//! 7. [`refused`] the items that are not taken, and why
//!
//! An item that cannot be read costs itself; a frame that cannot be read costs the export.

pub(crate) mod fields;
pub(crate) mod json;
mod lines;
pub(crate) mod metric_fields;
pub(crate) mod packed;
pub(crate) mod points;
mod refused;
mod scalar;
mod to_json;
pub(crate) mod weigh;

use fields::{LOGS_EXPORT, MessageType, SPANS_EXPORT};
pub(crate) use lines::is_export_line;
use metric_fields::METRICS_EXPORT;
pub(crate) use refused::RefusedItems;

/// The largest body of an export, unpacked, in bytes.
pub(crate) const MOST_UNPACKED: usize = 16 << 20;

/// The message of an export of `traces`, `logs` or `metrics`.
fn export_of(signal: &str) -> &'static MessageType {
    match signal {
        "logs" => &LOGS_EXPORT,
        "metrics" => &METRICS_EXPORT,
        _ => &SPANS_EXPORT,
    }
}

/// Turns an export in OTLP/JSON (of `traces`, `logs` or `metrics`) into protobuf, as the receiver does. For tests
/// that compare it with other implementations.
///
/// # Errors
/// What is no export, or the reasons why items of it are refused.
pub fn json_to_protobuf(json: &str, signal: &str) -> Result<Vec<u8>, String> {
    let mut refused = RefusedItems::default();
    let wire = json::to_protobuf(json, export_of(signal), &mut refused).map_err(|why| why.to_string())?;
    refused.partial().map_or(Ok(wire), |(_, why)| Err(why))
}

/// Turns an export in protobuf (of `traces`, `logs` or `metrics`) into OTLP/JSON; `None` for what is not one.
/// What is not in the tables is left out.
pub fn protobuf_to_json(export: &[u8], signal: &str) -> Option<String> {
    to_json::from_protobuf(export, export_of(signal))
}

/// Hands over each item of an export in protobuf (of `traces`, `logs` or `metrics`) as a line of OTLP/JSON, within its
/// resource and scope; `None` for what is no export.
pub(crate) fn export_lines(export: &[u8], signal: &str, take: impl FnMut(String)) -> Option<()> {
    lines::each_item(export, export_of(signal), take)
}
