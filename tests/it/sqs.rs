//! What only Amazon SQS has: a chain of credentials, endpoints, a redrive policy.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use o11y_lab::lab::expect::ORDER_TRACE;
use o11y_lab::schema::Role;
use serde_json::{Value, json};

use crate::conformance::cases::{message, receive};
use crate::conformance::{sqs, with_pair};
use crate::helpers::brokers::{Broker, Settings, SqsServer, fresh_queue};
use crate::helpers::tools::tool;
use crate::helpers::{Lab, Process, bin, eventually, free_port_base, http};

fn depth(settings: &Settings, more: &[(&str, &str)]) -> Result<String, String> {
    let mut command = bin();
    command.args(["queue", "depth", "--json"]).env("PORT_BASE", free_port_base().to_string());
    command.envs(settings.iter().map(|(name, value)| (name, value))).envs(more.iter().copied());
    // Where nobody is: otherwise the machine that runs this may have credentials.
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
    let mut process = Process::spawn(command);
    match process.wait().success() {
        true => Ok(eventually("the output", || Some(process.stdout()).filter(|text| text.ends_with("}\n")))),
        false => Err(eventually("the reason", || Some(process.stderr()).filter(|text| text.ends_with('\n')))),
    }
}

/// The settings of a queue with the URL that it would have on AWS, and where it really is.
fn as_on_aws(server: &dyn Broker) -> (Settings, String) {
    let mut settings = server.settings(&fresh_queue());
    let (_, url) = settings.iter_mut().find(|(name, _)| *name == "SQS_QUEUE_URL").expect("a URL");
    let (origin, path) = url.split_at(url.match_indices('/').nth(2).expect("a path").0);
    let origin = origin.to_owned();
    *url = format!("https://sqs.us-east-1.amazonaws.com{path}");
    (settings, origin)
}

#[test]
fn the_environment_of_a_task_definition_takes_an_order_to_its_notification_in_one_trace() {
    let server = SqsServer::boxed();
    let (settings, origin) = as_on_aws(&*server);
    let mut env: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    env.extend([("AWS_ENDPOINT_URL", origin.as_str()), ("AWS_REGION", "us-east-1")]);
    env.extend([("AWS_ACCESS_KEY_ID", "task"), ("AWS_SECRET_ACCESS_KEY", "task")]);
    let lab = Lab::start_with(&env);
    let order = lab.order(lab.user());
    let trace = lab.trace(&order.trace_id(), ORDER_TRACE.len());
    assert_eq!((trace.spans.len(), trace.roots().len()), (ORDER_TRACE.len(), 1), "{}", trace.drawing());
    let sent = lab.url(Role::Notify, &format!("/notifications?orderId={}", order.id()));
    assert_eq!(http::get(&sent).json["count"], 1, "{:?}", http::get(&sent));
}

