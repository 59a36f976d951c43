//! `o11y-lab logs`: lines of the lab that runs, or of the last one that ran in the background.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{lab, unknown};
use crate::config::LogsConfig;
use crate::lab::tolerate_closed_pipe;
use crate::lab::up::{FoundLab, LabState, Style, find, log_before, log_file};
use crate::runtime::oneshot::OneShot;
use crate::schema::SERVICES;
use crate::terminal::has_colour;

/// Pause between two looks at a file that grows.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for the console.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Largest answer of the console, in bytes.
const LARGEST_ANSWER: usize = 16 << 20;

/// Prints the last lines, and with `--follow` those that come.
///
/// # Errors
/// There are no lines: no lab runs and none has left a file, or what runs in a terminal is to be followed.
pub async fn logs(config: LogsConfig) -> anyhow::Result<()> {
    config.check()?;
    let folder = config.lab.path();
    let programs = Programs::of(&config);
    let log = match find(&folder)? {
        FoundLab::Unknown => return Err(unknown(&folder)),
        FoundLab::Running(lab) => match &lab.log {
            Some(log) => log.clone(),
            None => return from_console(&config, &programs, &lab).await,
        },
        FoundLab::None => {
            let left = log_file(&folder);
            if config.follow || !left.exists() {
                lab(&folder)?;
            }
            let _ = writeln!(io::stderr(), "note: no lab runs; these are the last lines of the one that did");
            left
        }
    };
    let mut tail = LogTail::open(&log)?;
    let last = tail.last(&log, config.lines, &programs)?;
    if !printed(&last)? || !config.follow {
        return Ok(());
    }
    loop {
        // Asked before the file is read: what a lab says last is there when it is gone.
        let ended = !matches!(find(&folder)?, FoundLab::Running(_));
        if !printed(&tail.more(&log, &programs)?)? || ended {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints the lines; whether anybody still reads.
fn printed(lines: &[String]) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(stdout, "{line}")).and_then(|()| stdout.flush());
    let open = written.is_ok();
    tolerate_closed_pipe(written).map(|()| open)
}

/// The names in front of the lines that are wanted; all where there are none.
struct Programs(Vec<&'static str>, Vec<String>);

impl Programs {
    fn of(config: &LogsConfig) -> Self {
        let service = |word: &String| SERVICES.iter().find(|row| row.command == word || row.name == word);
        let (roles, others): (Vec<_>, Vec<_>) =
            config.programs.iter().partition(|word| service(word).is_some());
        let names = roles.into_iter().filter_map(|word| Some(service(word)?.name));
        Self(names.collect(), others.into_iter().cloned().collect())
    }

    fn all(&self) -> bool {
        self.0.is_empty() && self.1.is_empty()
    }

    /// Whether a line `name | text` is one of theirs.
    fn said(&self, line: &str) -> bool {
        let name = line.split_once(" |").map_or("", |(name, _)| name.trim_end());
        self.all() || self.0.contains(&name) || self.1.iter().any(|other| other == name)
    }
}

/// A log file that is read to its end, and from there again.
struct LogTail {
    file: BufReader<File>,
    number: u64,
    /// The beginning of a line that is not whole yet.
    begun: Vec<u8>,
}

impl LogTail {
    fn open(log: &Path) -> anyhow::Result<Self> {
        let file = File::open(log).with_context(|| format!("the log file {}", log.display()))?;
        let number = file.metadata()?.ino();
        Ok(Self { file: BufReader::new(file), number, begun: Vec::new() })
    }

    /// The last lines, of the file before this one too where it has too few.
    fn last(&mut self, log: &Path, most: usize, programs: &Programs) -> anyhow::Result<Vec<String>> {
        let mut last = VecDeque::new();
        if let Ok(mut before) = Self::open(&log_before(log)) {
            before.each(programs, |line| push(&mut last, most, line))?;
        }
        // Those are of an earlier start where this file begins with one.
        let mut own = VecDeque::new();
        let mut begins = false;
        let mut first = true;
        self.each(&Programs(Vec::new(), Vec::new()), |line| {
            begins |= std::mem::replace(&mut first, false) && line.contains(" | starting; data in ");
            if programs.said(&line) {
                push(&mut own, most, line);
            }
        })?;
        if begins {
            last.clear();
        }
        own.into_iter().for_each(|line| push(&mut last, most, line));
        Ok(last.into())
    }

    /// What has come since.
    fn more(&mut self, log: &Path, programs: &Programs) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        self.each(programs, |line| lines.push(line))?;
        // A full file is another one by now.
        if let Ok(now) = Self::open(log)
            && now.number != self.number
        {
            *self = now;
            self.each(programs, |line| lines.push(line))?;
        }
        Ok(lines)
    }

    fn each(&mut self, programs: &Programs, mut take: impl FnMut(String)) -> anyhow::Result<()> {
        while self.file.read_until(b'\n', &mut self.begun)? > 0 && self.begun.ends_with(b"\n") {
            let line = String::from_utf8_lossy(&self.begun).trim_end_matches('\n').to_owned();
            self.begun.clear();
            if programs.said(&line) {
                take(line);
            }
        }
        Ok(())
    }
}

fn push(lines: &mut VecDeque<String>, most: usize, line: String) {
    lines.push_back(line);
    if lines.len() > most {
        lines.pop_front();
    }
}

/// The roles' lines that the console of a lab in a terminal has.
async fn from_console(config: &LogsConfig, programs: &Programs, lab: &LabState) -> anyhow::Result<()> {
    if config.follow {
        bail!(
            "this lab runs in a terminal (pid {}), where its lines are: look there, or start it with `up --detach` and follow \
             it from here, or with `up --logs FILE` and `tail -f FILE`",
            lab.pid
        );
    }
    if !programs.1.is_empty() {
        bail!(
            "this lab runs in a terminal (pid {}): of others than the roles the lines are there alone",
            lab.pid
        );
    }
    let console = lab.children.iter().find(|child| child.name == "console").context("it has no console")?;
    let http = OneShot::new(ANSWER_WITHIN, LARGEST_ANSWER);
    let mut lines = Vec::new();
    let services: Vec<_> = if programs.all() { vec![""] } else { programs.0.clone() };
    for service in services {
        let url = format!("{}/api/logs?limit={}&service={service}", console.url, config.lines);
        let answer = http.get(&url).await.with_context(|| format!("the console at {}", console.url))?;
        let found: ConsoleLines = answer.json().context("the console does not answer with lines")?;
        lines.extend(found.logs.into_iter().map(|line| line.get().to_owned()));
    }
    lines.sort_by_cached_key(|line| field(line, "timestamp"));
    let lines = &lines[lines.len().saturating_sub(config.lines)..];
    let width = SERVICES.iter().map(|row| row.name.len()).max().unwrap_or_default();
    let style = Style { colour: has_colour(&io::stdout()), width };
    let place = |name: &str| SERVICES.iter().position(|row| row.name == name).map_or(0, |place| place + 1);
    let shown = lines.iter().map(|line| {
        let name = field(line, "service");
        style.prefixed(place(&name), &crate::terminal::escaped(&name), &style.log_line(line))
    });
    printed(&shown.collect::<Vec<_>>()).map(drop)
}

/// The console's answer; each line stays as it came.
#[derive(serde::Deserialize)]
struct ConsoleLines {
    logs: Vec<Box<RawValue>>,
}

fn field(line: &str, name: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    line[name].as_str().unwrap_or_default().to_owned()
}
