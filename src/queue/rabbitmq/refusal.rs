//! What the client says went wrong, in words that name no address.

use std::io;

use lapin::{Error, ErrorKind};

use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// What AMQP's codes mean here and what to do, in words that follow "the broker". The broker's own text may quote
/// names and addresses.
const REFUSALS: [(u16, &str); 10] = [
    (
        320,
        "closed the connection, as its operator wanted it: it is stopping, or rabbitmqctl close_connection was run \
         (CONNECTION_FORCED)",
    ),
    (
        403,
        "refused the login of AMQP_URL, or that lacks a permission: rabbitmqctl authenticate_user tries it, \
         set_permissions gives it the queue's names; guest may log in from the broker's own machine only (ACCESS_REFUSED)",
    ),
    (404, "does not have the queue: it was deleted, and is made again with the next connection (NOT_FOUND)"),
    (
        405,
        "has the queue for one connection alone, which is not ours: end that connection, or choose another QUEUE_NAME \
         (RESOURCE_LOCKED)",
    ),
    (
        406,
        "has the queue with other arguments than ours: delete it while it is empty, or choose another QUEUE_NAME \
         (PRECONDITION_FAILED)",
    ),
    (501, "got what is not AMQP: amqps:// and amqp:// have ports of their own, 5671 and 5672 (FRAME_ERROR)"),
    (
        506,
        "has no room: look for an alarm of memory or disk with rabbitmq-diagnostics check_alarms (RESOURCE_ERROR)",
    ),
    (
        530,
        "does not have the virtual host of AMQP_URL, or not for this login: rabbitmqctl add_vhost makes it, \
         set_permissions opens it (NOT_ALLOWED)",
    ),
    (
        540,
        "has the queue as a type that cannot do this: delete it, or choose another QUEUE_NAME (NOT_IMPLEMENTED)",
    ),
    (541, "failed within: its log says why (INTERNAL_ERROR)"),
];

/// The reason of an error.
pub(super) fn failed(error: Error) -> QueueError {
    tracing::debug!(reason = %error, "RabbitMQ call failed");
    unavailable(match error.kind() {
        ErrorKind::IOError(error) if error.kind() == io::ErrorKind::InvalidData => {
            "is not to be trusted: its certificate does not fit"
        }
        ErrorKind::IOError(_)
        | ErrorKind::MissingHeartbeatError
        | ErrorKind::InvalidConnectionState(_)
        | ErrorKind::InvalidChannelState(..) => "cannot be reached",
        ErrorKind::ProtocolError(error) => {
            let known = REFUSALS.iter().find(|(code, _)| *code == error.get_id());
            known.map_or("refused the call", |(_, why)| why)
        }
        _ => "failed",
    })
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};
    use lapin::types::ShortString;

    use super::*;

    #[test]
    fn an_answer_that_a_newcomer_meets_says_what_it_means_and_what_to_do_and_names_no_address() {
        for (code, does) in [
            (403, "guest may log in from the broker's own machine only"),
            (404, "made again"),
            (405, "another QUEUE_NAME"),
            (406, "delete it while it is empty"),
            (501, "5671 and 5672"),
            (506, "check_alarms"),
            (530, "add_vhost"),
        ] {
            let soft = AMQPSoftError::from_id(code).map(AMQPErrorKind::Soft);
            let hard = AMQPHardError::from_id(code).map(AMQPErrorKind::Hard);
            let kind = soft.or(hard).unwrap_or_else(|| panic!("{code} is a code of AMQP"));
            let error = AMQPError::new(kind, ShortString::from("to 10.1.2.3 as hunter2"));
            let said = failed(ErrorKind::ProtocolError(error).into()).to_string();
            assert!(said.contains(does) && !said.contains("10.1") && said.ends_with(')'), "{code}: {said}");
        }
    }

    #[test]
    fn a_code_has_words_once() {
        let mut codes: Vec<_> = REFUSALS.iter().map(|(code, _)| code).collect();
        codes.sort();
        codes.dedup();
        assert_eq!(codes.len(), REFUSALS.len());
    }
}
