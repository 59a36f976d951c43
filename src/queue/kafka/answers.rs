//! What Kafka's answers mean: which of them pass by themselves, and what each is called.

use std::borrow::Cow;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::error::{KafkaError, KafkaResult};

use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// Wait before a call is made again.
const PAUSE: Duration = Duration::from_millis(50);

/// What the protocol calls retriable (the errors of Apache Kafka 4.4 that are a `RetriableException`),
/// as far as the client knows them, and its own codes for the same.
const RETRIABLE: &[Code] = &[
    Code::InvalidMessage,
    Code::UnknownTopicOrPartition,
    Code::UnknownTopic,
    Code::UnknownPartition,
    Code::UnknownTopicId,
    Code::LeaderNotAvailable,
    Code::NotLeaderForPartition,
    Code::FencedLeaderEpoch,
    Code::UnknownLeaderEpoch,
    Code::PreferredLeaderNotAvailable,
    Code::EligibleLeadersNotAvailable,
    Code::ElectionNotNeeded,
    Code::OffsetNotAvailable,
    Code::UnstableOffsetCommit,
    Code::ReplicaNotAvailable,
    Code::NotEnoughReplicas,
    Code::NotEnoughReplicasAfterAppend,
    Code::CoordinatorLoadInProgress,
    Code::CoordinatorNotAvailable,
    Code::NotCoordinator,
    Code::WaitingForCoordinator,
    Code::ConcurrentTransactions,
    Code::NotController,
    Code::RequestTimedOut,
    Code::NetworkException,
    Code::KafkaStorageError,
    Code::ListenerNotFound,
    Code::FetchSessionIdNotFound,
    Code::InvalidFetchSessionEpoch,
    Code::ThrottlingQuotaExceeded,
];

/// The group no longer counts the member that asks as one of its own.
const NOT_A_MEMBER: &[Code] =
    &[Code::UnknownMemberId, Code::IllegalGeneration, Code::FencedInstanceId, Code::FencedMemberEpoch];

/// Words that follow "the broker"; codes without any are called by their name.
const WORDS: &[(&[Code], &str)] = &[
    (
        &[
            Code::AllBrokersDown,
            Code::BrokerTransportFailure,
            Code::Resolve,
            Code::NodeUpdate,
            Code::BrokerNotAvailable,
        ],
        "cannot be reached at KAFKA_BROKERS or at the addresses that it advertises (advertised.listeners), or its listener \
         and KAFKA_SECURITY_PROTOCOL do not fit",
    ),
    (&[Code::OperationTimedOut, Code::MessageTimedOut, Code::RequestTimedOut], "did not answer in time"),
    (&[Code::SSL], "is not to be trusted: its certificate does not fit"),
    (
        &[Code::Authentication, Code::SaslAuthenticationFailed, Code::UnsupportedSASLMechanism],
        "refused the login: KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM are not those of a user that \
         it knows (kafka-configs --alter --add-config SCRAM-SHA-256=[password=...] makes one)",
    ),
    (
        &[Code::TopicAuthorizationFailed, Code::GroupAuthorizationFailed, Code::ClusterAuthorizationFailed],
        "refused: the login lacks a permission for the topics or groups (kafka-acls --add gives it)",
    ),
    (
        &[Code::UnknownTopicOrPartition, Code::UnknownTopic, Code::UnknownPartition, Code::UnknownTopicId],
        "does not have the topic: it is made at the start where the login may create one, else make it by hand",
    ),
    (
        &[
            Code::LeaderNotAvailable,
            Code::NotLeaderForPartition,
            Code::FencedLeaderEpoch,
            Code::UnknownLeaderEpoch,
            Code::OffsetNotAvailable,
        ],
        "has no leader for a partition of the topic yet",
    ),
    (
        &[
            Code::CoordinatorLoadInProgress,
            Code::CoordinatorNotAvailable,
            Code::NotCoordinator,
            Code::WaitingForCoordinator,
        ],
        "has no coordinator for the group yet",
    ),
    (&[Code::NotController], "has no controller yet"),
    (
        &[Code::NotEnoughReplicas, Code::NotEnoughReplicasAfterAppend, Code::ReplicaNotAvailable],
        "has too few replicas in sync: bring a broker back, or lower the topic's min.insync.replicas",
    ),
    (&[Code::KafkaStorageError], "cannot read or write its log: what it says itself may name a full disk"),
    (
        &[Code::InvalidReplicationFactor],
        "has fewer brokers than its default.replication.factor wants for a topic: lower that, or start more",
    ),
    (&[Code::ThrottlingQuotaExceeded], "is asked too often, as its quota has it"),
];

