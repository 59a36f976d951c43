//! What the client says went wrong, in words that name no address.

use std::io;

use lapin::{Error, ErrorKind};

use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// What AMQP's codes mean here, in words that follow "the broker". The broker's own text may quote names and
/// addresses.
const REFUSALS: [(u16, &str); 6] = [
    (403, "refused the login or lacks a permission for it (ACCESS_REFUSED)"),
    (404, "does not have the queue (NOT_FOUND)"),
    (405, "has the queue for one connection alone, which is not ours (RESOURCE_LOCKED)"),
    (406, "has the queue with other arguments than ours (PRECONDITION_FAILED)"),
    (530, "does not have the virtual host of AMQP_URL, or not for this login (NOT_ALLOWED)"),
    (540, "has the queue as a type that cannot do this (NOT_IMPLEMENTED)"),
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
