//! `o11y-lab status`: each program of the lab that runs.

use std::fmt::Write as _;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{NotAsWanted, lab};
use crate::config::StatusConfig;
use crate::lab::CommandOutput;
use crate::lab::up::{ChildRecord, LabState, Probe, ProbeAnswer, dead_letters_at};
use crate::schema::Role;
use crate::terminal::escaped;

/// One program, as it is now.
struct ProgramStatus<'a> {
    child: &'a ChildRecord,
    /// `None` where it is ready.
    missing: Option<String>,
    dead_letters: Option<f64>,
}

/// Asks each program whether it is ready and prints a row for each.
///
/// # Errors
/// [`NotAsWanted`]: no lab runs (3), or one of its programs is not ready (1).
pub async fn status(config: StatusConfig) -> anyhow::Result<()> {
    let lab = lab(&config.lab.path())?;
    let programs = join_all(lab.children.iter().map(ask)).await;
    let output = CommandOutput { text: table(&lab, &programs), json: object(&lab, &programs) };
    output.print(config.json)?;
    let names = programs.iter().filter(|program| program.missing.is_some());
    let names: Vec<_> = names.map(|program| program.child.name.as_str()).collect();
    if names.is_empty() && !programs.is_empty() {
        return Ok(());
    }
    let text = if programs.is_empty() { "all of it".to_owned() } else { names.join(", ") };
    Err(NotAsWanted { exit_code: 1, text: format!("not ready: {}", escaped(&text)) }.into())
}

async fn ask(child: &ChildRecord) -> ProgramStatus<'_> {
    if child.pid.is_none() {
        let why = child.reason.as_deref().unwrap_or("it does not run");
        return ProgramStatus { child, missing: Some(why.to_owned()), dead_letters: None };
    }
    let missing = match Probe::new(format!("{}{}", child.url, child.ready)).next().await {
        ProbeAnswer::Ready => None,
        ProbeAnswer::NotYet(why) => Some(why),
    };
    let consumes = child.name == Role::Notify.service().name;
    let dead_letters = if consumes { dead_letters_at(&child.url).await } else { None };
    ProgramStatus { child, missing, dead_letters }
}

fn table(lab: &LabState, programs: &[ProgramStatus<'_>]) -> String {
    let width = |of: &dyn Fn(&ChildRecord) -> usize| programs.iter().map(|program| of(program.child)).max();
    let name = width(&|child| child.name.len()).unwrap_or_default().max("SERVICE".len());
    let url = width(&|child| child.url.len()).unwrap_or_default().max("URL".len());
    let mut text = format!(
        "{:<name$}  {:<url$}  {:>7}  {:>8}  {:>8}  STATE\n",
        "SERVICE", "URL", "PID", "UPTIME", "RESTARTS"
    );
    for ProgramStatus { child, missing, dead_letters } in programs {
        let pid = child.pid.map_or("-".to_owned(), |pid| pid.to_string());
        let state = missing.as_ref().map_or("ready".into(), |why| format!("not ready ({})", escaped(why)));
        let dead = dead_letters.filter(|dead| *dead > 0.0);
        let dead = dead.map_or(String::new(), |dead| format!(", {dead} dead letters"));
        let uptime = child.since.as_deref().filter(|_| child.pid.is_some()).and_then(seconds_since);
        let _ = writeln!(
            text,
            "{:<name$}  {:<url$}  {pid:>7}  {:>8}  {:>8}  {state}{dead}",
            escaped(&child.name),
            escaped(&child.url),
            uptime.map_or("-".to_owned(), in_words),
            child.restarts
        );
    }
    let log = lab.log.as_ref().map_or("its terminal".to_owned(), |log| log.display().to_string());
    let uptime = seconds_since(&lab.started).map_or("-".to_owned(), in_words);
    let _ = writeln!(
        text,
        "\nup for {uptime} (pid {}, version {}), console {}, lines go to {}",
        lab.pid,
        escaped(&lab.version),
        escaped(&lab.console),
        escaped(&log)
    );
    text
}

fn object(lab: &LabState, programs: &[ProgramStatus<'_>]) -> Value {
    let rows: Vec<_> = programs
        .iter()
        .map(|ProgramStatus { child, missing, dead_letters }| {
            json!({
                "name": child.name,
                "url": child.url,
                "pid": child.pid,
                "ready": missing.is_none(),
                "reason": missing,
                "restarts": child.restarts,
                "uptimeSeconds": child.since.as_deref().filter(|_| child.pid.is_some()).and_then(seconds_since),
                "deadLetters": dead_letters,
            })
        })
        .collect();
    json!({
        "pid": lab.pid,
        "version": lab.version,
        "started": lab.started,
        "uptimeSeconds": seconds_since(&lab.started),
        "portBase": lab.port_base,
        "console": lab.console,
        "log": lab.log,
        "programs": rows,
    })
}

fn seconds_since(time: &str) -> Option<i64> {
    let time: jiff::Timestamp = time.parse().ok()?;
    Some((jiff::Timestamp::now().as_second() - time.as_second()).max(0))
}

/// The two largest units of a time in seconds.
fn in_words(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_uptime_has_its_two_largest_units() {
        for (seconds, words) in [(0, "0s"), (61, "1m1s"), (3_725, "1h2m"), (93_600, "1d2h")] {
            assert_eq!(in_words(seconds), words);
        }
    }
}