#[test]
fn over_tls_a_queue_needs_its_authority_and_credentials_of_the_standard_chain() {
    let server = SqsServer::over_tls();
    let settings = server.settings(&fresh_queue());
    let credentials = [("AWS_ACCESS_KEY_ID", "hunter1"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
    let counted = depth(&settings, &credentials).expect("a queue that answers");
    assert!(counted.contains("\"waiting\": 0"), "{counted}");
    let strangers: Settings = settings.iter().filter(|(name, _)| *name != "QUEUE_CA_FILE").cloned().collect();
    for said in [depth(&strangers, &credentials), depth(&settings, &[])] {
        let said = said.expect_err("no authority, or no credentials");
        assert!(said.contains("the queue is unavailable"), "{said}");
        assert!(!said.contains("localhost") && !said.contains("hunter"), "{said}");
    }
}

#[test]
fn the_endpoint_of_the_standard_variables_is_used_and_plain_http_gets_no_credentials() {
    let server = SqsServer::boxed();
    let (settings, origin) = as_on_aws(&*server);
    for variable in ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"] {
        // No credentials anywhere: the made-up ones of a stand-in do.
        assert!(depth(&settings, &[(variable, &origin)]).expect("an answer").contains("\"dead\": 0"));
    }
}

#[test]
fn a_redrive_policy_that_disagrees_with_the_attempts_is_said_at_the_start() {
    let server = SqsServer::boxed();
    let settings = server.settings(&fresh_queue());
    for (attempts, expected) in [("3", true), ("5", false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = bin();
        let port = free_port_base().to_string();
        command.arg("notify").env("PORT", &port).env("DATA_DIR", folder.path());
        command.env("OTEL_SDK_DISABLED", "true").env("QUEUE_MAX_ATTEMPTS", attempts);
        command.env("LOG_FORMAT", "json").envs(settings.iter().map(|(name, value)| (name, value)));
        let mut notify = Process::spawn(command);
        let url = format!("http://127.0.0.1:{port}/ready");
        // Ready is who has counted the queue's messages, and who has seen the policy.
        eventually("the role is ready", || {
            http::try_send("GET", &url, &[], None).filter(|answer| answer.status == 200)
        });
        assert!(notify.stop().success());
        let logged = notify.stdout() + &notify.stderr();
        assert_eq!(logged.contains("maxReceiveCount"), expected, "{logged}");
    }
}

#[test]
fn a_message_that_sqs_itself_gave_up_is_listed_with_its_attempts_and_comes_back_by_replay() {
    with_pair(&sqs::ROW, async |pair| {
        let queue = &*pair.one;
        let sent = message("m-1", "k");
        queue.publish(std::slice::from_ref(&sent)).await.unwrap();
        for attempt in 1..=5 {
            let got = receive(queue, 1).await;
            assert_eq!(got[0].attempt, attempt);
            queue.retry(&got[0], Duration::ZERO).await.unwrap();
        }
        assert!(queue.receive(1, Duration::from_secs(1)).await.unwrap().is_empty());
        let dead = queue.dead_letters(10).await.unwrap();
        assert_eq!((dead.len(), dead[0].attempts), (1, 5));
        assert_eq!((&dead[0].message, dead[0].reason.as_str()), (&sent, "dead-lettered by the broker"));
        assert_eq!(queue.replay(None).await.unwrap(), 1);
        assert_eq!(receive(queue, 1).await[0].attempt, 1);
    });
}

#[test]
fn awss_client_for_python_reads_what_the_lab_sends_and_the_lab_what_it_sends() {
    with_pair(&sqs::ROW, async |pair| {
        let url = &pair.settings.iter().find(|(name, _)| *name == "SQS_QUEUE_URL").expect("a URL").1;
        let boto3 = |action: &[&str]| {
            let done =
                tool("sqs_boto3.py").args(["--queue-url", url]).args(action).output().expect("it runs");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            String::from_utf8(done.stdout).expect("text").trim().to_owned()
        };
        let queue = &*pair.one;
        let sent = message("m-1", "k");
        queue.publish(std::slice::from_ref(&sent)).await.unwrap();
        let read: Value = serde_json::from_str(&boto3(&["receive"])).unwrap();
        assert_eq!(read["body"], *String::from_utf8_lossy(&sent.body));
        for (name, value) in &sent.headers {
            assert_eq!(read["attributes"][name], *value, "{read}");
        }
        // Theirs has no id of ours: SQS's own does.
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let id = boto3(&["send", "--body", "{\"n\":1}", "--attribute", &format!("traceparent={trace}")]);
        let got = receive(queue, 1).await.remove(0);
        assert_eq!((got.message.id.as_str(), &*got.message.body), (id.as_str(), &b"{\"n\":1}"[..]));
        assert_eq!(got.message.headers["traceparent"], trace);
        // A copy of it, which a drain makes, is the same message.
        queue.requeue(&got).await.unwrap();
        let again = receive(queue, 1).await.remove(0);
        assert_eq!((&again.message, again.attempt), (&got.message, 1));
        queue.ack(&again).await.unwrap();
    });
}

/// Found while trying outages: the publisher asked for the dead letters' count before it went on.
#[test]
fn a_dead_letter_queue_that_is_gone_keeps_nothing_from_being_published_after_an_outage() {
    let server = SqsServer::in_the_open();
    let settings = server.settings(&fresh_queue());
    let env: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let lab = Lab::start_with(&env);
    let user = lab.user();
    let url = &settings.iter().find(|(name, _)| *name == "SQS_QUEUE_URL").expect("a URL").1;
    server.call("DeleteQueue", &json!({"QueueUrl": format!("{url}-dead")}));
    server.stop();
    let order = lab.order(user).id();
    eventually("the outbox holds it", || {
        (lab.metric(Role::Order, "queue_outbox_pending")? >= 1.0).then_some(())
    });
    server.start();
    assert_eq!(lab.wait_notifications(order, 1).len(), 1);
    lab.wait_role(Role::Order);
    let consumer = http::get(&lab.url(Role::Notify, "/ready"));
    assert_eq!(consumer.status, 503, "its dead letters have nowhere to go: {consumer:?}");
}

/// A proxy that leads every CONNECT to where it asks to go, and remembers the first lines.
fn proxy() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let lines = asked.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let lines = lines.clone();
            std::thread::spawn(move || lead(client, &lines));
        }
    });
    (url, asked)
}

fn lead(client: TcpStream, asked: &std::sync::Mutex<Vec<String>>) -> Option<()> {
    let mut head = BufReader::new(client.try_clone().ok()?).lines();
    let first = head.next()?.ok()?;
    asked.lock().expect("no poison").push(first.clone());
    head.find(|line| line.as_ref().is_ok_and(String::is_empty))?.ok()?;
    let server = TcpStream::connect(first.strip_prefix("CONNECT ")?.split(' ').next()?).ok()?;
    (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let there = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _ = std::io::copy(&mut &server, &mut &client);
    let _ = there.join();
    Some(())
}

#[test]
fn https_goes_through_the_proxy_of_the_environment_and_past_it_where_no_proxy_says_so() {
    let server = SqsServer::over_tls();
    let settings = server.settings(&fresh_queue());
    let (url, asked) = proxy();
    let login = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("HTTPS_PROXY", url.as_str())];
    depth(&settings, &[login.as_slice(), &[("NO_PROXY", "localhost,127.0.0.1")]].concat())
        .expect("an answer");
    assert_eq!(asked.lock().unwrap().len(), 0);
    depth(&settings, &login).expect("an answer through the proxy");
    let asked = asked.lock().unwrap().clone();
    assert!(!asked.is_empty() && asked.iter().all(|line| line.starts_with("CONNECT ")), "{asked:?}");
}
