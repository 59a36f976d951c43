//! Log lines as a backend stored them: the console, VictoriaLogs, Loki, files of a collector.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::file::LineTally;
use super::item_file::ItemFile;
use super::span::{SpanAttributes, array, attributes};
use super::window::MOST_LINES;
use super::{BackendAccess, BackendError, QueryApi, encoded};
use crate::schema::registry::LOG_FIELDS;

/// One log line: the JSON object that a service wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Every field, as it was written.
    pub fields: Map<String, Value>,
}

impl LogLine {
    /// From a line of a service's output; `None` where it is no JSON object.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(|fields| Self { fields })
    }

    /// From a record's fields: where it came by OTLP, what the conventions name is under the line's name again.
    fn of_record(mut fields: Map<String, Value>) -> Self {
        for row in LOG_FIELDS.iter().filter(|row| row.key != row.field) {
            if !fields.contains_key(row.field)
                && let Some(value) = fields.get(row.key).cloned()
            {
                fields.insert(row.field.to_owned(), value);
            }
        }
        Self { fields }
    }

    /// The id of its trace, as 32 lower-case digits; empty without one.
    fn trace(&self) -> String {
        match self.text("traceId") {
            "" => String::new(),
            id => format!("{:0>32}", id.to_lowercase()),
        }
    }

    /// A field that is text, such as `level`, `message`, `service` or `traceId`; empty without one.
    pub fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A reader of log lines.
pub struct LogReader {
    api: QueryApi,
    source: LogSource,
}

enum LogSource {
    Console,
    VictoriaLogs,
    Loki,
    File(RefCell<ItemFile>),
}

impl LogReader {
    /// The console at this base URL.
    pub fn console(base: &str) -> Self {
        Self { api: QueryApi::new(base), source: LogSource::Console }
    }

    /// A VictoriaLogs at this base URL, fed by OTLP or with the lines of standard output.
    pub fn victoria_logs(base: &str) -> Self {
        Self { api: QueryApi::new(base), source: LogSource::VictoriaLogs }
    }

    /// A Loki at this base URL, whose lines are those of standard output.
    pub fn loki(base: &str) -> Self {
        Self { api: QueryApi::new(base), source: LogSource::Loki }
    }

    /// The records that a collector's file exporter writes to this file from now on, as JSON.
    pub fn file(path: &str) -> Self {
        Self { api: QueryApi::new(""), source: LogSource::File(RefCell::new(ItemFile::of_records(path))) }
    }

    /// How much of a file was read; `None` of a server.
    pub fn tally(&self) -> Option<LineTally> {
        match &self.source {
            LogSource::File(file) => Some(file.borrow().tally()),
            _ => None,
        }
    }

    /// The same, reached in this way.
    #[must_use]
    pub fn through(self, access: &BackendAccess) -> Self {
        Self { api: self.api.through(access), source: self.source }
    }

    /// How many lines the console has let go of so far for want of room.
    pub async fn let_go(&self) -> Option<u64> {
        self.api.let_go("logs", "evicted").await
    }

