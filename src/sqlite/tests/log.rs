//! The log of a file whose disk is full, or that another process reads for long.

use std::time::Instant;

use super::*;
use crate::sqlite::log::LARGEST;

const BLOBS: &str = "CREATE TABLE IF NOT EXISTS blobs (n INTEGER PRIMARY KEY, bytes BLOB)";

fn blobs(path: &Path) -> FileOptions {
    FileOptions {
        busy_timeout: Duration::from_millis(100),
        prepare: Arc::new(|connection| Ok(connection.execute_batch(BLOBS)?)),
        ..options(path)
    }
}

async fn put(file: &SqliteFile, bytes: i64) -> Result<(), SqliteError> {
    file.write(move |connection| {
        connection.execute("INSERT INTO blobs (bytes) VALUES (zeroblob(?1))", [bytes])?;
        Ok(())
    })
    .await
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len())
}

#[tokio::test]
async fn a_log_that_a_reader_keeps_from_being_written_back_stops_growing_and_shrinks_when_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let file = SqliteFile::new(blobs(&path));
    put(&file, 1).await.unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM blobs").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let refused = loop {
        assert!(Instant::now() < deadline && size(&path) < 2 * LARGEST, "{} bytes", size(&path));
        if let Err(error) = put(&file, 1 << 20).await {
            break error;
        }
    };
    assert!(refused.is_busy(), "{refused}");
    let full = size(&path);
    put(&file, 1 << 20).await.unwrap_err();
    assert_eq!(size(&path), full, "nothing was added");
    reader.execute_batch("ROLLBACK").unwrap();
    for _ in 0..2 {
        put(&file, 1).await.unwrap();
    }
    assert!(size(&path) < 3 << 20, "{} bytes", size(&path));
}

#[tokio::test]
async fn after_a_full_disk_the_log_is_written_back_before_anything_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let limited = |connection: &mut Connection| {
        connection.execute_batch(BLOBS)?;
        Ok(connection.execute_batch("PRAGMA max_page_count = 400; PRAGMA wal_autocheckpoint = 0")?)
    };
    let file = SqliteFile::new(FileOptions { prepare: Arc::new(limited), ..blobs(&path) });
    put(&file, 1).await.unwrap();
    // Another one keeps the file open: otherwise to close it after the failure would write the log back.
    let other = Connection::open(&path).unwrap();
    other.query_row("SELECT COUNT(*) FROM blobs", [], |_| Ok(())).unwrap();
    let full = loop {
        if let Err(error) = put(&file, 100_000).await {
            break error;
        }
    };
    assert_eq!(full.code(), Some(rusqlite::ffi::SQLITE_FULL), "{full}");
    let before = std::fs::metadata(&path).unwrap().len();
    assert!(size(&path) > 1_000_000 && before < 100_000, "all of it is in the log: {before}");
    put(&file, 1).await.unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 1_000_000, "the log has been written back");
    drop(other);
}

#[tokio::test]
async fn a_file_that_an_earlier_version_left_open_to_others_becomes_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = SqliteFile::new(options(&path));
    file.write(insert(1)).await.unwrap();
    for name in ["t.db", "t.db-wal", "t.db-shm"] {
        let mode = std::fs::metadata(path.with_file_name(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
