//! Log lines: one JSON object a line, or text for a terminal; beside them, records for a collector.
//!
//! The ids come from the active OpenTelemetry context rather than from `tracing`'s span data,
//! which per-layer filters hide from this layer.

mod clock;
mod escape;
mod export;
mod json;
mod pretty;
mod record;

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::sync::Arc;

use anyhow::Context as _;
use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceId};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::{Context, Layer};

use crate::config::{LogConfig, LogFormat, TRANSPORTS};
use crate::runtime::telemetry::otlp::StdoutLines;
use crate::runtime::writer::{LossyWriter, WriterEvents, unbuffered};
use crate::schema::names::LOG_LINES_DROPPED;
use crate::terminal::has_colour;
pub(super) use export::LogBatches;
use record::Record;

/// The most bytes of one line; what does not fit is cut and marked.
const LONGEST_LINE: usize = 16 * 1024;

/// The most characters of the service's name in a line.
const LONGEST_NAME: usize = 100;

/// Writes every event it is shown, one line each, its end left to `write`.
pub(super) struct LogLayer<W> {
    form: Form,
    write: W,
    export: Option<Arc<LogBatches>>,
}

/// A layer, and the way of other lines to where it writes.
pub(super) struct LogOutput<W> {
    pub(super) layer: LogLayer<W>,
    pub(super) lines: StdoutLines,
}

/// How lines look and who they are from.
#[derive(Clone)]
struct Form {
    service: String,
    format: Format,
    /// Where lines go, as a message names it.
    stream: &'static str,
}

#[derive(Clone, Copy, Debug, Default)]
enum Format {
    #[default]
    Json,
    Pretty {
        colours: bool,
    },
}

/// What every line says besides its event.
struct Line<'a> {
    service: &'a str,
    level: Level,
    target: &'a str,
    ids: Option<(TraceId, SpanId)>,
}

/// A thread's memory for the line it makes, kept from one to the next.
#[derive(Default)]
struct Scratch {
    record: Record,
    line: String,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl LogLayer<fn(&[u8])> {
    /// Lines for standard output, which nothing that logs ever waits for.
    ///
    /// # Errors
    /// No thread or file descriptor could be had.
    pub(super) fn stdout(
        service: &str,
        config: &LogConfig,
    ) -> anyhow::Result<LogOutput<impl Fn(&[u8]) + use<>>> {
        let format = match config.log_format {
            LogFormat::Json => Format::Json,
            LogFormat::Pretty => Format::Pretty { colours: has_colour(&io::stdout()) },
        };
        Self::to(unbuffered(io::stdout()), Form::new(service, format, "standard output"))
    }

    /// Lines for a person at standard error, of a command whose standard output is its result.
    ///
    /// # Errors
    /// As for [`LogLayer::stdout`].
    pub(super) fn stderr(service: &str) -> anyhow::Result<LogLayer<impl Fn(&[u8]) + use<>>> {
        let form = Form::new(service, Format::Pretty { colours: false }, "standard error");
        Ok(Self::to(unbuffered(io::stderr()), form)?.layer)
    }

    fn to(sink: io::Result<File>, form: Form) -> anyhow::Result<LogOutput<impl Fn(&[u8]) + use<>>> {
        let writer = sink.and_then(|sink| LossyWriter::start(sink, form.clone()));
        let writer = writer.with_context(|| format!("{} cannot be written to", form.stream))?;
        let writer = Arc::new(writer);
        let lines = StdoutLines(writer.clone());
        Ok(LogOutput {
            layer: LogLayer { form, write: move |line: &[u8]| writer.line(line), export: None },
            lines,
        })
    }
}

#[cfg(test)]
impl LogLayer<fn(&[u8])> {
    /// Lines for nobody.
    pub(super) fn unread(service: &str) -> Self {
        Self { form: Form::new(service, Format::Json, "nowhere"), write: |_| {}, export: None }
    }
}

impl<W> LogLayer<W> {
    /// The same, and what it is shown is exported too.
    pub(super) fn exporting(self, export: Option<Arc<LogBatches>>) -> Self {
        Self { export, ..self }
    }
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber,
    W: Fn(&[u8]) + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (meta, span) = (event.metadata(), active_span());
        if let Some(export) = &self.export {
            export.append(event, span.as_ref());
        }
        let ids = span.map(|span| (span.trace_id(), span.span_id()));
        let write = |scratch: &mut Scratch| {
            self.form.line(scratch, *meta.level(), meta.target(), ids, |record| event.record(record));
            (self.write)(scratch.line.as_bytes());
        };
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => write(&mut scratch),
            // A value that logs while it is being logged.
            Err(_) => write(&mut Scratch::default()),
        });
    }
}

