//! What is said on standard error of exports that are sent on: each cause once, then once a minute with the sum, and what was lost
//! in all when they are taken again.

use std::io::Write;
use std::time::Instant;

use crate::runtime::telemetry::Signal;
use crate::runtime::telemetry::forward::{ExportOutage, Occasional};

/// What was said of one signal.
#[derive(Default)]
pub(super) struct LaneReports {
    failures: ExportOutage,
    drops: Occasional,
    dropped: u64,
}

impl LaneReports {
    /// Says what happened, once in a while; `dropped` are all so far.
    pub(super) fn tell(&mut self, signal: Signal, lost: u64, cause: Option<String>, dropped: u64) {
        let (title, items, now) = (signal.title(), signal.items(), Instant::now());
        if let Some(cause) = cause {
            if let Some(lost) = self.failures.failed(lost, &cause, now) {
                say(&format!(
                    "{title} export was not taken where it is sent on to, {lost} {items} are lost: {cause}"
                ));
            }
        } else if let Some(lost) = self.failures.over() {
            say(&format!(
                "{title} exports are taken again where they are sent on to; {lost} {items} were lost"
            ));
        }
        let new = dropped - std::mem::replace(&mut self.dropped, dropped);
        if new > 0
            && let Some(dropped) = self.drops.count(new, now)
        {
            say(&format!("{dropped} {items} were dropped: the receiver they are sent on to is too slow"));
        }
    }
}

/// Talk goes to standard error; a closed one is no reason to stop.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
