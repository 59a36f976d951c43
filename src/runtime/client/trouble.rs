//! What faults do to calls: they take longer on their way, and they are repeated as they should not be.

use tokio::time::sleep;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Call, CallError, HttpClient, Reply};
use crate::schema::{FAULT_ATTRIBUTE, faults};

impl HttpClient {
    /// Whether a call is repeated at once, as by a caller without a pause and a budget. Only one that may be
    /// repeated: the fault makes load, not orders.
    pub(super) fn storms(&self, call: &Call, outcome: &Result<Reply, CallError>, attempt: u32) -> bool {
        let failed = outcome.as_ref().map_or(true, |reply| reply.status.is_server_error());
        let fault = if failed && call.idempotent { self.faults.hits(faults::RETRY_STORM) } else { None };
        fault.is_some_and(|settings| attempt <= settings.times())
    }

    /// Sends, within the call's span: half of the time that a slow network adds goes by on the way there, the
    /// other on the way back.
    pub(super) async fn over_network<T>(&self, attempt: u32, sent: impl Future<Output = T>) -> T {
        if attempt > 1 && self.faults.hits(faults::RETRY_STORM).is_some() {
            Span::current().set_attribute(FAULT_ATTRIBUTE, faults::RETRY_STORM);
        }
        let Some(slow) = self.faults.hits(faults::SLOW_NETWORK) else { return sent.await };
        Span::current().set_attribute(FAULT_ATTRIBUTE, faults::SLOW_NETWORK);
        sleep(slow.extra() / 2).await;
        let answer = sent.await;
        sleep(slow.extra() - slow.extra() / 2).await;
        answer
    }
}
