//! Files that are deleted, replaced, damaged, or not what they should be.

use super::*;

#[tokio::test]
async fn a_deleted_file_is_made_again_and_a_replaced_one_is_taken_up_by_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("t.db"), folder.path().join("other.db"));
    let file = SqliteFile::new(options(&path));
    file.write(insert(1)).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [0_i64; 0]);
    let second = SqliteFile::new(options(&other));
    second.write(insert(2)).await.unwrap();
    second.close().await;
    // With its logs, as SQLite asks: or the old file's changes would be found in the new one.
    for log in ["t.db-wal", "t.db-shm"] {
        std::fs::remove_file(path.with_file_name(log)).unwrap();
    }
    std::fs::rename(&other, &path).unwrap();
    file.write(insert(3)).await.unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [2, 3]);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_when_it_is_sound_again_the_next_call_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let file = SqliteFile::new(options(&path));
    file.write(insert(1)).await.unwrap();
    file.close().await;
    let sound = std::fs::read(&path).unwrap();
    let rubbish = "not a database, but long enough to be taken for one".repeat(100);
    std::fs::write(&path, &rubbish).unwrap();
    let file = SqliteFile::new(options(&path));
    for _ in 0..2 {
        assert_eq!(file.write(insert(2)).await.unwrap_err().code(), Some(rusqlite::ffi::SQLITE_NOTADB));
        assert_eq!(numbers(&file).await.unwrap_err().code(), Some(rusqlite::ffi::SQLITE_NOTADB));
    }
    // In its place, so that device and inode are the same.
    std::fs::write(&path, &sound).unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [1]);
    // And while it is open.
    std::fs::write(&path, &rubbish).unwrap();
    let refused = file.read(|c| Ok(c.execute_batch("PRAGMA cache_size = 0; SELECT * FROM sqlite_schema")?));
    if refused.await.is_err() {
        std::fs::write(&path, &sound).unwrap();
        assert_eq!(numbers(&file).await.unwrap(), [1]);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_prepared_says_why_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let ready = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = ready.clone();
    let prepare: Prepare = Arc::new(move |connection| {
        if !asked.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(SqliteError::unusable("not yet"));
        }
        Ok(connection.execute_batch(TABLE)?)
    });
    let file = SqliteFile::new(FileOptions { prepare, ..options(&path) });
    for _ in 0..2 {
        assert!(file.write(insert(1)).await.unwrap_err().is_unusable());
    }
    ready.store(true, std::sync::atomic::Ordering::Relaxed);
    file.write(insert(1)).await.unwrap();
}
