//! Variables of the exporters: which, where to, how often.

use super::OtelSupport::{But, None, Whole};
use super::{LIMITS, OtelVariable, REPORTED, row};

const TIMEOUTS: &str = "an_export_ends_by_the_shorter_of_its_two_timeouts_and_none_is_without_end";
const NO_ENDLESS: &str = "0 is reported, and the default holds: no export is without end";
const SIZES: &str = "batch_settings_that_make_no_sense_fall_back_to_their_defaults";
const BOUND: &str = "more than 100000 is reported, and the default holds";
const TLS: &str =
    "an_https_endpoint_with_its_own_authority_receives_spans_and_headers_and_others_are_not_trusted";
const MUTUAL_TLS: &str = "a_client_certificate_is_shown_to_the_backend_and_without_its_key_it_is_left_out";
const OWN_FORMS: &str = "each_signal_has_its_own_variables_and_the_general_ones_behind_them";

/// An exporter's variable: the general one, and one for each signal.
macro_rules! each_signal {
    ($name:literal) => {
        &[
            concat!("OTEL_EXPORTER_OTLP_", $name),
            concat!("OTEL_EXPORTER_OTLP_TRACES_", $name),
            concat!("OTEL_EXPORTER_OTLP_LOGS_", $name),
            concat!("OTEL_EXPORTER_OTLP_METRICS_", $name),
        ]
    };
}

/// Shown for the exporter of each signal.
const PRINTED: &str = "what_is_exported_to_the_console_is_lines_of_otlp_json_between_those_of_the_log";

