//! What traces and logs cost the gateway, over metrics alone, which are always on.
//!
//! The four settings differ by less than a machine does from one minute to the next. So all four labs are
//! up at once, and take short loads in turn, there and back.

use std::path::Path;
use std::time::Duration;

use super::load;
use super::measures::Measure;
use super::running::RunningLab;
use super::samples::Samples;

/// What the environment turns off, and the measure of the gateway's CPU for a GET over the first's.
const SETTINGS: [(&[(&str, &str)], Measure); 4] = [
    (&[("OTEL_SDK_DISABLED", "true"), ("LOG_LEVEL", "error")], Measure::TelemetryOff),
    (&[("OTEL_SDK_DISABLED", "true")], Measure::TelemetryLogs),
    (&[("LOG_LEVEL", "error")], Measure::TelemetryTraces),
    (&[], Measure::TelemetryAll),
];

/// One setting, running.
struct Subject {
    lab: RunningLab,
    measure: Measure,
    /// Milliseconds of the gateway's CPU for a GET, summed over the loads.
    cpu: f64,
}

/// Measures one program in every setting; each is loaded for about `time`.
pub fn measure(program: &Path, samples: &mut Samples, time: Duration) -> anyhow::Result<()> {
    let mut subjects = Vec::new();
    for (env, measure) in SETTINGS {
        let lab = RunningLab::start(program, env)?;
        lab.order()?;
        load::warm_up(&lab)?;
        subjects.push(Subject { lab, measure, cpu: 0.0 });
    }
    let slice = Duration::from_secs((time.as_secs() / 2).max(1));
    for subject in &mut subjects {
        subject.load(slice)?;
    }
    for subject in subjects.iter_mut().rev() {
        subject.load(slice)?;
    }
    let off = subjects[0].cpu;
    for subject in &subjects {
        let value = if subject.measure == Measure::TelemetryOff { off / 2.0 } else { subject.cpu / off };
        samples.add(subject.measure, value);
    }
    Ok(())
}

impl Subject {
    fn load(&mut self, time: Duration) -> anyhow::Result<()> {
        let cost = load::get(&self.lab, time)?;
        self.cpu += cost.cpu.get("gateway").copied().unwrap_or_default();
        Ok(())
    }
}
