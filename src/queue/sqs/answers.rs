//! What the failures of calls mean, and what to do about them.

use aws_sdk_sqs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::queue::QueueError;
use crate::queue::broker::unavailable;

/// The codes of SQS, without the service's name before a dot, in words that follow "the broker".
const ANSWERS: [(&[&str], &str); 9] = [
    (
        &["QueueDoesNotExist", "NonExistentQueue"],
        "does not have the queue of SQS_QUEUE_URL in that region and account: make it, or correct the URL",
    ),
    (
        &["AccessDenied", "AccessDeniedException"],
        "does not let these credentials do that: the policies of user, role and queue have to allow sqs:SendMessage, \
         ReceiveMessage, DeleteMessage, ChangeMessageVisibility, GetQueueAttributes and GetQueueUrl, and of an encrypted \
         queue its key",
    ),
    (
        &["InvalidClientTokenId", "UnrecognizedClientException", "MissingAuthenticationToken"],
        "does not know the access key: AWS_ACCESS_KEY_ID or AWS_PROFILE names another account's or a deleted one",
    ),
    (
        &["SignatureDoesNotMatch", "IncompleteSignature", "InvalidSignatureException"],
        "did not accept the signature: AWS_SECRET_ACCESS_KEY does not belong to the key, or this machine's clock is wrong",
    ),
    (
        &["ExpiredToken", "ExpiredTokenException", "RequestExpired"],
        "says that the credentials have expired: renew them (aws sso login, or a new AWS_SESSION_TOKEN)",
    ),
    (
        &["RequestThrottled", "ThrottlingException", "Throttling", "KmsThrottled"],
        "is asked too often for this account; it is asked again later",
    ),
    (&["OverLimit"], "has too many messages in flight: settle some, or wait for their visibility timeout"),
    (&["InvalidAddress"], "does not take SQS_QUEUE_URL for a queue's address"),
    (&["InvalidSecurity"], "wants https in SQS_QUEUE_URL"),
];

/// Why a call failed: SQS's code, if SQS answered, and one sentence without addresses.
#[derive(Debug)]
pub(super) struct SqsFailure {
    code: String,
    text: String,
}

impl SqsFailure {
    pub(super) fn of<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> Self {
        tracing::debug!(cause = %DisplayErrorContext(error), "Call of Amazon SQS failed");
        let text = match error {
            SdkError::ServiceError(_) => return Self::coded(error.code().unwrap_or("no code")),
            SdkError::TimeoutError(_) => "did not answer in time",
            SdkError::DispatchFailure(failure) if failure.is_timeout() => "did not answer in time",
            SdkError::DispatchFailure(failure) if failure.is_io() => "cannot be reached",
            SdkError::ResponseError(_) => "gave an answer that cannot be read",
            _ => {
                "cannot be asked: its certificate is not trusted, or there are no credentials for it (AWS_PROFILE, \
                  AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of the machine)"
            }
        };
        Self { code: String::new(), text: text.to_owned() }
    }

    /// What SQS says is wrong: a fixed word, but it came over the network.
    pub(super) fn coded(code: &str) -> Self {
        // Codes from the time of the XML protocol have the service's name in front.
        let code = code.rsplit('.').next().unwrap_or_default();
        let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        let known = ANSWERS.iter().find(|(codes, _)| codes.contains(&code.as_str()));
        let text = match known {
            Some((_, means)) => format!("{means} ({code})"),
            None => format!("refused the call: {code}"),
        };
        Self { text, code }
    }

    /// Empty if SQS did not answer.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// The failure of sending a message: some are the message's own fault, for ever.
    pub(super) fn of_message(self) -> QueueError {
        let for_ever = [
            "InvalidMessageContents",
            "InvalidParameterValue",
            "InvalidAttributeValue",
            "BatchRequestTooLong",
        ];
        match for_ever.contains(&self.code.as_str()) {
            true => QueueError::Refused(self.code),
            false => self.into(),
        }
    }
}

impl From<SqsFailure> for QueueError {
    fn from(failure: SqsFailure) -> Self {
        unavailable(&failure.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_s_own_faults_are_for_ever() {
        let refused = |code: &str| matches!(SqsFailure::coded(code).of_message(), QueueError::Refused(_));
        assert!(refused("InvalidMessageContents") && refused("AWS.SimpleQueueService.BatchRequestTooLong"));
        assert!(!refused("RequestThrottled") && !refused("QueueDoesNotExist"));
        let said = SqsFailure::coded("x://secret@host/").of_message().to_string();
        assert!(!said.contains("://") && !said.contains('@'), "{said}");
    }

    #[test]
    fn an_answer_that_a_newcomer_meets_says_what_it_means_and_what_to_do() {
        for (code, does) in [
            ("AWS.SimpleQueueService.NonExistentQueue", "correct the URL"),
            ("QueueDoesNotExist", "correct the URL"),
            ("AccessDeniedException", "sqs:SendMessage"),
            ("InvalidClientTokenId", "AWS_ACCESS_KEY_ID"),
            ("SignatureDoesNotMatch", "clock"),
            ("ExpiredToken", "aws sso login"),
            ("RequestThrottled", "again later"),
            ("OverLimit", "in flight"),
        ] {
            let said = QueueError::from(SqsFailure::coded(code)).to_string();
            assert!(said.contains(does) && said.ends_with(')'), "{code}: {said}");
        }
        let other = QueueError::from(SqsFailure::coded("SomethingNew")).to_string();
        assert!(other.ends_with("refused the call: SomethingNew"), "{other}");
    }
}
