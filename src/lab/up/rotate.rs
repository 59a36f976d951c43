//! The log file of a lab in the background: bounded, and begun anew at each start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// In the data folder.
const NAME: &str = "up.log";
/// At this many bytes a file becomes the one before, and that one goes.
const LARGEST: u64 = 8 << 20;

/// The log file of the lab on a data folder.
pub(in crate::lab) fn log_file(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// The one before it: of an earlier start, or full.
pub(in crate::lab) fn log_before(log: &Path) -> PathBuf {
    log.with_extension("log.1")
}

/// A sink for two writers, each of which writes whole lines.
#[derive(Clone)]
pub(super) struct SharedLog(Arc<Mutex<RotatedFile>>);

struct RotatedFile {
    path: PathBuf,
    file: File,
    written: u64,
    largest: u64,
}

impl SharedLog {
    /// An empty file, readable by its owner alone; what was there is the one before.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Self::bounded(path, LARGEST)
    }

    fn bounded(path: &Path, largest: u64) -> io::Result<Self> {
        let file = next(path)?;
        Ok(Self(Arc::new(Mutex::new(RotatedFile { path: path.to_owned(), file, written: 0, largest }))))
    }
}

fn next(path: &Path) -> io::Result<File> {
    match fs::rename(path, log_before(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Write for SharedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.written > 0 && log.written + bytes.len() as u64 > log.largest {
            log.file = next(&log.path)?;
            log.written = 0;
        }
        let written = log.file.write(bytes)?;
        log.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_full_file_becomes_the_one_before_and_no_more_than_two_are_kept() {
        let temp = tempfile::tempdir().unwrap();
        let path = log_file(temp.path());
        let mut log = SharedLog::bounded(&path, 10).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!((read(&path), read(&log_before(&path))), ("four\nfive\n".into(), "three\n".into()));
        let _again = SharedLog::bounded(&path, 10).unwrap();
        assert_eq!((read(&path), read(&log_before(&path))), (String::new(), "four\nfive\n".into()));
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2);
    }
}
