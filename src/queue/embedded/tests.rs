#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::*;
use crate::config::DeadLetterConfig;
use crate::queue::Queue;
use crate::queue::testing::{message, receive};

const VISIBILITY: Duration = Duration::from_millis(400);

fn queue(folder: &std::path::Path) -> Arc<dyn Queue> {
    Arc::new(Embedded::new(folder.join("new/folder").join(FILE_NAME), "test", VISIBILITY))
}

#[tokio::test]
async fn messages_outlive_the_process_that_published_them() {
    let folder = tempfile::tempdir().unwrap();
    let one = queue(folder.path());
    one.publish(&[message("m-1", "k")]).await.unwrap();
    one.close().await;
    drop(one);
    assert_eq!(receive(&*queue(folder.path()), 1).await[0].message.id, "m-1");
}

#[tokio::test]
async fn two_queues_in_one_file_do_not_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    let one = Embedded::new(file.clone(), "one", VISIBILITY);
    let two = Embedded::new(file, "two", VISIBILITY);
    one.publish(&[message("m-1", "k")]).await.unwrap();
    assert_eq!(two.depth().await.unwrap(), Depth::default());
    assert!(two.receive(1, Duration::from_millis(20)).await.unwrap().is_empty());
    assert_eq!(receive(&one, 1).await.len(), 1);
}

#[tokio::test]
async fn a_file_locked_by_another_process_is_unavailable_until_the_lock_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    let queue = Embedded::new(file.clone(), "test", VISIBILITY);
    queue.publish(&[message("m-1", "k")]).await.unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let refused = queue.publish(&[message("m-2", "k")]).await.unwrap_err().to_string();
    assert_eq!(refused, "the queue is unavailable: the queue's file is locked by another process");
    other.execute_batch("ROLLBACK").unwrap();
    queue.publish(&[message("m-3", "k")]).await.unwrap();
    assert_eq!(queue.depth().await.unwrap().waiting, 2);
}

#[tokio::test]
async fn a_damaged_file_is_unavailable_and_a_new_one_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    std::fs::write(&file, "not a database, but long enough to be taken for one".repeat(100)).unwrap();
    let queue = Embedded::new(file.clone(), "test", VISIBILITY);
    for _ in 0..2 {
        let reason = queue.depth().await.unwrap_err().to_string();
        assert!(reason.ends_with("is damaged or not a queue"), "{reason}");
        let reason = queue.receive(1, Duration::ZERO).await.unwrap_err().to_string();
        assert!(reason.ends_with("is damaged or not a queue"), "{reason}");
    }
    std::fs::remove_file(&file).unwrap();
    queue.publish(&[message("m-1", "k")]).await.unwrap();
    assert_eq!(receive(&queue, 1).await.len(), 1);
}

#[tokio::test]
async fn a_process_whose_file_was_deleted_meets_those_that_start_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (queue(folder.path()), queue(folder.path()));
    one.publish(&[message("m-1", "k")]).await.unwrap();
    two.ack(&receive(&*two, 1).await[0]).await.unwrap();
    let waiting = tokio::spawn({
        let two = two.clone();
        async move { receive(&*two, 1).await }
    });
    tokio::task::yield_now().await;
    std::fs::remove_dir_all(folder.path().join("new")).unwrap();
    queue(folder.path()).publish(&[message("m-2", "k")]).await.unwrap();
    assert_eq!(waiting.await.unwrap()[0].message.id, "m-2");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_a_reason_without_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("new"), "a file in the way").unwrap();
    let reason = queue(folder.path()).depth().await.unwrap_err().to_string();
    assert_eq!(reason, "the queue is unavailable: the queue's file cannot be opened, read or written");
}

#[tokio::test]
async fn a_receive_that_waits_returns_when_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let queue = queue(folder.path());
    let stop = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        queue.stop_receiving().await;
    };
    let received = futures_util::future::join(queue.receive(1, Duration::from_secs(60)), stop);
    let received = tokio::time::timeout(Duration::from_secs(10), received).await.unwrap().0;
    assert!(received.unwrap().is_empty());
}

#[tokio::test]
async fn processes_that_start_together_do_not_fail_over_the_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let queues: Vec<_> = (0..6).map(|_| queue(folder.path())).collect();
    let opened = futures_util::future::join_all(queues.iter().map(|queue| queue.depth())).await;
    assert!(opened.iter().all(Result::is_ok), "{opened:?}");
}

