//! A memory limit as a container's: a memory cgroup of one's own, version 1 or 2. It takes root and a
//! hierarchy that can be written to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::clean;

/// Cgroup with a memory limit; removed when dropped, after its processes have ended.
pub struct MemoryGroup {
    folder: PathBuf,
    version: u8,
}

impl MemoryGroup {
    /// `None` where this machine lets nobody make one.
    pub fn new(name: &str, bytes: u64) -> Option<Self> {
        let unique = format!("o11y-lab-{name}-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let (folder, version) = if root.join("memory/memory.limit_in_bytes").exists() {
            (root.join("memory").join(unique), 1)
        } else {
            let controllers = fs::read_to_string(root.join("cgroup.subtree_control")).ok()?;
            controllers.contains("memory").then(|| (root.join(unique), 2))?
        };
        fs::create_dir(&folder).ok()?;
        let group = Self { folder, version };
        let limit = if version == 1 { "memory.limit_in_bytes" } else { "memory.max" };
        fs::write(group.folder.join(limit), bytes.to_string()).ok()?;
        Some(group)
    }

    /// The program under test, started within the limit.
    pub fn bin(&self) -> Command {
        let mut command = clean(Command::new("sh"));
        let start = "echo $$ > \"$0\" && exec \"$@\"";
        command.args(["-c", start]).arg(self.folder.join("cgroup.procs")).arg(env!("CARGO_BIN_EXE_o11y-lab"));
        command
    }

    /// The most memory so far, page cache included, in bytes.
    pub fn most(&self) -> u64 {
        let file = if self.version == 1 { "memory.max_usage_in_bytes" } else { "memory.peak" };
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    /// How many processes the kernel has killed for want of memory.
    pub fn kills(&self) -> u64 {
        let file = if self.version == 1 { "memory.oom_control" } else { "memory.events" };
        let text = fs::read_to_string(self.folder.join(file)).expect("the kernel counts");
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        count.expect("the kernel counts kills")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Killed processes leave it only when they have been waited for.
        for _ in 0..100 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
