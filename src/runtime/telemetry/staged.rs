//! What faults change of telemetry itself: the version it names, and the clock that spans are timed by.
//!
//! For the process, as telemetry is. Each is read once for a span or a batch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::SpanData;

use crate::schema::{FAULT_ATTRIBUTE, faults};

static NEXT_VERSION: AtomicBool = AtomicBool::new(false);
static BEHIND_MS: AtomicU64 = AtomicU64::new(0);

/// From now on telemetry says that the next version runs, or again this one.
pub(in crate::runtime) fn set_next_version(next: bool) {
    NEXT_VERSION.store(next, Ordering::Release);
}

/// From now on spans are timed by a clock that is slow by so much.
pub(in crate::runtime) fn set_clock_behind(by: Duration) {
    BEHIND_MS.store(u64::try_from(by.as_millis()).unwrap_or_default(), Ordering::Release);
}

/// Whether the next version is said to run.
pub(in crate::runtime) fn is_next_version() -> bool {
    NEXT_VERSION.load(Ordering::Acquire)
}

/// The version that is said to run.
pub(in crate::runtime) fn version() -> &'static str {
    if is_next_version() { faults::NEXT_VERSION } else { env!("CARGO_PKG_VERSION") }
}

/// Times a span by the clock of the fault, and says so on it.
pub(super) fn time(span: &mut SpanData) {
    let behind = BEHIND_MS.load(Ordering::Acquire);
    if behind == 0 {
        return;
    }
    let by = Duration::from_millis(behind);
    span.start_time = span.start_time.checked_sub(by).unwrap_or(span.start_time);
    span.end_time = span.end_time.checked_sub(by).unwrap_or(span.end_time);
    for event in &mut span.events.events {
        event.timestamp = event.timestamp.checked_sub(by).unwrap_or(event.timestamp);
    }
    match span.attributes.iter_mut().find(|one| one.key.as_str() == FAULT_ATTRIBUTE) {
        Some(hit) => hit.value = format!("{},{}", hit.value.as_str(), faults::CLOCK_SKEW).into(),
        None => span.attributes.push(KeyValue::new(FAULT_ATTRIBUTE, faults::CLOCK_SKEW)),
    }
}