pub(super) static ROWS: &[OtelVariable] = &[
    row(
        &["OTEL_TRACES_EXPORTER"],
        "`otlp`, `zipkin`, `console`, `none`",
        But {
            difference: "without `zipkin`; others are reported and ignored, and where none is left `otlp` holds; several by comma",
            tests: &[
                REPORTED,
                "an_exporter_that_is_not_known_is_ignored_alone_and_what_is_used_is_said",
                PRINTED,
                "without_an_exporter_spans_still_have_ids_and_nothing_waits",
            ],
        },
    ),
    row(
        &["OTEL_LOGS_EXPORTER"],
        "`otlp`, `console`, `none`",
        But {
            difference: "the lines of the log are on standard output in any case; several by comma",
            tests: &[
                PRINTED,
                "what_does_not_fit_into_the_queue_is_dropped_and_counted_and_none_exports_nothing",
            ],
        },
    ),
    row(
        &["OTEL_METRICS_EXPORTER"],
        "`otlp`, `prometheus`, `console`, `none`; several by comma",
        But {
            difference: "`/metrics` is there in any case",
            tests: &[PRINTED, "metrics_are_exported_unless_only_prometheus_or_none_is_named"],
        },
    ),
    row(
        each_signal!("ENDPOINT"),
        "a base URL; those for single signals are used as they are",
        But {
            difference: "a base that ends in a signal's path already is reported and used as it is; a value \
                         without `http` or `https` is reported, and the default holds",
            tests: &[
                "the_general_endpoint_is_a_base_and_the_one_for_traces_is_used_as_it_is",
                "a_base_that_ends_in_the_signals_path_already_is_noticed_and_used_as_it_is",
                OWN_FORMS,
            ],
        },
    ),
    row(
        each_signal!("PROTOCOL"),
        "`http/protobuf`, `http/json`, `grpc`",
        But {
            difference: "`grpc` only in builds with that feature; others report it and use `http/protobuf`",
            tests: &[
                "each_protocol_has_its_own_default_port_and_path",
                "over_grpc_spans_and_logs_arrive_joined_packed_or_not_and_what_is_unavailable_is_sent_again",
                "over_http_in_json_nothing_is_lost_or_changed",
            ],
        },
    ),
    row(
        each_signal!("HEADERS"),
        "pairs, percent-encoded",
        But {
            difference: "one that would change what is sent (`content-type`) or cannot be sent is reported and \
                         left out",
            tests: &[
                "headers_are_decoded_and_their_values_never_appear_in_a_note_or_a_debug_line",
                OWN_FORMS,
            ],
        },
    ),
    row(
        each_signal!("TIMEOUT"),
        "the longest time of an export, in milliseconds; 0 is no limit",
        But { difference: NO_ENDLESS, tests: &[TIMEOUTS] },
    ),
    row(
        each_signal!("COMPRESSION"),
        "`gzip` or `none`",
        Whole { tests: &["bodies_are_compressed_where_the_setting_says_so", REPORTED] },
    ),
    row(each_signal!("CERTIFICATE"), "whom to trust, in PEM", Whole { tests: &[TLS] }),
    row(
        each_signal!("CLIENT_CERTIFICATE"),
        "this client's certificate, in PEM",
        Whole { tests: &[MUTUAL_TLS] },
    ),
    row(each_signal!("CLIENT_KEY"), "its private key, in PEM", Whole { tests: &[MUTUAL_TLS] }),
    row(
        each_signal!("INSECURE"),
        "TLS or not where an endpoint of gRPC has no scheme; optional",
        None { instead: "the endpoint's scheme" },
    ),
    row(
        &["OTEL_BSP_SCHEDULE_DELAY"],
        "time between two exports of spans, in milliseconds",
        But {
            difference: "0 is reported, and the default holds",
            tests: &["a_batch_leaves_when_its_time_has_come_though_it_is_not_full", SIZES],
        },
    ),
    row(
        &["OTEL_BSP_EXPORT_TIMEOUT"],
        "the longest time of an export of spans; 0 is no limit",
        But { difference: NO_ENDLESS, tests: &[TIMEOUTS] },
    ),
    row(
        &["OTEL_BSP_MAX_QUEUE_SIZE"],
        "most spans that wait",
        But {
            difference: BOUND,
            tests: &["a_collector_that_hangs_costs_no_span_end_any_time_and_memory_stays_bounded", SIZES],
        },
    ),
    row(
        &["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"],
        "most spans of an export, no more than wait",
        Whole { tests: &["shutdown_delivers_what_is_left_in_batches_and_later_spans_are_counted", SIZES] },
    ),
    row(
        &["OTEL_BLRP_SCHEDULE_DELAY"],
        "the same for log records",
        But { difference: "0 is reported, and the default holds", tests: &[LIMITS] },
    ),
    row(
        &["OTEL_BLRP_EXPORT_TIMEOUT"],
        "the same for log records",
        But { difference: NO_ENDLESS, tests: &[TIMEOUTS] },
    ),
    row(
        &["OTEL_BLRP_MAX_QUEUE_SIZE"],
        "the same for log records",
        But {
            difference: BOUND,
            tests: &["what_does_not_fit_into_the_queue_is_dropped_and_counted_and_none_exports_nothing"],
        },
    ),
    row(&["OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"], "the same for log records", Whole { tests: &[LIMITS] }),
    row(
        &["OTEL_METRIC_EXPORT_INTERVAL"],
        "time between two exports of metrics, in milliseconds",
        But { difference: "0 is reported, and the default holds", tests: &["it_exports_once_an_interval"] },
    ),
    row(
        &["OTEL_METRIC_EXPORT_TIMEOUT"],
        "the longest time of an export of metrics; 0 is no limit",
        But { difference: NO_ENDLESS, tests: &[TIMEOUTS] },
    ),
    row(
        &["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"],
        "`cumulative`, `delta`, `lowmemory`",
        Whole {
            tests: &[
                "a_delta_is_what_came_since_the_last_export_and_begins_there",
                "low_memory_remembers_nothing_of_what_is_read_off_the_system",
            ],
        },
    ),
    row(
        &["OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"],
        "`explicit_bucket_histogram`, `base2_exponential_bucket_histogram`",
        Whole { tests: &["exponential_buckets_count_what_the_page_counts_and_begin_again_with_each_delta"] },
    ),
    row(
        &["OTEL_METRICS_EXEMPLAR_FILTER"],
        "`trace_based`, `always_on`, `always_off`",
        Whole { tests: &["the_other_filters_take_everything_and_nothing"] },
    ),
    row(
        &["OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT"],
        "where metrics are scraped (in development)",
        None { instead: "`/metrics` is on the role's own port" },
    ),
    row(
        &["OTEL_EXPORTER_ZIPKIN_ENDPOINT", "OTEL_EXPORTER_ZIPKIN_TIMEOUT", "OTEL_EXPORTER_ZIPKIN_PROTOCOL"],
        "Zipkin's exporter (deprecated)",
        None { instead: "OTLP" },
    ),
];
