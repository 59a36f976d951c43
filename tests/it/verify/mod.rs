//! `o11y-lab verify`: green where everything arrived, red in the right row where something was done to it.

mod access;
mod faults;
pub mod files;
pub mod mutations;
mod pipeline;
pub mod proxy;
pub mod spec;
pub mod spec_changes;
mod stations;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use o11y_lab::schema::Role;
use serde_json::Value;

use crate::helpers::process::signal_pid;
use crate::helpers::standin::{response, serve};
use crate::helpers::{Lab, bin, eventually, free_port_base, get};
use crate::otlp::Console;
use mutations::Mutation;
use proxy::Proxy;

/// What `verify` said, and its exit code.
pub struct Verified {
    code: Option<i32>,
    report: Value,
    stderr: String,
}

impl Verified {
    pub fn run(command: &mut Command) -> Self {
        Self::of(command.arg("--json"))
    }

    /// A command that says `--json` already.
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let report = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {} {stderr}", String::from_utf8_lossy(&output.stdout)));
        Self { code: output.status.code(), report, stderr }
    }

    /// The claims with another verdict than this.
    pub fn not(&self, verdict: &str) -> Vec<&Value> {
        let claims = self.report["claims"].as_array().unwrap();
        claims.iter().filter(|claim| claim["verdict"] != verdict).collect()
    }

    #[track_caller]
    pub fn assert_green(&self) {
        assert!(self.not("pass").is_empty(), "{:#?} {}", self.not("pass"), self.stderr);
        assert_eq!(self.code, Some(0), "{}", self.stderr);
    }
}

fn verify(lab: &Lab, orders: &str, within: &str) -> Command {
    let mut command = bin();
    command.args(["verify", "--port-base", &lab.base.to_string(), "--orders", orders, "--within", within]);
    command
}

#[test]
fn a_lab_that_runs_as_it_should_is_verified_in_child_and_link_mode_and_at_a_tenth_of_its_traces() {
    let link = [("QUEUE_TRACE_MODE", "link")];
    let both = [&link[..], &TENTH].concat();
    for env in [&[] as &[(&str, &str)], &link, &TENTH, &both] {
        // The tests' labs send their metrics nowhere unless they are told to.
        let lab = Lab::start_with(&[env, &[("OTEL_METRICS_EXPORTER", "")]].concat());
        let sent = lab.console("/api/metrics/gateway.requests");
        eventually("the roles' metrics at the console", || (get(&sent).status == 200).then_some(()));
        // A probe just before, whose spans are on their way.
        get(&lab.api("/api/orders"));
        // Enough that a tenth of the traces is some.
        let orders = if env.contains(&TENTH[0]) { "60" } else { "10" };
        let verified = Verified::run(verify(&lab, orders, "20s").envs(env.iter().copied()));
        verified.assert_green();
        let claims = verified.report["claims"].as_array().unwrap();
        let ids: BTreeSet<_> = claims.iter().filter_map(|claim| claim["id"].as_str()).collect();
        for id in ["requests.answered", "queue.notified", "traces.parents", "traces.sampling", "logs.spans"] {
            assert!(ids.contains(id), "{id} in {ids:?}");
        }
        for id in
            ["metrics.gateway_requests_total", "metrics.latencies", "books.exported", "quality.registry"]
        {
            assert!(ids.contains(id), "{id} in {ids:?}");
        }
        let score = &verified.report["score"];
        let services = score["services"].as_array().unwrap();
        assert_eq!(services.len(), 5, "{score}");
        assert!(services.iter().all(|service| service["score"] == 100.0), "{score}");
        assert_eq!(score["computed"].as_array().unwrap().len(), 15, "{score}");
        let seen = verified.report["visible"].as_array().unwrap();
        assert!(seen.len() == 4 && seen.iter().all(|one| one["seconds"].is_f64()), "{seen:?}");
        let mut command = verify(&lab, "10", "20s");
        let expected = Verified::run(command.args(["--sampling", "expected"]).envs(env.iter().copied()));
        expected.assert_green();
        let sampled = expected.report["claims"].as_array().unwrap();
        assert!(sampled.iter().any(|claim| claim["id"] == "requests.sampled"), "{sampled:?}");
    }
}

