//! Spans or log records in a file of OTLP's JSON, by their traces.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::BackendError;
use super::file::{GrowingFile, LineTally};
use super::line::{LineMessage, trace_of};
use super::span::SpanAttributes;

/// The attributes of a resource, and one of its items.
pub(super) type FileItem = (Arc<SpanAttributes>, Value);

/// Spans or log records of a file, found by their trace. Kept as text: a value would take several times its room.
pub(super) struct ItemFile {
    file: GrowingFile,
    /// Of log records, not of spans.
    of_records: bool,
    by_trace: HashMap<String, Vec<(Arc<SpanAttributes>, String)>>,
}

impl ItemFile {
    /// The spans that are added from now on.
    pub(super) fn of_spans(path: &str) -> Self {
        Self::new(path, false)
    }

    /// The log records that are added from now on.
    pub(super) fn of_records(path: &str) -> Self {
        Self::new(path, true)
    }

    fn new(path: &str, of_records: bool) -> Self {
        Self { file: GrowingFile::from_now(path), of_records, by_trace: HashMap::new() }
    }

    /// How much was read.
    pub(super) fn tally(&self) -> LineTally {
        self.file.tally()
    }

    /// Reads on.
    fn refresh(&mut self) -> Result<(), BackendError> {
        let (of_records, all) = (self.of_records, &mut self.by_trace);
        self.file.read(|line| {
            let Some(message) = LineMessage::read(line) else { return false };
            for group in message.groups(of_records) {
                let resource = Arc::new(group.attributes());
                for item in group.items() {
                    let trace = trace_of(item);
                    if !trace.is_empty() {
                        all.entry(trace).or_default().push((resource.clone(), item.get().to_owned()));
                    }
                }
            }
            true
        })
    }

    /// How many items of each of these traces there are so far.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn counts(&mut self, ids: &[&str]) -> Result<Vec<usize>, BackendError> {
        self.refresh()?;
        Ok(ids.iter().map(|id| self.by_trace.get(*id).map_or(0, Vec::len)).collect())
    }

    /// The items of each of these traces so far, with the attributes of their resource, in the order of the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn of_traces(&mut self, ids: &[&str]) -> Result<Vec<Vec<FileItem>>, BackendError> {
        self.refresh()?;
        let read = |(resource, text): &(Arc<SpanAttributes>, String)| {
            Some((resource.clone(), serde_json::from_str(text).ok()?))
        };
        Ok(ids
            .iter()
            .map(|id| self.by_trace.get(*id).into_iter().flatten().filter_map(read).collect())
            .collect())
    }

    /// Those of one trace.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn of_trace(&mut self, id: &str) -> Result<Vec<FileItem>, BackendError> {
        Ok(self.of_traces(&[id])?.pop().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::io::Write as _;
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn spans(id: &str) -> String {
        let service = json!([{"key": "service.name", "value": {"stringValue": "a"}}]);
        let spans = json!([{"traceId": id, "spanId": "00f067aa0ba902b7", "name": "x"}]);
        json!({"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [{"spans": spans}]}]})
            .to_string()
    }

    fn append(path: &Path, text: &str) {
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn count(file: &mut ItemFile, id: &str) -> usize {
        file.of_trace(id).unwrap().len()
    }

    #[test]
    fn a_line_counts_once_it_is_whole_and_what_was_there_before_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("traces.json");
        let (old, half) = (spans("01"), spans("02"));
        append(&path, &format!("{old}\n{}", &half[..20]));
        let mut file = ItemFile::of_spans(path.to_str().unwrap());
        append(&path, &format!("{}\n", &half[20..]));
        let new = spans("03");
        append(&path, &new[..30]);
        assert_eq!([count(&mut file, "01"), count(&mut file, "02"), count(&mut file, "03")], [0, 0, 0]);
        append(&path, &format!("{}\n", &new[30..]));
        let found = file.of_trace("03").unwrap();
        assert_eq!(
            (found[0].0["service.name"].clone(), found[0].1["name"].clone()),
            (json!("a"), json!("x"))
        );
        assert_eq!(file.tally(), LineTally { lines: 1, bad: 0 });
    }

    #[test]
    fn a_file_that_was_rotated_is_read_to_its_end_and_then_the_new_one_and_a_cut_one_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("traces.json");
        // Not there yet, which is said; then it is all new.
        let mut file = ItemFile::of_spans(path.to_str().unwrap());
        let missing = file.of_trace("01").unwrap_err().to_string();
        assert!(missing.contains("traces.json: No such file"), "{missing}");
        append(&path, &format!("{}\n", spans("01")));
        assert_eq!(count(&mut file, "01"), 1);
        append(&path, &format!("{}\n", spans("02")));
        fs::rename(&path, folder.path().join("traces-1.json")).unwrap();
        assert_eq!(count(&mut file, "02"), 1);
        append(&path, &format!("{}\n", spans("03")));
        assert_eq!(count(&mut file, "03"), 1);
        fs::write(&path, "\n").unwrap();
        assert_eq!(count(&mut file, "04"), 0);
        append(&path, &format!("{}\n", spans("04")));
        assert_eq!([count(&mut file, "04"), count(&mut file, "01")], [1, 1]);
    }

    #[test]
    fn lines_that_are_no_otlp_are_counted_and_those_of_other_signals_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.json");
        let mut file = ItemFile::of_spans(path.to_str().unwrap());
        append(&path, &format!("{{\"a\": 1}}\n\u{1}\u{2}\n\n{{\"resourceLogs\": []}}\n{}\n", spans("01")));
        assert_eq!(count(&mut file, "01"), 1);
        assert_eq!(file.tally(), LineTally { lines: 4, bad: 2 });
    }
}
