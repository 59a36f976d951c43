//! How long the console's pages take to draw what they were answered, with as many spans as it keeps by default.

use std::path::Path;

use anyhow::{Context as _, bail};
use o11y_lab::schema::Endpoint;
use serde_json::Value;

use super::answers::ROOM;
use super::measures::Measure;
use super::running::RunningLab;
use super::samples::Samples;
use crate::helpers::tools::tool;

/// What `drawing.py` calls a page, by the measure that it becomes.
const PAGES: [(Measure, &str); 5] = [
    (Measure::DrawList, "list"),
    (Measure::DrawSearch, "search"),
    (Measure::DrawMap, "map"),
    (Measure::DrawCharts, "charts"),
    (Measure::DrawTrace, "trace"),
];

/// Fills the console of a lab and opens its pages; milliseconds from an answer's arrival to the frame that shows it.
pub fn measure(program: &Path, samples: &mut Samples) -> anyhow::Result<()> {
    let lab = RunningLab::start(program, &ROOM)?;
    let mut command = tool("drawing.py");
    command.args(["--url", &lab.endpoint(Endpoint::Console), "--otlp", &lab.endpoint(Endpoint::Otlp)]);
    let done = command.output().context("drawing.py")?;
    if !done.status.success() {
        bail!("drawing.py: {}", String::from_utf8_lossy(&done.stderr));
    }
    let found: Value = serde_json::from_slice(&done.stdout).context("what drawing.py prints")?;
    for (measure, page) in PAGES {
        let time = found[page]["draw"].as_f64().with_context(|| format!("no time of {page}: {found}"))?;
        samples.add(measure, time);
    }
    Ok(())
}