fn code(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Whether the same call may have another answer soon.
pub(super) fn passes(error: &KafkaError) -> bool {
    code(error).is_some_and(|code| RETRIABLE.contains(&code))
}

/// Whether the answer is that the group has gone on without the member.
pub(super) fn expels(error: &KafkaError) -> bool {
    code(error).is_some_and(|code| NOT_A_MEMBER.contains(&code))
}

/// Calls again while the answer is one that passes and there is time.
pub(super) fn again<T>(until: Instant, mut call: impl FnMut() -> KafkaResult<T>) -> Result<T, QueueError> {
    loop {
        match call() {
            Err(error) if passes(&error) && Instant::now() + PAUSE < until => sleep(PAUSE),
            answer => return answer.map_err(failed),
        }
    }
}

/// What the client says, in words that name no address.
pub(super) fn failed(error: KafkaError) -> QueueError {
    tracing::debug!(reason = %error, "Kafka call failed");
    unavailable(&meaning(code(&error)))
}

/// Follows "the broker".
fn meaning(code: Option<Code>) -> Cow<'static, str> {
    let Some(code) = code else { return "was not asked: its client cannot be used".into() };
    match WORDS.iter().find(|(codes, _)| codes.contains(&code)) {
        Some((_, words)) => (*words).into(),
        None => format!("answered {code:?}").into(),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaRespErr;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn an_answer_that_the_protocol_calls_retriable_is_asked_for_again() {
        for code in RETRIABLE {
            let mut answers = vec![Ok(7), Err(KafkaError::OffsetFetch(*code))];
            let got = again(soon(), || answers.pop().unwrap_or(Ok(0)));
            assert!(matches!(got, Ok(7)), "{code:?}: {got:?}");
        }
    }

    #[test]
    fn an_answer_that_does_not_pass_is_given_at_once() {
        for error in [
            KafkaError::OffsetFetch(Code::GroupAuthorizationFailed),
            KafkaError::AdminOp(Code::PolicyViolation),
            KafkaError::Canceled,
        ] {
            let mut calls = 0;
            let got: Result<(), _> = again(soon(), || {
                calls += 1;
                Err(error.clone())
            });
            assert_eq!((calls, got.is_err()), (1, true), "{error}");
        }
    }

    #[test]
    fn a_call_is_not_made_again_once_its_time_is_over_and_the_last_answer_is_named() {
        let until = Instant::now() + PAUSE * 3;
        let got: Result<(), _> = again(until, || Err(KafkaError::AdminOp(Code::NotController)));
        assert!(Instant::now() < soon());
        assert_eq!(got.unwrap_err().to_string(), unavailable("has no controller yet").to_string());
    }

    #[test]
    fn every_answer_has_a_name_and_none_is_said_to_have_failed() {
        for code in (-199..=129).filter_map(|code| RDKafkaRespErr::try_from(code).ok()).map(Code::from) {
            let said = meaning(Some(code));
            assert!(said.len() > 5 && !said.contains("failed"), "{code:?}: {said}");
        }
        assert_eq!(meaning(Some(Code::PolicyViolation)), "answered PolicyViolation");
        assert_eq!(
            meaning(Some(Code::NotLeaderForPartition)),
            "has no leader for a partition of the topic yet"
        );
        assert!(meaning(None).contains("client"));
    }

    #[test]
    fn an_answer_that_a_newcomer_meets_says_what_to_do() {
        for (code, does) in [
            (Code::BrokerTransportFailure, "advertised.listeners"),
            (Code::AllBrokersDown, "KAFKA_SECURITY_PROTOCOL"),
            (Code::SaslAuthenticationFailed, "KAFKA_SASL_PASSWORD"),
            (Code::TopicAuthorizationFailed, "kafka-acls"),
            (Code::UnknownTopicOrPartition, "make it by hand"),
            (Code::NotEnoughReplicas, "min.insync.replicas"),
            (Code::InvalidReplicationFactor, "default.replication.factor"),
        ] {
            let said = meaning(Some(code));
            assert!(said.contains(does), "{code:?}: {said}");
        }
    }

    #[test]
    fn a_code_has_words_once() {
        let mut all: Vec<_> = WORDS.iter().flat_map(|(codes, _)| codes.iter()).collect();
        let before = all.len();
        all.sort_by_key(|code| **code as i32);
        all.dedup();
        assert_eq!(all.len(), before);
    }
}
