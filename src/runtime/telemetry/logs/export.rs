//! Log records over OTLP, beside the lines on standard output: the same events, with typed attributes under the
//! keys of the semantic conventions where those have them.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use opentelemetry::Context;
use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::Resource;
use tracing::Event;
use tracing::field::{Field, Visit};

use super::record::without_raw_mark;
use super::{LONGEST_LINE, escape, json};
use crate::runtime::telemetry::otlp::{BatchProcessor, Envelope, Ledger, Sender, Wire};
use crate::runtime::telemetry::pipeline::Pipeline;
use crate::runtime::telemetry::settings::LogSettings;
use crate::runtime::telemetry::signal::Signal;
use crate::runtime::telemetry::traces::{nanoseconds, scope};
use crate::schema::registry::{ValueType, log_key};

/// A field of this name is the record's event name (logs data model, "EventName").
const EVENT_NAME: &str = "event.name";

thread_local! {
    /// A thread's memory for the record it makes, kept from one to the next.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::default();
}

/// Encodes events into the batches that a thread exports.
#[derive(Debug)]
pub(in crate::runtime::telemetry) struct LogBatches {
    batches: Arc<BatchProcessor>,
    ledger: Arc<Ledger>,
    attributes: usize,
    value_length: Option<usize>,
}

impl LogBatches {
    /// # Errors
    /// TLS files or authorities that an https collector needs and that are not there, or no thread.
    pub(in crate::runtime::telemetry) fn start(settings: &LogSettings, resource: &Resource) -> Result<Self> {
        let ledger = Arc::new(Ledger::new(Signal::Logs, settings.batch.queue));
        let sender = Sender::new(Signal::Logs, &settings.export)?;
        let (envelope, account) = (Envelope::new(resource, &scope()), ledger.clone());
        let batches = BatchProcessor::start("logs", settings.batch, ledger.clone(), move |batch| {
            let outcome = sender.send(envelope.around_batch(&batch));
            account.settle(batch.items, outcome);
        });
        let batches = Arc::new(batches.context("no thread for the export of logs")?);
        let (attributes, value_length) = (settings.attributes, settings.value_length);
        Ok(Self { batches, ledger, attributes, value_length })
    }

    /// What flushes and stops it.
    pub(in crate::runtime::telemetry) fn pipeline(&self) -> Pipeline {
        Pipeline::new(self.batches.clone(), self.ledger.clone())
    }

    /// Takes an event that was logged in `span`. What telemetry logs of its own export stays on standard
    /// output.
    pub(super) fn append(&self, event: &Event<'_>, span: Option<&SpanContext>) {
        if Context::map_current(Context::is_telemetry_suppressed) {
            return;
        }
        // Encoded before the batch is locked: a value may log while it is formatted.
        let append = |record: &mut Vec<u8>| {
            record.clear();
            self.write(record, event, span);
            self.batches.append(|batch| Wire::new(batch).delimited(Envelope::ITEM, record));
        };
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => append(&mut scratch),
            Err(_) => append(&mut Vec::new()),
        });
    }

    /// Writes the fields of a `LogRecord` (opentelemetry/proto/logs/v1/logs.proto).
    fn write(&self, record: &mut Vec<u8>, event: &Event<'_>, span: Option<&SpanContext>) {
        let mut wire = Wire::new(record);
        let now = nanoseconds(std::time::SystemTime::now());
        wire.fixed64(1, now);
        wire.fixed64(11, now);
        let level = *event.metadata().level();
        wire.varint(2, json::severity(level));
        wire.bytes(3, json::name(level).as_bytes());
        if let Some(span) = span {
            wire.fixed32(8, span.trace_flags().to_u8().into());
            wire.bytes(9, &span.trace_id().to_bytes());
            wire.bytes(10, &span.span_id().to_bytes());
        }
        let mut fields = LogFields {
            wire,
            left: LONGEST_LINE,
            room: self.attributes,
            dropped: 0,
            limit: self.value_length,
        };
        event.record(&mut fields);
        let dropped = fields.dropped;
        fields.wire.varint(7, dropped);
    }
}

/// Writes an event's fields as attributes, and its message as the body; bounded in bytes like a line.
struct LogFields<'a> {
    wire: Wire<'a>,
    /// Bytes.
    left: usize,
    /// Attributes.
    room: usize,
    dropped: u64,
    limit: Option<usize>,
}

impl LogFields<'_> {
    fn attribute(&mut self, field: &Field, value: ValueType, size: usize, write: impl FnOnce(&mut Wire<'_>)) {
        let key = log_key(without_raw_mark(field.name()), value);
        let taken = key.len() + size;
        if self.room == 0 || taken > self.left {
            self.dropped += 1;
            return;
        }
        (self.room, self.left) = (self.room - 1, self.left - taken);
        self.wire.pair(6, key, write);
    }

    fn text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        let text = escape::raw(text, self.left.saturating_sub(field.name().len()));
        match field.name() {
            "message" => {
                self.left = self.left.saturating_sub(text.len());
                self.wire.message(5, |any| any.text(&text, None));
            }
            EVENT_NAME => self.wire.bytes(12, text.as_bytes()),
            _ => {
                let limit = self.limit;
                self.attribute(field, ValueType::Text, text.len(), |any| any.text(&text, limit));
            }
        }
    }
}

impl Visit for LogFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attribute(field, ValueType::Boolean, 2, |any| any.truth(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field, ValueType::Integer, 10, |any| any.integer(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            // OTLP has no unsigned numbers.
            Err(_) => self.text(field, format_args!("{value}")),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.attribute(field, ValueType::Double, 9, |any| any.double(value));
    }
}
