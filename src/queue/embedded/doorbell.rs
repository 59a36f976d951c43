//! Wake-up between the processes that share the file: a publisher rings, consumers hear it.
//!
//! To ring is to set the times of SQLite's write-ahead log, one system call; to hear is to be told of
//! it by inotify. What SQLite itself does changes the log's content and not its times alone, so a
//! consumer is not woken by its own commits. The log is never opened here: it is found by its path.
//!
//! The bell is a hint. Where it cannot be heard (no Linux, no inotify left, a symbolic link in the
//! file's place, another program that writes) a consumer finds the message when it polls.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[cfg(target_os = "linux")]
use self::linux::{Ear, touch};
#[cfg(not(target_os = "linux"))]
use self::other::{Ear, touch};

/// Bell of one file, as one process has it.
pub(super) struct Doorbell {
    log: PathBuf,
    ear: Mutex<Option<Arc<Ear>>>,
    /// For this process's own rings while it has no ear.
    own: Notify,
}

impl Doorbell {
    /// Bell of the database at `path`.
    pub(super) fn of(path: &Path) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Self { log: log.into(), ear: Mutex::default(), own: Notify::new() }
    }

    /// Wakes those that listen, in all processes, this one included. Ring after the commit.
    pub(super) fn ring(&self) {
        touch(&self.log);
        if self.ear().is_none() {
            self.own.notify_one();
        }
    }

    /// Whether rings of other processes are heard.
    pub(super) fn is_heard(&self) -> bool {
        self.ear().is_some()
    }

    /// Begins to listen, or does so again after the file was replaced. True if what happened before
    /// was not heard and must be looked for.
    pub(super) fn listen(&self) -> bool {
        let mut ear = self.ear();
        if ear.as_ref().is_some_and(|ear| ear.is_at(&self.log)) {
            return false;
        }
        *ear = Ear::at(&self.log).map(Arc::new);
        ear.is_some()
    }

    /// Waits for a ring. One that came since the last wait ends it at once.
    pub(super) async fn rung(&self) {
        let ear = self.ear().clone();
        let Some(ear) = ear else { return self.own.notified().await };
        if let Err(error) = ear.hear().await {
            tracing::debug!(%error, "The queue's bell is not heard any more");
            *self.ear() = None;
        }
    }

    fn ear(&self) -> MutexGuard<'_, Option<Arc<Ear>>> {
        self.ear.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use nix::fcntl::AT_FDCWD;
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    use nix::sys::stat::{UtimensatFlags, utimensat};
    use nix::sys::time::TimeSpec;
    use tokio::io::AsyncReadExt;
    use tokio::net::unix::pipe;
    use tokio::sync::Mutex;

    /// Room for many events; of a log each is 16 bytes.
    const EVENTS: usize = 1024;

    /// inotify's watch on a log.
    pub(super) struct Ear {
        /// Not a pipe, but read like one.
        events: Mutex<pipe::Receiver>,
        /// Device and inode: a log that was replaced has others.
        log: (u64, u64),
    }

    impl Ear {
        /// `None` where there is no log yet, or nothing more can be watched.
        pub(super) fn at(log: &Path) -> Option<Self> {
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok()?;
            let events =
                AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
            inotify.add_watch(log, events).ok()?;
            let identity = identity(log)?;
            let events = pipe::Receiver::from_owned_fd_unchecked(inotify.into()).ok()?;
            Some(Self { events: Mutex::new(events), log: identity })
        }

        pub(super) fn is_at(&self, log: &Path) -> bool {
            identity(log) == Some(self.log)
        }

        /// Reads all there is at once: rings that nobody has heard yet are one event.
        pub(super) async fn hear(&self) -> io::Result<()> {
            match self.events.lock().await.read(&mut [0; EVENTS]).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            }
        }
    }

    fn identity(log: &Path) -> Option<(u64, u64)> {
        std::fs::metadata(log).ok().map(|meta| (meta.dev(), meta.ino()))
    }

    /// Where there is no log, nobody has the file open.
    pub(super) fn touch(log: &Path) {
        let now = TimeSpec::UTIME_NOW;
        let _ = utimensat(AT_FDCWD, log, &now, &now, UtimensatFlags::FollowSymlink);
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::path::Path;

    /// Never there.
    pub(super) enum Ear {}

    impl Ear {
        pub(super) fn at(_: &Path) -> Option<Self> {
            None
        }

        pub(super) fn is_at(&self, _: &Path) -> bool {
            match *self {}
        }

        pub(super) async fn hear(&self) -> io::Result<()> {
            match *self {}
        }
    }

    pub(super) fn touch(_: &Path) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use futures_util::FutureExt;
    use rusqlite::Connection;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn file(folder: &Path) -> (PathBuf, Connection) {
        let path = folder.join("file.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER)").unwrap();
        (path, connection)
    }

    async fn hears(bell: &Doorbell) {
        tokio::time::timeout(DEADLINE, bell.rung()).await.unwrap();
    }

    #[tokio::test]
    async fn a_ring_wakes_every_process_that_listens_and_a_commit_alone_wakes_none() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        let (one, two, publisher) = (Doorbell::of(&path), Doorbell::of(&path), Doorbell::of(&path));
        assert!(one.listen() && two.listen() && one.is_heard());
        assert!(!one.listen(), "it listens already");
        connection.execute("INSERT INTO t VALUES (1)", []).unwrap();
        let commit_is_heard = tokio::time::timeout(Duration::from_millis(50), one.rung()).await.is_ok();
        assert!(!commit_is_heard);
        publisher.ring();
        publisher.ring();
        hears(&one).await;
        hears(&two).await;
        // Both rings are one.
        tokio::task::yield_now().await;
        assert!(one.rung().now_or_never().is_none());
        one.ring();
        hears(&one).await;
        hears(&two).await;
    }

    #[tokio::test]
    async fn the_end_of_the_file_is_heard_and_the_bell_of_the_one_in_its_place_too() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = file(folder.path());
        let bell = Doorbell::of(&path);
        assert!(bell.listen());
        for name in ["file.db", "file.db-wal", "file.db-shm"] {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        hears(&bell).await;
        let _new = file(folder.path());
        assert!(bell.listen(), "there is another log");
        Doorbell::of(&path).ring();
        hears(&bell).await;
        drop(old);
    }

    #[tokio::test]
    async fn a_process_hears_itself_where_there_is_no_log_to_listen_at() {
        let folder = tempfile::tempdir().unwrap();
        let bell = Doorbell::of(&folder.path().join("none.db"));
        assert!(!bell.listen() && !bell.is_heard());
        bell.ring();
        hears(&bell).await;
    }
}
