//! Log lines: one JSON object a line, or text for a terminal.
//!
//! The ids come from the active OpenTelemetry context rather than from `tracing`'s span data,
//! which per-layer filters hide from this layer.

mod fields;
mod json;
mod pretty;

use std::io::{self, IsTerminal, Write};

use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};

use crate::config::{LogConfig, LogFormat, NO_COLOR_VARIABLE};
use fields::Fields;

/// The most bytes of one line; what does not fit is cut and marked.
const LONGEST_LINE: usize = 16 * 1024;

/// The most characters of the service's name in a line.
const LONGEST_NAME: usize = 100;

/// Writes every event it is shown to `writer`, one line each.
pub(super) struct LogLayer<W> {
    service: String,
    format: Format,
    writer: W,
}

#[derive(Clone, Copy)]
enum Format {
    Json,
    Pretty { colours: bool },
}

/// What every line says besides its event.
struct Line<'a> {
    now: jiff::Timestamp,
    service: &'a str,
    ids: Option<(TraceId, SpanId)>,
}

impl LogLayer<fn() -> io::Stdout> {
    /// Lines for standard output.
    pub(super) fn stdout(service: &str, config: &LogConfig) -> Self {
        let no_colours = std::env::var_os(NO_COLOR_VARIABLE).is_some_and(|v| !v.is_empty());
        let format = match config.log_format {
            LogFormat::Json => Format::Json,
            LogFormat::Pretty => Format::Pretty { colours: io::stdout().is_terminal() && !no_colours },
        };
        // A bound on a line is one only if everything in it has one.
        Self { service: service.chars().take(LONGEST_NAME).collect(), format, writer: io::stdout }
    }
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let fields = Fields::of(event, LONGEST_LINE / 2);
        let line = Line { now: jiff::Timestamp::now(), service: &self.service, ids: active_span() };
        let level = *event.metadata().level();
        let mut text = match self.format {
            Format::Json => json::line(&line, level, &fields),
            Format::Pretty { colours } => pretty::line(&line, event.metadata(), &fields, colours),
        };
        text.push(b'\n');
        // One write, so that lines of several threads do not mix. A closed pipe is no reason to
        // die, and there is nowhere left to say so.
        let mut writer = self.writer.make_writer_for(event.metadata());
        let _ = writer.write_all(&text).and_then(|()| writer.flush());
    }
}

/// The active span's ids; a remote parent alone is no span of this process.
fn active_span() -> Option<(TraceId, SpanId)> {
    OtelContext::map_current(|context| {
        let span = context.span();
        let ids = span.span_context();
        (ids.is_valid() && !ids.is_remote()).then(|| (ids.trace_id(), ids.span_id()))
    })
}

/// Which events are written.
///
/// # Errors
/// Directives that cannot be read; the command line checks them first.
pub(super) fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    // The SDK warns once for each batch it cannot export and for each bad baggage header, which it
    // quotes: a dead collector or a hostile client would fill the log. The ledger says it instead.
    // The HTTP server tells at info of each of its threads, and the database driver of every
    // connection it loses; what matters of that we say ourselves.
    // RabbitMQ's client calls each lost connection several errors, and quotes returned messages.
    const QUIETER: [(&str, &str); 5] = [
        ("opentelemetry", "off"),
        ("actix_server", "warn"),
        ("sqlx", "error"),
        ("sqlx_core", "error"),
        ("lapin", "off"),
    ];
    let mut filter = EnvFilter::try_new(level)?;
    for (target, most) in QUIETER.into_iter().filter(|(target, _)| !level.contains(target)) {
        filter = filter.add_directive(format!("{target}={most}").parse()?);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests;
