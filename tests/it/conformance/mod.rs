//! What every transport promises, proven on a real broker: the same cases for each of them.
//!
//! A transport is one row below. `cases` work on handles of one queue, `worker` runs the worker on
//! it, `outage` takes the broker away, `lab` runs the whole program.

#![allow(dead_code, unreachable_pub, reason = "as in the helpers")]

pub mod cases;
mod lab;
#[cfg(feature = "kafka")]
mod only_kafka;
mod only_rabbitmq;
mod outage;
pub mod row;
mod worker;

use std::sync::OnceLock;

use o11y_lab::config::KeyOrder;

use crate::helpers::brokers;
use row::Row;
pub(crate) use row::with_pair;

/// One module of tests for a row, with the cases that every transport passes and those of the promises
/// that are named before the row. The lists of cases stand here and nowhere else.
macro_rules! transport {
    ($name:ident: [$($promise:ident),*], $row:expr) => {
        pub(crate) mod $name {
            use super::*;

            pub(crate) static SHARED: OnceLock<Box<dyn brokers::Broker>> = OnceLock::new();
            pub(crate) static ROW: Row = Row { shared: &SHARED, ..$row };

            transport!(@promise by_handles);
            transport!(@on rows: lab =>
                a_consumer_killed_with_messages_in_hand_loses_and_doubles_none,
                the_trace_of_an_order_goes_through_the_broker,
                what_arrives_of_a_lab_on_it_is_verified_in_child_and_link_mode,
                the_queue_command_counts_lists_shows_and_replays);
            $(transport!(@promise $promise);)*

            #[test]
            fn its_cases_of_order_and_silence_are_those_that_the_table_promises() {
                let promises: &[&str] = &[$(stringify!($promise)),*];
                let order = match ROW.guarantees().order {
                    KeyOrder::ThroughRetries => Some("ordered_through_retries"),
                    KeyOrder::FirstDeliveries => Some("ordered_at_first"),
                    KeyOrder::None => None,
                };
                let proven: Vec<_> = promises.iter().filter(|name| name.starts_with("ordered_")).copied().collect();
                assert_eq!(proven, order.into_iter().collect::<Vec<_>>());
                let silence = ROW.guarantees().redelivered.contains("visibility timeout");
                assert_eq!(promises.contains(&"silence_ends"), silence);
            }
        }
    };
    // What handles of the queue can tell by themselves.
    (@promise by_handles) => {
        transport!(@on pairs: cases =>
            headers_and_body_arrive_as_they_were_sent,
            a_message_of_a_consumer_that_died_comes_again,
            a_heartbeat_keeps_a_message_from_coming_again,
            a_retry_waits_its_delay_and_counts,
            a_delivery_that_a_drain_cut_short_is_no_attempt,
            two_consumers_share_the_work_without_double_delivery,
            a_dead_letter_keeps_headers_and_reason_and_comes_back_by_replay,
            one_dead_letter_can_be_replayed_by_its_id,
            depth_counts_waiting_in_flight_and_dead,
            a_message_that_is_too_large_is_refused,
            a_receive_ends_with_its_wait);
        transport!(@on pairs: worker =>
            a_poison_message_goes_straight_to_the_dead_letters,
            a_failing_message_is_retried_and_then_given_up,
            a_drain_in_the_middle_of_a_message_neither_loses_nor_leaves_it);
    };
    // None of a key comes while an earlier one is in the queue, retries included.
    (@promise ordered_through_retries) => {
        transport!(@on pairs: cases => a_key_keeps_its_order_through_retries);
    };
    // Messages are given out in the order they were published.
    (@promise ordered_at_first) => {
        transport!(@on pairs: cases => messages_are_given_out_in_the_order_they_were_published);
    };
    // A consumer that lives and says nothing loses its message after the visibility timeout.
    (@promise silence_ends) => {
        transport!(@on pairs: cases => a_message_nobody_settles_comes_again);
    };
    // Where that is so: a late settlement is without effect for sure.
    (@promise fenced) => {
        transport!(@on pairs: cases =>
            a_late_settlement_does_not_touch_a_message_given_out_again,
            an_acknowledgement_that_is_too_late_changes_nothing_for_one_made_with_it);
    };
    // The broker can be given a certificate and a login.
    (@promise guarded) => {
        transport!(@on pairs: cases => a_broker_that_speaks_tls_and_wants_a_login_is_used_so);
    };
    // The broker is a process that can be stopped and started.
    (@promise stoppable) => {
        transport!(@on rows: outage =>
            a_broker_restarted_under_load_loses_nothing,
            a_broker_that_is_down_at_the_start_is_found_later);
        transport!(@on rows: lab =>
            orders_are_accepted_while_the_broker_is_down_and_notified_once_it_is_back,
            a_lab_starts_while_its_broker_is_down);
    };
    (@on pairs: $of:ident => $($case:ident),*) => {
        $(#[test] fn $case() { row::with_pair(&ROW, $of::$case); })*
    };
    (@on rows: $of:ident => $($case:ident),*) => {
        $(#[test] fn $case() { $of::$case(&ROW); })*
    };
}

transport!(
    embedded: [ordered_through_retries, silence_ends, fenced],
    Row { name: "embedded", start: brokers::EmbeddedFile::boxed, visibility_ms: 400, ..Row::DEFAULT }
);

transport!(
    redis: [ordered_at_first, silence_ends, fenced, guarded, stoppable],
    Row { name: "redis", start: brokers::RedisServer::boxed, ..Row::DEFAULT }
);

// No end of silence: an unsettled delivery belongs to its connection for as long as that lives.
transport!(
    rabbitmq: [ordered_at_first, guarded, stoppable],
    Row { name: "rabbitmq", start: brokers::RabbitServer::boxed, ..Row::DEFAULT }
);

// TLS and credentials are tested with a server of its own: tests/it/sqs.rs.
transport!(
    sqs: [silence_ends, stoppable],
    Row {
        name: "sqs",
        start: brokers::SqsServer::boxed,
        // Whole seconds; the moto server may take one of them for ten calls.
        visibility_ms: 2000,
        ..Row::DEFAULT
    }
);

/// A partition is its member's for as long as that lives, silent or not.
#[cfg(feature = "kafka")]
const KAFKA: Row = Row { name: "kafka", start: brokers::KafkaServer::boxed, ..Row::DEFAULT };

#[cfg(feature = "kafka")]
transport!(kafka: [ordered_through_retries, guarded, stoppable], KAFKA);

/// The same broker with the newer protocol of groups (KIP-848).
#[cfg(feature = "kafka")]
mod kafka_by_the_consumer_protocol {
    use super::*;

    static ROW: Row = Row { shared: &kafka::SHARED, more: &[("KAFKA_GROUP_PROTOCOL", "consumer")], ..KAFKA };
    transport!(@promise by_handles);
    transport!(@promise ordered_through_retries);
}
