//! Variables of the SDK: resource, propagation, sampling, limits, and what this program does not have.

use super::OtelSupport::{But, None, Whole};
use super::{LIMITS, OtelVariable, REPORTED, row};

pub(super) static ROWS: &[OtelVariable] = &[
    row(
        &["OTEL_SDK_DISABLED"],
        "`true` turns all signals off, but not propagation",
        But {
            difference: "`/metrics` and the lines on standard output stay",
            tests: &[
                "a_disabled_sdk_makes_no_spans_and_serves_all_the_same",
                "with_the_sdk_disabled_an_incoming_context_is_passed_on_unchanged",
                "only_the_word_true_disables_the_sdk",
            ],
        },
    ),
    row(
        &["OTEL_SERVICE_NAME"],
        "`service.name`, before that of `OTEL_RESOURCE_ATTRIBUTES`",
        But {
            difference: "`up` keeps it from its children, which have names of their own",
            tests: &[
                "the_service_name_variable_wins_over_the_resource_attributes_and_those_over_the_role",
                "each_child_of_up_gets_the_variables_it_reads_and_none_names_all_services_alike",
            ],
        },
    ),
    row(
        &["OTEL_RESOURCE_ATTRIBUTES"],
        "pairs for the resource, percent-encoded; one that cannot be decoded discards all",
        Whole {
            tests: &[
                "resource_attributes_that_cannot_be_decoded_are_discarded_as_a_whole",
                "the_user_s_attributes_win_and_an_agent_that_is_not_there_costs_nothing",
            ],
        },
    ),
    row(&["OTEL_ENTITIES"], "entities of the resource (in development)", None { instead: "not stable" }),
    row(
        &["OTEL_LOG_LEVEL"],
        "the level of the SDK's own log",
        But {
            difference: "the default is that of `LOG_LEVEL`; the specification names no levels: `none`, `error`, \
                         `warn`, `info`, `debug`, `trace` and the SDKs' other words for them",
            tests: &[
                "what_telemetry_says_of_itself_has_a_level_of_its_own_and_the_rest_keeps_that_of_the_log",
            ],
        },
    ),
    row(
        &["OTEL_PROPAGATORS"],
        "a list of propagators, each once",
        But {
            difference: "the deprecated `jaeger` and `ottrace` are reported and left out",
            tests: &[
                "propagators_keep_their_order_lose_duplicates_and_can_be_none",
                "b3_is_understood_and_passed_on_where_it_is_configured",
                REPORTED,
            ],
        },
    ),
    row(
        &["OTEL_TRACES_SAMPLER"],
        "the sampler",
        But {
            difference: "`jaeger_remote`, also parent-based, and `xray` are reported, and the default holds",
            tests: &["the_sampler_is_the_configured_one", REPORTED],
        },
    ),
    row(
        &["OTEL_TRACES_SAMPLER_ARG"],
        "its argument, a ratio; a wrong one is reported and ignored",
        Whole { tests: &["a_ratio_outside_0_to_1_is_reported_and_everything_is_sampled"] },
    ),
    row(
        &["OTEL_ATTRIBUTE_COUNT_LIMIT"],
        "most attributes of a span, an event, a link or a log record",
        Whole { tests: &["a_signal_s_own_timeout_and_limits_win_over_the_general_ones", LIMITS] },
    ),
    row(
        &["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
        "most characters of an attribute's text",
        Whole {
            tests: &[
                "a_signal_s_own_timeout_and_limits_win_over_the_general_ones",
                "texts_are_cut_by_characters_and_other_values_stay",
            ],
        },
    ),
    row(&["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"], "the same, for spans", Whole { tests: &[LIMITS] }),
    row(&["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"], "the same, for spans", Whole { tests: &[LIMITS] }),
    row(&["OTEL_SPAN_EVENT_COUNT_LIMIT"], "most events of a span", Whole { tests: &[LIMITS] }),
    row(&["OTEL_SPAN_LINK_COUNT_LIMIT"], "most links of a span", Whole { tests: &[LIMITS] }),
    row(&["OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"], "most attributes of an event", Whole { tests: &[LIMITS] }),
    row(&["OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"], "most attributes of a link", Whole { tests: &[LIMITS] }),
    row(
        &["OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"],
        "the same, for log records",
        But {
            difference: "a record also keeps 16 KiB at most",
            tests: &["a_record_is_bounded_in_attributes_characters_and_bytes_and_says_what_it_lost"],
        },
    ),
    row(
        &["OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"],
        "the same, for log records",
        Whole { tests: &["a_record_is_bounded_in_attributes_characters_and_bytes_and_says_what_it_lost"] },
    ),
    row(
        &["OTEL_CONFIG_FILE"],
        "a file instead of all other variables",
        But {
            difference: "what has no variable is refused by its path ([what is taken](telemetry.md#a-configuration-file))",
            tests: &[
                "a_role_does_what_its_configuration_file_says_and_no_variable_beside_it",
                "what_a_configuration_file_asks_for_and_is_not_supported_is_refused_by_its_path",
            ],
        },
    ),
    row(&["OTEL_EXPERIMENTAL_CONFIG_FILE"], "the same (deprecated)", None { instead: "`OTEL_CONFIG_FILE`" }),
    row(
        &["OTEL_SEMCONV_STABILITY_OPT_IN"],
        "which generation of semantic conventions to send",
        None { instead: "the present one is sent, and no older one" },
    ),
];