    /// The newest lines of one trace, `limit` at most, newest last.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn of_trace(&self, id: &str, limit: usize) -> Result<Vec<LogLine>, BackendError> {
        self.of_any(&[id], limit).await
    }

    /// How many traces one question may be about.
    pub fn at_once(&self) -> usize {
        match &self.source {
            // Their ids have 3.3 kB in a URL, which proxies take.
            LogSource::Console | LogSource::File(_) => 100,
            // Each id stands twice in the question, with quotes that take three bytes each.
            LogSource::VictoriaLogs => 50,
            LogSource::Loki => 25,
        }
    }

    /// How many lines of each of these traces there are so far, in the order of the ids; of the newest so many of each.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn counts(&self, ids: &[&str], each: usize) -> Result<Vec<usize>, BackendError> {
        match &self.source {
            LogSource::Console => self.api.many_counts(ids, "/lines").await,
            LogSource::File(file) => file.borrow_mut().counts(ids),
            LogSource::VictoriaLogs | LogSource::Loki => {
                let found = self.lines(ids, each).await?;
                Ok(ids.iter().map(|id| found.get(*id).map_or(0, Vec::len)).collect())
            }
        }
    }

    /// The lines of these traces, by their ids: of each the newest so many.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn lines(
        &self,
        ids: &[&str],
        each: usize,
    ) -> Result<HashMap<String, Vec<LogLine>>, BackendError> {
        let mut found: HashMap<String, Vec<LogLine>> = HashMap::new();
        if let LogSource::File(_) = &self.source {
            for id in ids {
                found.insert((*id).to_owned(), self.of_trace(id, each).await?);
            }
            return Ok(found);
        }
        let mut portions = vec![ids];
        while let Some(ids) = portions.pop() {
            let most = (each * ids.len()).min(MOST_LINES);
            let lines = self.of_any(ids, most).await?;
            if lines.len() >= most && ids.len() > 1 {
                // There may be more than the answer had room for.
                let (some, others) = ids.split_at(ids.len() / 2);
                portions.extend([some, others]);
                continue;
            }
            for line in lines {
                found.entry(line.trace()).or_default().push(line);
            }
        }
        Ok(found)
    }

    /// The newest lines of all these traces.
    async fn of_any(&self, ids: &[&str], limit: usize) -> Result<Vec<LogLine>, BackendError> {
        match &self.source {
            LogSource::Console => {
                let ids: Vec<_> = ids.iter().map(|id| encoded(id)).collect();
                self.search(&format!("traceId={}&limit={limit}", ids.join(","))).await
            }
            LogSource::VictoriaLogs => {
                let ids: Vec<_> = ids.iter().map(|id| format!("\"{id}\"")).collect();
                let ids = ids.join(",");
                // The key of OTLP, and that of a line of standard output.
                let query = format!("trace_id:in({ids}) OR traceId:in({ids}) | sort by (_time)");
                let path = format!("/select/logsql/query?limit={limit}&query={}", encoded(&query));
                let lines = self.api.json_lines(&path).await?;
                Ok(lines.into_iter().filter_map(victoria_line).collect())
            }
            LogSource::Loki => {
                let query = format!("{{service_name=~\".+\"}} |~ \"{}\"", ids.join("|"));
                let path = format!(
                    "/loki/api/v1/query_range?direction=forward&since=1h&limit={limit}&query={}",
                    encoded(&query)
                );
                let streams = self.api.list(&path, "/data/result", "a list of streams").await?;
                let values = streams.iter().flat_map(|stream| array(&stream["values"]));
                Ok(values.filter_map(|value| LogLine::parse(value.get(1)?.as_str()?)).collect())
            }
            LogSource::File(file) => {
                let records = file.borrow_mut().of_traces(ids)?;
                let lines = records.iter().flatten().map(|(resource, record)| otlp_line(resource, record));
                Ok(lines.take(limit).collect())
            }
        }
    }

    /// The newest lines of one service, `limit` at most, newest last; of the console.
    ///
    /// # Errors
    /// The backend cannot be read.
    pub async fn of_service(&self, service: &str, limit: usize) -> Result<Vec<LogLine>, BackendError> {
        self.search(&format!("service={}&limit={limit}", encoded(service))).await
    }

    async fn search(&self, query: &str) -> Result<Vec<LogLine>, BackendError> {
        let lines = self.api.list(&format!("/api/logs?{query}"), "/logs", "a list of log lines").await?;
        let line = |line| match line {
            Value::Object(fields) => Some(LogLine::of_record(fields)),
            _ => None,
        };
        Ok(lines.into_iter().filter_map(line).collect())
    }
}

/// A record of VictoriaLogs with the fields of a line: it has names of its own, and texts for all values.
fn victoria_line(record: Value) -> Option<LogLine> {
    let Value::Object(mut fields) = record else { return None };
    for (theirs, ours) in [
        ("_msg", "message"),
        ("_time", "timestamp"),
        ("trace_id", "traceId"),
        ("span_id", "spanId"),
        ("service.name", "service"),
        ("severity_text", "level"),
    ] {
        if let Some(value) = fields.remove(theirs) {
            fields.entry(ours).or_insert(value);
        }
    }
    Some(LogLine::of_record(fields))
}

/// The records of a message of OTLP.
pub(crate) fn otlp_lines(message: &Value) -> Vec<LogLine> {
    let mut lines = Vec::new();
    for group in array(&message["resourceLogs"]) {
        let resource = attributes(&group["resource"]["attributes"]);
        let records = array(&group["scopeLogs"]).iter().flat_map(|scope| array(&scope["logRecords"]));
        lines.extend(records.map(|record| otlp_line(&resource, record)));
    }
    lines
}

/// A record of OTLP with the fields of a line.
fn otlp_line(resource: &SpanAttributes, record: &Value) -> LogLine {
    let mut fields: Map<String, Value> = attributes(&record["attributes"]).into_iter().collect();
    let own = [
        ("message", record["body"]["stringValue"].clone()),
        ("level", record["severityText"].clone()),
        ("severityNumber", record["severityNumber"].clone()),
        ("traceId", record["traceId"].clone()),
        ("spanId", record["spanId"].clone()),
        ("service", resource.get("service.name").cloned().unwrap_or_default()),
    ];
    fields.extend(own.map(|(field, value)| (field.to_owned(), value)));
    LogLine::of_record(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_of_victorialogs_has_the_fields_of_the_line_that_was_written() {
        let record = json!({"_msg": "Order created", "_time": "2026-11-28T08:00:00Z", "trace_id": "4b",
            "span_id": "00", "service.name": "order-service", "orderId": "7", "http.route": "/orders"});
        let line = victoria_line(record).unwrap_or_else(|| unreachable!());
        let texts =
            ["message", "traceId", "spanId", "service", "orderId", "route"].map(|field| line.text(field));
        assert_eq!(texts, ["Order created", "4b", "00", "order-service", "7", "/orders"]);
        assert_eq!(victoria_line(json!("no record")), None);
    }
}
