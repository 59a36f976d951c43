//! `up` itself: what it prints, what it refuses, what it keeps alive and how it ends.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use o11y_lab::schema::{Endpoint, Ports, Role, SERVICES};
use serde_json::{Value, json};

use crate::helpers::brokers::{RedisServer, fresh_queue};
use crate::helpers::process::{child_named, children, clean, is_alive, signal_pid};
use crate::helpers::{Lab, Process, bin, eventually, free_port, free_port_base, get, http, post, single};

/// An `up` with arguments of its own, not waited for.
fn up(dir: &Path, base: u16, args: &[&str]) -> Process {
    let mut command = bin();
    command.args(["up", "--port-base", &base.to_string(), "--data-dir"]).arg(dir).args(args);
    Process::spawn(command)
}

/// Waits until the table is out, which is when everybody is ready.
fn wait_table(up: &Process) -> String {
    eventually("the table", || Some(up.stdout()).filter(|out| out.contains("Stop:  Ctrl-C")))
}

/// Waits for an end with exit status 1 and returns the one line it said.
#[track_caller]
fn refusal(mut up: Process) -> String {
    assert_eq!(up.wait().code(), Some(1), "{}", up.stderr());
    let said = eventually("a message", || Some(up.stderr()).filter(|said| said.ends_with('\n')));
    assert_eq!((said.lines().count(), up.stdout().as_str()), (1, ""), "{said}");
    said
}

fn url(base: u16, role: Role, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", Ports::from_base(base).of(role))
}

fn create_user(base: u16) -> http::Answer {
    let email = format!("{}@example.com", uuid::Uuid::now_v7());
    let created = post(&url(base, Role::User, "/users"), &json!({"name": "Ada", "email": email}));
    assert_eq!(created.status, 201, "{created:?}");
    created
}

/// A request that is under way for as long as the answer is there.
fn hang(base: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", Ports::from_base(base).of(Role::User))).unwrap();
    let head =
        "POST /users HTTP/1.1\r\nhost: lab\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    eventually("the request is in flight", || {
        let page = get(&url(base, Role::User, "/metrics")).text;
        (crate::helpers::metric(&page, crate::helpers::ACTIVE_USER_POSTS)? >= 1.0).then_some(())
    });
    stream
}

#[track_caller]
fn wait_gone(pids: &[u32]) {
    assert!(!pids.is_empty());
    eventually(&format!("{pids:?} end"), || pids.iter().all(|pid| !is_alive(*pid)).then_some(()));
}

#[test]
fn up_prints_one_table_then_next_steps_then_log_lines_with_their_service() {
    let temp = tempfile::tempdir().unwrap();
    let logs = temp.path().join("lab.log");
    std::fs::write(&logs, "{\"kept\":true}\n").unwrap();
    let base = free_port_base();
    let lab = up(&temp.path().join("data"), base, &["--logs", logs.to_str().unwrap()]);
    let out = wait_table(&lab);
    let rows: Vec<_> = out.lines().take_while(|line| !line.is_empty()).collect();
    assert!(rows[0].starts_with("SERVICE ") && rows.len() == 2 + SERVICES.len(), "{out}");
    for service in &SERVICES {
        let row = rows.iter().find(|row| row.starts_with(&format!("{} ", service.name))).expect(service.name);
        assert!(row.contains(&url(base, service.role, "")) && row.ends_with("  ready"), "{row}");
    }
    assert!(
        out.contains(&format!(
            "\nLook:  http://127.0.0.1:{}\n",
            Ports::from_base(base).at(Endpoint::Console)
        )),
        "{out}"
    );
    assert!(out.contains(&format!("\nTry:   curl {}", url(base, Role::Gateway, "/api/users"))), "{out}");

    let trace = create_user(base).trace_id();
    eventually("a prefixed line", || {
        let out = lab.stdout();
        let line = out.lines().find(|line| line.contains("User created"))?;
        assert!(
            line.starts_with("user-service ") && line.contains(" | ") && line.contains(&trace[..8]),
            "{line}"
        );
        Some(())
    });
    assert!(!lab.stdout().contains("{\"timestamp\""), "{}", lab.stdout());
    eventually("the line in the file, as it was written", || {
        let text = std::fs::read_to_string(&logs).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0], json!({"kept": true}), "the file is appended to");
        lines
            .iter()
            .any(|line| line["message"] == "User created" && line["traceId"] == trace.as_str())
            .then_some(())
    });
}

