//! Files made by the version before, by another version, or not yet.

use rusqlite::Connection;

use super::cases::user;
use super::trouble::raw;
use super::{config, open, until};
use crate::schema::Role;
use crate::store::{Db, StoreError, Users};

const USERS: &str = include_str!("../migrations/sqlite/users/0001_users.sql");
/// What `sha384sum` says of that file.
const CHECKSUM: &str =
    "fd084b6339377c6bb2de4bd0e865fe140f93be5c6b3cd36f2db2a754f7f391e0c2bb0facb63d3764af8bfd9354f98316";

/// As sqlx 0.9 does it.
fn made_by_the_version_before(folder: &std::path::Path) -> Connection {
    let file = raw(folder, "users.db");
    file.execute_batch(
        "PRAGMA journal_mode = WAL;
         CREATE TABLE IF NOT EXISTS user_service_migrations (
             version BIGINT PRIMARY KEY,
             description TEXT NOT NULL,
             installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
             success BOOLEAN NOT NULL,
             checksum BLOB NOT NULL,
             execution_time BIGINT NOT NULL
         );",
    )
    .unwrap();
    file.execute_batch(USERS).unwrap();
    file.execute_batch(&format!(
        "INSERT INTO user_service_migrations (version, description, success, checksum, execution_time)
         VALUES (1, 'users/0001_users', TRUE, x'{CHECKSUM}', -1);
         UPDATE user_service_migrations SET execution_time = 181920 WHERE version = 1;
         INSERT INTO users (name, email, created_at) VALUES ('Ada', 'ada@example.com', '2026-01-01T00:00:00Z');"
    ))
    .unwrap();
    file
}

#[tokio::test]
async fn a_file_of_the_version_before_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let before = made_by_the_version_before(folder.path());
    let users = Users::new(open(Role::User, folder.path()).await);
    assert_eq!(users.get(1).await.unwrap().unwrap().name, "Ada");
    let notes: i64 =
        before.query_row("SELECT COUNT(*) FROM user_service_migrations", [], |row| row.get(0)).unwrap();
    assert_eq!(notes, 1);
}

#[tokio::test]
async fn a_new_file_is_noted_as_the_version_before_would_note_it() {
    let folder = tempfile::tempdir().unwrap();
    open(Role::User, folder.path()).await.close().await;
    let note = "SELECT version || description || success || lower(hex(checksum)) || typeof(execution_time) \
                || (installed_on > '2026') FROM user_service_migrations";
    let note: String = raw(folder.path(), "users.db").query_row(note, [], |row| row.get(0)).unwrap();
    assert_eq!(note, format!("1users/0001_users1{CHECKSUM}integer1"));
}

#[tokio::test]
async fn a_file_of_another_version_is_refused() {
    for change in [
        "UPDATE user_service_migrations SET checksum = x'00'",
        "UPDATE user_service_migrations SET success = FALSE",
        "INSERT INTO user_service_migrations (version, description, success, checksum, execution_time) \
         VALUES (2, 'of the future', TRUE, x'00', 1)",
    ] {
        let folder = tempfile::tempdir().unwrap();
        made_by_the_version_before(folder.path()).execute_batch(change).unwrap();
        let db = Db::open(Role::User.service(), &config(folder.path())).await.unwrap();
        let reason = "the database's schema is not one this version can use";
        assert_eq!(db.ready().await.unwrap_err(), reason, "{change}");
        let refused = Users::new(db).create(&user("a@example.com")).await;
        assert!(matches!(&refused, Err(StoreError::Unavailable(text)) if text == reason), "{refused:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_deleted_while_it_is_open_is_made_again_with_its_tables() {
    let folder = tempfile::tempdir().unwrap();
    let users = Users::new(open(Role::User, folder.path()).await);
    users.create(&user("a@example.com")).await.unwrap();
    std::fs::remove_file(folder.path().join("users.db")).unwrap();
    users.create(&user("a@example.com")).await.unwrap();
    assert!(folder.path().join("users.db").exists());
}

#[tokio::test]
async fn processes_that_start_together_on_one_new_file_all_serve() {
    let folder = tempfile::tempdir().unwrap();
    let opened = futures_util::future::join_all((0..6).map(|_| open(Role::Order, folder.path()))).await;
    for db in &opened {
        until("it is ready", async || db.ready().await.is_ok()).await;
    }
}
