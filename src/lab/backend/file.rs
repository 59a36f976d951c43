//! Files that grow while they are read, such as those of a collector's file exporter: OTLP's JSON, a message a line.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::BackendError;

/// The longest line that is read, in bytes; a longer one counts as one that cannot be.
const LONGEST_LINE: usize = 64 << 20;
/// Read at once, in bytes.
const CHUNK: usize = 1 << 16;

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

    /// Hands every line that was added since the last time to `take`, which says whether it is a message of OTLP.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub(super) fn read(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), BackendError> {
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
    fn read_on(&mut self, open: &mut File, take: &mut impl FnMut(&[u8]) -> bool) -> io::Result<u64> {
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

    fn line(&mut self, take: &mut impl FnMut(&[u8]) -> bool) {
        let line = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.passing) || line.trim_ascii().is_empty() {
            return;
        }
        self.tally.lines += 1;
        self.tally.bad += u64::from(!take(&line));
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
