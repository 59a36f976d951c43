//! The whole program on each transport.

use nix::sys::signal::Signal;
use o11y_lab::lab::backend::trace::SpanKind;
use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::Role;
use serde_json::Value;

use super::cases::message;
use super::row::{Row, open};
use crate::helpers::brokers::{Broker, Settings, fresh_queue};
use crate::helpers::process::{Process, signal_pid};
use crate::helpers::{Lab, bin, block_on, eventually, http};
use crate::verify::Verified;

fn start(settings: &Settings, more: &[(&'static str, &str)]) -> Lab {
    let mut env: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    env.extend_from_slice(more);
    Lab::start_with(&env)
}

/// What `/ready` says of the queue, where it is not ready.
fn queue_reason(lab: &Lab, role: Role) -> Option<String> {
    let answer = http::try_send("GET", &lab.url(role, "/ready"), &[], None)?;
    let checks = answer.json["checks"].as_array()?;
    let queue = checks.iter().find(|check| check["name"] == "queue" && check["ok"] == false)?;
    (answer.status == 503).then(|| queue["reason"].as_str().unwrap_or_default().to_owned())
}

fn assert_names_no_address(reason: &str) {
    assert!(!reason.is_empty() && !reason.contains("127.0.0.1") && !reason.contains("://"), "{reason}");
}

pub fn orders_are_accepted_while_the_broker_is_down_and_notified_once_it_is_back(row: &'static Row) {
    let broker = (row.start)();
    let lab = start(&broker.settings(&fresh_queue()), &[]);
    let user = lab.user();
    let before = lab.order(user).id();
    lab.wait_notifications(before, 1);
    broker.stop();
    let orders: Vec<_> = (0..5).map(|_| lab.order(user)).collect();
    for role in [Role::Order, Role::Notify] {
        let reason = eventually("/ready says why", || queue_reason(&lab, role));
        assert_names_no_address(&reason);
    }
    eventually("the outbox holds them", || {
        (lab.metric(Role::Order, "queue_outbox_pending")? >= 5.0).then_some(())
    });
    broker.start();
    for order in orders {
        assert_eq!(lab.wait_notifications(order.id(), 1).len(), 1);
    }
    lab.wait_ready();
}

pub fn a_lab_starts_while_its_broker_is_down(row: &'static Row) {
    let broker = (row.start)();
    let settings = broker.settings(&fresh_queue());
    broker.stop();
    let temp = tempfile::tempdir().expect("a folder");
    let base = crate::helpers::free_port_base();
    let mut command = bin();
    command.arg("order").env("PORT", base.to_string()).env("DATA_DIR", temp.path());
    command.env("OTEL_SDK_DISABLED", "true").envs(settings);
    let mut order = Process::spawn(command);
    let url = format!("http://127.0.0.1:{base}/ready");
    eventually("the role says what it misses", || {
        let answer = http::try_send("GET", &url, &[], None)?;
        (answer.status == 503 && answer.text.contains("queue")).then_some(())
    });
    broker.start();
    eventually("the role is ready", || {
        http::try_send("GET", &url, &[], None).filter(|answer| answer.status == 200)
    });
    assert!(order.stop().success());
}

pub fn a_consumer_killed_with_messages_in_hand_loses_and_doubles_none(row: &'static Row) {
    let settings = row.broker().settings(&fresh_queue());
    let lab = start(&settings, &[("NOTIFY_DELAY_MS", "200"), ("QUEUE_VISIBILITY_TIMEOUT_MS", "2000")]);
    let user = lab.user();
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let orders: Vec<_> = (0..10).map(|_| lab.order(user).id()).collect();
        eventually("the first is notified, others are on their way", || {
            orders.iter().any(|order| !lab.notifications(*order).is_empty()).then_some(())
        });
        signal_pid(lab.pid(Role::Notify), signal);
        for order in orders {
            assert_eq!(lab.wait_notifications(order, 1).len(), 1);
        }
        lab.wait_ready();
    }
    eventually("nothing is left in the queue", || {
        let stats = http::try_send("GET", &lab.url(Role::Notify, "/stats"), &[], None)?.json;
        (stats["waiting"] == 0 && stats["inFlight"] == 0 && stats["dead"] == 0).then_some(())
    });
}

pub fn the_trace_of_an_order_goes_through_the_broker(row: &'static Row) {
    let lab = start(&row.broker().settings(&fresh_queue()), &[]);
    let order = lab.order(lab.user());
    let trace = lab.trace(&order.trace_id(), ORDER_TRACE.len());
    assert_eq!(trace.spans.len(), ORDER_TRACE.len(), "{}", trace.drawing());
    let of_kind = |kind| trace.spans.iter().find(|span| span.kind == kind).expect("a span of this kind");
    let (producer, consumer) = (of_kind(SpanKind::Producer), of_kind(SpanKind::Consumer));
    assert_eq!(consumer.parent, producer.id);
    for (span, operation) in [(producer, "send"), (consumer, "process")] {
        let expected = format!("{operation} {}", span.text("messaging.destination.name"));
        assert_eq!(span.name, expected);
    }
    assert_eq!(consumer.text("messaging.system"), producer.text("messaging.system"));
    let of_this_system: &[&str] = match row.name {
        "redis" => &["messaging.consumer.group.name"],
        "rabbitmq" => {
            &["messaging.rabbitmq.destination.routing_key", "messaging.rabbitmq.message.delivery_tag"]
        }
        "sqs" => &["aws.sqs.queue.url"],
        "kafka" => {
            &["messaging.consumer.group.name", "messaging.destination.partition.id", "messaging.kafka.offset"]
        }
        _ => &[],
    };
    for attribute in of_this_system {
        assert_ne!(consumer.text(attribute), "", "{attribute}");
    }
}

pub fn what_arrives_of_a_lab_on_it_is_verified_in_child_and_link_mode(row: &'static Row) {
    for mode in ["child", "link"] {
        let mode = [("QUEUE_TRACE_MODE", mode)];
        let lab = start(&row.broker().settings(&fresh_queue()), &mode);
        let mut command = bin();
        command.args([
            "verify",
            "--port-base",
            &lab.base.to_string(),
            "--orders",
            "10",
            "--metrics",
            "roles",
        ]);
        Verified::run(command.envs(mode)).assert_green();
    }
}

fn queue_command(broker: &dyn Broker, settings: &Settings, words: &[&str]) -> (bool, String, String) {
    let mut command = bin();
    command.arg("queue").args(words).arg("--data-dir").arg(broker.data_dir());
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    // Another test's lab may be on the default ports; nobody is on this one.
    command.env("PORT_BASE", crate::helpers::free_port_base().to_string());
    let done = command.output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (done.status.success(), text(done.stdout), text(done.stderr))
}

pub fn the_queue_command_counts_lists_shows_and_replays(row: &'static Row) {
    let broker = row.broker();
    let settings = broker.settings(&fresh_queue());
    block_on(async {
        let queue = open(row, broker, &settings).await;
        queue.publish(&[message("m-1", "7"), message("m-2", "8")]).await.expect("published");
        for delivery in super::cases::receive(&*queue, 2).await {
            queue.dead_letter(&delivery, "cannot be read").await.expect("kept");
        }
        queue.close().await;
    });
    let run = |words: &[&str]| {
        let (ok, out, err) = queue_command(broker, &settings, words);
        assert!(ok, "{words:?}: {err}");
        out
    };
    let json = |words: &[&str]| serde_json::from_str::<Value>(&run(words)).expect("JSON");
    let depth = json(&["depth", "--json"]);
    assert_eq!((&depth["dead"], &depth["transport"]), (&Value::from(2), &Value::from(row.name)));
    assert!(run(&["depth"]).contains("IN FLIGHT"));
    let list = json(&["dead", "list", "--json"]);
    assert_eq!(list["count"], 2);
    assert!(run(&["dead", "list"]).contains("cannot be read"));
    let shown = json(&["dead", "show", "m-2", "--json"]);
    assert_eq!((shown["key"].as_str(), shown["body"]["id"].as_str()), (Some("8"), Some("m-2")));
    assert!(shown["headers"]["traceparent"].is_string());
    assert!(run(&["dead", "show", "m-1"]).contains("traceparent: 00-"));
    assert_eq!(json(&["dead", "replay", "--id", "m-1", "--json"])["replayed"], 1);
    assert_eq!(run(&["dead", "replay", "--all"]), "1 sent back to the queue\n");
    let (ok, _, said) = queue_command(broker, &settings, &["dead", "show", "m-1"]);
    assert!(!ok && said.contains("no dead letter"), "{said}");
    eventually("both wait again", || (json(&["depth", "--json"])["waiting"] == 2).then_some(()));
}
