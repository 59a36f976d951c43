//! `doctor`: what keeps the lab from running here, and where a setting comes from.

use std::net::TcpListener;

use o11y_lab::schema::{Ports, Role};
use serde_json::Value;

use crate::helpers::{Lab, bin, free_port, free_port_base};

/// Exit code, and the answer.
fn doctor(args: &[&str], env: &[(&str, &str)]) -> (i32, Value) {
    let done = bin().args(["doctor", "--json"]).args(args).envs(env.iter().copied()).output().unwrap();
    let answer = serde_json::from_slice(&done.stdout);
    (done.status.code().unwrap(), answer.unwrap_or_else(|error| panic!("{error}: {done:?}")))
}

/// The lines of a check that ended so.
fn said(answer: &Value, check: &str, verdict: &str) -> Vec<String> {
    let rows = answer["checks"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["check"] == check && row["verdict"] == verdict);
    rows.map(|row| row["said"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn where_the_lab_can_run_no_check_fails_and_nothing_is_made() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("data");
    let base = free_port_base().to_string();
    let (_, answer) = doctor(&["--port-base", &base, "--data-dir", folder.to_str().unwrap()], &[]);
    for check in ["ports", "open files", "memory", "data folder", "disk", "clock", "queue", "database"] {
        assert!(answer.to_string().contains(check) && said(&answer, check, "fail").is_empty(), "{answer:#}");
    }
    assert!(!folder.exists());
}

#[test]
fn a_taken_port_is_named_with_who_has_it_and_the_labs_own_is_none() {
    let temp = tempfile::tempdir().unwrap();
    let base = free_port_base();
    let port = Ports::from_base(base).of(Role::Order);
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (code, answer) =
        doctor(&["--port-base", &base.to_string(), "--data-dir", temp.path().to_str().unwrap()], &[]);
    let failed = said(&answer, "ports", "fail");
    assert_eq!((code, failed.len(), &answer["ok"]), (1, 1, &Value::from(false)), "{answer:#}");
    assert!(failed[0].contains(&format!("port {port} (order-service) is taken")), "{failed:?}");
    assert!(failed[0].contains(&format!("(pid {})", std::process::id())), "{failed:?}");

    let lab = Lab::shared();
    let (_, answer) =
        doctor(&["--port-base", &lab.base.to_string(), "--data-dir", lab.dir.to_str().unwrap()], &[]);
    let own = said(&answer, "ports", "ok");
    assert!(own[0].contains(&format!("(pid {})", lab.up.pid())), "{own:?}");
    assert_eq!(said(&answer, "clock elsewhere", "ok").len(), 1, "{answer:#}");
}

#[test]
fn a_broker_a_database_and_a_receiver_that_cannot_be_had_are_each_named_and_no_secret_is() {
    let temp = tempfile::tempdir().unwrap();
    let nobody = free_port().to_string();
    let redis = format!("redis://me:s3cret@127.0.0.1:{nobody}");
    let postgres = format!("postgres://me:s3cret@127.0.0.1:{nobody}/lab");
    let otlp = format!("http://me:s3cret@127.0.0.1:{nobody}");
    let (code, answer) = doctor(
        &["--port-base", &free_port_base().to_string(), "--data-dir", temp.path().to_str().unwrap()],
        &[
            ("QUEUE_TRANSPORT", "redis"),
            ("REDIS_URL", &redis),
            ("DATABASE_URL", &postgres),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &otlp),
        ],
    );
    assert_eq!(code, 1);
    for check in ["queue", "database", "OTLP receiver"] {
        assert_eq!(said(&answer, check, "fail").len(), 1, "{check}: {answer:#}");
    }
    assert!(said(&answer, "queue", "fail")[0].starts_with("redis: "), "{answer:#}");
    assert!(!answer.to_string().contains("s3cret"), "{answer:#}");
}

#[test]
fn settings_of_telemetry_that_no_role_understands_are_told_and_a_file_that_stops_them_fails() {
    let temp = tempfile::tempdir().unwrap();
    let (base, folder) = (free_port_base().to_string(), temp.path().to_str().unwrap());
    let args = ["--port-base", &base, "--data-dir", folder];
    let (_, answer) =
        doctor(&args, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense"), ("OTEL_TRACES_SAMPLER", "nope")]);
    let told = said(&answer, "telemetry", "warn").join("\n");
    assert!(told.contains("OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https URL"), "{answer:#}");
    assert!(told.contains("OTEL_TRACES_SAMPLER"), "{answer:#}");
    let (code, answer) = doctor(&args, &[("OTEL_CONFIG_FILE", "/nonexistent.yaml")]);
    let failed = said(&answer, "telemetry", "fail");
    assert!(code == 1 && failed[0].contains("/nonexistent.yaml"), "{answer:#}");
    let (_, answer) = doctor(&args, &[]);
    assert_eq!(said(&answer, "telemetry", "ok").len(), 1, "{answer:#}");
}

/// One setting's value and where it came from.
fn setting(answer: &Value, flag: &str) -> (Value, String) {
    let rows = answer["settings"].as_array().unwrap();
    let row = rows.iter().find(|row| row["flag"] == flag).unwrap_or_else(|| panic!("{flag}: {answer:#}"));
    (row["value"].clone(), row["from"].as_str().unwrap().to_owned())
}

#[test]
fn a_setting_is_shown_with_what_it_is_and_where_that_came_from_and_a_secret_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("otel.yaml");
    std::fs::write(&file, "file_format: \"1.1\"\nattribute_limits:\n  attribute_count_limit: 17\n").unwrap();
    let env = [
        ("DATABASE_URL", "postgres://me:s3cret@db/lab"),
        ("QUEUE_CONCURRENCY", "3"),
        ("LOG_LEVEL", ""),
        ("PORT", "4000"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "99"),
    ];
    let (code, answer) = doctor(&["--settings", "order", "--", "--port", "4001"], &env);
    assert_eq!(code, 0);
    for (flag, value, from) in [
        ("--port", Value::from("4001"), "flag"),
        ("--queue-concurrency", Value::from("3"), "environment"),
        ("--database-url", Value::from("***"), "environment"),
        ("--log-level", Value::from("info"), "default"),
        ("--otel-attribute-count-limit", Value::from("99"), "environment"),
        ("--redis-url", Value::Null, "default"),
    ] {
        assert_eq!(setting(&answer, flag), (value, from.to_owned()), "{flag}");
    }
    assert!(!answer.to_string().contains("s3cret"));

    let with_file = [&env[..], &[("OTEL_CONFIG_FILE", file.to_str().unwrap())]].concat();
    let (code, answer) = doctor(&["--settings", "order"], &with_file);
    assert_eq!(code, 0);
    let (value, from) = setting(&answer, "--otel-attribute-count-limit");
    assert!(
        value == "17" && from.starts_with("OTEL_CONFIG_FILE") && from.ends_with("attribute_count_limit"),
        "{from}"
    );
    let (_, answer) = doctor(&["--settings"], &[("UP_QUIET", "false"), ("UP_RETAIN", "yes")]);
    assert_eq!(answer["command"], "up");
    assert_eq!(setting(&answer, "--retain"), (Value::from("yes"), "environment".to_owned()));
    assert_eq!(setting(&answer, "--quiet").1, "default");
}