#[test]
fn a_quiet_up_prints_the_table_and_no_log_line() {
    let lab = Lab::shared();
    wait_table(&lab.up);
    let order = lab.order(lab.user());
    eventually("the order's line in the file", || {
        lab.logs().iter().any(|line| line["traceId"] == order.trace_id().as_str()).then_some(())
    });
    assert!(lab.up.stdout().ends_with("Stop:  Ctrl-C\n\n"), "{}", lab.up.stdout());
}

#[test]
fn a_taken_port_is_one_message_that_names_it_and_the_way_out() {
    let temp = tempfile::tempdir().unwrap();
    let base = free_port_base();
    let port = Ports::from_base(base).of(Role::User);
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let said = refusal(up(&temp.path().join("data"), base, &[]));
    assert!(said.contains(&format!("port {port} (user-service)")) && said.contains("--port-base "), "{said}");
}

#[test]
fn a_second_up_on_the_same_data_is_told_who_has_it_and_disturbs_nobody() {
    let temp = tempfile::tempdir().unwrap();
    let base = free_port_base();
    let first = up(temp.path(), base, &["--role", "user"]);
    wait_table(&first);
    let said = refusal(up(temp.path(), free_port_base(), &["--fresh"]));
    assert!(said.contains(&format!("pid {}", first.pid())) && said.contains("--data-dir"), "{said}");
    create_user(base);
}

#[test]
fn fresh_starts_from_nothing_and_without_it_rows_stay() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let count = |args: &[&str]| {
        let base = free_port_base();
        let mut lab = up(&dir, base, &[&["--role", "user"], args].concat());
        wait_table(&lab);
        let before = get(&url(base, Role::User, "/users")).json["count"].as_u64().unwrap();
        create_user(base);
        assert!(lab.stop().success());
        before
    };
    assert_eq!([count(&[]), count(&[]), count(&["--fresh"]), count(&[])], [0, 1, 0, 1]);
}

#[test]
fn fresh_refuses_a_folder_that_is_not_the_labs() {
    let temp = tempfile::tempdir().unwrap();
    let thesis = temp.path().join("thesis.txt");
    std::fs::write(&thesis, "years of work").unwrap();
    let said = refusal(up(temp.path(), free_port_base(), &["--fresh"]));
    assert!(said.contains("--fresh") && said.contains(temp.path().to_str().unwrap()), "{said}");
    assert_eq!(std::fs::read_to_string(&thesis).unwrap(), "years of work");
}

#[test]
fn a_subset_of_roles_starts_those_and_the_console_and_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let base = free_port_base();
    // Not ours to start, so its port may be anybody's.
    let _elsewhere = TcpListener::bind(("127.0.0.1", Ports::from_base(base).of(Role::Gateway))).unwrap();
    let lab = up(temp.path(), base, &["--role", "user", "--role", "lambda"]);
    let out = wait_table(&lab);
    assert!(!out.contains("api-gateway") && !out.contains("curl"), "{out}");
    assert_eq!(children(lab.pid()).len(), 3);
    for name in ["console", "user", "lambda"] {
        assert!(child_named(lab.pid(), name).is_some(), "{name}");
    }
    assert_eq!(get(&url(base, Role::Lambda, "/ready")).status, 200);
}

