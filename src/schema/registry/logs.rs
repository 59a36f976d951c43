//! Fields of log lines, and the attributes that log records have for them.

use super::ValueType::{self, Boolean, Double, Integer, Text};

/// One row: a field of a line of standard output.
#[derive(Debug)]
pub struct LogField {
    /// Its name on the line.
    pub field: &'static str,
    /// The type of its value; a name may be there with two.
    pub value: ValueType,
    /// The key of the log record's attribute: the semantic conventions' where they have one.
    pub key: &'static str,
}

/// Every field of this program's own lines from `info` upwards, by name and type.
pub static LOG_FIELDS: &[LogField] = &[
    same("address", Text),
    same("alert", Text),
    same("alertService", Text),
    named("attempt", Integer, "o11y_lab.delivery.attempt"),
    same("cause", Text),
    same("count", Integer),
    same("detail", Text),
    same("dropped", Integer),
    same("durationMs", Double),
    named("errorType", Text, "error.type"),
    same("errors", Integer),
    same("fault", Text),
    same("graceSeconds", Double),
    same("left", Integer),
    same("maxAttempts", Integer),
    same("maxReceiveCount", Integer),
    named("messageId", Text, "messaging.message.id"),
    same("messages", Integer),
    named("method", Text, "http.request.method"),
    named("operation", Text, "db.operation.name"),
    same("orderId", Integer),
    same("outageMs", Integer),
    named("queue", Text, "messaging.destination.name"),
    same("reason", Text),
    named("requestId", Text, "faas.invocation_id"),
    same("requests", Integer),
    same("retryInMs", Integer),
    named("route", Text, "http.route"),
    same("rows", Integer),
    same("seconds", Integer),
    same("settings", Text),
    same("severity", Text),
    same("status", Text),
    named("status", Integer, "http.response.status_code"),
    same("stopped", Boolean),
    named("system", Text, "db.system.name"),
    named("table", Text, "db.collection.name"),
    same("total", Double),
    same("userId", Integer),
    same("valid", Boolean),
    same("variables", Text),
    same("version", Text),
];

const fn same(field: &'static str, value: ValueType) -> LogField {
    LogField { field, value, key: field }
}

const fn named(field: &'static str, value: ValueType, key: &'static str) -> LogField {
    LogField { field, value, key }
}

/// The attribute key of a field; its own name where the table has none.
pub fn log_key(field: &'static str, value: ValueType) -> &'static str {
    let place = LOG_FIELDS.binary_search_by(|row| (row.field, row.value).cmp(&(field, value)));
    place.ok().and_then(|place| LOG_FIELDS.get(place)).map_or(field, |row| row.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_the_key_of_the_conventions_by_name_and_type_and_else_its_own() {
        assert!(LOG_FIELDS.is_sorted_by_key(|row| (row.field, row.value)));
        assert_eq!(log_key("status", Integer), "http.response.status_code");
        assert_eq!((log_key("status", Text), log_key("elsewhere", Text)), ("status", "elsewhere"));
    }
}
