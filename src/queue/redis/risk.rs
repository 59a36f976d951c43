//! What a server's configuration may cost of messages that it has confirmed.

/// What is said of a server that keeps no append-only file: snapshots, which distributions ship it with, are
/// minutes old.
const FORGETS: &str = "Redis keeps no append-only file and has no replica: a crash loses the messages since its last \
                       snapshot, or all (set appendonly yes)";
/// What is said of a server that makes room by deleting keys. Those with a time to live are not ours.
const EVICTS: &str =
    "Redis deletes any key when its memory is full, the queue among them (set maxmemory-policy noeviction)";

/// Reads the answer of `INFO`. A line that is missing says nothing.
pub(super) fn of(info: &str) -> Option<String> {
    let value =
        |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let forgets = value("aof_enabled") == Some("0") && value("connected_slaves") == Some("0");
    let bounded = value("maxmemory").is_some_and(|bytes| bytes != "0");
    let evicts = bounded && value("maxmemory_policy").is_some_and(|policy| policy.starts_with("allkeys-"));
    let risks: Vec<_> = [(forgets, FORGETS), (evicts, EVICTS)]
        .into_iter()
        .filter_map(|(is, text)| is.then_some(text))
        .collect();
    (!risks.is_empty()).then(|| risks.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_configuration_that_can_lose_messages_is_told_of() {
        let told = |aof, slaves, maxmemory, policy| {
            of(&format!(
                "# Persistence\r\naof_enabled:{aof}\r\n# Memory\r\nmaxmemory:{maxmemory}\r\n\
                 maxmemory_policy:{policy}\r\n# Replication\r\nconnected_slaves:{slaves}\r\n"
            ))
            .unwrap_or_default()
        };
        assert_eq!(told(1, 0, 0, "allkeys-lru"), "");
        assert_eq!(told(1, 0, 100, "volatile-lru"), "");
        assert_eq!(told(0, 1, 100, "noeviction"), "");
        assert!(told(0, 0, 0, "noeviction").contains("appendonly yes"));
        assert!(told(1, 0, 100, "allkeys-random").starts_with("Redis deletes any key"));
        assert!(told(0, 0, 100, "allkeys-lru").contains("; Redis deletes"));
        assert_eq!(of(""), None);
    }
}
