//! What traces and logs cost the gateway, over metrics alone, which are always on.
//!
//! The four settings differ by less than a machine does from one minute to the next. So all four labs are
//! up at once, and take short loads in turn, there and back.

use std::path::Path;
use std::time::Duration;

use super::load;
use super::measures::Measure;
use super::running::RunningLab;
use super::samples::{Samples, median};

/// What the environment turns off, and the measure: of the first the gateway's CPU for a GET, of the others
/// theirs over the first's in the same pass.
const SETTINGS: [(&[(&str, &str)], Measure); 4] = [
    (&[("OTEL_SDK_DISABLED", "true"), ("LOG_LEVEL", "error")], Measure::TelemetryOff),
    (&[("OTEL_SDK_DISABLED", "true")], Measure::TelemetryLogs),
    (&[("LOG_LEVEL", "error")], Measure::TelemetryTraces),
    (&[], Measure::TelemetryAll),
];

/// Loads of each lab in one round.
const PASSES: usize = 4;
const LOAD: Duration = Duration::from_secs(1);

/// Measures one program in every setting.
pub fn measure(program: &Path, samples: &mut Samples) -> anyhow::Result<()> {
    let mut labs = Vec::new();
    for (env, _) in SETTINGS {
        let lab = RunningLab::start(program, env)?;
        lab.order()?;
        load::warm_up(&lab)?;
        labs.push(lab);
    }
    let mut ratios = [const { Vec::new() }; SETTINGS.len()];
    let mut off = Vec::new();
    for pass in 0..PASSES {
        let there = 0..labs.len();
        let order: Vec<_> = if pass % 2 == 0 { there.collect() } else { there.rev().collect() };
        let mut cpu = [0.0; SETTINGS.len()];
        for setting in order {
            cpu[setting] = load::get(&labs[setting], LOAD)?.cpu.get("gateway").copied().unwrap_or_default();
        }
        off.push(cpu[0]);
        for (ratios, cpu_of_one) in ratios.iter_mut().zip(cpu) {
            ratios.push(cpu_of_one / cpu[0]);
        }
    }
    ratios[0] = off;
    for ((_, measure), values) in SETTINGS.into_iter().zip(ratios) {
        samples.add(measure, median(values).unwrap_or_default());
    }
    Ok(())
}
