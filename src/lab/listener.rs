//! Who listens on a port of this machine, out of /proc: as far as this user may see it.

use std::fs;

use crate::terminal::escaped;

/// The most processes and open files that are looked through.
const MOST: usize = 100_000;
/// The state of a socket that listens, in /proc/net/tcp.
const LISTENS: &str = "0A";

/// Who listens on `port`, as a message names it: its program, and its pid in brackets. `None` where that is not to be
/// seen: of another user's process, in another container, on another system than Linux.
pub(super) fn holder(port: u16) -> Option<String> {
    listener(port).map(|(pid, program)| format!("{} (pid {pid})", escaped(&program)))
}

fn listener(port: u16) -> Option<(u32, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|file| fs::read_to_string(file).unwrap_or_default());
    let sockets: Vec<_> = tables.iter().flat_map(|table| sockets(table, port)).collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).take(MOST);
    let pid = pids.into_iter().find(|pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().take(MOST);
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|target| target.to_str().is_some_and(|target| sockets.iter().any(|socket| socket == target)))
    })?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = command.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    // A further word may be a secret.
    let program = words.first().map_or("", |word| word.rsplit('/').next().unwrap_or_default());
    Some((pid, program.to_owned()))
}

/// The sockets that listen on a port, as /proc/PID/fd names them.
fn sockets(table: &str, port: u16) -> Vec<String> {
    let port = format!("{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listen = rows.filter(|row| {
        let here =
            row.get(1).and_then(|address| address.rsplit_once(':')).is_some_and(|(_, own)| own == port);
        here && row.get(3) == Some(&LISTENS)
    });
    listen.filter_map(|row| row.get(9).map(|inode| format!("socket:[{inode}]"))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_sockets_that_listen_on_the_port_are_meant() {
        let table = "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n\
             0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1 0 100 0 0 10 0\n\
             1: 0100007F:0BB8 0100007F:9C40 01 00000000:00000000 00:00000000 00000000 0 0 4712 1 0 100 0 0 10 0\n";
        assert_eq!(sockets(table, 3000), ["socket:[4711]"]);
        assert!(sockets(table, 3001).is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_port_of_this_process_is_seen_to_be_its_own() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (pid, program) = listener(taken.local_addr().unwrap().port()).unwrap();
        assert!(pid == std::process::id() && !program.is_empty(), "{pid} {program}");
    }
}
