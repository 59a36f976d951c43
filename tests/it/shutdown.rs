//! Stopping, waiting and being without others.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::{Role, SERVICES};
use serde_json::json;

use crate::helpers::process::signal_pid;
use crate::helpers::{Lab, Process, bin, eventually, free_port, get, http, post, single};

#[test]
fn each_role_runs_by_itself_and_stops_cleanly() {
    for service in &SERVICES {
        let (mut process, url, _temp) = single(service.role, &[]);
        let ready = get(&format!("{url}/ready"));
        assert_eq!(ready.status, 200, "{ready:?}");
        assert!(process.stop().success(), "{}", service.name);
    }
}

#[test]
fn the_role_may_come_from_the_environment() {
    let port = free_port();
    let mut command = bin();
    command.env("O11Y_LAB_ROLE", "lambda").env("PORT", port.to_string());
    let _process = Process::spawn(command);
    let health = eventually("the role listens", || {
        http::try_send("GET", &format!("http://127.0.0.1:{port}/health"), &[], None)
    });
    assert_eq!(health.json["service"], "order-validator");
}

#[test]
fn a_gateway_alone_says_on_ready_what_it_misses() {
    let (_process, url, _temp) = single(Role::Gateway, &[("USER_SERVICE_URL", "http://127.0.0.1:9")]);
    let ready = get(&format!("{url}/ready"));
    let checks = ready.json["checks"].as_array().unwrap();
    let user = checks.iter().find(|check| check["name"] == "user-service").unwrap();
    assert_eq!((&user["ok"], &user["required"]), (&json!(false), &json!(false)), "{ready:?}");
    assert!(user["reason"].is_string() && !ready.text.contains("127.0.0.1"), "{ready:?}");
}

