//! What a lab that runs says of itself: a small file in its data folder, for `status`, `logs`, `down` and `open`.
//!
//! The file is a hint and the folder's lock is the truth: a lab that was killed leaves the file, but not the lock. A pid
//! counts only together with the time at which its process began, or it might be a stranger's by now.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::select_all;
use serde::{Deserialize, Serialize};

use super::child::Supervised;
use super::data::LOCK;
use super::output::Outputs;
use super::plan::LabPlan;
use crate::runtime::process::began;
use crate::schema::Endpoint;

const FILE: &str = "up.json";
/// Renamed to the file once it is whole.
const DRAFT: &str = "up.json.new";
/// Far more than the file ever has, in bytes.
const LARGEST: u64 = 1 << 20;

/// A lab that runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::lab) struct LabState {
    /// Of the program.
    pub(in crate::lab) version: String,
    pub(in crate::lab) pid: u32,
    /// When the process began, in the kernel's ticks; nothing where the system does not say.
    pub(in crate::lab) began: Option<u64>,
    /// RFC 3339.
    pub(in crate::lab) started: String,
    pub(in crate::lab) port_base: u16,
    /// The console's page, as a person opens it.
    pub(in crate::lab) console: String,
    /// Where a lab in the background writes its lines.
    pub(in crate::lab) log: Option<PathBuf>,
    /// The longest its drain takes, in seconds.
    pub(in crate::lab) drain_seconds: f64,
    pub(in crate::lab) children: Vec<ChildRecord>,
}

/// A child of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::lab) struct ChildRecord {
    pub(in crate::lab) name: String,
    /// Where it is reached from this machine.
    pub(in crate::lab) url: String,
    /// The path that answers 200 once it is ready.
    pub(in crate::lab) ready: String,
    /// None while it waits for its next start.
    pub(in crate::lab) pid: Option<u32>,
    /// When that process was started, RFC 3339.
    pub(in crate::lab) since: Option<String>,
    pub(in crate::lab) restarts: u32,
    /// Why it does not run.
    pub(in crate::lab) reason: Option<String>,
}

/// What there is on a data folder.
pub(in crate::lab) enum FoundLab {
    /// No lab.
    None,
    /// A lab that says nothing of itself: it begins, or runs where its processes are not seen.
    Unknown,
    Running(Box<LabState>),
}

/// The lab that runs on the data in `folder`.
///
/// # Errors
/// The folder cannot be read.
pub(in crate::lab) fn find(folder: &Path) -> anyhow::Result<FoundLab> {
    let named = || format!("the data folder {}", folder.display());
    let lock = match File::open(folder.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FoundLab::None),
        Err(error) => return Err(error).with_context(named),
    };
    // For a moment and shared, so that two that ask do not take each other for a lab; `up` tries more than once.
    match lock.try_lock_shared() {
        Ok(()) => return Ok(FoundLab::None),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error).with_context(named),
    }
    let state = read(&folder.join(FILE)).filter(|state| state.is_this_process());
    Ok(state.map_or(FoundLab::Unknown, |state| FoundLab::Running(Box::new(state))))
}

fn read(file: &Path) -> Option<LabState> {
    let mut text = String::new();
    File::open(file).ok()?.take(LARGEST).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

impl LabState {
    /// The state of the lab that this process is.
    pub(super) fn of(plan: &LabPlan, log: Option<PathBuf>, drain: Duration) -> Self {
        let pid = std::process::id();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid,
            began: began(pid),
            started: now(),
            port_base: plan.ports.of(crate::schema::Role::Gateway),
            console: plan.page(plan.ports.at(Endpoint::Console)),
            log,
            drain_seconds: drain.as_secs_f64(),
            children: Vec::new(),
        }
    }

    /// Whether the process with its pid is still the one that wrote it.
    pub(in crate::lab) fn is_this_process(&self) -> bool {
        self.began.is_some() && began(self.pid) == self.began
    }
}

/// Seconds are enough for an uptime.
pub(super) fn now() -> String {
    format!("{:.0}", jiff::Timestamp::now())
}

/// The file of this lab; gone when this is dropped.
pub(super) struct StateFile {
    folder: PathBuf,
    state: LabState,
}

impl StateFile {
    /// Nothing is written yet, but what another lab has left is removed.
    pub(super) fn new(folder: &Path, state: LabState) -> Self {
        let file = Self { folder: folder.to_owned(), state };
        file.remove();
        file
    }

    /// Writes what changes of the children, as it changes.
    pub(super) async fn follow(&mut self, children: &[Supervised], outputs: &Outputs) {
        let mut watched: Vec<_> = children.iter().map(Supervised::watched).collect();
        let mut failed = false;
        loop {
            let seen = children.iter().zip(&mut watched);
            let records = seen.map(|(child, status)| child.record(&status.borrow_and_update())).collect();
            if self.state.children != records {
                self.state.children = records;
                if let Err(error) = self.write().inspect_err(|_| self.state.children.clear())
                    && !std::mem::replace(&mut failed, true)
                {
                    let file = self.folder.join(FILE);
                    outputs.say(&format!(
                        "`status` and `down` may not find this lab: {}: {error}",
                        file.display()
                    ));
                }
            }
            let changes = watched.iter_mut().map(|status| {
                Box::pin(async move {
                    if status.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                })
            });
            select_all(changes).await;
        }
    }

    fn write(&self) -> io::Result<()> {
        let draft = self.folder.join(DRAFT);
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        serde_json::to_writer_pretty(&mut file, &self.state)?;
        file.write_all(b"\n")?;
        fs::rename(draft, self.folder.join(FILE))
    }

    fn remove(&self) {
        let _ = fs::remove_file(self.folder.join(FILE));
    }
}

impl Drop for StateFile {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn state() -> LabState {
        LabState::of(&LabPlan::example(7000, &[]), None, Duration::from_secs(1))
    }

    #[test]
    fn a_file_is_private_tells_of_a_lab_only_while_the_folder_is_locked_and_goes_with_it() {
        let temp = tempfile::tempdir().unwrap();
        let file = StateFile::new(temp.path(), state());
        file.write().unwrap();
        let mode = fs::metadata(temp.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(find(temp.path()).unwrap(), FoundLab::None));
        let lock = File::create(temp.path().join(LOCK)).unwrap();
        assert!(matches!(find(temp.path()).unwrap(), FoundLab::None));
        lock.try_lock().unwrap();
        let FoundLab::Running(found) = find(temp.path()).unwrap() else { unreachable!() };
        assert_eq!(*found, file.state);
        drop(file);
        assert!(matches!(find(temp.path()).unwrap(), FoundLab::Unknown));
    }

    #[test]
    fn a_pid_that_is_another_processs_by_now_is_not_the_labs() {
        let temp = tempfile::tempdir().unwrap();
        let lock = File::create(temp.path().join(LOCK)).unwrap();
        lock.try_lock().unwrap();
        for began in [state().began.map(|ticks| ticks + 1), None] {
            let file = StateFile::new(temp.path(), LabState { began, ..state() });
            file.write().unwrap();
            assert!(matches!(find(temp.path()).unwrap(), FoundLab::Unknown), "{began:?}");
        }
    }
}