#[tokio::test]
async fn what_another_program_puts_into_the_file_is_found_although_it_rings_no_bell() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    let queue = Embedded::new(file.clone(), "test", VISIBILITY);
    assert_eq!(queue.depth().await.unwrap(), Depth::default(), "the tables are made");
    let insert = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let other = Connection::open(&file).unwrap();
        let row =
            "INSERT INTO messages (queue, id, key, headers, body) VALUES ('test', 'm-1', 'k', '{}', x'')";
        other.execute(row, []).unwrap();
    };
    let (received, ()) = tokio::join!(queue.receive(1, Duration::from_secs(10)), insert);
    assert_eq!(received.unwrap()[0].message.id, "m-1");
}

#[tokio::test]
async fn what_waits_or_is_in_flight_comes_again_after_the_clock_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let queue = queue(folder.path());
    queue
        .publish(&[message("retried", "k"), message("in flight", "l"), message("first", "m")])
        .await
        .unwrap();
    let first = receive(&*queue, 3).await;
    queue.retry(&first[0], Duration::from_secs(1)).await.unwrap();
    // As if all of this had happened before the clock went back by a day.
    let file = Connection::open(folder.path().join("new/folder").join(FILE_NAME)).unwrap();
    assert_eq!(file.execute("UPDATE messages SET due = due + 86400000", []).unwrap(), 3);
    let again: Vec<_> =
        receive(&*queue, 3).await.into_iter().map(|one| (one.message.id, one.attempt)).collect();
    assert_eq!(again, ["retried", "in flight", "first"].map(|id| (id.to_owned(), 2)));
}

#[tokio::test]
async fn a_second_message_of_a_key_comes_to_another_consumer_as_soon_as_the_first_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (queue(folder.path()), queue(folder.path()));
    one.publish(&[message("m-1", "k"), message("m-2", "k")]).await.unwrap();
    let first = receive(&*one, 1).await;
    assert!(two.receive(1, Duration::from_millis(20)).await.unwrap().is_empty());
    let (second, acked) = tokio::join!(two.receive(1, Duration::from_secs(10)), one.ack(&first[0]));
    acked.unwrap();
    assert_eq!(second.unwrap()[0].message.id, "m-2");
}

#[tokio::test]
async fn the_file_and_its_logs_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let queue = queue(folder.path());
    queue.publish(&[message("m-1", "k")]).await.unwrap();
    let files = std::fs::read_dir(folder.path().join("new/folder")).unwrap().map(Result::unwrap);
    let mut modes: Vec<_> =
        files.map(|file| (file.file_name(), file.metadata().unwrap().permissions().mode() & 0o777)).collect();
    modes.sort();
    let expected = ["queue.db", "queue.db-shm", "queue.db-wal"].map(|name| (name.into(), 0o600));
    assert_eq!(modes, expected);
}

#[tokio::test]
async fn dead_letters_that_are_too_many_too_large_or_too_old_are_forgotten_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    let limits = |rows, bytes| DeadLetterConfig {
        dead_letter_age: Duration::from_secs(3600),
        dead_letter_rows: rows,
        dead_letter_bytes: bytes,
    };
    let kept = async |limits: DeadLetterConfig, expected: &str| {
        let queue = Embedded::new(file.clone(), "test", VISIBILITY).keeping(limits);
        let messages: Vec<_> = (0..16).map(|n| message(&format!("m-{n:02}"), &n.to_string())).collect();
        queue.publish(&messages).await.unwrap();
        for delivery in receive(&queue, 16).await {
            queue.dead_letter(&delivery, "why").await.unwrap();
        }
        let letters = queue.dead_letters(100).await.unwrap();
        assert_eq!(
            letters.iter().map(|letter| letter.message.id.as_str()).collect::<Vec<_>>().join(" "),
            expected
        );
    };
    kept(limits(2, 1 << 20), "m-14 m-15").await;
    // One has some ninety bytes of headers and body.
    kept(limits(1000, 160), "m-15").await;
    let raw = Connection::open(&file).unwrap();
    raw.execute("UPDATE dead_letters SET died_at = 1", []).unwrap();
    let all: Vec<_> = (0..16).map(|n| format!("m-{n:02}")).collect();
    kept(limits(1000, 1 << 20), &all.join(" ")).await;
}
