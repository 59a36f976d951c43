//! What Redis's answers mean, and what to do about those that do not pass by themselves.

use fred::error::{Error, ErrorKind};

use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// The codes that an error of the server starts with, in words that follow "the broker".
const ANSWERS: [(&str, &str); 13] = [
    (
        "DENIED",
        "is in protected mode, with no password set, and takes calls of its own machine only: give it a password \
         (requirepass) and put that into REDIS_URL, or set protected-mode no where no stranger reaches it",
    ),
    ("NOAUTH", "wants a login, and REDIS_URL has none: redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST"),
    (
        "WRONGPASS",
        "did not accept the login: REDIS_URL has the wrong password, or its user is not there or is off",
    ),
    (
        "MISCONF",
        "cannot save its data and takes no writes until it can: its log says why, often a full disk or a folder \
         that it may not write to",
    ),
    ("READONLY", "is a replica, which takes no writes: let REDIS_URL name the primary"),
    ("LOADING", "is reading its data after a start: it answers by itself once it has it"),
    ("OOM", "has no memory left for new messages: raise its maxmemory, or let the consumer take what waits"),
    ("MASTERDOWN", "is a replica that has lost its primary: let REDIS_URL name the primary"),
    (
        "NOREPLICAS",
        "has fewer replicas in sync than min-replicas-to-write wants: bring them back, or lower it",
    ),
    ("CLUSTERDOWN", "is a cluster of which a part is missing: CLUSTER INFO on it says which"),
    ("BUSY", "runs a script that does not end: SCRIPT KILL on it ends that"),
    ("WRONGTYPE", "has other data under a key o11y-lab:*: delete it, or choose another QUEUE_NAME"),
    ("MOVED", "is a node of a cluster: let REDIS_URL begin with redis-cluster://"),
];

/// Errors without a code of their own, by a part of their text.
const TEXTS: [(&str, &str); 3] = [
    ("max number of clients", "has no connection left: raise its maxclients, or close other clients"),
    (
        "without any password configured",
        "has no password, and REDIS_URL names one: take it out, or set requirepass",
    ),
    ("unknown command", "does not know a command that the queue needs: a newer Redis, from 6.2 on, does"),
];

/// What may be shown of an error: the client's texts name addresses.
pub(super) fn reason(error: &Error) -> QueueError {
    tracing::debug!(error = %error, "Redis call failed");
    let details = error.details();
    if let Some(denied) = denied(details) {
        return unavailable(&denied);
    }
    if let Some((code, means)) = ANSWERS.iter().find(|(code, _)| *code == self::code(details)) {
        return unavailable(&format!("{means}; it answered with {code}"));
    }
    if let Some((_, means)) = TEXTS.iter().find(|(part, _)| details.contains(part)) {
        return unavailable(means);
    }
    let said = match error.kind() {
        _ if details.contains("certificate") => "has a certificate that is not trusted",
        ErrorKind::Auth => "did not accept the login",
        ErrorKind::Timeout => "did not answer in time",
        ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Routing | ErrorKind::Sentinel => "cannot be reached",
        ErrorKind::Tls => "cannot be asked over TLS",
        ErrorKind::Backpressure => "is behind with its answers",
        _ => return unavailable(&format!("answered with {}", code(details))),
    };
    unavailable(said)
}

/// What the rules of this user do not allow, if that is the error: a command, else a key.
fn denied(details: &str) -> Option<String> {
    // Redis 7.0 says of a script neither the code nor the command.
    if details.contains("The user executing the script can't run") {
        return Some("does not let this user run a command of a script (NOPERM)".to_owned());
    }
    let rest = match details.contains("The user executing the script can't access") {
        true => "",
        false => details.split_once("NOPERM")?.1,
    };
    let quoted = rest.split('\'').nth(1).unwrap_or_default();
    let command: String = quoted.chars().filter(|c| c.is_ascii_alphabetic() || *c == '|').take(40).collect();
    Some(match command.is_empty() {
        true => "does not let this user have the keys o11y-lab:* (NOPERM)".to_owned(),
        false => format!("does not let this user run {} (NOPERM)", command.to_ascii_uppercase()),
    })
}

/// The code an error of the server starts with, such as `READONLY` or `OOM`; of a script's, the one within.
fn code(details: &str) -> &str {
    let details = details.strip_prefix("ERR ").unwrap_or(details);
    let word = details.split_whitespace().next().unwrap_or_default();
    let is_code = word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    if is_code { word } else { "an error" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: ErrorKind, details: &'static str) -> String {
        reason(&Error::new(kind, details)).to_string()
    }

    #[test]
    fn what_is_said_of_an_error_names_no_address() {
        assert!(said(ErrorKind::IO, "10.1.2.3:6379 refused").ends_with("the broker cannot be reached"));
        assert!(said(ErrorKind::Unknown, "READONLY You can't write").ends_with("answered with READONLY"));
        assert!(said(ErrorKind::Unknown, "h:1 is odd").ends_with("answered with an error"));
        let run = "NOPERM this user has no permissions to run the 'evalsha' command or its subcommand";
        assert!(said(ErrorKind::Unknown, run).ends_with("does not let this user run EVALSHA (NOPERM)"));
        let within = "NOPERM ACL failure in script: User lab has no permissions to run the 'xadd' command";
        assert!(said(ErrorKind::Unknown, within).ends_with("run XADD (NOPERM)"));
        let old = "ERR user_script:1: ERR The user executing the script can't run this command or subcommand";
        assert!(said(ErrorKind::Unknown, old).ends_with("run a command of a script (NOPERM)"));
        let key = "NOPERM No permissions to access a key";
        assert!(said(ErrorKind::Unknown, key).ends_with("have the keys o11y-lab:* (NOPERM)"));
    }

    #[test]
    fn an_answer_that_a_newcomer_meets_says_what_it_means_and_what_to_do() {
        for (details, does) in [
            ("DENIED Redis is running in protected mode because", "set protected-mode no"),
            ("NOAUTH Authentication required.", "redis://:PASSWORD@HOST"),
            ("WRONGPASS invalid username-password pair or user is disabled.", "wrong password"),
            ("MISCONF Redis is configured to save RDB snapshots, but", "full disk"),
            ("READONLY You can't write against a read only replica.", "name the primary"),
            ("LOADING Redis is loading the dataset in memory", "by itself"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "raise its maxmemory"),
            ("ERR max number of clients reached", "raise its maxclients"),
            (
                "ERR AUTH <password> called without any password configured for the default user.",
                "take it out",
            ),
            ("ERR unknown command 'XAUTOCLAIM', with args beginning with:", "from 6.2 on"),
            ("CLUSTERDOWN The cluster is down", "CLUSTER INFO"),
        ] {
            for kind in [ErrorKind::Auth, ErrorKind::Unknown, ErrorKind::InvalidCommand] {
                let said = said(kind, details);
                assert!(said.contains(does), "{details}: {said}");
            }
        }
    }
}
