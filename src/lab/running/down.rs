//! `o11y-lab down`: ends the lab that runs, and waits until it is gone.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::unknown;
use crate::config::DownConfig;
use crate::lab::CommandOutput;
use crate::lab::up::{FoundLab, LabState, find};
use crate::terminal::escaped;

/// Pause between two looks at a lab that drains.
const PAUSE: Duration = Duration::from_millis(50);
/// The most of what a lab said in its drain that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// SIGTERM, and then waits for the end. Where no lab runs there is nothing to end: no error.
///
/// # Errors
/// It cannot be told, or has not ended in time.
pub async fn down(config: DownConfig) -> anyhow::Result<()> {
    let folder = config.lab.path();
    let lab = match find(&folder)? {
        FoundLab::Running(lab) => lab,
        FoundLab::Unknown => return Err(unknown(&folder)),
        FoundLab::None => {
            return say(format!("no lab runs on the data in {}\n", folder.display()));
        }
    };
    let began = Instant::now();
    let said_before = lab.log.as_deref().map_or(0, length);
    terminate(&lab)?;
    let within = config.within.unwrap_or(Duration::try_from_secs_f64(lab.drain_seconds).unwrap_or_default());
    while runs(&folder, &lab) {
        if began.elapsed() >= within {
            bail!(
                "the lab (pid {}) still drains after {within:?}; `kill {}` ends it at once",
                lab.pid,
                lab.pid
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
    let last = lab.log.as_deref().map_or(String::new(), |log| said_since(log, said_before));
    say(format!("{last}stopped (pid {}) after {:.1} s\n", lab.pid, began.elapsed().as_secs_f64()))
}

/// Between the look at the state file and this, the process would have to end and its pid to be given again.
fn terminate(lab: &LabState) -> anyhow::Result<()> {
    let pid = i32::try_from(lab.pid).context("its pid")?;
    match kill(Pid::from_raw(pid), Signal::SIGTERM) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("the lab (pid {pid}) cannot be told to end")),
    }
}

/// Whether it is there: another one may have come in its place.
fn runs(folder: &Path, lab: &LabState) -> bool {
    lab.is_this_process() && !matches!(find(folder), Ok(FoundLab::None))
}

fn length(log: &Path) -> u64 {
    std::fs::metadata(log).map_or(0, |file| file.len())
}

/// What `up` itself said of its drain, such as that a child was killed.
fn said_since(log: &Path, before: u64) -> String {
    let mut text = String::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(before))?;
        file.take(LONGEST).read_to_string(&mut text)
    });
    let own = text.lines().filter(|line| line.split_once(" | ").is_some_and(|(of, _)| of.trim() == "up"));
    let killed = own.filter(|line| read.is_ok() && line.contains("is killed"));
    killed.map(|line| format!("{}\n", escaped(line))).collect()
}

fn say(text: String) -> anyhow::Result<()> {
    CommandOutput { text, json: Value::Null }.print(false)
}
