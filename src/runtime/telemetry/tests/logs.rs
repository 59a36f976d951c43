//! Log records as a collector receives them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// What a collector receives of what `f` logs, with what stands on the lines beside it.
async fn exported(set: impl FnOnce(&mut OtelConfig), f: impl FnOnce()) -> (Vec<ResourceLogs>, Telemetry) {
    let collector = Collector::start(kept(), None);
    let mut config = to(collector.port);
    set(&mut config);
    let settings = Settings::read("order-service", &config);
    let exporters = on_plain_thread(|| RunningExporters::build(&settings, &config, None)).unwrap().unwrap();
    let provider = exporters.spans.as_ref().unwrap().0.clone();
    let layer = LogLayer::unread("order-service").exporting(exporters.logs.clone());
    let subscriber = tracing_subscriber::registry()
        .with(layer.with_filter(crate::runtime::telemetry::logs::filter("info", None).unwrap()))
        .with(span_layer(tracer(&provider)));
    tracing::subscriber::with_default(subscriber, f);
    let telemetry = Telemetry::of(exporters);
    assert!(telemetry.flush(10 * SECOND).await);
    let received = collector.received();
    let logs = received.iter().filter(|request| request.head.to_lowercase().starts_with("post /v1/logs "));
    let logs = logs
        .flat_map(|request| ExportLogsServiceRequest::decode(request.body.as_slice()).unwrap().resource_logs);
    (logs.collect(), telemetry)
}

fn records(logs: &[ResourceLogs]) -> Vec<LogRecord> {
    logs.iter().flat_map(|logs| &logs.scope_logs).flat_map(|scope| scope.log_records.clone()).collect()
}

fn attribute(record: &LogRecord, key: &str) -> Option<Any> {
    record.attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value
}

#[tokio::test]
async fn a_record_has_the_body_the_level_typed_attributes_and_the_ids_of_its_span() {
    let before = nanoseconds_now();
    let (logs, telemetry) = exported(
        |_| {},
        || {
            let span = tracing::info_span!("work");
            span.in_scope(|| {
                tracing::warn!(
                    orderId = 3,
                    total = 49.5,
                    free = false,
                    big = u64::MAX,
                    r#type = ?Some(1),
                    event.name = "order.created",
                    "Order {} created",
                    3
                );
            });
            tracing::info!("outside");
            tracing::debug!("hidden");
        },
    )
    .await;
    let [first, second] = records(&logs).try_into().unwrap();
    assert!((before..=nanoseconds_now()).contains(&first.time_unix_nano));
    assert_eq!(first.observed_time_unix_nano, first.time_unix_nano);
    assert_eq!((first.severity_number, first.severity_text.as_str()), (13, "warn"));
    assert_eq!((second.severity_number, second.severity_text.as_str()), (9, "info"));
    assert_eq!(first.body.clone().unwrap().value, Some(Any::StringValue("Order 3 created".into())));
    assert_eq!(first.event_name, "order.created");
    assert_eq!(attribute(&first, "orderId"), Some(Any::IntValue(3)));
    assert_eq!(attribute(&first, "total"), Some(Any::DoubleValue(49.5)));
    assert_eq!(attribute(&first, "free"), Some(Any::BoolValue(false)));
    assert_eq!(attribute(&first, "big"), Some(Any::StringValue(u64::MAX.to_string())));
    assert_eq!(attribute(&first, "type"), Some(Any::StringValue("Some(1)".into())));
    assert_eq!(first.attributes.len(), 5, "{:?}", first.attributes);
    assert_eq!((first.trace_id.len(), first.span_id.len(), first.flags), (16, 8, 1));
    assert_eq!((second.trace_id.len(), second.span_id.len(), second.flags), (0, 0, 0));
    let ledger = &telemetry.0.pipelines[1].ledger;
    assert_eq!((ledger.exported(), ledger.pending(), ledger.dropped()), (2, 0, 0));
    assert_eq!(logs[0].scope_logs[0].scope.as_ref().unwrap().name, SCOPE);
    let resource = logs[0].resource.as_ref().unwrap();
    assert!(resource.attributes.iter().any(|pair| pair.key == "service.instance.id"));
}

#[tokio::test]
async fn a_record_is_bounded_in_attributes_characters_and_bytes_and_says_what_it_lost() {
    let long = "x".repeat(100_000);
    let (logs, _) = exported(
        |config| {
            config.logs.otel_logrecord_attribute_count_limit = text(2);
            config.logs.otel_logrecord_attribute_value_length_limit = text(3);
        },
        || {
            tracing::info!(a = "año nuevo", b = 1, c = 2, "short");
            tracing::info!(a = long, "{long}");
        },
    )
    .await;
    let [first, second] = records(&logs).try_into().unwrap();
    assert_eq!(attribute(&first, "a"), Some(Any::StringValue("año".into())));
    assert_eq!((first.attributes.len(), first.dropped_attributes_count), (2, 1));
    assert!(second.encoded_len() < 20_000, "{}", second.encoded_len());
}

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_dropped_and_counted_and_none_exports_nothing() {
    let (logs, telemetry) = exported(
        |config| {
            config.logs.otel_blrp_max_queue_size = text(4);
            config.logs.otel_blrp_schedule_delay = text(60_000);
        },
        || (0..10).for_each(|n| tracing::info!(n, "line")),
    )
    .await;
    let (kept, dropped) = (records(&logs).len() as u64, telemetry.0.pipelines[1].ledger.dropped());
    assert!(kept >= 4 && kept + dropped == 10, "{kept} {dropped}");
    let (logs, telemetry) =
        exported(|config| config.logs.otel_logs_exporter = text("none"), || tracing::info!("line")).await;
    assert_eq!((logs.len(), telemetry.0.pipelines.len()), (0, 1));
}

fn nanoseconds_now() -> u64 {
    traces::nanoseconds(std::time::SystemTime::now())
}
