//! `o11y-lab open`: the console of the lab that runs, in a browser.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::ensure;
use serde_json::Value;

use super::lab;
use crate::config::{OpenConfig, has_display};
use crate::lab::CommandOutput;
use crate::terminal::escaped;

/// The program that opens a URL with what the user prefers for that.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
/// Some wait for the browser's end. Those that fail, fail at once.
const FAILS_WITHIN: Duration = Duration::from_secs(2);

/// Prints the console's URL, and opens it where there is a display.
///
/// # Errors
/// No lab runs.
pub async fn open(config: OpenConfig) -> anyhow::Result<()> {
    let url = lab(&config.lab.path())?.console;
    // The file could say anything: no option and no other program's address.
    ensure!(url.starts_with("http://") || url.starts_with("https://"), "no URL: {}", escaped(&url));
    CommandOutput { text: format!("{}\n", escaped(&url)), json: Value::Null }.print(false)?;
    if has_display() && !opened(&url).await {
        let _ = writeln!(std::io::stderr(), "note: {OPENER} does not open it here");
    }
    Ok(())
}

/// By its own arguments, never by a shell.
async fn opened(url: &str) -> bool {
    let mut command = tokio::process::Command::new(OPENER);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let Ok(mut child) = command.spawn() else { return false };
    match tokio::time::timeout(FAILS_WITHIN, child.wait()).await {
        Ok(ended) => ended.is_ok_and(|status| status.success()),
        Err(_) => true,
    }
}