#[test]
fn bad_configuration_is_one_clear_message_and_exit_code_2() {
    /// Arguments, environment, what the message must name.
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case] = &[
        (&["order", "--port", "abc"], &[], &["--port", "PORT", "abc"]),
        (&["order"], &[("PORT", "70000")], &["--port", "PORT", "70000"]),
        (
            &["order"],
            &[("QUEUE_TRANSPORT", "carrier-pigeon")],
            &["--queue-transport", "QUEUE_TRANSPORT", "carrier-pigeon"],
        ),
        (
            &["order"],
            &[("USER_SERVICE_URL", "nonsense")],
            &["--user-service-url", "USER_SERVICE_URL", "nonsense"],
        ),
        (&["order"], &[("LOG_LEVEL", "a=b=c")], &["--log-level", "LOG_LEVEL", "a=b=c"]),
        (&[], &[("O11Y_LAB_ROLE", "cook")], &["O11Y_LAB_ROLE", "cook"]),
        (&["order"], &[("QUEUE_TRANSPORT", "redis")], &["--redis-url", "REDIS_URL", "QUEUE_TRANSPORT"]),
        (&["notify"], &[("QUEUE_TRANSPORT", "rabbitmq"), ("AMQP_URL", "")], &["--amqp-url", "AMQP_URL"]),
        (&["queue", "depth", "--queue-transport", "sqs"], &[], &["--sqs-queue-url", "SQS_QUEUE_URL"]),
        (&["queue", "dead", "list", "--port-base", "80"], &[], &["--port-base", "PORT_BASE", "80"]),
        #[cfg(feature = "kafka")]
        (&["order"], &[("QUEUE_TRANSPORT", "kafka")], &["--kafka-brokers", "KAFKA_BROKERS"]),
        #[cfg(not(feature = "kafka"))]
        (
            &["order"],
            &[("QUEUE_TRANSPORT", "kafka"), ("KAFKA_BROKERS", "h:1")],
            &["QUEUE_TRANSPORT", "cargo build --release --features kafka"],
        ),
        (&["up", "--port-base", "80"], &[], &["--port-base", "PORT_BASE", "80"]),
    ];
    for (args, env, expected) in cases {
        let mut command = bin();
        command.args(*args).envs(env.iter().copied());
        let mut process = Process::spawn(command);
        let status = process.wait();
        let said = eventually("a message", || Some(process.stderr()).filter(|said| !said.is_empty()));
        assert_eq!(status.code(), Some(2), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        for part in *expected {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}

#[test]
fn a_secret_in_a_bad_setting_is_not_shown() {
    for (role, variable, value) in [
        ("user", "DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("order", "REDIS_URL", "reddis://u:hunter2@h"),
        ("notify", "AMQP_URL", "amqp:/u:hunter2@h"),
    ] {
        let mut command = bin();
        command.arg(role).env(variable, value);
        let mut process = Process::spawn(command);
        assert_eq!(process.wait().code(), Some(2));
        let said = eventually("a message", || Some(process.stderr()).filter(|said| !said.is_empty()));
        assert!(said.contains(variable) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn the_queues_settings_do_not_bother_roles_that_have_no_queue() {
    single(Role::User, &[("QUEUE_TRANSPORT", "redis")]);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    single(Role::Order, &[("DATABASE_URL", ""), ("QUEUE_CONCURRENCY", ""), ("OTEL_SDK_DISABLED", "")]);
}

#[test]
fn trap_20_a_hung_service_costs_a_bounded_time_and_is_said() {
    let lab = Lab::start();
    let user = lab.user();
    signal_pid(lab.pid(Role::User), Signal::SIGSTOP);
    let read = get(&lab.api(&format!("/api/users/{user}")));
    let order = post(&lab.api("/api/orders"), &json!({"userId": user, "items": ["a"], "total": 1}));
    signal_pid(lab.pid(Role::User), Signal::SIGCONT);
    assert_eq!((read.status, order.status), (504, 504), "{read:?} {order:?}");
    eventually("it recovers by itself", || {
        (get(&lab.api(&format!("/api/users/{user}"))).status == 200).then_some(())
    });
}

#[test]
fn a_service_that_cannot_be_reached_is_503_and_an_order_is_read_without_its_user() {
    let (_process, url, _temp) = single(Role::Gateway, &[("USER_SERVICE_URL", "http://127.0.0.1:9")]);
    let answer = get(&format!("{url}/api/users/1"));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(!answer.text.contains("127.0.0.1"), "{answer:?}");
    let lab = Lab::start();
    let order = lab.order(lab.user()).id();
    signal_pid(lab.pid(Role::User), Signal::SIGSTOP);
    let read = get(&lab.api(&format!("/api/orders/{order}")));
    signal_pid(lab.pid(Role::User), Signal::SIGCONT);
    assert_eq!((read.status, &read.json["user"]), (200, &json!(null)), "{read:?}");
}

#[test]
fn trap_21_sigterm_under_load_loses_no_request_and_no_span() {
    let lab = Lab::start_with(&[("NOTIFY_DELAY_MS", "5")]);
    let user = lab.user();
    let gateway = lab.pid(Role::Gateway);
    let (answered, cut) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let lab = &lab;
                scope.spawn(move || {
                    let body = json!({"userId": user, "items": ["a"], "total": 1}).to_string();
                    let (mut answered, mut cut) = (Vec::new(), 0);
                    loop {
                        match raw_post(lab.ports().of(Role::Gateway), "/api/orders", &body) {
                            Sent::Answered(trace) => answered.push(trace),
                            Sent::Refused => return (answered, cut),
                            Sent::Cut => cut += 1,
                        }
                    }
                })
            })
            .collect();
        eventually("some orders are in", || {
            (lab.metric(Role::Order, "orders_created_total")? > 20.0).then_some(())
        });
        signal_pid(gateway, Signal::SIGTERM);
        clients.into_iter().map(|c| c.join().unwrap()).fold((Vec::new(), 0), |mut all, (answered, cut)| {
            all.0.extend(answered);
            (all.0, all.1 + cut)
        })
    });
    assert_eq!(cut, 0, "requests cut off, of {}", answered.len());
    for trace in answered.iter().rev().take(5) {
        assert_eq!(lab.trace(trace, ORDER_TRACE.len()).spans.len(), ORDER_TRACE.len());
    }
}

enum Sent {
    /// 201, with this trace.
    Answered(String),
    /// The port is closed, or the last comer was told so: nothing was begun.
    Refused,
    /// Accepted and not answered.
    Cut,
}

fn raw_post(port: u16, path: &str, body: &str) -> Sent {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return Sent::Refused };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(15)));
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut answer = String::new();
    let sent = stream
        .write_all(format!("{head}{body}").as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer));
    let trace = answer.split("traceresponse: 00-").nth(1).and_then(|rest| rest.get(..32));
    if answer.starts_with("HTTP/1.1 503") && answer.contains("shutting down") {
        return Sent::Refused;
    }
    match (sent, answer.starts_with("HTTP/1.1 201"), trace) {
        (Ok(_), true, Some(trace)) => Sent::Answered(trace.to_owned()),
        _ => Sent::Cut,
    }
}

#[test]
fn while_it_drains_a_service_says_so_on_ready_and_finishes_what_is_in_hand() {
    let (mut process, url, _temp) = single(Role::User, &[]);
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    // A request that is under way for as long as its body does not end.
    let mut slow = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let body = json!({"name": "slow", "email": "slow@example.com"}).to_string();
    let head = format!(
        "POST /users HTTP/1.1\r\nhost: lab\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    eventually("the request is in flight", || {
        let page = get(&format!("{url}/metrics")).text;
        (crate::helpers::metric(&page, crate::helpers::ACTIVE_USER_POSTS)? >= 1.0).then_some(())
    });
    process.signal(Signal::SIGTERM);
    let draining = eventually("ready turns 503", || {
        http::try_send("GET", &format!("{url}/ready"), &[], None).filter(|answer| answer.status == 503)
    });
    // The route's own answer, or on a slow machine already that of the closed port.
    let said = [&draining.json["status"], &draining.json["detail"]];
    assert!(said.contains(&&json!("draining")) || said.contains(&&json!("shutting down")), "{draining:?}");
    slow.write_all(body.as_bytes()).unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 201");
    drop(slow);
    assert!(process.wait().success());
}

