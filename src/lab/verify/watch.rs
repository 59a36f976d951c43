//! Round after round: the first report whole, then what changed.

use std::time::Duration;

use super::diff::{Rows, changes, described, rows_of};
use super::sources::Sources;
use super::stop::Stop;
use super::{exit_of, verify};
use crate::config::VerifyConfig;
use crate::lab::output::CommandOutput;

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(1);

/// Goes on until it is stopped.
///
/// # Errors
/// Not every claim of the last whole round holds; it was stopped before there was one.
pub(super) async fn watch(config: &VerifyConfig, sources: &Sources, stop: &Stop) -> anyhow::Result<()> {
    let mut last: Option<(Rows, anyhow::Result<()>)> = None;
    for round in 1_u64.. {
        let report = tokio::select! {
            report = verify(config, sources) => report,
            _ = stop.wait() => break,
        };
        let output = report.output(config.details);
        let rows = rows_of(&output.json);
        let text = match &last {
            None => output.text,
            Some((before, _)) => match changes(before, &rows).as_slice() {
                [] => String::new(),
                changes => format!("\nround {round}: {}\n{}", report.summary(), described(changes)),
            },
        };
        CommandOutput { text, json: output.json }.print(false)?;
        last = Some((rows, exit_of(&report)));
        tokio::select! { () = tokio::time::sleep(PAUSE) => {}, _ = stop.wait() => break }
    }
    match last {
        Some((_, exit)) => exit,
        None => Err(Stop::stopped(stop.wait().await)),
    }
}
