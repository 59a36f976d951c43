//! What is Redis's own and not every transport's: its other shapes, and what goes wrong inside it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use o11y_lab::queue::{self, DeadLetter, Delivery, Depth, Queue, QueueError};
use o11y_lab::schema::Role;
use serde_json::json;

use crate::conformance::cases::{message, receive};
use crate::conformance::row::{Row, config};
use crate::helpers::process::{Process, clean};
use crate::helpers::{DEADLINE, block_on, eventually, free_port_base, get, single};

const STREAM: &str = "o11y-lab:{q}";

/// A server with these words on its command line. Nothing is kept on disk but what a kind of server
/// writes by itself.
struct Server {
    process: Process,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(words: impl Fn(u16) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port_base();
        let mut command = clean(Command::new("redis-server"));
        command.current_dir(folder.path()).args(words(port));
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        let server = Self { process: Process::spawn(command), port, _folder: folder };
        eventually("Redis answers", || server.try_ask("PING"));
        server
    }

    fn plain() -> Self {
        Self::start(|_| vec![])
    }

    /// The start of what it answers.
    fn try_ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    fn ask(&self, command: &str) -> String {
        let answer = self.try_ask(command).unwrap();
        assert!(!answer.starts_with('-'), "{command}: {answer}");
        answer
    }

    async fn open(&self) -> Arc<dyn Queue> {
        open(&format!("redis://127.0.0.1:{}", self.port)).await
    }
}

async fn open(url: &str) -> Arc<dyn Queue> {
    open_with(url, &[]).await
}

async fn open_with(url: &str, more: &[(&'static str, &str)]) -> Arc<dyn Queue> {
    let settings = [("QUEUE_TRANSPORT", "redis"), ("QUEUE_NAME", "q"), ("REDIS_URL", url)];
    let settings = settings.iter().chain(more).map(|(n, v)| (*n, (*v).to_owned()));
    // Long: what is redelivered before its end was requeued.
    let config = config(&Row { visibility_ms: 600_000, ..Row::DEFAULT }, &settings.collect());
    queue::open(&config, Path::new("/nonexistent")).await.unwrap()
}

async fn one(queue: &dyn Queue) -> Delivery {
    receive(queue, 1).await.remove(0)
}

/// A message's whole way: received, retried after a while, dead-lettered, replayed, done.
async fn whole_way(queue: &dyn Queue) {
    queue.publish(&[message("m-1", "k"), message("m-2", "k")]).await.unwrap();
    let first = one(queue).await;
    queue.retry(&first, Duration::from_millis(50)).await.unwrap();
    let second = one(queue).await;
    queue.ack(&second).await.unwrap();
    let again = one(queue).await;
    assert_eq!((again.message.id.as_str(), again.attempt), ("m-1", 2));
    queue.dead_letter(&again, "why").await.unwrap();
    assert_eq!(queue.dead_letters(10).await.unwrap().len(), 1);
    assert_eq!(queue.replay(Some("m-1")).await.unwrap(), 1);
    let replayed = one(queue).await;
    assert_eq!(replayed.attempt, 1);
    queue.ack(&replayed).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), Depth::default());
    queue.close().await;
}

#[test]
fn a_cluster_carries_the_queue() {
    let node = Server::start(|port| {
        // A node that never met another does not know its own address.
        let own = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-port"];
        own.map(str::to_owned).into_iter().chain([(port + 1).to_string()]).collect()
    });
    node.ask("CLUSTER ADDSLOTSRANGE 0 16383");
    eventually("the cluster serves", || node.ask("CLUSTER INFO").contains("cluster_state:ok").then_some(()));
    let url = format!("redis-cluster://127.0.0.1:{}", node.port);
    block_on(async { whole_way(&*open(&url).await).await });
}

#[test]
fn a_primary_is_found_by_asking_the_sentinels() {
    let primary = Server::plain();
    let file = tempfile::NamedTempFile::new().unwrap();
    let monitor = format!("sentinel monitor main 127.0.0.1 {} 1\n", primary.port);
    std::fs::write(file.path(), monitor).unwrap();
    let sentinel = Server::start(|_| vec![file.path().to_str().unwrap().to_owned(), "--sentinel".to_owned()]);
    let url = format!("redis-sentinel://127.0.0.1:{}?sentinelServiceName=main", sentinel.port);
    block_on(async { whole_way(&*open(&url).await).await });
}

