//! Where lines go: the terminal, the file of `--logs`, the console.
//!
//! Standard output is data (the table, then the services' log lines), standard error is talk (ours,
//! and what the children write to theirs).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::plan::LabPlan;
use super::render::Style;
use super::rotate::SharedLog;
use super::spec::ChildSpec;
use crate::config::{UpConfig, default_data_dir};
use crate::runtime::writer::{LossyWriter, WriterEvents, unbuffered};
use crate::terminal::has_colour;

/// The longest we wait at the end for lines that a stream has not taken yet.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Log lines kept back until the table is out; then the oldest go.
const HELD: usize = 1000;

/// A stream of the terminal and how lines look on it.
pub(super) struct Stream {
    writer: LossyWriter,
    style: Style,
}

/// What a stream of the terminal says where lines are missing.
pub(super) struct Terminal {
    pub(super) style: Style,
}

impl WriterEvents for Terminal {
    fn notice(&self, lines: u64) -> Option<String> {
        Some(self.style.prefixed(
            0,
            "up",
            &format!("{lines} lines were dropped here: the terminal took them too slowly"),
        ))
    }
}

impl Stream {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    /// No further thread could be had.
    pub(super) fn start(sink: impl Write + Send + 'static, terminal: Terminal) -> io::Result<Self> {
        let style = terminal.style;
        Ok(Self { writer: LossyWriter::start(sink, terminal)?, style })
    }
}

/// The file of `--logs`. What happens to it is said on standard error, and lines that are missing
/// leave one of the same form.
struct LogFile {
    shown: String,
    stderr: Arc<Stream>,
}

impl WriterEvents for LogFile {
    fn notice(&self, lines: u64) -> Option<String> {
        let line = serde_json::json!({
            "timestamp": format!("{:.3}", jiff::Timestamp::now()),
            "level": "warn",
            "message": "Log lines were dropped here: the file took them too slowly",
            "service": "up",
            "lines": lines,
        });
        Some(line.to_string())
    }

    fn failed(&self, error: &io::Error) {
        self.stderr.say(&format!("no lines go to {} for now: {error}", self.shown));
    }

    fn works_again(&self) {
        self.stderr.say(&format!("lines go to {} again", self.shown));
    }
}

impl Stream {
    fn say(&self, text: &str) {
        self.writer.line(self.style.prefixed(0, "up", text));
    }
}

/// The streams `up` writes to.
pub(super) struct Streams {
    pub(super) stdout: Stream,
    pub(super) stderr: Arc<Stream>,
    /// `--logs FILE`.
    pub(super) file: Option<LossyWriter>,
    /// Whether somebody waits at our standard output and error for a lab that goes to the background.
    pub(super) awaited: bool,
}

impl Streams {
    /// Opens what the settings ask for; `width` is that of the longest service name. In the background both streams of the
    /// terminal go to `log`.
    pub(super) fn open(config: &UpConfig, width: usize, log: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(path) = log {
            let named = || format!("the log file {}", path.display());
            let sink = SharedLog::create(path).with_context(named)?;
            let style = Style { colour: false, width };
            let stream = || Stream::start(sink.clone(), Terminal { style });
            let (stdout, stderr) = (stream()?, Arc::new(stream()?));
            let file = Self::file(config, &stderr)?;
            return Ok(Self { stdout, stderr, file, awaited: true });
        }
        let stream = |stream: &dyn AsFd, colour: bool| {
            let style = Style { colour, width };
            unbuffered(stream).and_then(|sink| Stream::start(sink, Terminal { style }))
        };
        let stdout = stream(&io::stdout(), has_colour(&io::stdout())).context("standard output")?;
        let stderr = stream(&io::stderr(), has_colour(&io::stderr())).context("standard error")?;
        let stderr = Arc::new(stderr);
        let file = Self::file(config, &stderr)?;
        Ok(Self { stdout, stderr, file, awaited: false })
    }

    fn file(config: &UpConfig, stderr: &Arc<Stream>) -> anyhow::Result<Option<LossyWriter>> {
        let Some(path) = &config.logs else { return Ok(None) };
        let shown = path.display().to_string();
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("the log file {shown}"))?;
        Ok(Some(LossyWriter::start(file, LogFile { shown, stderr: stderr.clone() })?))
    }
}

