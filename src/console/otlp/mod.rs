//! OTLP as bytes: from the body of an export to its spans, log records or data points, in either encoding.
//!
//! 1. [`fields`] OTLP's messages as tables: numbers, JSON names, types; [`metric_fields`] those of metrics
//! 2. [`json`] JSON into protobuf by those tables, so that there is one decoder; [`scalar`] its single values
//! 3. [`weigh`] what a message would take in memory, before it is decoded
//! 4. [`export`] the frame (resources, scopes) at once, then one item after the other
//! 5. [`points`] metrics, whose items have data points that are again read one by one
//! 6. [`refused`] the items that are not taken, and why
//!
//! An item that cannot be read costs itself; a frame that cannot be read costs the export, before
//! anything of it is kept.

mod export;
mod fields;
mod json;
mod metric_fields;
pub(in crate::console) mod points;
mod refused;
mod scalar;
mod weigh;

pub(super) use export::{OtlpExport, UnreadableExport, each_point};
pub(super) use fields::{LOGS, Signal, TRACES};
pub(super) use metric_fields::{DataPoint, METRICS};
pub(super) use refused::RefusedItems;

/// Turns an export in OTLP/JSON (of `traces`, `logs` or `metrics`) into protobuf, as the receiver does. For tests
/// that compare it with other implementations.
///
/// # Errors
/// What is no export, or the reasons why items of it are refused.
pub fn json_to_protobuf(json: &str, signal: &str) -> Result<Vec<u8>, String> {
    let signal = match signal {
        "logs" => &LOGS,
        "metrics" => &METRICS,
        _ => &TRACES,
    };
    let mut refused = refused::RefusedItems::default();
    let wire = json::to_protobuf(json, signal.export, &mut refused).map_err(|why| why.to_string())?;
    refused.partial().map_or(Ok(wire), |(_, why)| Err(why))
}
