//! The programs that are needed beside the lab, and what to do where one is missing.

use std::path::Path;

use anyhow::bail;

use super::bench::Part;
use crate::helpers::brokers::server::on_path;

/// wrk, without which no part that needs load can be measured.
pub fn require_wrk() -> anyhow::Result<()> {
    if on_path("wrk").is_none() {
        bail!("wrk is not on the PATH, and makes the load; `scripts/provision --bench` gets it");
    }
    Ok(())
}

/// Why an optional part cannot run here; `None` if it can.
pub fn missing(part: Part) -> Option<String> {
    let names: &[&str] = match part {
        // The helper that starts it gives it certificates.
        Part::Redis => &["redis-server", "openssl"],
        Part::Syscalls => &["strace"],
        Part::Drawing => return no_browser(),
        _ => &[],
    };
    let absent: Vec<_> = names.iter().copied().filter(|name| on_path(name).is_none()).collect();
    let from = if part == Part::Syscalls { "scripts/provision --bench" } else { "scripts/provision" };
    (!absent.is_empty()).then(|| format!("{} not on the PATH; `{from}` gets it", absent.join(" and ")))
}

/// Why no page can be drawn here; the browsers are those of `tests/tools/browser.py`.
fn no_browser() -> Option<String> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/venv/bin/python");
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let absent = !python.exists() || browsers.iter().all(|name| on_path(name).is_none());
    absent.then(|| "no Chromium or no .tools/venv to drive it; `scripts/provision` gets both".to_owned())
}
