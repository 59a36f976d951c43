#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod log;
mod lost;
mod sharing;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::*;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)";

fn options(path: &Path) -> FileOptions {
    FileOptions {
        path: path.to_owned(),
        busy_timeout: Duration::from_secs(10),
        run_timeout: Duration::from_secs(10),
        prepare: Arc::new(|connection| Ok(connection.execute_batch(TABLE)?)),
    }
}

fn insert(n: i64) -> impl FnOnce(&mut Connection) -> Result<(), SqliteError> {
    move |connection| {
        connection.execute("INSERT INTO t VALUES (?1)", [n])?;
        Ok(())
    }
}

async fn numbers(file: &SqliteFile) -> Result<Vec<i64>, SqliteError> {
    file.read(|connection| {
        let mut select = connection.prepare("SELECT n FROM t ORDER BY n")?;
        Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    })
    .await
}

/// Keeps the thread busy until the sender is used or dropped.
async fn block(file: &SqliteFile) -> (mpsc::Sender<()>, BoxFuture<'static, ()>) {
    let (go, wait) = mpsc::channel();
    let (begun, has_begun) = oneshot::channel();
    let file = file.clone();
    let mut blocked = async move {
        let wait = move |_: &mut Connection| {
            let _ = begun.send(());
            let _ = wait.recv();
            Ok(())
        };
        file.read(wait).await.unwrap();
    }
    .boxed();
    assert!(futures_util::poll!(&mut blocked).is_pending());
    has_begun.await.unwrap();
    (go, blocked)
}

#[tokio::test]
async fn what_was_written_is_read_and_the_files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder").join("t.db");
    let file = SqliteFile::new(options(&path));
    file.write(insert(1)).await.unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [1]);
    let mode =
        |name: &str| std::fs::metadata(path.with_file_name(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("t.db"), mode("t.db-wal"), mode("t.db-shm")), (0o600, 0o600, 0o600));
    assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn reads_go_on_while_another_process_writes_and_the_write_comes_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let file = SqliteFile::new(options(&path));
    file.write(insert(1)).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").unwrap();
    let mut write = file.write(insert(3)).boxed();
    assert!(futures_util::poll!(&mut write).is_pending());
    for _ in 0..5 {
        assert_eq!(numbers(&file).await.unwrap(), [1]);
    }
    assert!(futures_util::poll!(&mut write).is_pending());
    other.execute_batch("COMMIT").unwrap();
    write.await.unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn a_write_that_waited_for_another_process_too_long_is_busy_and_does_not_happen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let file = SqliteFile::new(FileOptions { busy_timeout: Duration::from_millis(50), ..options(&path) });
    file.write(insert(1)).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = join_all([file.write(insert(2)), file.write(insert(3))]).await;
    assert!(refused.iter().all(|answer| answer.as_ref().unwrap_err().is_busy()), "{refused:?}");
    other.execute_batch("ROLLBACK").unwrap();
    file.write(insert(4)).await.unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [1, 4]);
}

#[tokio::test]
async fn an_operation_whose_caller_has_gone_away_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::new(options(&folder.path().join("t.db")));
    let (go, blocked) = block(&file).await;
    let mut gone = file.write(insert(1)).boxed();
    assert!(futures_util::poll!(&mut gone).is_pending());
    drop(gone);
    drop(go);
    blocked.await;
    file.write(insert(2)).await.unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [2]);
}

#[tokio::test]
async fn a_file_that_is_closed_finishes_what_waits_and_is_opened_again_by_a_later_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let file = SqliteFile::new(options(&path));
    file.close().await;
    let (go, blocked) = block(&file).await;
    let mut write = file.write(insert(1)).boxed();
    assert!(futures_util::poll!(&mut write).is_pending());
    let closing = file.clone();
    let mut close = closing.close().boxed();
    assert!(futures_util::poll!(&mut close).is_pending());
    drop(go);
    blocked.await;
    write.await.unwrap();
    close.await;
    assert!(!path.with_file_name("t.db-wal").exists(), "the last connection tidies up");
    file.write(insert(2)).await.unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn calls_that_come_while_a_file_is_being_closed_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::new(options(&folder.path().join("t.db")));
    for round in 0..50 {
        let (closed, written) = futures_util::join!(file.close(), file.write(insert(round)));
        let () = closed;
        written.unwrap();
    }
    assert_eq!(numbers(&file).await.unwrap().len(), 50);
}

#[tokio::test]
async fn the_thread_ends_with_the_last_clone_and_not_before_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let file = SqliteFile::new(options(&path));
    let (go, blocked) = block(&file).await;
    let write = tokio::spawn({
        let file = file.clone();
        async move { file.write(insert(1)).await }
    });
    drop(file);
    drop(go);
    blocked.await;
    write.await.unwrap().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while path.with_file_name("t.db-wal").exists() {
        assert!(std::time::Instant::now() < deadline, "the connection was never closed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_statement_that_runs_too_long_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let file = SqliteFile::new(FileOptions { run_timeout: Duration::from_millis(50), ..options(&path) });
    let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c";
    let endless = move |connection: &mut Connection| Ok(connection.query_row(endless, [], |row| row.get(0))?);
    let answer: Result<i64, SqliteError> = file.read(endless).await;
    assert_eq!(answer.unwrap_err().code(), Some(rusqlite::ffi::SQLITE_INTERRUPT));
    file.write(insert(1)).await.unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [1]);
}

#[tokio::test]
async fn a_transaction_that_a_read_left_open_swallows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::new(options(&folder.path().join("t.db")));
    file.read(|connection| Ok(connection.execute_batch("BEGIN")?)).await.unwrap();
    file.write(insert(1)).await.unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [1]);
}
