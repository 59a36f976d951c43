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

use crate::helpers::brokers;
pub(crate) use row::with_pair;
use row::{Order, Row};

/// One module of tests for a row; the list of cases stands here and nowhere else. Attributes before
/// the name are each test's.
macro_rules! transport {
    ($(#[$more:meta])* $name:ident, $row:expr) => {
        pub(crate) mod $name {
            use super::*;

            pub(crate) static SHARED: OnceLock<Box<dyn brokers::Broker>> = OnceLock::new();
            pub(crate) static ROW: Row = Row { shared: &SHARED, ..$row };

            transport!(@on pairs [$(#[$more])*]: cases =>
                headers_and_body_arrive_as_they_were_sent,
                a_key_keeps_its_order_as_far_as_it_is_promised,
                a_message_nobody_settles_comes_again,
                a_message_of_a_consumer_that_died_comes_again,
                a_heartbeat_keeps_a_message_from_coming_again,
                a_late_settlement_does_not_touch_a_message_given_out_again,
                a_retry_waits_its_delay_and_counts,
                two_consumers_share_the_work_without_double_delivery,
                a_dead_letter_keeps_headers_and_reason_and_comes_back_by_replay,
                one_dead_letter_can_be_replayed_by_its_id,
                depth_counts_waiting_in_flight_and_dead,
                a_message_that_is_too_large_is_refused,
                a_receive_ends_with_its_wait,
                a_broker_that_speaks_tls_and_wants_a_login_is_used_so);
            transport!(@on pairs [$(#[$more])*]: worker =>
                a_poison_message_goes_straight_to_the_dead_letters,
                a_failing_message_is_retried_and_then_given_up,
                a_drain_in_the_middle_of_a_message_neither_loses_nor_leaves_it);
            transport!(@on rows [$(#[$more])*]: outage =>
                a_broker_restarted_under_load_loses_nothing,
                a_broker_that_is_down_at_the_start_is_found_later);
            transport!(@on rows [$(#[$more])*]: lab =>
                orders_are_accepted_while_the_broker_is_down_and_notified_once_it_is_back,
                a_lab_starts_while_its_broker_is_down,
                a_consumer_killed_with_messages_in_hand_loses_and_doubles_none,
                the_trace_of_an_order_goes_through_the_broker,
                the_queue_command_counts_lists_shows_and_replays);
        }
    };
    (@on pairs $more:tt: $of:ident => $($case:ident),* $(,)?) => {
        $(transport!(@test $more $case row::with_pair(&ROW, $of::$case));)*
    };
    (@on rows $more:tt: $of:ident => $($case:ident),* $(,)?) => {
        $(transport!(@test $more $case $of::$case(&ROW));)*
    };
    (@test [$(#[$more:meta])*] $case:ident $run:expr) => {
        #[test] $(#[$more])* fn $case() { $run; }
    };
}

transport!(
    embedded,
    Row {
        name: "embedded",
        start: brokers::EmbeddedFile::boxed,
        visibility_ms: 400,
        order: Order::ThroughRetries,
        can_stop: false,
        tls: false,
        ..Row::DEFAULT
    }
);

transport!(redis, Row { name: "redis", start: brokers::RedisServer::boxed, ..Row::DEFAULT });

transport!(
    rabbitmq,
    Row {
        name: "rabbitmq",
        start: brokers::RabbitServer::boxed,
        // An unsettled delivery belongs to its connection for as long as that lives.
        gives_up_on_the_silent: false,
        sees_others_in_flight: false,
        ..Row::DEFAULT
    }
);

transport!(
    sqs,
    Row {
        name: "sqs",
        // Tested with a server of its own: tests/it/sqs.rs.
        tls: false,
        start: brokers::SqsServer::boxed,
        // Whole seconds; the moto server may take one of them for ten calls.
        visibility_ms: 2000,
        order: Order::None,
        fences: false,
        // Both are hidden, and SQS does not say why.
        retries_wait: false,
        ..Row::DEFAULT
    }
);

/// What Kafka is, whichever broker speaks its protocol.
#[cfg(feature = "kafka")]
const KAFKA: Row = Row {
    name: "kafka",
    order: Order::ThroughRetries,
    // A partition is its member's for as long as that lives.
    gives_up_on_the_silent: false,
    keys_have_owners: true,
    // Offsets are all that the group knows: a new owner starts at the committed one and counts anew.
    counts_crashes: false,
    sees_others_in_flight: false,
    ..Row::DEFAULT
};

// Quick, but without TLS and login; what it cannot do, the next one does.
#[cfg(feature = "kafka")]
transport!(kafka, Row { start: brokers::KafkaMock::boxed, tls: false, ..KAFKA });

#[cfg(feature = "kafka")]
transport!(
    #[ignore = "needs a Kafka broker: make test-kafka"]
    kafka_broker,
    Row { start: brokers::TansuServer::boxed, ..KAFKA }
);
