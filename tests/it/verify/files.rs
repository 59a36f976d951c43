//! `verify` reads what a collector's file exporter writes: OTLP's JSON, a message a line.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use super::Verified;
use super::mutations::{LOGS, METRICS, Mutation, TRACES};
use super::proxy::Proxy;
use crate::helpers::{Lab, bin, standin};

/// A receiver that does what the file exporter does: each export becomes a line of `traces.json`, `metrics.json` or
/// `logs.json`.
fn exporter(folder: &Path) -> String {
    let (folder, writing) = (folder.to_owned(), Mutex::new(()));
    let address = standin::serve(move |_, path, body| {
        let _one = writing.lock().unwrap();
        let file = folder.join(format!("{}.json", path.rsplit('/').next().unwrap()));
        let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
        file.write_all(&[body, b"\n"].concat()).unwrap();
        Some(standin::response("200 OK", "content-type: application/json\r\n", "{}"))
    });
    format!("http://{address}")
}

pub fn verify(lab: &Lab, folder: &Path, within: &str) -> Verified {
    let mut command = bin();
    command.args(["verify", "--port-base", &lab.base.to_string(), "--orders", "2"]);
    command.args(["--within", within, "--settle", "800ms"]);
    for signal in ["traces", "metrics", "logs"] {
        command.arg(format!("--{signal}"));
        command.arg(format!("file={}", folder.join(format!("{signal}.json")).display()));
    }
    Verified::run(&mut command)
}

#[test]
fn files_of_a_collectors_exporter_are_green_and_a_change_on_the_way_or_a_broken_line_is_red_in_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::before(&exporter(folder.path()));
    let lab = Lab::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &proxy.url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "400"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "100"),
    ]);
    verify(&lab, folder.path(), "20s").assert_green();
    let named = |table: &'static [Mutation], what| table.iter().find(|one| one.what == what).unwrap();
    for mutation in [
        named(TRACES, "a leaf is dropped"),
        named(LOGS, "a line comes twice"),
        named(METRICS, "a counter counts double"),
    ] {
        let Mutation { what, change, red, words } = mutation;
        proxy.arm(Some(*change));
        let verified = verify(&lab, folder.path(), "4s");
        proxy.arm(None);
        let found: BTreeSet<_> = verified.not("pass").iter().filter_map(|c| c["id"].as_str()).collect();
        assert_eq!(found, red.iter().copied().collect(), "{what}: {:#?}", verified.not("pass"));
        let first = verified.not("pass")[0];
        assert!(first["found"].as_str().unwrap().contains(words), "{what}: {first}");
        if what.contains("leaf") {
            let look = first["look"].as_str().unwrap();
            assert!(look.starts_with("grep ") && look.ends_with("traces.json"), "{look}");
        }
    }

    // A line that is cut in two: who reads it knows, and says in which file.
    let logs = folder.path().join("metrics.json");
    OpenOptions::new().append(true).open(logs).unwrap().write_all(b"{\"resourceMetrics\": [{\n").unwrap();
    let verified = verify(&lab, folder.path(), "20s");
    let [broken] = verified.not("pass")[..] else { panic!("{:#?}", verified.not("pass")) };
    assert_eq!(broken["id"], "metrics.lines");
    assert!(broken["found"].as_str().unwrap().starts_with("1 of "), "{broken}");
}
