//! Progress of a run: a bar on a terminal, lines elsewhere, JSON for a heartbeat.

use std::cell::Cell;
use std::io::Write as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::setup::ROWS;
use super::tally::LoadRecorder;
use crate::api;
use crate::config::LoadConfig;
use crate::terminal::obeys_escapes;

/// Time between two lines about a set-up that takes long.
const SET_UP_EVERY: Duration = Duration::from_secs(1);

/// The progress of a run.
pub(super) struct Progress {
    form: ProgressForm,
    every: Duration,
    /// `None` before the first request.
    said: Cell<Option<Instant>>,
    /// When the set-up was last told of; `None` before it.
    told: Cell<Option<Instant>>,
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
        let form = match (config.forever, obeys_escapes(&std::io::stderr())) {
            (true, _) => ProgressForm::Json,
            (false, true) => ProgressForm::Bar(bar(length)),
            (false, false) => ProgressForm::Lines,
        };
        let every =
            if matches!(form, ProgressForm::Bar(_)) { Duration::from_secs(1) } else { config.report_every };
        Self { form, every, said: Cell::new(None), told: Cell::new(None), length }
    }

    /// Some time has passed: `elapsed` since the start of the run or, in a heartbeat, of the round.
    pub(super) fn tick(&self, elapsed: Duration, phase: &str, recorder: &mut LoadRecorder) {
        if let ProgressForm::Bar(bar) = &self.form {
            bar.set_position(elapsed.min(self.length).as_millis() as u64);
        }
        let said = self.said.get().unwrap_or_else(Instant::now);
        let since = said.elapsed();
        self.said.set(Some(if since < self.every { said } else { Instant::now() }));
        if since < self.every {
            return;
        }
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

    /// The set-up has made so many of its rows; `reason` is why it has no more, where one failed.
    pub(super) fn setting_up(&self, made: usize, reason: Option<&str>) {
        let text = || {
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("setting up {made}/{ROWS}{reason}")
        };
        if let ProgressForm::Bar(bar) = &self.form {
            bar.set_message(text());
            return;
        }
        // A set-up of a moment is not worth a line; one that fails is, and then once in a while.
        let due = match self.told.get() {
            Some(told) => told.elapsed() >= SET_UP_EVERY,
            None => reason.is_some(),
        };
        if due || self.told.get().is_none() {
            self.told.set(Some(Instant::now()));
        }
        if due {
            match &self.form {
                ProgressForm::Json => setup_line(made, reason),
                _ => drop(writeln!(std::io::stderr(), "{}", text())),
            }
        }
    }

    /// The set-up is over. Says so where it is not whole.
    pub(super) fn set_up(&self, made: usize) {
        self.told.set(None);
        if made == ROWS {
            return;
        }
        match &self.form {
            ProgressForm::Json => setup_line(made, Some("it goes on with what there is")),
            ProgressForm::Bar(bar) => bar.println(unfinished(made)),
            ProgressForm::Lines => drop(writeln!(std::io::stderr(), "{}", unfinished(made))),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let ProgressForm::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

fn unfinished(made: usize) -> String {
    format!("set up {made}/{ROWS}; it goes on with what there is")
}

fn setup_line(made: usize, reason: Option<&str>) {
    line(json!({
        "timestamp": api::now(),
        "level": "warn",
        "message": "Load is being set up",
        "service": "load",
        "made": made,
        "of": ROWS,
        "reason": reason,
    }));
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
    let p99 = recent.percentile_ms(99.0).map(|ms| format!(" with p99 {ms:.1} ms")).unwrap_or_default();
    format!(
        "{phase}: {} sent, now {rate:.1}/s{p99}, {} not as expected{dropped}",
        total.count(),
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
