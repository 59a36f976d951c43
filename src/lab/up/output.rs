//! Where lines go: the terminal, the file of `--logs`, the console.
//!
//! Standard output is data (the table, then the services' log lines), standard error is talk (ours,
//! and what the children write to theirs).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write as _};

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::render::Style;
use super::spec::ChildSpec;
use super::writer::Writer;
use crate::config::{NO_COLOR_VARIABLE, UpConfig};

/// Log lines kept back until the table is out; then the oldest go.
const HELD: usize = 1000;

/// A stream of the terminal and how lines look on it.
pub(super) struct Stream {
    pub(super) writer: Writer,
    pub(super) style: Style,
}

/// The streams `up` writes to.
pub(super) struct Streams {
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
    /// `--logs FILE`.
    pub(super) file: Option<Writer>,
}

impl Streams {
    /// Opens what the settings ask for; `width` is that of the longest service name.
    pub(super) fn open(config: &UpConfig, width: usize) -> anyhow::Result<Self> {
        let file = match &config.logs {
            None => None,
            Some(path) => {
                let shown = path.display().to_string();
                let file = OpenOptions::new().create(true).append(true).open(path);
                let file = file.with_context(|| format!("the log file {shown}"))?;
                Some(Writer::start(io::BufWriter::new(file), move |error| {
                    let _ = writeln!(io::stderr(), "no more lines go to {shown}: {error}");
                }))
            }
        };
        let plain = std::env::var_os(NO_COLOR_VARIABLE).is_some_and(|value| !value.is_empty());
        let style = |terminal: bool| Style { colour: terminal && !plain, width };
        Ok(Self {
            stdout: Stream {
                writer: Writer::start(io::stdout(), |_| ()),
                style: style(io::stdout().is_terminal()),
            },
            stderr: Stream {
                writer: Writer::start(io::stderr(), |_| ()),
                style: style(io::stderr().is_terminal()),
            },
            file,
        })
    }
}

/// Everything that leaves `up`. No method waits, but for `close`.
pub(super) struct Outputs {
    streams: Streams,
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
        Self { streams, quiet, held, console, missed_by_console: Cell::new(0) }
    }

    /// Our own talk.
    pub(super) fn say(&self, text: &str) {
        let Stream { writer, style } = &self.streams.stderr;
        writer.line(style.prefixed(0, "up", text));
    }

    /// Prints the table, and from now on log lines as they come.
    pub(super) fn table(&self, table: &str) {
        for line in table.lines() {
            self.streams.stdout.writer.line(line.to_owned());
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
                file.line(line.to_owned());
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
        let Stream { writer, style } = &self.streams.stderr;
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
            (file.map_or(0, Writer::dropped), "the log file"),
        ] {
            if lost > 0 {
                self.say(&format!("{lost} log lines did not reach {place}, which was too slow"));
            }
        }
        if let Some(file) = file {
            file.flush().await;
        }
        self.streams.stdout.writer.flush().await;
        self.streams.stderr.writer.flush().await;
    }
}
