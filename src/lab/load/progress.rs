//! Progress of a run: a bar on a terminal, lines elsewhere, JSON for a heartbeat.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::tally::LoadRecorder;
use crate::api;
use crate::config::LoadConfig;

/// The progress of a run.
pub(super) struct Progress {
    form: ProgressForm,
    every: Duration,
    /// `None` before the first request.
    said: Option<Instant>,
    length: Duration,
}

enum ProgressForm {
    /// Standard error, a terminal.
    Bar(ProgressBar),
    /// Standard error, a file or a pipe.
    Lines,
    /// Standard output, for a log shipper; the name of the service is `load`.
    Json,
}

impl Progress {
    /// Progress in the form that suits the place, for a run of this length.
    pub(super) fn new(config: &LoadConfig, length: Duration) -> Self {
        let form = match (config.forever, std::io::stderr().is_terminal()) {
            (true, _) => ProgressForm::Json,
            (false, true) => ProgressForm::Bar(bar(length)),
            (false, false) => ProgressForm::Lines,
        };
        let every =
            if matches!(form, ProgressForm::Bar(_)) { Duration::from_secs(1) } else { config.report_every };
        Self { form, every, said: None, length }
    }

    /// Some time has passed: `elapsed` since the start of the run or, in a heartbeat, of the round.
    pub(super) fn tick(&mut self, elapsed: Duration, phase: &str, recorder: &mut LoadRecorder) {
        if let ProgressForm::Bar(bar) = &self.form {
            bar.set_position(elapsed.min(self.length).as_millis() as u64);
        }
        let since = self.said.get_or_insert_with(Instant::now).elapsed();
        if since < self.every {
            return;
        }
        self.said = Some(Instant::now());
        let text = say(phase, since, recorder);
        match &self.form {
            ProgressForm::Bar(bar) => bar.set_message(text),
            ProgressForm::Lines => {
                let (now, length) = (elapsed.as_secs(), self.length.as_secs_f64());
                let _ = writeln!(std::io::stderr(), "{now} s of {length:.0} s, {text}");
            }
            ProgressForm::Json => heartbeat(recorder),
        }
        recorder.start_recent();
    }

    /// A heartbeat cannot reach the gateway and will try again.
    pub(super) fn waiting(&self, reason: &str) {
        line(json!({
            "timestamp": api::now(),
            "level": "warn",
            "message": "Load waits for the gateway",
            "service": "load",
            "reason": reason,
        }));
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let ProgressForm::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

fn bar(length: Duration) -> ProgressBar {
    let bar = ProgressBar::new(length.as_millis() as u64);
    // The template is a constant; should it ever be wrong, indicatif's own will do.
    match ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {percent:>3}%  {msg}") {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn say(phase: &str, since: Duration, recorder: &LoadRecorder) -> String {
    let LoadRecorder { total, recent, dropped, .. } = recorder;
    let rate = recent.count() as f64 / since.as_secs_f64();
    let dropped = if *dropped == 0 { String::new() } else { format!(", {dropped} dropped") };
    format!(
        "{phase}: {} sent, now {rate:.1}/s with p99 {:.1} ms, {} not as expected{dropped}",
        total.count(),
        recent.percentile_ms(99.0),
        total.wrong(),
    )
}

fn heartbeat(recorder: &LoadRecorder) {
    let LoadRecorder { total, recent, dropped, orders, .. } = recorder;
    line(json!({
        "timestamp": api::now(),
        "level": if recent.wrong() == 0 { "info" } else { "warn" },
        "message": "Load",
        "service": "load",
        "sent": recent.count(),
        "unexpected": recent.wrong(),
        "p50Ms": recent.percentile_ms(50.0),
        "p99Ms": recent.percentile_ms(99.0),
        "sentInAll": total.count(),
        "unexpectedInAll": total.wrong(),
        "droppedInAll": dropped,
        "ordersInAll": orders,
    }));
}

fn line(object: serde_json::Value) {
    // The reader may be gone; the traffic goes on.
    let _ = writeln!(std::io::stdout(), "{object}");
}