#[test]
fn a_crashed_child_is_started_again_and_up_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let base = free_port_base();
    let lab = up(temp.path(), base, &["--role", "user"]);
    wait_table(&lab);
    let user = create_user(base).id();
    let pid = child_named(lab.pid(), "user").unwrap();
    signal_pid(pid, Signal::SIGKILL);
    let said = format!("user-service (pid {pid}) was killed by SIGKILL; it is started again");
    eventually(&said, || {
        let err = lab.stderr();
        (err.contains(&said) && err.contains(") is ready again")).then_some(())
    });
    assert_ne!(child_named(lab.pid(), "user"), Some(pid));
    assert_eq!(get(&url(base, Role::User, &format!("/users/{user}"))).status, 200);
}

#[test]
fn a_console_that_was_killed_gets_spans_and_log_lines_again() {
    let lab = Lab::start();
    let pid = child_named(lab.up.pid(), "console").unwrap();
    signal_pid(pid, Signal::SIGKILL);
    eventually("another console", || {
        let again = child_named(lab.up.pid(), "console")?;
        http::try_send("GET", &lab.console("/api/services"), &[], None).filter(|_| again != pid)
    });
    let order = lab.order(lab.user());
    let trace = order.trace_id();
    for service in &SERVICES {
        let logs = lab.console(&format!("/api/logs?traceId={trace}&service={}", service.name));
        eventually(&format!("log lines of {}", service.name), || {
            get(&logs).json["logs"].as_array().is_some_and(|lines| !lines.is_empty()).then_some(())
        });
    }
    lab.trace(&trace, o11y_lab::lab::expect::ORDER_TRACE.len());
}

#[test]
fn a_killed_parent_takes_its_children_with_it() {
    let mut lab = Lab::start();
    let pids = children(lab.up.pid());
    assert_eq!(pids.len(), 1 + SERVICES.len());
    lab.up.signal(Signal::SIGKILL);
    lab.up.wait();
    wait_gone(&pids);
    let again = Lab::start_in(&lab.dir, lab.base, &[]);
    again.order(again.user());
}

#[test]
fn ctrl_c_drains_in_the_order_of_the_work_and_exits_0() {
    let mut lab = Lab::start();
    let pids = children(lab.up.pid());
    let user = lab.user();
    for _ in 0..5 {
        lab.order(user);
    }
    lab.up.signal(Signal::SIGINT);
    assert_eq!(lab.up.wait().code(), Some(0), "{}", lab.up.stderr());
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    let logs = lab.logs();
    let stopped = logs.iter().filter(|line| line["message"] == "stopped");
    let order: Vec<_> = stopped.map(|line| line["service"].as_str().unwrap()).collect();
    assert_eq!(
        order,
        ["api-gateway", "order-service", "user-service", "order-validator", "notification-service"]
    );
    eventually("it says that it stopped", || lab.up.stderr().ends_with("stopped\n").then_some(()));
    assert!(!lab.up.stderr().contains("killed"), "{}", lab.up.stderr());
}

#[test]
fn a_receiver_that_hangs_holds_up_each_role_for_itself_and_not_one_after_the_other() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", hanging.local_addr().unwrap());
    let mut lab = Lab::start_with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())]);
    let user = lab.user();
    lab.order(user);
    let gateway = lab.pid(Role::Gateway);
    lab.up.signal(Signal::SIGINT);
    let stopped = |service: &str| {
        lab.logs().iter().any(|line| line["message"] == "stopped" && line["service"] == service)
    };
    // The next one's work is done while the first still tries to be rid of its spans.
    eventually("order-service has stopped", || stopped("order-service").then_some(()));
    assert!(is_alive(gateway), "it waited for the gateway's export");
    assert_eq!(lab.up.wait().code(), Some(0), "{}", lab.up.stderr());
    assert!(!lab.up.stderr().contains("killed"), "{}", lab.up.stderr());
}

