//! `verify --pipeline`: a lab of its own against a foreign receiver, and what it says of what happened on the way.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use super::Verified;
use super::mutations::{LOGS, METRICS, Mutation, TRACES};
use super::proxy::Proxy;
use crate::helpers::{Process, bin, eventually};
use crate::otlp::Console;

/// A run against `receiver`, whose temporary files are in `folder`.
fn verify(receiver: &str, console: &str, folder: &Path, orders: &str) -> Command {
    let mut command = bin();
    command.env("TMPDIR", folder).env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    // The lab is another one than that of the environment.
    command.env("PORT_BASE", "1024").env("DATA_DIR", "/nowhere").env("OTEL_METRICS_EXPORTER", "none");
    command.args(["verify", "--pipeline", receiver, "--orders", orders, "--settle", "1s"]);
    for signal in ["--traces", "--metrics", "--logs"] {
        command.args([signal, &format!("console={console}")]);
    }
    command
}

/// The processes that have this folder in their command line or environment.
fn processes_of(folder: &Path) -> usize {
    let named = |file: &Path| {
        let text = fs::read(file).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(folder.to_str().unwrap())
    };
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    all.filter(|process| named(&process.join("cmdline")) || named(&process.join("environ"))).count()
}

fn nothing_is_left(folder: &Path) {
    eventually("the lab has ended", || (processes_of(folder) == 0).then_some(()));
    let left: Vec<_> = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_foreign_pipeline_is_green_and_what_it_does_is_told_as_what_happened_and_the_lab_is_gone() {
    let (console, folder) = (Console::start(&[]), tempfile::tempdir().unwrap());
    let proxy = Proxy::before(&console.otlp(""));
    let run = |within: &str| {
        let mut command = verify(&proxy.url, &console.page(""), folder.path(), "2");
        Verified::run(command.args(["--within", within]))
    };
    run("30s").assert_green();
    nothing_is_left(folder.path());
    for (table, what, kind) in [
        (TRACES, "an integer becomes text", "type changes"),
        (LOGS, "a line comes twice", "duplication"),
        (METRICS, "a counter is frozen", "loss"),
    ] {
        let Mutation { change, red, .. } = table.iter().find(|one| one.what == what).unwrap();
        proxy.arm(Some(*change));
        let verified = run("8s");
        proxy.arm(None);
        let findings = verified.report["findings"].as_array().unwrap();
        let [finding] = findings.as_slice() else { panic!("{what}: {findings:#?}") };
        assert_eq!((&finding["kind"], &finding["source"]), (&kind.into(), &"console".into()), "{what}");
        assert_eq!(finding["claims"][0], red[0], "{what}");
        assert_eq!(verified.code, Some(1), "{what}");
    }
    nothing_is_left(folder.path());
}

#[test]
fn a_lab_for_a_pipeline_ends_with_an_interrupt_and_where_nothing_takes_its_telemetry() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = "http://127.0.0.1:9";
    let mut command = verify(nowhere, nowhere, folder.path(), "20000");
    let mut verifying = Process::spawn(std::mem::replace(&mut command, bin()));
    // `verify`, `up` and its six.
    eventually("the lab runs", || (processes_of(folder.path()) >= 8).then_some(()));
    verifying.signal(Signal::SIGINT);
    assert_eq!(verifying.wait().code(), Some(130), "{}", verifying.stderr());
    nothing_is_left(folder.path());

    let verified = Verified::run(verify(nowhere, nowhere, folder.path(), "1").args(["--within", "1s"]));
    let unread: Vec<_> = verified.not("pass").iter().map(|claim| claim["id"].clone()).collect();
    assert!(unread.contains(&"traces.readable".into()) && verified.code != Some(0), "{unread:?}");
    let receiver = verified.not("pass").into_iter().find(|claim| claim["id"] == "pipeline.receiver").unwrap();
    let found = receiver["found"].as_str().unwrap();
    assert!(found.contains(nowhere) && found.contains("Connection refused"), "{found}");
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    nothing_is_left(folder.path());

    let named = bin().args(["verify", "--pipeline", nowhere]).output().unwrap();
    assert_eq!(named.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&named.stderr).contains("--traces, --metrics, --logs"));
}