/// Everything that leaves `up`. No method waits, but for `close`.
pub(super) struct Outputs {
    streams: Streams,
    awaited: Cell<bool>,
    quiet: bool,
    /// `None` once the table is out.
    held: RefCell<Option<VecDeque<String>>>,
    console: mpsc::Sender<String>,
    missed_by_console: Cell<u64>,
}

impl Outputs {
    /// `console` takes the roles' log lines, raw; with `quiet` they do not go to the terminal.
    pub(super) fn new(streams: Streams, quiet: bool, console: mpsc::Sender<String>) -> Self {
        let held = RefCell::new(Some(VecDeque::new()));
        Self {
            awaited: Cell::new(streams.awaited),
            streams,
            quiet,
            held,
            console,
            missed_by_console: Cell::new(0),
        }
    }

    /// Our own talk.
    pub(super) fn say(&self, text: &str) {
        self.streams.stderr.say(text);
        if self.awaited.get() {
            let line = self.streams.stderr.style.prefixed(0, "up", text);
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// Nobody waits any more.
    pub(super) fn let_go(&self) {
        self.awaited.set(false);
    }

    /// How a person ends this lab, as the table says it.
    pub(super) fn how_to_stop(&self, plan: &LabPlan) -> String {
        if !self.awaited.get() {
            return "Stop:  Ctrl-C".to_owned();
        }
        let (folder, pid) = (&plan.data_dir, std::process::id());
        let own = *folder == default_data_dir();
        let folder = if own { String::new() } else { format!(" --data-dir {}", folder.display()) };
        format!("Pid:   {pid}\nLogs:  o11y-lab logs --follow{folder}\nStop:  o11y-lab down{folder}")
    }

    /// Prints the table, and from now on log lines as they come.
    pub(super) fn table(&self, table: &str) {
        for line in table.lines() {
            self.streams.stdout.writer.line(line);
        }
        if self.awaited.get() {
            let _ = io::stdout().write_all(table.as_bytes());
        }
        self.release();
    }

    fn release(&self) {
        for line in self.held.take().into_iter().flatten() {
            self.streams.stdout.writer.line(line);
        }
    }

    /// A line of a child's standard output; `index` is its place in the table.
    pub(super) fn log(&self, index: usize, child: &ChildSpec, line: &str) {
        if child.role.is_some() {
            self.to_console(line);
            if let Some(file) = &self.streams.file {
                file.line(line);
            }
        }
        if self.quiet {
            return;
        }
        let Stream { writer, style } = &self.streams.stdout;
        let line = style.prefixed(index, child.name, &style.log_line(line));
        match self.held.borrow_mut().as_mut() {
            None => writer.line(line),
            Some(held) => {
                if held.len() == HELD {
                    held.pop_front();
                }
                held.push_back(line);
            }
        }
    }

    /// A line of a child's standard error: a panic, a complaint about settings. Shown even when
    /// quiet, for it is never routine.
    pub(super) fn complaint(&self, index: usize, child: &ChildSpec, line: &str) {
        let Stream { writer, style } = &*self.streams.stderr;
        writer.line(style.prefixed(index, child.name, &style.log_line(line)));
    }

    fn to_console(&self, line: &str) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.console.try_send(line.to_owned()) {
            if self.missed_by_console.get() == 0 {
                self.say("the console is behind with log lines and will not show all of them");
            }
            self.missed_by_console.set(self.missed_by_console.get() + 1);
        }
    }

    /// Says what was lost, and waits a moment for what is still to be written.
    pub(super) async fn close(&self) {
        self.release();
        let file = self.streams.file.as_ref();
        for (lost, place) in [
            (self.missed_by_console.get(), "the console"),
            (self.streams.stdout.writer.dropped(), "the terminal"),
            (file.map_or(0, LossyWriter::dropped), "the log file"),
        ] {
            if lost > 0 {
                self.say(&format!("{lost} log lines did not reach {place}, which was too slow"));
            }
        }
        if let Some(file) = file {
            file.flush(LAST_LINES).await;
        }
        self.streams.stdout.writer.flush(LAST_LINES).await;
        self.streams.stderr.writer.flush(LAST_LINES).await;
    }
}