#[test]
fn a_server_that_hangs_is_an_error_within_bounds_and_used_again_afterwards() {
    let server = Server::plain();
    block_on(async {
        let queue = server.open().await;
        queue.publish(&[message("m-1", "k")]).await.unwrap();
        server.process.signal(Signal::SIGSTOP);
        let began = Instant::now();
        assert!(matches!(queue.depth().await, Err(QueueError::Unavailable(_))));
        assert!(matches!(queue.receive(1, Duration::ZERO).await, Err(QueueError::Unavailable(_))));
        assert!(began.elapsed() < DEADLINE);
        server.process.signal(Signal::SIGCONT);
        assert_eq!(one(&*queue).await.message.id, "m-1");
    });
}

#[test]
fn scripts_travel_by_name_and_a_server_that_forgot_them_is_sent_them_again() {
    let server = Server::plain();
    block_on(async {
        let queue = server.open().await;
        queue.publish(&[message("m-1", "k"), message("m-2", "k"), message("m-3", "k")]).await.unwrap();
        let mine = receive(&*queue, 2).await;
        queue.ack(&mine[0]).await.unwrap();
        server.ask("CONFIG RESETSTAT");
        queue.ack(&mine[1]).await.unwrap();
        let calls = server.ask("INFO commandstats");
        assert!(calls.contains("cmdstat_evalsha:") && !calls.contains("cmdstat_eval:"), "{calls}");
        // As a restart, or another server in its place.
        server.ask("SCRIPT FLUSH");
        assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 1, in_flight: 0, dead: 0 });
        let third = one(&*queue).await;
        server.ask("SCRIPT FLUSH");
        queue.retry(&third, Duration::from_millis(50)).await.unwrap();
        server.ask("SCRIPT FLUSH");
        let again = one(&*queue).await;
        assert_eq!((again.message.id.as_str(), again.attempt), ("m-3", 2));
        server.ask("SCRIPT FLUSH");
        queue.ack(&again).await.unwrap();
        assert_eq!(queue.depth().await.unwrap(), Depth::default());
    });
}

#[test]
fn a_stream_that_was_deleted_is_made_again() {
    let server = Server::plain();
    block_on(async {
        let queue = server.open().await;
        queue.publish(&[message("m-1", "k")]).await.unwrap();
        let lost = one(&*queue).await;
        server.ask("FLUSHALL");
        queue.ack(&lost).await.unwrap();
        queue.heartbeat(&lost).await.unwrap();
        assert_eq!(queue.depth().await.unwrap(), Depth::default());
        queue.publish(&[message("m-2", "k")]).await.unwrap();
        // Once the consumer learns that its group is gone.
        while queue.receive(1, Duration::ZERO).await.is_ok_and(|got| got.is_empty()) {}
        assert_eq!(one(&*queue).await.message.id, "m-2");
    });
}

#[test]
fn what_a_closing_consumer_still_has_is_given_back_at_once_and_the_consumer_forgotten() {
    let server = Server::plain();
    block_on(async {
        let (closing, other) = (server.open().await, server.open().await);
        other.publish(&[message("m-1", "k"), message("m-2", "k")]).await.unwrap();
        assert_eq!(receive(&*closing, 2).await.len(), 2);
        closing.close().await;
        let back = receive(&*other, 2).await;
        let seen: Vec<_> = back.iter().map(|d| (d.message.id.as_str(), d.attempt)).collect();
        assert_eq!(seen, [("m-1", 2), ("m-2", 2)]);
        assert!(server.ask(&format!("XINFO CONSUMERS {STREAM} o11y-lab")).starts_with("*1\r\n"));
    });
}

#[test]
fn an_entry_of_another_program_can_be_given_up_and_stays_as_it_was() {
    let server = Server::plain();
    block_on(async {
        let queue = server.open().await;
        server.ask(&format!("XADD {STREAM} 5-1 colour red"));
        let odd = one(&*queue).await;
        assert_eq!((odd.message.id.as_str(), odd.message.headers["colour"].as_str()), ("5-1", "red"));
        queue.dead_letter(&odd, "no JSON").await.unwrap();
        let dead = queue.dead_letters(1).await.unwrap();
        assert_eq!((dead[0].message.headers["colour"].as_str(), dead[0].reason.as_str()), ("red", "no JSON"));
    });
}