const TENTH: [(&str, &str); 2] =
    [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.1")];

#[test]
fn traces_that_the_sampler_should_have_left_out_or_kept_are_red_whatever_the_lab_says_of_them() {
    let red = |env: &[(&str, &str)], arg: &str| {
        let lab = Lab::start_with(env);
        // Enough that a tenth of the traces is some, and an exemplar names one.
        let mut command = verify(&lab, "60", "3s");
        command.args([
            "--sampling",
            "expected",
            "--sampler",
            "parentbased_traceidratio",
            "--sampler-arg",
            arg,
        ]);
        let verified = Verified::run(&mut command);
        assert_eq!(verified.code, Some(1), "{}", verified.stderr);
        let notes = verified.report["notes"].to_string();
        assert!(notes.contains("likely cause: the lab has another sampler than parentbased_tr"), "{notes}");
        verified.not("pass").iter().map(|claim| claim["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(red(&[], "0.1"), ["requests.sampled", "traces.sampling"]);
    assert_eq!(red(&TENTH, "1"), ["requests.sampled", "traces.complete", "books.exported"]);

    let lab = Lab::shared();
    let mut command = verify(lab, "1", "3s");
    let refused = command.args(["--sampling", "expected", "--sampler", "coin"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[test]
fn what_others_send_meanwhile_makes_counts_untellable_and_nothing_red() {
    let lab = Lab::start();
    let user = lab.user();
    let mut command = verify(&lab, "10", "20s");
    command.args(["--settle", "3s", "--metrics", "roles"]);
    let running = std::thread::spawn(move || Verified::run(&mut command));
    // Its own requests come first: then it is counting.
    let posts = "http_server_request_duration_seconds_count{http_request_method=\"POST\",\
                 http_route=\"/api/orders\",http_response_status_code=\"201\"}";
    eventually("the workload", || lab.metric(Role::Gateway, posts).filter(|orders| *orders > 0.0));
    lab.order(user);
    let verified = running.join().unwrap();
    assert_eq!(verified.code, Some(3), "{:#?} {}", verified.not("pass"), verified.stderr);
    assert!(verified.not("pass").iter().all(|claim| claim["verdict"] == "cannot tell"));
    let found = verified.not("pass")[0]["found"].as_str().unwrap();
    assert!(found.contains("served 1 other requests meanwhile"), "{found}");
}

#[test]
fn what_others_send_before_its_own_first_request_makes_nothing_red_either() {
    let lab = Lab::shared();
    let users = lab.url(Role::Gateway, "/api/users");
    // A backend that is asked how things stand before the workload: others are served in that time.
    let slow = serve(move |_, _, _| {
        let _ = get(&users);
        Some(response("500 Internal Server Error", "", ""))
    });
    let mut command = verify(lab, "1", "3s");
    command.args(["--metrics", &format!("roles,prometheus=http://{slow}")]);
    let verified = Verified::run(&mut command);
    let red: Vec<_> = verified.not("pass").into_iter().filter(|claim| claim["verdict"] == "fail").collect();
    assert_eq!((verified.code, red.len()), (Some(3), 0), "{red:#?} {}", verified.stderr);
    let said = verified.report.to_string();
    assert!(said.contains("other requests meanwhile"), "{said}");
}

#[test]
fn a_lab_whose_sampler_leaves_all_out_is_not_verified_by_having_nothing_to_judge() {
    let lab = Lab::start_with(&[("OTEL_TRACES_SAMPLER", "always_off")]);
    let verified = Verified::run(&mut verify(&lab, "1", "3s"));
    let untold: Vec<_> = verified.not("pass").iter().map(|claim| claim["id"].as_str().unwrap()).collect();
    assert_eq!((verified.code, untold), (Some(3), vec!["requests.recorded"]), "{}", verified.stderr);
}

#[test]
fn a_program_of_another_kind_behind_a_url_is_said_and_no_loss() {
    let lab = Lab::shared();
    let page = serve(|_, _, _| Some(response("200 OK", "content-type: text/html\r\n", "<html></html>")));
    let missing = serve(|_, _, _| Some(response("404 Not Found", "", "404 page not found")));
    let mut command = verify(lab, "1", "2s");
    command.args(["--traces", &format!("jaeger=http://{missing}"), "--metrics", "roles"]);
    command.args(["--logs", &format!("victorialogs=http://{page}")]);
    let verified = Verified::run(&mut command);
    let untold: Vec<_> = verified.not("pass").iter().map(|claim| claim["id"].as_str().unwrap()).collect();
    assert_eq!(
        (verified.code, untold),
        (Some(3), vec!["traces.readable", "logs.readable", "links.exemplars"]),
        "{}",
        verified.stderr
    );
}

#[test]
fn a_lab_that_is_not_there_and_a_backend_that_cannot_be_read_are_said() {
    let base = free_port_base().to_string();
    let nothing = bin().args(["verify", "--port-base", &base]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(3));
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(said.contains("the gateway does not answer"), "{said}");

    // Who reads reports has one to read; what stood in its file is not taken away before.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "<!-- longer than any report of one row -->".repeat(99)).unwrap();
    let mut command = bin();
    command.args(["verify", "--port-base", &base, "--junit"]).arg(file.path());
    let verified = Verified::run(&mut command);
    let untold = verified.not("pass")[0].clone();
    assert_eq!((verified.code, &untold["id"]), (Some(3), &Value::from("requests.sent")), "{untold}");
    let xml = std::fs::read_to_string(file.path()).unwrap();
    assert!(xml.starts_with("<?xml") && xml.trim_end().ends_with("</testsuites>"), "{xml}");

    let lab = Lab::shared();
    let mut command = verify(lab, "1", "1s");
    command.args(["--traces", "jaeger=http://127.0.0.1:9", "--metrics", "roles"]);
    command.args(["--logs", "console=http://me:s3cret@127.0.0.1:9", "--github"]);
    let verified = Verified::run(&mut command);
    let untold = ["traces.readable", "logs.readable"];
    for id in untold {
        assert!(verified.not("pass").iter().any(|claim| claim["id"] == id), "{id}: {:?}", verified.report);
    }
    let all = format!("{} {}", verified.report, verified.stderr);
    assert!(all.contains("http://127.0.0.1:9/api/logs") && !all.contains("s3cret"), "{all}");
}

#[test]
fn a_joined_trace_where_a_linked_one_is_expected_is_red_in_that_row_alone_and_a_stopped_role_is_said() {
    let lab = Lab::start();
    let verified = Verified::run(verify(&lab, "1", "5s").args(["--queue-trace-mode", "link"]));
    let red: Vec<_> = verified.not("pass").iter().map(|claim| claim["id"].as_str().unwrap()).collect();
    assert_eq!(red, ["traces.parents"], "{:#?}", verified.not("pass"));
    let notes = verified.report["notes"].to_string();
    assert!(notes.contains("likely cause: the lab consumes messages in mode child and not link"), "{notes}");

    // Its page cannot be read: that is a row, and not one row less.
    let lambda = lab.pid(Role::Lambda);
    signal_pid(lambda, Signal::SIGSTOP);
    let verified = Verified::run(&mut verify(&lab, "1", "2s"));
    signal_pid(lambda, Signal::SIGCONT);
    assert!(
        verified.not("pass").iter().any(|claim| claim["id"] == "metrics.readable"),
        "{:?}",
        verified.report
    );
}

#[test]
fn an_order_that_the_lab_refuses_is_a_red_row_of_the_requests() {
    let lab = Lab::start();
    let base = lab.base.to_string();
    let fault = ["fault", "set", "error", "--role", "user", "--route", "/users", "--port-base", &base];
    assert!(bin().args(fault).output().unwrap().status.success());
    let verified = Verified::run(&mut verify(&lab, "1", "3s"));
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    let red: Vec<_> = verified.not("pass").into_iter().filter(|c| c["verdict"] == "fail").collect();
    assert_eq!(red[0]["id"], "requests.answered", "{red:#?}");
    assert!(red[0]["found"].as_str().unwrap().contains("instead of 201"), "{red:#?}");
}

#[test]
fn the_table_the_junit_file_and_the_annotations_say_the_same() {
    let lab = Lab::shared();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = verify(lab, "1", "1s");
    command.args(["--traces", &format!("console={}", lab.console("")), "--metrics", "roles", "--github"]);
    command.args(["--logs", "loki=http://127.0.0.1:9"]);
    let output = command.arg("--junit").arg(file.path()).output().unwrap();
    let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("\nCANNOT TELL  logs.readable   loki\n"), "{text} {said}");
    let xml = std::fs::read_to_string(file.path()).unwrap();
    assert!(xml.contains("<testcase classname=\"logs in loki\" name=\"logs.readable\"><error "), "{xml}");
    assert!(said.contains("::warning title=logs.readable in loki::"), "{said}");
}

#[test]
fn two_reports_beside_each_other_say_what_got_worse() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, verdict: &str| {
        let claim =
            serde_json::json!({"id": "a.b", "source": "console", "verdict": verdict, "found": "2 of 3"});
        let file = folder.path().join(name);
        std::fs::write(&file, serde_json::json!({"claims": [claim]}).to_string()).unwrap();
        file
    };
    let (good, bad) = (put("good.json", "pass"), put("bad.json", "fail"));
    let diff = |before: &Path, after: &Path| {
        bin().args(["verify", "--diff"]).args([before, after]).output().unwrap()
    };
    let worse = diff(&good, &bad);
    let text = String::from_utf8_lossy(&worse.stdout).into_owned();
    assert_eq!(worse.status.code(), Some(1), "{text}");
    assert!(text.starts_with("worse   a.b in console") && text.contains("pass -> fail"), "{text}");
    assert_eq!(diff(&bad, &good).status.code(), Some(0));
    // 1 says that something got worse, so what cannot be compared has another code.
    for (name, says) in [("none.json", "No such file"), ("banana.json", "a verdict is none of")] {
        put("banana.json", "banana");
        let file = folder.path().join(name);
        let refused = diff(&good, &file);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(name) && said.contains(says), "{said}");
    }
}

/// A lab behind a proxy: its telemetry reaches a console of its own by OTLP in JSON.
struct Piped {
    lab: Lab,
    console: Console,
    proxy: Proxy,
}

impl Piped {
    fn start() -> Self {
        let console = Console::start(&[]);
        let proxy = Proxy::before(&console.otlp(""));
        let lab = Lab::start_with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &proxy.url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "400"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
        ]);
        Self { lab, console, proxy }
    }

    /// Verifies one signal, as the console has it.
    fn verify(&self, within: &str) -> Verified {
        let console = format!("console={}", self.console.page(""));
        let mut command = bin();
        command.args(["verify", "--port-base", &self.lab.base.to_string(), "--orders", "2"]);
        command.args(["--within", within, "--settle", "800ms"]);
        for signal in ["--traces", "--logs", "--metrics"] {
            command.args([signal, &console]);
        }
        Verified::run(&mut command)
    }

    #[track_caller]
    fn each(&self, mutations: &[Mutation]) {
        self.verify("20s").assert_green();
        for mutation in mutations {
            let Mutation { what, change, red, words } = mutation;
            self.proxy.arm(Some(*change));
            let verified = self.verify("4s");
            self.proxy.arm(None);
            let found: BTreeSet<_> = verified.not("pass").iter().filter_map(|c| c["id"].as_str()).collect();
            assert_eq!(found, red.iter().copied().collect(), "{what}: {:#?}", verified.not("pass"));
            let said = verified.not("pass")[0]["found"].as_str().unwrap();
            assert!(said.contains(words), "{what}: {said}");
            assert_eq!(verified.code, Some(1), "{what}");
        }
        self.verify("20s").assert_green();
    }
}

#[test]
fn what_is_lost_or_doubled_of_a_trace_on_its_way_turns_its_row_red_and_no_other() {
    Piped::start().each(&mutations::TRACES[..8]);
}

#[test]
fn what_is_moved_or_renamed_in_a_trace_on_its_way_turns_its_row_red_and_no_other() {
    Piped::start().each(&mutations::TRACES[8..16]);
}

#[test]
fn what_is_changed_in_a_span_on_its_way_turns_its_row_red_and_no_other() {
    Piped::start().each(&mutations::TRACES[16..]);
}

#[test]
fn what_is_done_to_a_line_on_its_way_turns_its_row_red_and_no_other() {
    Piped::start().each(mutations::LOGS);
}

#[test]
fn what_is_not_as_the_registry_has_it_or_against_a_rule_of_the_score_turns_its_row_red_and_no_other() {
    Piped::start().each(mutations::QUALITY);
}

#[test]
fn what_is_done_to_a_count_on_its_way_turns_its_row_red_and_no_other() {
    Piped::start().each(mutations::METRICS);
    let all =
        mutations::QUALITY.len() + mutations::TRACES.len() + mutations::LOGS.len() + mutations::METRICS.len();
    assert!(all >= 30, "{all}");
}
