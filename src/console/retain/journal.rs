//! The file: entries in order, packed, the oldest deleted as the bounds say.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rusqlite::{Connection, params};

use crate::config::RetainConfig;
use crate::sqlite::{FileOptions, SqliteError, SqliteFile};

const FILE: &str = "console.db";
/// The longest wait for another process's write, and for one operation.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
const RUN_TIMEOUT: Duration = Duration::from_secs(8);
/// Entries read at once, and what one may take unpacked, in bytes.
const PAGE: usize = 64;
const MOST_UNPACKED: u64 = 64 << 20;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS entry (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        is_json INTEGER NOT NULL,
        body BLOB NOT NULL
    );";
/// The ids up to which entries are too many: those beyond so many bytes, counted from the newest.
const BEYOND: &str = "
    SELECT MAX(id) FROM (SELECT id, SUM(LENGTH(body)) OVER (ORDER BY id DESC) AS bytes FROM entry) WHERE bytes > ?1";

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JournalKind {
    Spans,
    Records,
    Points,
    /// Log lines of standard input, one under the other.
    Lines,
    /// What came before of a service, or of all, was removed.
    Removal,
}

/// In the order of their numbers in the file.
const KINDS: [JournalKind; 5] =
    [JournalKind::Spans, JournalKind::Records, JournalKind::Points, JournalKind::Lines, JournalKind::Removal];

/// Something that came in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct JournalEntry {
    /// Nanoseconds since the epoch.
    pub(super) at: u64,
    pub(super) kind: JournalKind,
    pub(super) is_json: bool,
    pub(super) body: Vec<u8>,
}

/// The journal's file and its bounds.
pub(super) struct Journal {
    file: SqliteFile,
    path: PathBuf,
    max_bytes: u64,
    max_age: Duration,
}

impl Journal {
    /// Opens nothing yet.
    pub(super) fn new(config: &RetainConfig) -> Option<Self> {
        let path = config.retain.as_ref()?.join(FILE);
        let file = SqliteFile::new(FileOptions {
            path: path.clone(),
            busy_timeout: BUSY_TIMEOUT,
            run_timeout: RUN_TIMEOUT,
            prepare: Arc::new(|connection| {
                // Only a new file takes it: then what is deleted is given back to the disk.
                connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
                Ok(connection.execute_batch(TABLES)?)
            }),
        });
        Some(Self { file, path, max_bytes: config.retain_mib << 20, max_age: config.retain_age })
    }

    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    fn oldest(&self, now: u64) -> u64 {
        now.saturating_sub(u64::try_from(self.max_age.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Adds entries and deletes what is beyond the bounds; how many bytes the journal has then.
    pub(super) async fn append(&self, entries: Vec<JournalEntry>, now: u64) -> Result<u64, SqliteError> {
        let (oldest, most) = (self.oldest(now), self.max_bytes);
        let written = self.file.write(move |connection| append(connection, &entries, oldest, most)).await?;
        // Outside of the transaction, which holds pages that are deleted.
        self.file.read(|connection| Ok(connection.execute_batch("PRAGMA incremental_vacuum")?)).await?;
        Ok(written)
    }

    /// The next entries after an id that are not too old, each with its own.
    pub(super) async fn page(&self, after: i64, now: u64) -> Result<Vec<(i64, JournalEntry)>, SqliteError> {
        let oldest = self.oldest(now);
        self.file.read(move |connection| page(connection, after, oldest)).await
    }

    pub(super) async fn close(&self) {
        let _ = tokio::time::timeout(RUN_TIMEOUT, self.file.close()).await;
    }
}

fn append(
    connection: &Connection,
    entries: &[JournalEntry],
    oldest: u64,
    most: u64,
) -> Result<u64, SqliteError> {
    let mut insert =
        connection.prepare_cached("INSERT INTO entry (at, kind, is_json, body) VALUES (?1, ?2, ?3, ?4)")?;
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    for entry in entries {
        let kind = KINDS.iter().position(|kind| *kind == entry.kind).unwrap_or_default();
        let packed = pack(&mut packer, &entry.body).map_err(|error| SqliteError::other(error.to_string()))?;
        insert.execute(params![signed(entry.at), kind as i64, entry.is_json, packed])?;
    }
    connection.execute("DELETE FROM entry WHERE at < ?1", [signed(oldest)])?;
    let bytes = |connection: &Connection| -> rusqlite::Result<i64> {
        connection.query_row("SELECT COALESCE(SUM(LENGTH(body)), 0) FROM entry", [], |row| row.get(0))
    };
    let mut kept = bytes(connection)?;
    if kept > signed(most) {
        let last: Option<i64> = connection.query_row(BEYOND, [signed(most)], |row| row.get(0))?;
        connection.execute("DELETE FROM entry WHERE id <= ?1", [last.unwrap_or(0)])?;
        kept = bytes(connection)?;
    }
    Ok(u64::try_from(kept).unwrap_or_default())
}

fn page(connection: &Connection, after: i64, oldest: u64) -> Result<Vec<(i64, JournalEntry)>, SqliteError> {
    let mut select = connection.prepare_cached(
        "SELECT id, at, kind, is_json, body FROM entry WHERE id > ?1 AND at >= ?2 ORDER BY id LIMIT ?3",
    )?;
    let rows = select.query_map(params![after, signed(oldest), PAGE as i64], |row| {
        let kind: i64 = row.get(2)?;
        let kind = usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind)).copied();
        Ok((row.get(0)?, row.get::<_, i64>(1)?, kind, row.get(3)?, row.get::<_, Vec<u8>>(4)?))
    })?;
    let mut found = Vec::new();
    for row in rows {
        let (id, at, kind, is_json, packed) = row?;
        // Of what another build wrote, or what cannot be unpacked, nothing is left, and its neighbours stay.
        let (kind, body) = match (kind, unpack(&packed)) {
            (Some(kind), Ok(body)) => (kind, body),
            _ => (JournalKind::Lines, Vec::new()),
        };
        found.push((id, JournalEntry { at: u64::try_from(at).unwrap_or_default(), kind, is_json, body }));
    }
    Ok(found)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// With a packer that has nothing in hand: what it is made of is more than most entries.
fn pack(packer: &mut DeflateEncoder<Vec<u8>>, body: &[u8]) -> std::io::Result<Vec<u8>> {
    packer.write_all(body)?;
    packer.reset(Vec::new())
}

fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    DeflateDecoder::new(packed).take(MOST_UNPACKED).read_to_end(&mut body)?;
    Ok(body)
}