#[test]
fn a_second_ctrl_c_ends_up_and_its_children_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let base = free_port_base();
    // Neither the grace nor the request's limit ends what hangs before a test gives up.
    let mut lab = bin();
    lab.args(["up", "--role", "user", "--port-base", &base.to_string(), "--data-dir"]).arg(temp.path());
    lab.env("SHUTDOWN_GRACE", "600").env("REQUEST_TIMEOUT", "600");
    let mut lab = Process::spawn(lab);
    wait_table(&lab);
    let _hanging = hang(base);
    let pids = children(lab.pid());
    lab.signal(Signal::SIGINT);
    eventually("the drain", || {
        let ready = http::try_send("GET", &url(base, Role::User, "/ready"), &[], None)?;
        (ready.json["status"] == "draining").then_some(())
    });
    lab.signal(Signal::SIGINT);
    assert_eq!(lab.wait().code(), Some(130));
    wait_gone(&pids);
}

#[test]
fn a_copied_program_works_from_another_folder() {
    let temp = tempfile::tempdir().unwrap();
    let copy = temp.path().join("lab of mine");
    // Not by ourselves: a test that forks just then would hold the copy open, and it could not be run.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_o11y-lab")).arg(&copy).status().unwrap().success());
    let mut command = clean(Command::new(&copy));
    command.current_dir("/");
    let mut lab = Lab::launch(command, &temp.path().join("data"), free_port_base());
    let order = lab.order(lab.user());
    assert_eq!(lab.wait_notifications(order.id(), 1).len(), 1);
    assert!(lab.up.stop().success());
}

#[test]
fn data_is_kept_in_the_users_state_folder_or_where_the_user_says_seen_from_here() {
    let home = tempfile::tempdir().unwrap();
    for (args, file) in
        [(&[][..], ".local/state/o11y-lab/users.db"), (&["--data-dir", "here"], "here/users.db")]
    {
        let mut command = bin();
        command.args(["up", "--role", "user", "--port-base", &free_port_base().to_string()]).args(args);
        command.env("HOME", home.path()).current_dir(home.path());
        let mut lab = Process::spawn(command);
        wait_table(&lab);
        assert!(lab.stop().success());
        assert!(home.path().join(file).is_file(), "{file}");
    }
}

#[test]
fn two_labs_run_side_by_side_and_know_nothing_of_each_other() {
    let (one, two) = (Lab::shared(), Lab::start());
    let user = json!({"name": "Ada", "email": format!("{}@example.com", uuid::Uuid::now_v7())});
    for lab in [one, &two] {
        assert_eq!(post(&lab.api("/api/users"), &user).status, 201);
    }
    let order = two.order(two.user());
    two.wait_notifications(order.id(), 1);
    two.trace(&order.trace_id(), o11y_lab::lab::expect::ORDER_TRACE.len());
    let here = one.console(&format!("/api/v3/traces/{}", order.trace_id()));
    assert_eq!(get(&here).status, 404);
}

#[test]
fn healthcheck_exits_0_where_a_service_is_healthy_and_1_with_one_line_where_not() {
    let (role, url, _temp) = single(Role::User, &[]);
    let port = url.rsplit(':').next().unwrap().to_owned();
    let check = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = bin();
        command.arg("healthcheck").args(args).envs(env.iter().copied());
        Process::spawn(command)
    };
    for (args, env) in [
        (vec!["--port", port.as_str()], vec![]),
        (vec![], vec![("PORT", port.as_str())]),
        (vec!["--url", &format!("{url}/ready")], vec![]),
    ] {
        let mut healthy = check(&args, &env);
        assert_eq!(healthy.wait().code(), Some(0), "{}", healthy.stderr());
    }
    refusal(check(&["--url", &format!("{url}/nothing")], &[]));
    refusal(check(&["--port", &free_port().to_string()], &[]));
    signal_pid(role.pid(), Signal::SIGSTOP);
    let said = refusal(check(&["--port", &port, "--timeout", "200"], &[]));
    signal_pid(role.pid(), Signal::SIGCONT);
    assert!(said.contains(&format!("{url}/health")), "{said}");
}

