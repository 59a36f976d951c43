//! A receiver of all three signals, in protobuf.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;

use crate::helpers::standin::{response, serve};

/// What one export held.
pub enum Export {
    Spans(Vec<ResourceSpans>),
    Metrics(Vec<ResourceMetrics>),
    Logs(Vec<ResourceLogs>),
}

/// Keeps what comes until it is taken.
#[derive(Clone, Default)]
pub struct Receiver(Arc<Mutex<Vec<Export>>>);

impl Receiver {
    /// With the URL to send to.
    pub fn start() -> (Self, String) {
        let receiver = Self::default();
        let exports = receiver.clone();
        let address = serve(move |_, path, body| {
            exports.0.lock().unwrap().push(decode(path, body));
            Some(response("200 OK", "content-type: application/x-protobuf\r\n", ""))
        });
        (receiver, format!("http://{address}"))
    }

    /// What came since the last time.
    pub fn take(&self) -> Vec<Export> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn decode(path: &str, body: &[u8]) -> Export {
    match path {
        "/v1/traces" => Export::Spans(ExportTraceServiceRequest::decode(body).unwrap().resource_spans),
        "/v1/metrics" => Export::Metrics(ExportMetricsServiceRequest::decode(body).unwrap().resource_metrics),
        "/v1/logs" => Export::Logs(ExportLogsServiceRequest::decode(body).unwrap().resource_logs),
        other => panic!("nothing is sent to {other}"),
    }
}
