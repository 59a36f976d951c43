//! `console export` and `console import`: what a console holds, as files of OTLP JSON, and back.
//!
//! | file | content |
//! |---|---|
//! | `traces.jsonl` | a trace a line, as a message with `resourceSpans` |
//! | `logs.jsonl` | a log record a line, with `resourceLogs` |
//! | `metrics.jsonl` | a series a line, with `resourceMetrics` |

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::http::Method;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::output::CommandOutput;
use crate::config::{ConsoleAction, ConsoleExport, ConsoleImport, Invalid};
use crate::runtime::oneshot::OneShot;

const SIGNALS: [&str; 3] = ["traces", "logs", "metrics"];
/// A whole export or one part of an import.
const WITHIN: Duration = Duration::from_secs(120);
/// The largest file that is taken from a console, in bytes: some ten times what it holds by default.
const LARGEST_FILE: usize = 1 << 30;
/// How much is sent at once, in bytes; half of what a console takes.
const PART: usize = 4 << 20;
/// The longest line or file that can be taken.
const LARGEST_DOCUMENT: usize = 8 << 20;
/// Kinds of files that are read.
const LINES: &str = "jsonl";
const DOCUMENT: &str = "json";

/// Runs the command.
///
/// # Errors
/// A folder or file that cannot be used ([`Invalid`]); a console that does not answer or refuses.
pub async fn run(action: ConsoleAction) -> anyhow::Result<()> {
    match action {
        ConsoleAction::Export(config) => export(&config).await,
        ConsoleAction::Import(config) => import(&config).await,
    }
}

/// What is there stays as it is until all three signals have come whole.
async fn export(config: &ConsoleExport) -> anyhow::Result<()> {
    let invalid = |why: std::io::Error| Invalid(format!("--out '{}': {why}", config.out.display()));
    fs::create_dir_all(&config.out).map_err(invalid)?;
    let mut parts = PartFiles::default();
    let mut counts = serde_json::Map::new();
    for signal in SIGNALS {
        let path = config.out.join(format!("{signal}.{LINES}"));
        let file = parts.create(path).map_err(invalid)?;
        let lines = download(&format!("{}/api/export/{signal}", config.console.url()), file).await;
        counts.insert(signal.to_owned(), json!(lines.with_context(|| format!("the console's {signal}"))?));
    }
    parts.keep().map_err(invalid)?;
    let text = format!(
        "{} traces, {} log records, {} series in {}\n",
        counts["traces"],
        counts["logs"],
        counts["metrics"],
        config.out.display()
    );
    CommandOutput { text, json: Value::Object(counts) }.print(config.json)
}

/// Writes an answer to a file; how many lines it has.
async fn download(url: &str, file: File) -> anyhow::Result<usize> {
    let (mut lines, mut file) = (0, BufWriter::new(file));
    let take = |chunk: &[u8]| {
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
        file.write_all(chunk)
    };
    let status = OneShot::new(WITHIN, LARGEST_FILE).download(url, take).await?;
    if !status.is_success() {
        bail!("the console answers {status}");
    }
    file.flush()?;
    Ok(lines)
}

/// Files under names of their own, until they are whole; what is not kept is removed.
#[derive(Default)]
struct PartFiles(Vec<(PathBuf, PathBuf)>);

impl PartFiles {
    fn create(&mut self, path: PathBuf) -> std::io::Result<File> {
        let part = path.with_extension(format!("{LINES}.part"));
        let file = File::create(&part)?;
        self.0.push((part, path));
        Ok(file)
    }

    fn keep(mut self) -> std::io::Result<()> {
        std::mem::take(&mut self.0).into_iter().try_for_each(|(part, path)| fs::rename(part, path))
    }
}

impl Drop for PartFiles {
    fn drop(&mut self) {
        self.0.iter().for_each(|(part, _)| _ = fs::remove_file(part));
    }
}

async fn import(config: &ConsoleImport) -> anyhow::Result<()> {
    let files = files(&config.dir)?;
    let mut sender = ArchiveSender {
        http: OneShot::new(WITHIN, 1 << 20),
        url: format!("{}/api/data/import", config.console.url()),
        sums: serde_json::Map::new(),
    };
    for path in &files {
        send(path, &mut sender).await.with_context(|| path.display().to_string())?;
    }
    let sum = |key: &str| sender.sums.get(key).cloned().unwrap_or(json!(0));
    let why =
        sender.sums.get("why").and_then(Value::as_str).map(|why| format!(" ({why})")).unwrap_or_default();
    let text = format!(
        "{} spans, {} log records, {} data points taken, {} refused{why}\n",
        sum("spans"),
        sum("logRecords"),
        sum("dataPoints"),
        sum("refused")
    );
    CommandOutput { text, json: Value::Object(sender.sums) }.print(config.json)
}

/// The files of a folder that can be taken, by name.
fn files(dir: &Path) -> Result<Vec<PathBuf>, Invalid> {
    let invalid = |why: String| Invalid(format!("'{}': {why}", dir.display()));
    let entries = fs::read_dir(dir).map_err(|why| invalid(why.to_string()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == LINES || kind == DOCUMENT));
    files.sort();
    if files.is_empty() {
        return Err(invalid("there is no file *.jsonl or *.json in it".into()));
    }
    Ok(files)
}

/// Lines by parts; a document as a whole.
async fn send(path: &Path, sender: &mut ArchiveSender) -> anyhow::Result<()> {
    if path.extension().is_some_and(|kind| kind == DOCUMENT) {
        let length = fs::metadata(path)?.len();
        if length > LARGEST_DOCUMENT as u64 {
            bail!("a document may have 8 MiB, this one has {length} bytes");
        }
        return sender.part(fs::read_to_string(path)?).await;
    }
    let (mut part, mut line) = (String::new(), String::new());
    let mut lines = BufReader::new(File::open(path)?);
    loop {
        line.clear();
        // One byte more than may be: so that no line fills the memory.
        let read = std::io::Read::take(&mut lines, LARGEST_DOCUMENT as u64 + 1).read_line(&mut line)?;
        if line.len() > LARGEST_DOCUMENT {
            bail!("a line may have 8 MiB, one has more");
        }
        if read == 0 || !part.is_empty() && part.len() + line.len() > PART {
            sender.part(std::mem::take(&mut part)).await?;
        }
        if read == 0 {
            return Ok(());
        }
        part.push_str(&line);
    }
}

/// Sends parts and sums up what came of them.
struct ArchiveSender {
    http: OneShot,
    url: String,
    sums: serde_json::Map<String, Value>,
}

impl ArchiveSender {
    async fn part(&mut self, part: String) -> anyhow::Result<()> {
        if part.trim().is_empty() {
            return Ok(());
        }
        let answer = self.http.send(Method::POST, &self.url, &[], Some(part)).await.context("the console")?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if !answer.is_success() {
            let why = body["errors"][0]["msg"].as_str().unwrap_or("no reason given").to_owned();
            bail!("the console answers {}: {why}", answer.status);
        }
        for (key, value) in body.as_object().into_iter().flatten() {
            match (value.as_u64(), self.sums.get(key).and_then(Value::as_u64)) {
                (Some(more), before) => {
                    self.sums.insert(key.clone(), json!(before.unwrap_or(0) + more));
                }
                (None, _) if value.is_string() && !self.sums.contains_key(key) => {
                    self.sums.insert(key.clone(), value.clone());
                }
                _ => {}
            }
        }
        Ok(())
    }
}
