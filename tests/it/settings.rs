//! Settings mean what they say: levels, booleans, flags over variables, and what no help shows.

use std::ffi::OsString;

use nix::sys::signal::Signal;
use o11y_lab::schema::{Endpoint, Ports, Role, SERVICES};

use crate::helpers::process::{child_named, children};
use crate::helpers::{Lab, Process, bin, eventually, free_port_base, get, http, single};

/// A command that ends by itself, run to its end: exit code, standard output, standard error.
fn run(args: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = bin();
    command.args(args).envs(env.iter().copied());
    let done = command.output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (done.status.code().expect("a code"), text(done.stdout), text(done.stderr))
}

#[track_caller]
fn assert_refused(args: &[&str], env: &[(&str, &str)], expected: &[&str]) {
    let (code, _, said) = run(args, env);
    assert_eq!(code, 2, "{env:?}: {said}");
    for part in expected {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn a_word_that_is_no_level_is_refused_with_the_list_and_never_hides_errors() {
    for level in ["loud", "info,loud", "o11y_lab=loud"] {
        assert_refused(
            &["order"],
            &[("LOG_LEVEL", level)],
            &["LOG_LEVEL", level, "warning", "debug", "trace"],
        );
    }
    // Warnings are logged at their alias, such as the one about RUST_LOG.
    let (process, _url, _temp) = single(Role::User, &[("LOG_LEVEL", "WARNING"), ("RUST_LOG", "info")]);
    eventually("a line", || Some(process.stdout()).filter(|out| out.contains("\"level\":\"warn\"")));
    assert!(!process.stdout().contains("\"level\":\"info\""), "{}", process.stdout());
}

#[test]
fn that_rust_log_has_no_effect_is_said_in_one_line() {
    let (process, _url, _temp) = single(Role::User, &[("RUST_LOG", "trace")]);
    let out = eventually("the line", || Some(process.stdout()).filter(|out| out.contains("RUST_LOG")));
    let lines: Vec<_> = out.lines().filter(|line| line.contains("RUST_LOG")).collect();
    assert!(lines.len() == 1 && lines[0].contains("LOG_LEVEL"), "{lines:?}");
}

#[test]
fn a_boolean_is_one_in_all_the_usual_words_wherever_a_variable_takes_one() {
    for (value, status) in [("1", 200), ("yes", 200), ("on", 200), ("0", 404), ("no", 404), ("OFF", 404)] {
        let (_process, url, _temp) = single(Role::Lambda, &[("FAULTS_ENABLED", value)]);
        assert_eq!(get(&format!("{url}/faults")).status, status, "{value}");
    }
    let (_process, url, _temp) = single(Role::Lambda, &[]);
    assert_eq!(get(&format!("{url}/faults")).status, 404);
    for (command, variable) in [
        ("lambda", "FAULTS_ENABLED"),
        ("up", "UP_FRESH"),
        ("up", "UP_QUIET"),
        ("load", "LOAD_FOREVER"),
        ("load", "LOAD_CLOSED"),
    ] {
        assert_refused(&[command], &[(variable, "perhaps")], &[variable, "perhaps", "yes"]);
    }
}

#[test]
fn a_flag_wins_over_the_variables_of_its_own_setting_and_of_those_it_excludes() {
    let dry = |args: &[&str], env: &[(&str, &str)]| {
        let (code, out, said) = run(&[&["load", "--dry-run"], args].concat(), env);
        assert_eq!(code, 0, "{args:?} {env:?}: {said}");
        out
    };
    // A variable that is false is not set, and excludes nothing.
    dry(&["--duration", "1s"], &[("LOAD_FOREVER", "false"), ("LOAD_CLOSED", "0")]);
    // A flag excludes the variable, not the other way about.
    dry(&["--duration", "1s"], &[("LOAD_FOREVER", "true")]);
    dry(&["--plan", "default"], &[("LOAD_RPS", "5"), ("LOAD_DURATION", "2s")]);
    assert_eq!(
        dry(&["--duration", "1s", "--rps", "3"], &[("LOAD_PLAN", "default"), ("LOAD_RPS", "7")])
            .lines()
            .count(),
        3
    );
    // What a variable turned on, its flag turns off.
    let off = dry(&["--forever=false", "--closed=false"], &[("LOAD_FOREVER", "1"), ("LOAD_DURATION", "1s")]);
    assert_eq!(off.lines().count(), 10, "{off}");
    // Two variables of which one excludes the other are a mistake, as two flags are.
    assert_refused(&["load"], &[("LOAD_PLAN", "default"), ("LOAD_RPS", "5")], &["--plan", "--rps"]);
}

#[test]
fn a_health_check_asks_where_its_flags_say_and_where_the_service_listens() {
    let check = |port: &str, args: &[&str], env: &[(&str, &str)]| {
        let env = [&[("PORT", port)], env].concat();
        run(&[&["healthcheck"], args].concat(), &env)
    };
    let port = |url: &str| url.rsplit(':').next().unwrap().to_owned();
    let (_process, url, _temp) = single(Role::User, &[]);
    let port4 = port(&url);
    let elsewhere = ("HEALTHCHECK_URL", "http://127.0.0.1:9/health");
    assert_eq!(check(&port4, &[], &[elsewhere]).0, 1);
    assert_eq!(check("9", &["--port", &port4], &[elsewhere]).0, 0);
    assert_eq!(check(&port4, &[], &[("HOST", "0.0.0.0")]).0, 0);

    let port6 = crate::helpers::free_port().to_string();
    let mut command = bin();
    command.arg("lambda").envs([("HOST", "::1"), ("PORT", &port6)]);
    let _process = Process::spawn(command);
    eventually("it is healthy", || (check(&port6, &[], &[("HOST", "::1")]).0 == 0).then_some(()));
    assert_eq!(check(&port6, &[], &[("HOST", "::")]).0, 0);
    let (code, _, said) = check(&port6, &[], &[]);
    assert_eq!(code, 1, "on IPv4 there is nobody: {said}");
}

#[test]
fn an_ipv6_literal_needs_no_port() {
    let (_process, url, _temp) = single(Role::Gateway, &[("USER_SERVICE_URL", "http://[::1]")]);
    let ready = get(&format!("{url}/ready"));
    let checks = ready.json["checks"].as_array().unwrap();
    let user = checks.iter().find(|check| check["name"] == "user-service").unwrap();
    assert_ne!(user["reason"], "cannot be reached", "{ready:?}");
}

#[test]
fn no_help_shows_what_a_variable_holds() {
    let command = o11y_lab::cli::command();
    let names = |command: &clap::Command| -> Vec<OsString> {
        command.get_arguments().filter_map(|arg| arg.get_env()).map(OsString::from).collect()
    };
    for sub in command.get_subcommands() {
        let below: Vec<_> = sub.get_subcommands().flat_map(names).collect();
        let variables = [names(sub), below].concat();
        for args in [["help", sub.get_name()], [sub.get_name(), "--help"]] {
            let mut asked = bin();
            asked.args(args).envs(variables.iter().map(|name| (name, "hunter2")));
            let done = asked.output().expect("the program runs");
            let text = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(done.status.success() && text.contains("Usage:"), "{args:?}: {text}");
            assert!(!text.contains("hunter2"), "{args:?}: {text}");
        }
    }
}

#[test]
fn a_url_with_a_login_is_not_shown_when_it_is_refused() {
    for (command, variable) in
        [("order", "USER_SERVICE_URL"), ("load", "LOAD_URL"), ("healthcheck", "HEALTHCHECK_URL")]
    {
        let (code, _, said) = run(&[command], &[(variable, "htp://me:hunter2@h")]);
        assert!(code == 2 && said.contains(variable) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_hang_up_drains_like_a_termination_unless_it_was_ignored_from_the_start() {
    let (mut process, _url, _temp) = single(Role::User, &[]);
    process.signal(Signal::SIGHUP);
    assert_eq!(process.wait().code(), Some(0), "{}", process.stderr());
    assert!(process.stdout().contains("draining"), "{}", process.stdout());

    let port = crate::helpers::free_port();
    let mut nohup = crate::helpers::process::clean(std::process::Command::new("nohup"));
    nohup.arg(crate::helpers::process::PROGRAM).args(["lambda", "--port", &port.to_string()]);
    let mut kept = Process::spawn(nohup);
    let health = format!("http://127.0.0.1:{port}/health");
    eventually("it listens", || http::try_send("GET", &health, &[], None));
    kept.signal(Signal::SIGHUP);
    assert_eq!(get(&health).status, 200);
    assert!(kept.stop().success());
}

/// The environment a process was started with.
fn environment(pid: u32) -> Vec<(String, String)> {
    let text = std::fs::read(format!("/proc/{pid}/environ")).expect("it runs");
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split('\0')
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect()
}

#[test]
fn each_child_of_up_gets_the_variables_it_reads_and_none_names_all_services_alike() {
    let lab = Lab::start_with(&[
        ("REDIS_URL", "redis://u:hunter2@127.0.0.1:9"),
        ("AWS_SESSION_TOKEN", "theirs"),
        ("LOAD_URL", "http://127.0.0.1:9"),
        ("CONSOLE_MAX_LOGS", "1000"),
        ("RUST_LOG", "trace"),
        ("SOMETHING_ELSE", "1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=one,team=a"),
    ]);
    let readers = [
        ("REDIS_URL", vec!["order", "notify"]),
        ("AWS_SESSION_TOKEN", vec!["order", "notify"]),
        ("LOAD_URL", vec![]),
        ("CONSOLE_MAX_LOGS", vec!["console"]),
        ("RUST_LOG", vec![]),
        ("SOMETHING_ELSE", vec!["gateway", "user", "order", "notify", "lambda", "console"]),
    ];
    for name in SERVICES.iter().map(|service| service.command).chain(["console"]) {
        let env = environment(child_named(lab.up.pid(), name).expect("it runs"));
        for (variable, readers) in &readers {
            assert_eq!(env.iter().any(|(k, _)| k == variable), readers.contains(&name), "{name} {variable}");
        }
        let attributes = env.iter().find(|(k, _)| k == "OTEL_RESOURCE_ATTRIBUTES").map(|(_, v)| v.as_str());
        assert_eq!(attributes, (name != "console").then_some("team=a"), "{name}");
    }
    let user = lab.user();
    let trace = lab.order(user).trace_id();
    let services: std::collections::BTreeSet<_> =
        lab.trace(&trace, 12).spans.into_iter().map(|span| span.service).collect();
    assert_eq!(services.len(), SERVICES.len(), "{services:?}");
    for said in ["service.name in OTEL_RESOURCE_ATTRIBUTES has no effect", "RUST_LOG has no effect"] {
        assert_eq!(lab.up.stderr().matches(said).count(), 1, "{}", lab.up.stderr());
    }
}

#[test]
fn up_listens_where_it_is_told_and_its_parts_find_each_other_there() {
    let (temp, base) = (tempfile::tempdir().unwrap(), free_port_base());
    let mut command = bin();
    command.args(["up", "--quiet", "--host", "::1", "--port-base", &base.to_string(), "--data-dir"]);
    command.arg(temp.path());
    let mut up = Process::spawn(command);
    let table = eventually("the table", || Some(up.stdout()).filter(|out| out.contains("Stop:  Ctrl-C")));
    assert_eq!(table.matches("ready").count(), SERVICES.len() + 1, "{table}");
    let ports = Ports::from_base(base);
    let gateway = format!("http://[::1]:{}", ports.of(Role::Gateway));
    assert!(table.contains(&gateway), "{table}");
    let email = serde_json::json!({"name": "Ada", "email": "ada@example.com"});
    assert_eq!(crate::helpers::post(&format!("{gateway}/api/users"), &email).status, 201);
    assert!(!up.stderr().contains("whoever reaches"), "{}", up.stderr());
    let services = format!("http://[::1]:{}/api/services", ports.at(Endpoint::Console));
    eventually("its spans are in the console", || get(&services).text.contains("user-service").then_some(()));
    assert!(http::try_send("GET", &format!("http://127.0.0.1:{base}/health"), &[], None).is_none());
    up.signal(Signal::SIGHUP);
    assert_eq!(up.wait().code(), Some(0), "{}", up.stderr());
    assert!(up.stderr().contains("draining") && children(up.pid()).is_empty());
}