#[test]
fn thousands_of_dead_letters_are_listed_and_replayed_page_by_page() {
    let server = Server::plain();
    block_on(async {
        let queue = server.open().await;
        let all: Vec<_> = (0..250).map(|n| message(&format!("m-{n}"), "k")).collect();
        queue.publish(&all).await.unwrap();
        for delivery in receive(&*queue, all.len()).await {
            queue.dead_letter(&delivery, "why").await.unwrap();
        }
        let ids = |letters: Vec<DeadLetter>| -> Vec<_> {
            letters.into_iter().map(|letter| letter.message.id).collect()
        };
        let expected: Vec<_> = all.iter().map(|message| message.id.clone()).collect();
        assert_eq!(ids(queue.dead_letters(usize::MAX).await.unwrap()), expected);
        assert_eq!(ids(queue.dead_letters(201).await.unwrap()), expected[..201]);
        assert_eq!(queue.replay(Some("m-249")).await.unwrap(), 1);
        assert_eq!(queue.replay(None).await.unwrap(), 249);
        assert_eq!(queue.depth().await.unwrap(), Depth { waiting: 250, in_flight: 0, dead: 0 });
    });
}

#[test]
fn dead_letters_that_are_too_many_are_forgotten_oldest_first_in_whole_nodes_of_the_stream() {
    // A node has a hundred entries, as Redis is set.
    const NODE: usize = 100;
    let server = Server::plain();
    let url = format!("redis://127.0.0.1:{}", server.port);
    let kept = |rows: &str| {
        server.ask("FLUSHALL");
        block_on(async {
            let queue = open_with(&url, &[("DEAD_LETTER_ROWS", rows)]).await;
            let all: Vec<_> = (0..350).map(|n| message(&format!("m-{n:03}"), "k")).collect();
            queue.publish(&all).await.unwrap();
            for delivery in receive(&*queue, all.len()).await {
                queue.dead_letter(&delivery, "why").await.unwrap();
            }
            let letters = queue.dead_letters(usize::MAX).await.unwrap();
            let ids: Vec<_> = letters.into_iter().map(|letter| letter.message.id).collect();
            assert_eq!(ids, all[350 - ids.len()..].iter().map(|m| m.id.clone()).collect::<Vec<_>>());
            queue.close().await;
            ids.len()
        })
    };
    assert_eq!(kept("1000"), 350);
    assert!((50..=50 + NODE).contains(&kept("50")));
}

#[test]
fn a_retry_from_before_the_clock_of_the_server_was_set_back_comes_all_the_same() {
    let server = Server::plain();
    block_on(async {
        let queue = server.open().await;
        queue.publish(&[message("m-1", "k")]).await.unwrap();
        queue.retry(&one(&*queue).await, Duration::from_secs(50)).await.unwrap();
        let waits = server.ask("ZRANGE o11y-lab:{q}:due 0 0");
        let entry = waits.lines().last().unwrap();
        server.ask(&format!("ZINCRBY o11y-lab:{{q}}:due 86400000 {entry}"));
        let again = one(&*queue).await;
        assert_eq!((again.message.id.as_str(), again.attempt), ("m-1", 2));
    });
}

/// The rule of docs/queue.md, as Redis is told it.
fn documented_rule() -> &'static str {
    let document = include_str!("../../docs/queue.md");
    document.lines().find(|line| line.starts_with("ACL SETUSER ")).expect("a rule in docs/queue.md")
}

