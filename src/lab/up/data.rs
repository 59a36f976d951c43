//! The data folder: whose it is, who uses it, and when it may be emptied.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rusqlite::{Connection, OpenFlags};

use crate::config::LAST_ORDER_FILE;

/// Held for the whole run; holds the pid and the port base of who holds it.
pub(super) const LOCK: &str = "up.lock";
/// Written only into a folder that was empty when `up` first came, so that `--fresh` knows that
/// everything in it is the lab's. The lock cannot say that: it also lies in folders that already
/// held something else.
const MARKER: &str = ".o11y-lab-data";

/// How often a lock that is held is asked for again, and the pause before that.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// A folder that is ours alone until this is dropped.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    ours: bool,
    _lock: File,
}

impl DataDir {
    /// Creates the folder (0700) where there is none, and takes its lock. `known_ours` says that
    /// the folder is the lab's by its very name.
    pub(super) fn lock(path: &Path, known_ours: bool, port_base: u16) -> anyhow::Result<Self> {
        let path = std::path::absolute(path).context("the data folder's name")?;
        let named = || format!("the data folder {}", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&path).with_context(named)?;
        let empty = fs::read_dir(&path).with_context(named)?.next().is_none();
        let mut lock = open(&path.join(LOCK)).with_context(named)?;
        match locked(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{}", in_use(&path, lock)),
            Err(TryLockError::Error(error)) => return Err(error).with_context(named),
        }
        if empty {
            open(&path.join(MARKER)).with_context(named)?;
        }
        sign(&mut lock, port_base).with_context(named)?;
        let ours = known_ours || path.join(MARKER).exists();
        Ok(Self { path, ours, _lock: lock })
    }

    /// The absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes everything but the lock and the marker; refuses in a folder that is not the lab's. Where the
    /// queue is elsewhere and may still tell of orders, their ids are not used again.
    pub(super) fn empty(&self, queue_is_elsewhere: bool) -> anyhow::Result<()> {
        let last = if queue_is_elsewhere { self.last_order() } else { None };
        self.remove_all()?;
        if let Some(last) = last {
            let file = self.path.join(LAST_ORDER_FILE);
            fs::write(&file, last.to_string()).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(())
    }

    /// The highest id that was given to an order, or left by an earlier call; `None` where none is known.
    fn last_order(&self) -> Option<i64> {
        let left = fs::read_to_string(self.path.join(LAST_ORDER_FILE)).ok();
        let left = left.and_then(|text| text.trim().parse().ok());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let orders = Connection::open_with_flags(self.path.join("orders.db"), flags).ok();
        let select = "SELECT seq FROM sqlite_sequence WHERE name = 'orders'";
        let given = orders.and_then(|orders| orders.query_row(select, [], |row| row.get(0)).ok());
        left.max(given)
    }

    fn remove_all(&self) -> anyhow::Result<()> {
        let named = || format!("emptying the data folder {}", self.path.display());
        if !self.ours {
            bail!(
                "--fresh will not empty {}: it held other things before the lab came; \
                 empty it yourself or name another --data-dir",
                self.path.display()
            );
        }
        for entry in fs::read_dir(&self.path).with_context(named)? {
            let entry = entry.with_context(named)?;
            if entry.file_name() == LOCK || entry.file_name() == MARKER {
                continue;
            }
            // file_type() does not follow links: a link goes, what it points to stays.
            let removed = if entry.file_type().with_context(named)?.is_dir() {
                fs::remove_dir_all(entry.path())
            } else {
                fs::remove_file(entry.path())
            };
            removed.with_context(named)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Who asks whether a lab runs holds the lock for a moment: that is no lab.
fn locked(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..ATTEMPTS {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    lock.try_lock()
}

fn sign(lock: &mut File, port_base: u16) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "pid {}, --port-base {port_base}", std::process::id())
}

fn in_use(path: &Path, lock: File) -> String {
    let mut holder = String::new();
    let _ = lock.take(100).read_to_string(&mut holder);
    let holder = crate::terminal::escaped(holder.trim());
    // The holder signs right after it has locked; in between there is nothing to read.
    let holder = if holder.is_empty() { String::new() } else { format!(" ({holder})") };
    format!(
        "another `o11y-lab up`{holder} uses the data in {}; stop it, or start this one with its own \
         --data-dir and --port-base",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// Takes a lock that was just released. Other tests start processes, and between fork and
    /// exec those hold a copy of every open file: the lock may outlive its owner by a moment.
    fn lock_again(path: &Path, known_ours: bool) -> DataDir {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            match DataDir::lock(path, known_ours, 3000) {
                Ok(data) => return data,
                Err(error) => assert!(std::time::Instant::now() < deadline, "{error:#}"),
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_new_folder_is_private_and_fresh_empties_it_and_keeps_the_lock() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let data = DataDir::lock(&path, false, 3000).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(path.join("orders.db"), "rows").unwrap();
        fs::create_dir_all(path.join("deep/er")).unwrap();
        data.empty(false).unwrap();
        assert!(!path.join("orders.db").exists() && !path.join("deep").exists());
        assert!(DataDir::lock(&path, false, 3000).is_err());
        drop(data);
        fs::write(path.join("orders.db"), "rows").unwrap();
        lock_again(&path, false).empty(false).unwrap();
        assert!(!path.join("orders.db").exists());
    }

    #[test]
    fn a_second_up_on_the_same_data_is_told_who_has_it() {
        let temp = tempfile::tempdir().unwrap();
        let _first = DataDir::lock(temp.path(), false, 4200).unwrap();
        let message = DataDir::lock(temp.path(), false, 5000).unwrap_err().to_string();
        assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
        assert!(message.contains("--port-base 4200") && message.contains("--data-dir"), "{message}");
    }

    #[test]
    fn fresh_refuses_a_folder_that_held_other_things_even_the_second_time() {
        let temp = tempfile::tempdir().unwrap();
        let thesis = temp.path().join("thesis.txt");
        fs::write(&thesis, "years of work").unwrap();
        for _ in 0..2 {
            let message = lock_again(temp.path(), false).empty(false).unwrap_err().to_string();
            assert!(message.contains("--fresh will not empty"), "{message}");
        }
        assert!(thesis.exists());
        lock_again(temp.path(), true).empty(false).unwrap();
        assert!(!thesis.exists());
    }

    #[test]
    fn emptying_removes_a_link_and_not_what_it_points_to() {
        let (temp, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = elsewhere.path().join("kept");
        fs::write(&kept, "").unwrap();
        let data = DataDir::lock(temp.path(), false, 3000).unwrap();
        symlink(elsewhere.path(), temp.path().join("link")).unwrap();
        data.empty(false).unwrap();
        assert!(kept.exists() && !temp.path().join("link").exists());
    }
}