impl Form {
    fn new(service: &str, format: Format, stream: &'static str) -> Self {
        // A bound on a line is one only if everything in it has one.
        Self { service: service.chars().take(LONGEST_NAME).collect(), format, stream }
    }

    /// Makes a line, without its end, of what `fill` puts into the record.
    fn line(
        &self,
        scratch: &mut Scratch,
        level: Level,
        target: &str,
        ids: Option<(TraceId, SpanId)>,
        fill: impl FnOnce(&mut Record),
    ) {
        let Scratch { record, line } = scratch;
        record.clear(self.format, LONGEST_LINE / 2);
        fill(record);
        line.clear();
        let head = Line { service: &self.service, level, target, ids };
        match self.format {
            Format::Json => json::line(line, &head, record),
            Format::Pretty { colours } => pretty::line(line, &head, record, colours),
        }
    }
}

impl WriterEvents for Form {
    fn notice(&self, lines: u64) -> Option<String> {
        let mut scratch = Scratch::default();
        self.line(&mut scratch, Level::WARN, module_path!(), None, |record| {
            record.message(format_args!("Log lines were dropped here: {} took them too slowly", self.stream));
            record.bare("lines", lines);
        });
        Some(scratch.line)
    }

    fn dropped(&self, lines: u64) {
        metrics::counter!(LOG_LINES_DROPPED).increment(lines);
    }
}

/// The active span; a remote parent alone is no span of this process.
fn active_span() -> Option<SpanContext> {
    OtelContext::map_current(|context| {
        let span = context.span();
        let context = span.span_context();
        (context.is_valid() && !context.is_remote()).then(|| context.clone())
    })
}

/// Which events are written: by `level`, and of telemetry itself by `own`, unless `level` names that part too.
///
/// # Errors
/// Directives that cannot be read; the command line checks them first.
pub(super) fn filter(level: &str, own: Option<LevelFilter>) -> anyhow::Result<EnvFilter> {
    // This module's, and the SDK's.
    const TELEMETRY: [&str; 2] = ["o11y_lab::runtime::telemetry", "opentelemetry"];
    // The SDK warns once for each batch it cannot export and for each bad baggage header, which it
    // quotes: a dead collector or a hostile client would fill the log. The ledger says it instead.
    // The HTTP server tells at info of each of its threads, and the database driver of every
    // connection it loses. Its parser calls each malformed request an error, which is the client's; we
    // log it as refused unread. What matters of all that we say ourselves.
    const QUIETER: [(&str, &str); 5] = [
        ("opentelemetry", "off"),
        ("actix_server", "warn"),
        ("actix_http::h1::dispatcher", "off"),
        ("sqlx", "error"),
        ("sqlx_core", "error"),
    ];
    let clients = TRANSPORTS.iter().flat_map(|row| row.quiet_targets).copied();
    let mut filter = EnvFilter::try_new(level)?;
    let unnamed = |target: &&str| !level.contains(*target);
    for (target, most) in QUIETER.into_iter().chain(clients).filter(|(target, _)| unnamed(target)) {
        filter = filter.add_directive(format!("{target}={most}").parse()?);
    }
    if let Some(own) = own {
        for target in TELEMETRY.iter().filter(|target| unnamed(target)) {
            filter = filter.add_directive(format!("{target}={own}").parse()?);
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests;
