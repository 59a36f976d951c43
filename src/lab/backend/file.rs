//! Files that grow while they are read, such as those of a collector's file exporter: OTLP's JSON, a message a line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

use super::BackendError;
use super::span::{SpanAttributes, array, attributes};

/// The longest line that is read, in bytes; a longer one counts as one that cannot be.
const LONGEST_LINE: usize = 64 << 20;
/// Read at once, in bytes.
const CHUNK: usize = 1 << 16;
/// What a line of OTLP's JSON has, whatever its signal: several may share a file.
const SIGNALS: [&str; 4] = ["resourceSpans", "resourceMetrics", "resourceLogs", "resourceProfiles"];

/// What was read of a file so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineTally {
    /// Lines, those that cannot be read included.
    pub lines: u64,
    /// Those that are no OTLP in JSON.
    pub bad: u64,
}

/// A file and how far it was read. A file that was moved away is read to its end, and then the one that took its
/// place; one that was cut is read from its beginning.
pub(super) struct GrowingFile {
    path: PathBuf,
    open: Option<File>,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
    /// Whether the line that goes on is passed over: it began before us, or is too long.
    passing: bool,
    tally: LineTally,
}

impl GrowingFile {
    /// All of it.
    pub(super) fn whole(path: &str) -> Self {
        let (path, tally) = (PathBuf::from(path), LineTally::default());
        Self { path, open: None, begun: Vec::new(), passing: false, tally }
    }

    /// What is added from now on. A line that is half there belongs to what was before.
    pub(super) fn from_now(path: &str) -> Self {
        let mut file = Self::whole(path);
        if let Ok(mut open) = File::open(&file.path)
            && let Ok(end) = open.seek(SeekFrom::End(0))
        {
            file.passing = end > 0 && !ends_a_line(&file.path, end);
            file.open = Some(open);
        }
        file
    }

    /// How much was read.
    pub(super) fn tally(&self) -> LineTally {
        self.tally
    }

    /// Hands every message that was added since the last time to `take`.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub(super) fn read(&mut self, mut take: impl FnMut(Value)) -> Result<(), BackendError> {
        let error = |path: &Path, error: io::Error| BackendError::File {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        loop {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => File::open(&self.path).map_err(|why| error(&self.path, why))?,
            };
            let read = self.read_on(&mut open, &mut take).map_err(|why| error(&self.path, why))?;
            match self.replaced(&open, read) {
                Ok(Replaced::Not) => {
                    self.open = Some(open);
                    return Ok(());
                }
                Ok(Replaced::Moved) => self.tally.bad += u64::from(!self.begun.is_empty()),
                Ok(Replaced::Cut) => {}
                Err(why) => return Err(error(&self.path, why)),
            }
            (self.begun, self.passing) = (Vec::new(), false);
        }
    }

    /// Reads on; the place that was reached.
    fn read_on(&mut self, open: &mut File, take: &mut impl FnMut(Value)) -> io::Result<u64> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = open.read(&mut chunk)?;
            if read == 0 {
                return open.stream_position();
            }
            let mut rest = &chunk[..read];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                self.begun.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                self.line(take);
            }
            self.begun.extend_from_slice(rest);
            if self.begun.len() > LONGEST_LINE {
                (self.begun, self.passing) = (Vec::new(), true);
                self.tally.lines += 1;
                self.tally.bad += 1;
            }
        }
    }

    fn line(&mut self, take: &mut impl FnMut(Value)) {
        let line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.passing) || line.trim_ascii().is_empty() {
            return;
        }
        self.tally.lines += 1;
        match serde_json::from_slice::<Value>(&line) {
            Ok(message) if SIGNALS.iter().any(|signal| message[signal].is_array()) => take(message),
            _ => self.tally.bad += 1,
        }
    }

    /// Whether another file has this one's name by now, or it is shorter than it was.
    fn replaced(&self, open: &File, place: u64) -> io::Result<Replaced> {
        let now = match std::fs::metadata(&self.path) {
            Ok(now) => now,
            // Moved away, and the next one is not there yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Replaced::Not),
            Err(error) => return Err(error),
        };
        let own = open.metadata()?;
        Ok(match (own.dev(), own.ino()) == (now.dev(), now.ino()) {
            false => Replaced::Moved,
            true if own.len() < place => Replaced::Cut,
            true => Replaced::Not,
        })
    }
}

enum Replaced {
    Not,
    Moved,
    Cut,
}

fn ends_a_line(path: &Path, end: u64) -> bool {
    let mut last = [0];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut last)
    });
    read.is_ok() && last == *b"\n"
}

/// Spans or log records of a file, found by their trace. Kept as text: a value would take several times its room.
pub(super) struct ItemFile {
    file: GrowingFile,
    /// What a message, a resource's group and a scope's call their lists.
    lists: [&'static str; 3],
    by_trace: HashMap<String, Vec<(Rc<SpanAttributes>, String)>>,
}

impl ItemFile {
    /// The spans that are added from now on.
    pub(super) fn of_spans(path: &str) -> Self {
        Self::new(path, ["resourceSpans", "scopeSpans", "spans"])
    }

    /// The log records that are added from now on.
    pub(super) fn of_records(path: &str) -> Self {
        Self::new(path, ["resourceLogs", "scopeLogs", "logRecords"])
    }

    fn new(path: &str, lists: [&'static str; 3]) -> Self {
        Self { file: GrowingFile::from_now(path), lists, by_trace: HashMap::new() }
    }

    /// How much was read.
    pub(super) fn tally(&self) -> LineTally {
        self.file.tally()
    }

    /// The items of one trace so far, with the attributes of their resource, in the order of the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn of_trace(&mut self, id: &str) -> Result<Vec<(Rc<SpanAttributes>, Value)>, BackendError> {
        let ([resources, scopes, items], all) = (self.lists, &mut self.by_trace);
        self.file.read(|message| {
            for group in array(&message[resources]) {
                let resource = Rc::new(attributes(&group["resource"]["attributes"]));
                for item in array(&group[scopes]).iter().flat_map(|scope| array(&scope[items])) {
                    let trace = item["traceId"].as_str().unwrap_or_default().to_lowercase();
                    if !trace.is_empty() {
                        all.entry(trace).or_default().push((resource.clone(), item.to_string()));
                    }
                }
            }
        })?;
        let found = self.by_trace.get(id).into_iter().flatten();
        Ok(found
            .filter_map(|(resource, text)| Some((resource.clone(), serde_json::from_str(text).ok()?)))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::io::Write as _;

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
