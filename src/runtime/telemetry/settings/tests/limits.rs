//! What bounds an item, a queue and an export.

use super::*;

#[test]
fn every_limit_and_every_size_has_its_own_variable_and_the_general_one_behind_it() {
    let s = read(|c| c.otel_attribute_count_limit = some("5"));
    let of = |s: &Settings| {
        let l = s.limits;
        [l.max_attributes_per_span, l.max_attributes_per_event, l.max_attributes_per_link]
    };
    assert_eq!((of(&s), s.logs.as_ref().unwrap().attributes), ([5; 3], 5));
    assert_eq!((s.limits.max_events_per_span, s.limits.max_links_per_span), (128, 128));
    let s = read(|c| {
        c.otel_attribute_count_limit = some("5");
        c.otel_span_attribute_count_limit = some("1");
        c.otel_event_attribute_count_limit = some("2");
        c.otel_link_attribute_count_limit = some("3");
        c.otel_span_event_count_limit = some("4");
        c.otel_span_link_count_limit = some("6");
        c.otel_attribute_value_length_limit = some("50");
        c.otel_span_attribute_value_length_limit = some("7");
        c.logs.otel_logrecord_attribute_count_limit = some("8");
        c.logs.otel_logrecord_attribute_value_length_limit = some("9");
        c.logs.otel_blrp_max_queue_size = some("30");
        c.logs.otel_blrp_max_export_batch_size = some("20");
        c.logs.otel_blrp_schedule_delay = some("40");
    });
    assert_eq!(of(&s), [1, 2, 3]);
    assert_eq!((s.limits.max_events_per_span, s.limits.max_links_per_span), (4, 6));
    let logs = s.logs.unwrap();
    assert_eq!((s.value_length, logs.value_length, logs.attributes), (Some(7), Some(9), 8));
    assert_eq!(logs.batch, Batch { queue: 30, size: 20, delay: Duration::from_millis(40) });
    assert!(s.notes.0.is_empty(), "{:?}", s.notes);
    let zero = read(|c| c.logs.otel_blrp_schedule_delay = some("0"));
    assert_eq!((zero.logs.unwrap().batch.delay, zero.notes.0.len()), (Duration::from_secs(1), 1));
}

#[test]
fn an_export_ends_by_the_shorter_of_its_two_timeouts_and_none_is_without_end() {
    let timeouts = |set: fn(&mut OtelConfig)| {
        let s = read(set);
        let all = [s.export.unwrap(), s.logs.unwrap().export, s.metrics.export.unwrap()];
        (all.map(|export| export.timeout.as_millis()), s.notes.0.len())
    };
    assert_eq!(timeouts(|_| {}), ([10_000; 3], 0));
    let own = timeouts(|c| {
        c.otel_exporter_otlp_timeout = some("9000");
        c.otel_bsp_export_timeout = some("1");
        c.logs.otel_blrp_export_timeout = some("2");
        c.metrics.otel_metric_export_timeout = some("3");
    });
    assert_eq!(own, ([1, 2, 3], 0));
    let otlp = timeouts(|c| {
        c.otel_exporter_otlp_traces_timeout = some("4");
        c.logs.otel_exporter_otlp_logs_timeout = some("5");
        c.metrics.otel_exporter_otlp_metrics_timeout = some("6");
    });
    assert_eq!(otlp, ([4, 5, 6], 0));
    let endless = timeouts(|c| {
        c.otel_exporter_otlp_timeout = some("0");
        c.otel_bsp_export_timeout = some("0");
        c.logs.otel_blrp_export_timeout = some("0");
        c.metrics.otel_metric_export_timeout = some("0");
    });
    assert_eq!(endless, ([10_000; 3], 4));
}