#[test]
fn a_user_with_the_documented_rules_can_do_all_and_one_that_lacks_a_command_is_told_which() {
    let server = Server::plain();
    server.ask(documented_rule());
    let user = documented_rule().split(' ').nth(2).unwrap();
    let url = format!("redis://{user}:PASSWORD@127.0.0.1:{}", server.port);
    block_on(async {
        whole_way(&*open(&url).await).await;
        assert!(open(&url).await.risk().await.unwrap().is_some(), "INFO may be asked");
        for (command, said) in [("xadd", "XADD"), ("evalsha", "EVALSHA"), ("xreadgroup", "XREADGROUP")] {
            server.ask(&format!("ACL SETUSER {user} -{command}"));
            let queue = open(&url).await;
            let refused = match command {
                "xadd" => queue.publish(&[message("m-1", "k")]).await.unwrap_err(),
                _ => queue.receive(1, Duration::ZERO).await.unwrap_err(),
            };
            let expected =
                format!("the queue is unavailable: the broker does not let this user run {said} (NOPERM)");
            assert_eq!(refused.to_string(), expected);
            server.ask(&format!("ACL SETUSER {user} +{command}"));
        }
        server.ask(&format!("ACL SETUSER {user} resetkeys ~other:*"));
        let refused = open(&url).await.publish(&[message("m-1", "k")]).await.unwrap_err().to_string();
        assert!(refused.ends_with("does not let this user have the keys o11y-lab:* (NOPERM)"), "{refused}");
    });
}

#[test]
fn a_consumer_that_may_not_see_what_is_in_flight_is_told_so_and_does_not_take_its_message_for_lost() {
    let server = Server::plain();
    server.ask(documented_rule());
    let user = documented_rule().split(' ').nth(2).unwrap();
    block_on(async {
        let queue = open(&format!("redis://{user}:PASSWORD@127.0.0.1:{}", server.port)).await;
        queue.publish(&[message("m-1", "k")]).await.unwrap();
        let delivery = one(&*queue).await;
        server.ask(&format!("ACL SETUSER {user} -xpending"));
        let refused = queue.ack(&delivery).await.unwrap_err().to_string();
        // Redis 7.0 does not say which one.
        let said = ["run XPENDING (NOPERM)", "run a command of a script (NOPERM)"];
        assert!(said.iter().any(|said| refused.ends_with(said)), "{refused}");
    });
}

#[test]
fn a_server_that_refuses_says_what_its_answer_means_and_what_to_do() {
    let server = Server::plain();
    let refused = |login: &str| {
        let url = format!("redis://{login}127.0.0.1:{}", server.port);
        block_on(async { open(&url).await.publish(&[message("m-1", "k")]).await }).unwrap_err().to_string()
    };
    let says = |login: &str, does: &str, code: &str| {
        let said = refused(login);
        assert!(said.contains(does) && said.ends_with(&format!("it answered with {code}")), "{said}");
        assert!(!said.contains("127.0.0.1") && !said.contains("hunter2"), "{said}");
    };
    server.ask("CONFIG SET maxmemory 1");
    says("", "raise its maxmemory", "OOM");
    server.ask("CONFIG SET maxmemory 0");
    server.ask("REPLICAOF 127.0.0.1 1");
    says("", "let REDIS_URL name the primary", "READONLY");
    server.ask("REPLICAOF NO ONE");
    server.ask("CONFIG SET requirepass hunter2");
    says("", "redis://:PASSWORD@HOST", "NOAUTH");
    says(":hunter3@", "wrong password", "WRONGPASS");
    block_on(async {
        open(&format!("redis://:hunter2@127.0.0.1:{}", server.port))
            .await
            .publish(&[message("m-1", "k")])
            .await
    })
    .unwrap();
}

#[test]
fn a_configuration_that_can_lose_what_waits_is_said_on_ready_and_in_the_log_until_it_is_mended() {
    let server = Server::plain();
    let url = format!("redis://127.0.0.1:{}", server.port);
    let env = [("QUEUE_TRANSPORT", "redis"), ("REDIS_URL", url.as_str())];
    let (process, role, _temp) = single(Role::Order, &env);
    let durability = || {
        let ready = get(&format!("{role}/ready")).json;
        let checks = ready["checks"].as_array()?;
        checks.iter().find(|check| check["name"] == "queue durability").cloned()
    };
    let check = eventually("it says so", durability);
    assert_eq!((&check["ok"], &check["required"]), (&json!(false), &json!(false)), "{check}");
    assert!(check["reason"].as_str().unwrap().contains("appendonly yes"), "{check}");
    eventually("the log says so", || process.stdout().contains("appendonly yes").then_some(()));
    server.ask("CONFIG SET appendonly yes");
    eventually("it is mended", || durability().filter(|check| check["ok"] == true));
}
