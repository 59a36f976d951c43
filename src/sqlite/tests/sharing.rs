//! Writes that share a transaction.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::*;

/// A file that counts its commits.
fn counting(path: &Path) -> (SqliteFile, Arc<AtomicUsize>) {
    let commits = Arc::new(AtomicUsize::new(0));
    let counter = commits.clone();
    let prepare: Prepare = Arc::new(move |connection| {
        connection.execute_batch(TABLE)?;
        let counter = counter.clone();
        connection.commit_hook(Some(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            false
        }))?;
        Ok(())
    });
    (SqliteFile::new(FileOptions { prepare, ..options(path) }), commits)
}

type Operation = Box<dyn FnOnce(&mut Connection) -> Result<(), SqliteError> + Send>;

/// Runs operations that all wait for the thread when it gets to them.
async fn together(file: &SqliteFile, operations: Vec<Operation>) -> Vec<Result<(), SqliteError>> {
    let (go, blocked) = block(file).await;
    let mut writes = Box::pin(join_all(operations.into_iter().map(|one| file.write(one))));
    assert!(futures_util::poll!(&mut writes).is_pending());
    drop(go);
    blocked.await;
    writes.await
}

#[tokio::test]
async fn writes_that_wait_share_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (file, commits) = counting(&folder.path().join("t.db"));
    let answers = together(&file, (0..20).map(|n| Box::new(insert(n)) as Operation).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(commits.load(Ordering::Relaxed), 1);
    assert_eq!(numbers(&file).await.unwrap().len(), 20);
}

#[tokio::test]
async fn one_that_fails_takes_nothing_of_its_neighbours_along() {
    let folder = tempfile::tempdir().unwrap();
    let (file, commits) = counting(&folder.path().join("t.db"));
    let fails: Operation = Box::new(|connection| {
        insert(7)(connection)?;
        insert(1)(connection)
    });
    let answers = together(&file, vec![Box::new(insert(1)), fails, Box::new(insert(2))]).await;
    assert!(answers[1].as_ref().unwrap_err().is_unique_violation(), "{answers:?}");
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert_eq!(commits.load(Ordering::Relaxed), 1);
    assert_eq!(numbers(&file).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn one_that_panics_takes_nothing_along_and_the_file_serves_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::new(options(&folder.path().join("t.db")));
    let panics = || -> Operation {
        Box::new(|connection| {
            insert(7)(connection)?;
            panic!("as a defect would")
        })
    };
    assert!(file.write(panics()).await.is_err());
    assert_eq!(numbers(&file).await.unwrap(), [0_i64; 0]);
    let answers = together(&file, vec![Box::new(insert(1)), panics(), Box::new(insert(2))]).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(numbers(&file).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn a_commit_that_fails_fails_all_who_shared_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::new(options(&folder.path().join("t.db")));
    let child = "CREATE TABLE child (n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)";
    file.write(move |connection| Ok(connection.execute_batch(child)?)).await.unwrap();
    let orphan: Operation = Box::new(|c| Ok(c.execute_batch("INSERT INTO child VALUES (99)")?));
    let answers = together(&file, vec![Box::new(insert(1)), orphan, Box::new(insert(2))]).await;
    for answer in &answers {
        let code = answer.as_ref().unwrap_err().extended_code();
        assert_eq!(code, Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY), "{answers:?}");
    }
    assert_eq!(numbers(&file).await.unwrap(), [0_i64; 0]);
    file.write(insert(3)).await.unwrap();
    assert_eq!(numbers(&file).await.unwrap(), [3]);
}

#[tokio::test]
async fn one_that_ends_the_transaction_fails_those_before_it_and_those_behind_it_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let file = SqliteFile::new(FileOptions { run_timeout: Duration::from_millis(50), ..options(&path) });
    // An interrupted write: SQLite undoes the whole transaction.
    let endless: Operation = Box::new(|connection| {
        let endless = "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 10 UNION ALL SELECT x + 1 FROM c) \
                       SELECT x FROM c";
        Ok(connection.execute_batch(endless)?)
    });
    let answers = together(&file, vec![Box::new(insert(1)), endless, Box::new(insert(2))]).await;
    for answer in &answers[..2] {
        let code = answer.as_ref().unwrap_err().code();
        assert_eq!(code, Some(rusqlite::ffi::SQLITE_INTERRUPT), "{answers:?}");
    }
    assert!(answers[2].is_ok(), "{answers:?}");
    assert_eq!(numbers(&file).await.unwrap(), [2]);
}

#[tokio::test]
async fn more_operations_than_may_wait_are_busy() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::new(options(&folder.path().join("t.db")));
    let (go, blocked) = block(&file).await;
    let mut all = Box::pin(join_all((0..5_000).map(|n| file.write(insert(n)))));
    assert!(futures_util::poll!(&mut all).is_pending());
    drop(go);
    blocked.await;
    let answers = all.await;
    let stored = answers.iter().filter(|answer| answer.is_ok()).count();
    let busy = answers.iter().filter(|answer| answer.as_ref().is_err_and(SqliteError::is_busy)).count();
    assert_eq!((stored + busy, stored), (5_000, 4_096));
    assert_eq!(numbers(&file).await.unwrap().len(), stored);
}