/// A lab with both backends; how `up` was started with a PATH of one's own.
fn launch_with_backends(dir: &std::path::Path) -> Lab {
    let mut command = bin();
    command.env("UP_WITH", "alertmanager,prometheus");
    Lab::launch(command, dir, free_port_base())
}

#[test]
fn backends_run_beside_the_lab_with_its_rules_and_end_with_it_however_it_ends() {
    let temp = tempfile::tempdir().unwrap();
    let mut lab = launch_with_backends(&temp.path().join("data"));
    let prometheus = format!("http://127.0.0.1:{}", lab.ports().at(Endpoint::Prometheus));
    let count = |path: &str, of: fn(&Value) -> usize| {
        eventually(path, || {
            let answer = http::try_send("GET", &format!("{prometheus}{path}"), &[], None)?;
            Some(of(&answer.json["data"])).filter(|count| *count > 0)
        })
    };
    let rows = |value: &Value| value.as_array().map_or(0, Vec::len);
    let targets = count("/api/v1/targets", |data| data["activeTargets"].as_array().map_or(0, Vec::len));
    assert_eq!(targets, SERVICES.len() + 2);
    assert!(count("/api/v1/rules", |data| data["groups"].as_array().map_or(0, Vec::len)) >= 7);
    count("/api/v1/alertmanagers", |data| data["activeAlertmanagers"].as_array().map_or(0, Vec::len));
    let manager = get(&format!("http://127.0.0.1:{}/api/v2/status", lab.ports().at(Endpoint::Alertmanager)));
    let webhook = lab.url(Role::Notify, "/alerts");
    // Later ones than Debian's show no address: there it is what the file says.
    let shown = manager.json["config"]["original"].as_str().unwrap_or("");
    let file = std::fs::read_to_string(lab.dir.join("alertmanager/alertmanager.yml")).unwrap();
    assert!(shown.contains(&webhook) || shown.contains("url: <secret>"), "{shown}");
    assert!(file.contains(&format!("url: {webhook}\n")), "{file}");
    assert_eq!(rows(&manager.json["cluster"]["peers"]), 0);
    let runners = children(lab.up.pid());
    let programs: Vec<_> = runners.iter().flat_map(|pid| children(*pid)).collect();
    assert_eq!(programs.len(), 2, "Prometheus and Alertmanager");
    lab.up.signal(Signal::SIGKILL);
    lab.up.wait();
    wait_gone(&runners);
    wait_gone(&programs);
}

#[test]
fn a_backend_that_is_not_installed_is_named_with_the_way_to_install_it() {
    let temp = tempfile::tempdir().unwrap();
    let mut command = bin();
    command.args(["up", "--with", "prometheus", "--port-base", &free_port_base().to_string(), "--data-dir"]);
    command.arg(temp.path()).env("PATH", temp.path());
    let mut up = Process::spawn(command);
    assert_eq!(up.wait().code(), Some(1));
    let said = eventually("what it says", || Some(up.stderr()).filter(|text| !text.is_empty()));
    assert!(said.contains("apt-get install") && said.contains("prometheus"), "{said}");
}

#[test]
fn a_tied_program_that_ends_by_itself_ends_its_wrapper_too() {
    let mut command = bin();
    command.args(["until-eof", "--", "false"]);
    // Its standard input stays open.
    assert_eq!(Process::spawn(command).wait().code(), Some(1));
}

#[test]
fn fresh_beside_a_queue_that_keeps_its_messages_never_gives_an_order_id_twice() {
    let server = RedisServer::boxed();
    let settings = server.settings(&fresh_queue());
    let env: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let order = |fresh: &str| {
        let more = [env.as_slice(), &[("UP_FRESH", fresh)]].concat();
        let mut lab = Lab::start_in(&dir, free_port_base(), &more);
        let id = lab.order(lab.user()).id();
        lab.wait_notifications(id, 1);
        assert!(lab.up.stop().success());
        id
    };
    // Twice in a row: what was left for a new file is not forgotten with it.
    assert_eq!(["false", "true", "true", "false"].map(order), [1, 2, 3, 4]);
}
