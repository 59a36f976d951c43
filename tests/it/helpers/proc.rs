//! What Linux tells about a process in /proc: the one reader of it, for tests and benchmarks alike.

use std::iter::Sum;
use std::path::Path;
use std::time::Duration;

/// One tick of the clock that /proc counts CPU time and starts in: USER_HZ is 100 on every Linux there is.
const TICK: Duration = Duration::from_millis(10);

/// What is used of /proc/PID/stat; see proc_pid_stat(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// `R`, `S`, `Z` and so on.
    pub state: char,
    /// User and system time of all threads so far, ended ones too; 10 ms fine.
    pub cpu: Duration,
    /// The same of the descendants that have ended and were waited for.
    pub waited_for: Duration,
    /// When it started, counted from the machine's boot as [`uptime`] is; 10 ms fine.
    pub started: Duration,
}

/// `None` where there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&read(pid, "stat"))
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name, field 2, may hold spaces and parentheses; it ends with the last of them.
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u32>().ok().map(|ticks| TICK * ticks);
    Some(Stat {
        state: fields.first()?.chars().next()?,
        cpu: ticks(14)? + ticks(15)?,
        waited_for: ticks(16)? + ticks(17)?,
        started: ticks(22)?,
    })
}

/// User and system time so far; zero where there is no such process.
pub fn cpu(pid: u32) -> Duration {
    stat(pid).map_or(Duration::ZERO, |stat| stat.cpu)
}

/// Memory in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident: pages shared with others count in full.
    pub rss: u64,
    /// Proportional: a page that n processes share counts one nth.
    pub pss: u64,
    /// Pages that no other process has.
    pub private: u64,
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            rss: sum.rss + one.rss,
            pss: sum.pss + one.pss,
            private: sum.private + one.private,
        })
    }
}

/// `None` where there is no such process, or where it is another user's.
pub fn memory(pid: u32) -> Option<Memory> {
    parse_memory(&read(pid, "smaps_rollup"))
}

fn parse_memory(text: &str) -> Option<Memory> {
    let size = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let private = size("Private_Clean")? + size("Private_Dirty")?;
    Some(Memory { rss: size("Rss")?, pss: size("Pss")?, private })
}

/// The most memory that it ever had, RSS in KiB.
pub fn peak(pid: u32) -> Option<u64> {
    let status = read(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The command line, the program first.
pub fn arguments(pid: u32) -> Vec<String> {
    read(pid, "cmdline").split('\0').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a process is there (and not only its remains).
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.state != 'Z')
}

/// The child of `parent` that runs the subcommand `name`.
pub fn child_named(parent: u32, name: &str) -> Option<u32> {
    children(parent).into_iter().find(|pid| arguments(*pid).get(1).is_some_and(|word| word == name))
}

/// The children of a process, whichever of its threads started them.
pub fn children(parent: u32) -> Vec<u32> {
    let lists = of_threads(parent, "children");
    lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// The processes that run the program of this canonical path, and that this user may look into.
pub fn running(program: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program))
        .collect()
}

/// Whether every thread of a process has a tracer.
pub fn is_traced(pid: u32) -> bool {
    let all = of_threads(pid, "status");
    let tracer =
        |status: &str| status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok());
    !all.is_empty() && all.iter().all(|status| tracer(status).is_some_and(|pid: u32| pid > 0))
}

/// The time since the machine's boot; 10 ms fine.
pub fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split_whitespace().next().and_then(|word| word.parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs_f64)
}

fn read(pid: u32, file: &str) -> String {
    // Not every file of /proc is UTF-8: a process may be named anything.
    let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn of_threads(pid: u32, file: &str) -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join(file)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_from_its_stat_line_even_if_its_name_looks_like_fields() {
        let line = "24035 (tokio) 7 (x) S 23903 23903 11975 0 -1 4194304 97 3 0 0 152 48 1200 31 20 0 13 0 \
                    153475 3133440 381 18446744073709551615 94082380206080 94082380225961 140735982672912 0 0";
        let expected = Stat {
            state: 'S',
            cpu: Duration::from_millis(2000),
            waited_for: Duration::from_millis(12_310),
            started: Duration::from_millis(1_534_750),
        };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn memory_is_read_from_the_rollup_of_the_maps() {
        let text = "5650c6063000-7fff9ee07000 ---p 00000000 00:00 0                          [rollup]\n\
                    Rss:               19628 kB\nPss:                7255 kB\nPss_Dirty:           4112 kB\n\
                    Pss_Anon:           4112 kB\nShared_Clean:      14464 kB\nShared_Dirty:          0 kB\n\
                    Private_Clean:        52 kB\nPrivate_Dirty:      5112 kB\nReferenced:        19628 kB\n";
        let one = Memory { rss: 19_628, pss: 7255, private: 5164 };
        assert_eq!(parse_memory(text), Some(one));
        assert_eq!([one, one].into_iter().sum::<Memory>().private, 10_328);
        // A zombie has the file, and nothing in it.
        assert_eq!(parse_memory(""), None);
    }

    #[test]
    fn this_process_is_there_and_its_threads_have_no_tracer() {
        let me = std::process::id();
        assert!(is_alive(me) && memory(me).is_some() && stat(me).unwrap().started <= uptime());
        assert!(!is_traced(me));
        assert!(running(&std::env::current_exe().unwrap()).contains(&me));
    }
}