#[test]
fn a_second_signal_exits_at_once() {
    let (mut process, url, _temp) = single(Role::User, &[("SHUTDOWN_GRACE", "60")]);
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let mut hung = TcpStream::connect(("127.0.0.1", port)).unwrap();
    hung.write_all(
        b"POST /users HTTP/1.1\r\nhost: lab\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n",
    )
    .unwrap();
    eventually("the request is in flight", || {
        let page = get(&format!("{url}/metrics")).text;
        (crate::helpers::metric(&page, crate::helpers::ACTIVE_USER_POSTS)? >= 1.0).then_some(())
    });
    process.signal(Signal::SIGTERM);
    eventually("it drains", || {
        http::try_send("GET", &format!("{url}/ready"), &[], None).filter(|answer| answer.status == 503)
    });
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(143));
}

#[test]
fn trap_5_a_collector_that_is_absent_is_reported_once_and_costs_requests_nothing() {
    let (mut process, url, _temp) = single(Role::User, &[("OTEL_BSP_SCHEDULE_DELAY", "100")]);
    for _ in 0..50 {
        assert_eq!(get(&format!("{url}/users")).status, 200);
    }
    let failures =
        || crate::helpers::metric(&get(&format!("{url}/metrics")).text, "telemetry_export_failures_total");
    // All fifty may have left in one batch: another failure needs another span.
    eventually("failures are counted", || {
        assert_eq!(get(&format!("{url}/users")).status, 200);
        (failures()? >= 2.0).then_some(())
    });
    let complaints =
        |process: &Process| process.stdout().lines().filter(|line| line.contains("export")).count();
    assert_eq!(complaints(&process), 1, "{}", process.stdout());
    assert!(process.stop().success());
}

#[test]
fn a_collector_that_hangs_or_answers_errors_costs_requests_nothing_and_the_exit_a_bounded_time() {
    for answer in [None, Some("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut stream in listener.incoming().flatten() {
                if let Some(answer) = answer {
                    let _ = stream.read(&mut [0; 65_536]);
                    let _ = stream.write_all(answer.as_bytes());
                }
                held.push(stream);
            }
        });
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "20"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
        ];
        let (mut process, url, _temp) = single(Role::User, &env);
        for _ in 0..200 {
            assert_eq!(get(&format!("{url}/users")).status, 200);
        }
        let page = get(&format!("{url}/metrics")).text;
        let value = |name| crate::helpers::metric(&page, name).unwrap();
        assert!(value("telemetry_spans_dropped_total") > 0.0 || answer.is_some(), "{page}");
        let started = Instant::now();
        assert!(process.stop().success());
        // Not a speed: the deadline of the last flush is 3 s, the OTLP timeout that it cuts is 10 s.
        assert!(started.elapsed() < Duration::from_secs(9));
    }
}

#[test]
fn the_lambda_answers_in_time_while_the_collector_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (_process, url, _temp) = single(Role::Lambda, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    for _ in 0..3 {
        let event = json!({"body": "{\"userId\":1,\"items\":[\"a\"],\"total\":1}"});
        let answer = post(&format!("{url}/2015-03-31/functions/order-validator/invocations"), &event);
        assert_eq!((answer.status, &answer.json["statusCode"]), (200, &json!(200)), "{answer:?}");
    }
}

#[test]
fn the_invoke_api_answers_as_lambda_does() {
    let (_process, url, _temp) = single(Role::Lambda, &[]);
    let invoke = |name: &str, headers: &[(&str, &str)], body: &str| {
        http::send(
            "POST",
            &format!("{url}/2015-03-31/functions/{name}/invocations"),
            headers,
            Some(body.as_bytes()),
        )
    };
    for name in [
        "order-validator",
        "order-validator:live",
        "arn:aws:lambda:us-east-1:123456789012:function:order-validator",
    ] {
        let answer = invoke(name, &[], "{}");
        assert_eq!((answer.status, &answer.json["statusCode"]), (200, &json!(400)), "{name}: {answer:?}");
        assert!(!answer.header("x-amzn-requestid").is_empty());
    }
    assert_eq!(invoke("other", &[], "{}").status, 404);
    assert_eq!(invoke("order-validator", &[], "{").status, 400);
    assert_eq!(invoke("order-validator", &[("x-amz-invocation-type", "DryRun")], "{}").status, 204);
    assert_eq!(invoke("order-validator", &[("x-amz-invocation-type", "Event")], "{}").status, 202);
    assert_eq!(invoke("order-validator", &[("x-amz-invocation-type", "Sideways")], "{}").status, 400);
}
