//! How long the console takes to answer what its pages ask, with as many spans as it keeps by default.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use o11y_lab::schema::Endpoint;

use super::exports::{OF_A_TRACE, SPANS};
use super::intake;
use super::measures::Measure;
use super::running::RunningLab;
use super::samples::{Samples, median};
use crate::helpers::proc;

/// At least as many as are kept: 50,000 of 308 bytes take more than the 64 MiB that are the default.
pub const ROOM: [(&str, &str); 1] = [("CONSOLE_MAX_MEMORY_MIB", "160")];
const EXPORTS: u64 = 135;
/// How often each is asked; the middle counts.
const TIMES: usize = 9;
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a page asks, by the measure that it becomes.
const QUESTIONS: [(Measure, &str); 8] = [
    (Measure::AnswerList, "/api/summaries?limit=100"),
    (Measure::AnswerSearch, "/api/summaries?limit=100&text=http.route%3D%2Fapi%2Fthings%2F3"),
    (Measure::AnswerText, "/api/summaries?limit=100&text=nowhere-to-be-found"),
    (Measure::AnswerScatter, "/api/summaries?limit=0&points=true"),
    (Measure::AnswerMap, "/api/map?lookback=1h"),
    (Measure::AnswerCharts, "/api/charts?since=15m"),
    (Measure::AnswerKeys, "/api/suggestions?text="),
    (Measure::AnswerValues, "/api/suggestions?text=&key=http.route"),
];

/// Fills the console of a lab, which has the lab's metrics too, and asks it; milliseconds, MiB.
pub fn measure(program: &Path, samples: &mut Samples) -> anyhow::Result<()> {
    let lab = RunningLab::start(program, &ROOM)?;
    lab.order()?;
    intake::send(&lab.endpoint(Endpoint::Otlp), 0, EXPORTS)?;
    lab.settle()?;
    let page = lab.endpoint(Endpoint::Console);
    let client = reqwest::blocking::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let ask = |path: &str| -> anyhow::Result<(f64, String)> {
        let began = Instant::now();
        let answer = client.get(format!("{page}{path}")).send()?;
        let (status, text) = (answer.status(), answer.text()?);
        if status != 200 {
            bail!("{path}: {status} {text}");
        }
        Ok((began.elapsed().as_secs_f64() * 1e3, text))
    };
    let overview: serde_json::Value = serde_json::from_str(&ask("/api/overview")?.1)?;
    let kept = overview["traces"]["kept"].as_u64().unwrap_or_default();
    // Whole traces go, so that a few of the last one's may be missing.
    if kept + (OF_A_TRACE as u64) < 50_000 {
        bail!("{kept} spans are kept of {}", EXPORTS * 4 * SPANS as u64);
    }
    for (measure, path) in QUESTIONS {
        let times = (0..TIMES).map(|_| Ok(ask(path)?.0)).collect::<anyhow::Result<Vec<_>>>()?;
        samples.add(measure, median(times).unwrap_or_default());
    }
    let peak = lab.processes().get("console").and_then(|pid| proc::peak(*pid)).unwrap_or_default();
    samples.add(Measure::ConsolePeak, peak as f64 / 1024.0);
    Ok(())
}
