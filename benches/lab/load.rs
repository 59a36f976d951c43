//! What is read while wrk keeps a lab busy.

use std::path::Path;
use std::time::Duration;

use super::running::{ByProcess, RunningLab};
use super::wrk::{self, Load};

/// Connections, caches and the CPU's clock are what they will be.
const WARM_UP: Duration = Duration::from_secs(1);
pub const GET: &str = "/api/users";
pub const POST: &str = "/api/orders";

/// One load and what it cost.
pub struct Cost {
    pub load: Load,
    /// CPU time for one request, in milliseconds, what was done after the answer included.
    pub cpu: ByProcess<f64>,
}

/// GET /api/users; [`RunningLab::order`] has made the one user there is.
pub fn get(lab: &RunningLab, time: Duration) -> anyhow::Result<Cost> {
    cost(lab, &lab.url(GET), None, time)
}

/// Some GETs that are not counted.
pub fn warm_up(lab: &RunningLab) -> anyhow::Result<()> {
    wrk::run(&lab.url(GET), None, WARM_UP)?;
    lab.settle()
}

/// POST /api/orders with this body, after some that are not counted.
pub fn post(lab: &RunningLab, order: &str, time: Duration) -> anyhow::Result<Cost> {
    let script = lab.folder().join("order.lua");
    // No JSON ends one of Lua's long strings.
    let text = format!(
        "wrk.method = \"POST\"\nwrk.headers[\"content-type\"] = \"application/json\"\nwrk.body = [==[{order}]==]\n"
    );
    std::fs::write(&script, text)?;
    let url = lab.url(POST);
    wrk::run(&url, Some(&script), WARM_UP)?;
    lab.settle()?;
    cost(lab, &url, Some(&script), time)
}

/// The lab rests when this begins, and again when it ends.
fn cost(lab: &RunningLab, url: &str, script: Option<&Path>, time: Duration) -> anyhow::Result<Cost> {
    let before = lab.cpu();
    let load = wrk::run(url, script, time)?;
    lab.settle()?;
    let one = |(name, now): (String, Duration)| {
        let spent = now.saturating_sub(before.get(&name).copied().unwrap_or_default());
        (name, spent.as_secs_f64() * 1e3 / load.requests as f64)
    };
    Ok(Cost { load, cpu: lab.cpu().into_iter().map(one).collect() })
}
