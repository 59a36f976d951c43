//! The `process_*` metrics: what this process takes of the machine, read at each scrape.
//!
//! Names, units and help are those of the Prometheus client libraries. On Linux all of them are there.
//! Elsewhere memory and threads are missing, and the start time is that of the metrics' registration.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use nix::sys::resource::{RLIM_INFINITY, Resource, UsageWho, getrlimit, getrusage};

use crate::schema::{OtlpMetric, PROCESS_HELP, names};

/// `USER_HZ`, the unit of times in /proc: the same on every architecture this program is built for.
const TICKS_PER_SECOND: u64 = 100;

/// The recorder counts whole numbers, and whole seconds would say nothing of an idle service: CPU time is kept in
/// microseconds, and `/metrics` and OTLP have it in seconds.
pub(super) const CPU_COUNTS_PER_SECOND: f64 = 1e6;

/// Describes the metrics and sets those that never change.
pub(super) fn register() {
    for (name, help) in PROCESS_HELP {
        let unit = match OtlpMetric::of(name).map(|row| row.unit) {
            Some("s") => Unit::Seconds,
            Some("By") => Unit::Bytes,
            _ => Unit::Count,
        };
        match name {
            names::PROCESS_CPU => describe_counter!(name, unit, help),
            _ => describe_gauge!(name, unit, help),
        }
    }
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    gauge!(names::PROCESS_START).set(started().unwrap_or_else(now) as f64);
}

/// Reads the others.
#[allow(clippy::useless_conversion, reason = "microseconds have 32 bits on some systems")]
pub(super) fn collect() {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let (user, system) = (usage.user_time(), usage.system_time());
        let micros = (user.tv_sec() + system.tv_sec()) * 1_000_000
            + i64::from(user.tv_usec())
            + i64::from(system.tv_usec());
        counter!(names::PROCESS_CPU).absolute(micros.max(0).unsigned_abs());
    }
    for (name, resource) in
        [(names::PROCESS_MAX_FDS, Resource::RLIMIT_NOFILE), (names::PROCESS_VIRTUAL_MAX, Resource::RLIMIT_AS)]
    {
        if let Ok((soft, _)) = getrlimit(resource) {
            // The libraries write "no limit" as 0.
            gauge!(name).set(if soft == RLIM_INFINITY { 0.0 } else { soft as f64 });
        }
    }
    // One of them is the one that lists them.
    if let Ok(open) = fs::read_dir("/dev/fd") {
        gauge!(names::PROCESS_OPEN_FDS).set(open.count().saturating_sub(1) as f64);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, field, unit) in [
        (names::PROCESS_VIRTUAL, "VmSize:", 1024),
        (names::PROCESS_RESIDENT, "VmRSS:", 1024),
        (names::PROCESS_THREADS, "Threads:", 1),
    ] {
        if let Some(value) = number(&status, field) {
            gauge!(name).set((value * unit) as f64);
        }
    }
}

/// The number behind `field` at the start of a line.
fn number(text: &str, field: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Seconds since the epoch, from what the kernel knows; `None` where there is no /proc.
fn started() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let boot = number(&fs::read_to_string("/proc/stat").ok()?, "btime ")?;
    Some(boot + start_ticks(&stat)? / TICKS_PER_SECOND)
}

/// When a process began, in ticks since the machine did: with its pid it names one process, where a pid alone may be
/// another's by now. `None` where there is no such process, or no /proc.
pub(crate) fn began(pid: u32) -> Option<u64> {
    start_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of /proc/PID/stat. The name in field 2 may hold anything, brackets and blanks too.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_name_that_looks_like_fields() {
        let stat = "7 (a) b (c 1 2) S 1 7 7 0 -1 4194304 100 0 0 0 3 4 0 0 20 0 5 0 777 10 20 30";
        assert_eq!(start_ticks(stat), Some(777));
        assert_eq!(start_ticks("7 (a"), None);
    }

    #[test]
    fn a_status_line_is_a_number_whatever_its_unit() {
        let status = "Name:\tx\nVmSize:\t   12 kB\nThreads:\t3\n";
        assert_eq!((number(status, "VmSize:"), number(status, "Threads:")), (Some(12), Some(3)));
        assert_eq!(number(status, "VmRSS:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_started_a_while_ago_and_not_long_before() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs());
        let age = now.ok().zip(started()).map(|(now, started)| now as i64 - started as i64);
        assert!(age.is_some_and(|age| (-2..7200).contains(&age)), "{age:?}");
    }
}
