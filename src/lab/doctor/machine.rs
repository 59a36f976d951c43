//! What the lab takes of the machine: open files, memory, room on the disk, a clock.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use super::Check;
use crate::sqlite::bytes_left;

/// A role has a file for each connection; below this many its own and the brokers' are hardly enough.
const LEAST_FILES: u64 = 256;
const GOOD_FILES: u64 = 1024;
const MIB: u64 = 1 << 20;
/// Seven processes and the console's store, and what they grow to under load.
const LEAST_MEMORY: u64 = 128 * MIB;
const GOOD_MEMORY: u64 = 384 * MIB;
const LEAST_DISK: u64 = 64 * MIB;
const GOOD_DISK: u64 = 512 * MIB;
/// What to do about a full disk.
const FULL: &str = "free some, or name a folder elsewhere with --data-dir (DATA_DIR)";
/// How long the two clocks are compared, and by how much they may differ in that time.
const COMPARED: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(50);
/// 2025-01-01, before the first version: no clock is right that says less.
const EARLIEST: u64 = 1_735_689_600;

/// RLIMIT_NOFILE.
pub(super) fn files() -> Check {
    let advice = "raise it before `up`: ulimit -n 4096";
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((soft, _)) if soft == RLIM_INFINITY => Check::ok("open files", "no limit"),
        Ok((soft, hard)) => {
            let said = format!("a process may have {soft}, and raise that to {hard}");
            graded("open files", soft, (LEAST_FILES, GOOD_FILES), said, advice)
        }
        Err(error) => Check::warn("open files", format!("the limit is not known: {error}"), ""),
    }
}

/// What the machine has left, or this group of processes.
pub(super) fn memory() -> Check {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let machine = available(&read("/proc/meminfo"));
    let number = |file: &str| read(file).trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .and_then(|most| Some(most.saturating_sub(number("/sys/fs/cgroup/memory.current")?)));
    let Some(left) = machine.into_iter().chain(group).min() else {
        return Check::warn("memory", "how much is left is not known here", "");
    };
    let said = format!("{} MiB left", left / MIB);
    let advice = "end other programs: the lab takes some 100 MiB, and more under load";
    graded("memory", left, (LEAST_MEMORY, GOOD_MEMORY), said, advice)
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()?.saturating_mul(1024))
}

fn graded(
    name: &'static str,
    has: u64,
    (least, good): (u64, u64),
    said: String,
    advice: &'static str,
) -> Check {
    match has {
        has if has < least => Check::fail(name, said, advice),
        has if has < good => Check::warn(name, said, advice),
        _ => Check::ok(name, said),
    }
}

/// The folder, or the one in which it would be made.
fn there(folder: &Path) -> Option<&Path> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder
        .ancestors()
        .map(|one| if one.as_os_str().is_empty() { Path::new(".") } else { one })
        .find(|one| one.exists())
}

/// Whether the lab can write its databases.
pub(super) fn folder(folder: &Path) -> Check {
    const FOLDER: &str = "data folder";
    let advice = "name another with --data-dir (DATA_DIR), or make it this user's";
    let Some(there) = there(folder) else {
        return Check::fail("data folder", format!("{} cannot be made", folder.display()), advice);
    };
    if !there.is_dir() {
        return Check::fail("data folder", format!("{} is no folder", there.display()), advice);
    }
    match written(there) {
        Ok(()) if there == folder => Check::ok(FOLDER, format!("{} can be written", folder.display())),
        Ok(()) => Check::ok(FOLDER, format!("{} can be made", folder.display())),
        Err((step, error)) => {
            let left = bytes_left(there).map_or(String::new(), |left| format!("; {} KiB left", left / 1024));
            let said = format!("{} cannot be written, {step}: {error}{left}", there.display());
            let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
            Check::fail(FOLDER, said, if full { FULL } else { advice })
        }
    }
}

/// Writes a small file there and flushes it: that a folder may be written says nothing of its disk. Its name is taken away
/// before anything is in it, so that nothing stays whatever happens.
///
/// # Errors
/// What could not be done, and why.
fn written(folder: &Path) -> Result<(), (&'static str, std::io::Error)> {
    let path = folder.join(format!(".o11y-lab-doctor-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = made.map_err(|error| ("making a file", error))?;
    fs::remove_file(&path).map_err(|error| ("removing a file", error))?;
    file.write_all(&[1; 16 * 1024]).map_err(|error| ("writing 16 KiB", error))?;
    file.sync_all().map_err(|error| ("flushing 16 KiB", error))
}

/// The room that is left there.
pub(super) fn disk(folder: &Path) -> Check {
    let advice = FULL;
    match there(folder).map(bytes_left) {
        Some(Ok(left)) => {
            graded("disk", left, (LEAST_DISK, GOOD_DISK), format!("{} MiB left", left / MIB), advice)
        }
        _ => Check::warn("disk", "how much room is left is not known", ""),
    }
}

/// Whether the time of day is plausible, and goes as the monotonic clock does.
pub(super) async fn clock() -> Check {
    let advice = "let the system set its clock (NTP): traces of several machines, and short times, are wrong otherwise";
    let (wall, monotonic) = (SystemTime::now(), Instant::now());
    tokio::time::sleep(COMPARED).await;
    let passed = wall.elapsed();
    let apart = passed.as_ref().map(|passed| passed.abs_diff(monotonic.elapsed()));
    let now = wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let said = format!("{:.0}", jiff::Timestamp::now());
    match apart {
        _ if now < EARLIEST => Check::fail("clock", format!("it says {said}"), advice),
        Ok(apart) if apart <= STEP => Check::ok("clock", format!("{said}, at an even pace")),
        _ => Check::warn("clock", format!("{said}, and it was just set while it ran"), advice),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckVerdict;
    use super::*;

    #[test]
    fn what_is_little_is_a_warning_and_what_is_less_a_failure() {
        let verdict = |has| graded("x", has, (10, 20), String::new(), "").verdict;
        assert_eq!(
            [verdict(9), verdict(10), verdict(20)],
            [CheckVerdict::Fail, CheckVerdict::Warn, CheckVerdict::Ok]
        );
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    2 kB\n"), Some(2048));
    }

    #[test]
    fn a_folder_that_is_not_there_is_judged_by_the_one_above_it() {
        assert_eq!(folder(Path::new("/dev/null/x")).verdict, CheckVerdict::Fail);
        assert_eq!(folder(&std::env::temp_dir().join("o11y-lab/not/there")).verdict, CheckVerdict::Ok);
        assert_eq!(there(Path::new("nowhere")), Some(Path::new(".")));
    }
}
