//! What the worst allowed requests take, within the memory that compose gives each role.
//!
//! In a real memory cgroup where this machine lets the tests make one (it takes root). Elsewhere the limit
//! is held against the kernel's high-water mark of the process, which says the same of a process that may
//! have more.

use std::net::TcpStream;

use o11y_lab::schema::Role;
use serde_json::json;

use crate::helpers::cgroup::MemoryGroup;
use crate::helpers::raw::Raw;
use crate::helpers::{Process, bin, eventually, free_port, get, http, post};

/// A role within compose's limit.
struct Limited {
    role: Role,
    process: Process,
    url: String,
    group: Option<MemoryGroup>,
    limit: u64,
    _temp: tempfile::TempDir,
}

impl Limited {
    fn start(role: Role, env: &[(&str, &str)]) -> Self {
        let limit = compose_limit(role.as_str());
        let (temp, port) = (tempfile::tempdir().unwrap(), free_port());
        let group = MemoryGroup::new(role.as_str(), limit);
        let mut command = group.as_ref().map_or_else(bin, MemoryGroup::bin);
        command.arg(role.as_str()).env("PORT", port.to_string()).env("DATA_DIR", temp.path());
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").envs(env.iter().copied());
        let (process, url) = (Process::spawn(command), format!("http://127.0.0.1:{port}"));
        eventually(&format!("{role} listens; it said {}", process.stderr()), || {
            http::try_send("GET", &format!("{url}/health"), &[], None)
        });
        Self { role, process, url, group, limit, _temp: temp }
    }

    /// It lives, answers, and was never over its limit.
    #[track_caller]
    fn assert_within(&mut self, after: &str) {
        let ended = self.process.try_wait();
        assert!(ended.is_none(), "{} {ended:?} after {after}: {}", self.role, self.process.stderr());
        let most = match &self.group {
            Some(group) => {
                assert_eq!(group.kills(), 0, "{} after {after}", self.role);
                group.most()
            }
            None => high_water(self.process.pid()),
        };
        eprintln!("{}: {} KiB of {} after {after}", self.role, most / 1024, self.limit / 1024);
        assert!(most <= self.limit, "{} took {most} bytes after {after}", self.role);
        assert_eq!(get(&format!("{}/health", self.url)).status, 200);
    }
}

/// `mem_limit` of the lab's containers in compose.yaml.
fn compose_limit(service: &str) -> u64 {
    let text = std::fs::read_to_string("compose.yaml").unwrap();
    let compose: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    // Its own, or the one that all containers of the program share.
    let own = &compose["services"][service]["mem_limit"];
    let limit = own.as_str().or(compose["x-lab"]["mem_limit"].as_str()).expect("a limit");
    limit.strip_suffix('m').unwrap().parse::<u64>().unwrap() * 1024 * 1024
}

fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Sends a request from each of so many clients at once, and reads the answers, whatever they are.
fn at_once(clients: usize, method: &str, url: &str, body: Option<&[u8]>) -> Vec<u16> {
    let json = [("content-type", "application/json")];
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| http::try_send(method, url, &json, body).map_or(0, |answer| answer.status))
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// As many clients that ask for pages and read none of them.
fn readers_that_do_not_read(clients: usize, url: &str, path: &str) -> Vec<Raw> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: lab\r\n\r\n").repeat(16);
    (0..clients).map(|_| Raw::sending(url, &request)).collect()
}

/// A body of the largest size that takes the most memory when it is parsed.
fn many_values(bytes: usize) -> Vec<u8> {
    let mut body = b"[0".to_vec();
    while body.len() + 3 <= bytes {
        body.extend_from_slice(b",0");
    }
    body.push(b']');
    body
}

#[test]
fn the_worst_allowed_requests_stay_within_the_memory_that_compose_gives() {
    let mut user = Limited::start(Role::User, &[]);
    let mut order = Limited::start(Role::Order, &[("USER_SERVICE_URL", &user.url)]);
    let mut lambda = Limited::start(Role::Lambda, &[]);
    let urls = [("USER_SERVICE_URL", user.url.as_str()), ("ORDER_SERVICE_URL", order.url.as_str())];
    let local = [("AWS_ENDPOINT_URL_LAMBDA", lambda.url.as_str()), urls[0], urls[1]];
    let mut gateway = Limited::start(Role::Gateway, &local);
    let mut notify = Limited::start(Role::Notify, &[]);

    let api = gateway.url.clone();
    let id = post(&format!("{api}/api/users"), &json!({"name": "Ada", "email": "ada@example.com"})).id();
    let order_body = json!({"userId": id, "items": vec!["x".repeat(1_000); 64], "total": 1}).to_string();
    for _ in 0..10 {
        let statuses = at_once(10, "POST", &format!("{api}/api/orders"), Some(order_body.as_bytes()));
        assert!(statuses.iter().all(|status| [201, 503].contains(status)), "{statuses:?}");
    }
    for limited in [&mut gateway, &mut order, &mut lambda] {
        limited.assert_within("a hundred large orders");
    }

    for path in ["/api/orders?limit=500", "/orders?limit=500"] {
        let url = if path.starts_with("/api") { &gateway.url } else { &order.url };
        let held = readers_that_do_not_read(60, url, path);
        let statuses = at_once(20, "GET", &format!("{url}{path}"), None);
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
        drop(held);
    }
    for limited in [&mut gateway, &mut order] {
        limited.assert_within("sixty readers that do not read");
    }

    let values = many_values(64 * 1024);
    for (url, path) in [
        (&gateway.url, "/api/orders"),
        (&gateway.url, "/api/users"),
        (&order.url, "/orders"),
        (&user.url, "/users"),
    ] {
        let statuses = at_once(60, "POST", &format!("{url}{path}"), Some(&values));
        // 504: on a machine that is busy the service behind may take too long.
        assert!(statuses.iter().all(|status| [400, 503, 504].contains(status)), "{path} {statuses:?}");
    }
    for limited in [&mut gateway, &mut order, &mut user, &mut lambda] {
        limited.assert_within("sixty bodies of many values at once");
    }

    let invoke = format!("{}/2015-03-31/functions/order-validator/invocations", lambda.url);
    let statuses = at_once(8, "POST", &invoke, Some(&many_values(512 * 1024)));
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    lambda.assert_within("eight of the largest events at once");

    let webhooks = format!("{}/alerts", notify.url);
    let statuses = at_once(8, "POST", &webhooks, Some(&many_values(1024 * 1024)));
    assert!(statuses.iter().all(|status| [400, 503].contains(status)), "{statuses:?}");
    notify.assert_within("eight of the largest webhooks at once");

    for limited in [&mut gateway, &mut order, &mut user, &mut notify, &mut lambda] {
        let address = limited.url.trim_start_matches("http://").to_owned();
        let files = || std::fs::read_dir(format!("/proc/{}/fd", limited.process.pid())).unwrap().count();
        // Two workers take 256 each; the others wait in the kernel, where connecting takes so long that the
        // first are closed as idle meanwhile: hence it is counted beside.
        let idle = std::thread::scope(|scope| {
            let connect = || (0..600).filter_map(|_| TcpStream::connect(&address).ok()).collect::<Vec<_>>();
            let connecting = scope.spawn(connect);
            eventually("as many are open as are taken", || (files() > 512).then_some(()));
            connecting.join().unwrap()
        });
        drop(idle);
        limited.assert_within("six hundred connections");
    }
}
