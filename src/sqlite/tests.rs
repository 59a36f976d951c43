#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;

fn file(folder: &std::path::Path) -> SqliteFile {
    SqliteFile::new(FileOptions {
        path: folder.join("new/file.db"),
        busy_timeout: Duration::from_secs(2),
        prepare: |connection| connection.execute_batch("CREATE TABLE IF NOT EXISTS t (n INTEGER UNIQUE)"),
    })
}

async fn insert(file: &SqliteFile, n: i64) -> Result<usize, SqliteError> {
    file.write(move |connection| Ok(connection.execute("INSERT INTO t VALUES (?1)", [n])?)).await
}

async fn count(file: &SqliteFile) -> i64 {
    let counted: Result<i64, SqliteError> = file
        .read(|connection| Ok(connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?))
        .await;
    counted.unwrap()
}

#[tokio::test]
async fn a_write_that_fails_takes_nothing_of_those_that_share_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    let all = futures_util::future::join_all([1, 2, 1, 3].map(|n| insert(&file, n))).await;
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), 3);
    assert!(all[2].as_ref().unwrap_err().is_unique_violation());
    assert_eq!(count(&file).await, 3);
}

#[tokio::test]
async fn a_deleted_file_is_made_again_by_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    insert(&file, 1).await.unwrap();
    std::fs::remove_dir_all(folder.path().join("new")).unwrap();
    assert_eq!(count(&file).await, 0);
    file.close().await;
    insert(&file, 2).await.unwrap();
    assert_eq!(count(&file).await, 1);
}
