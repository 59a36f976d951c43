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

#[test]
fn an_embedded_queue_that_cannot_be_opened_is_a_matter_of_the_folder_and_of_no_broker() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("queue.db")).unwrap();
    let (code, answer) = doctor(&["--data-dir", temp.path().to_str().unwrap()], &[]);
    let rows = answer["checks"].as_array().unwrap();
    let queue = rows.iter().find(|row| row["check"] == "queue").unwrap();
    let advice = queue["advice"].as_str().unwrap();
    assert!(code == 1 && queue["verdict"] == "fail", "{answer:#}");
    assert!(advice.contains("--data-dir") && !advice.contains("broker"), "{advice}");
    assert!(!answer.to_string().contains("start the broker"), "{answer:#}");
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

#[test]
fn what_a_setting_has_come_to_is_shown_also_where_it_is_computed_or_its_variable_is_wrong() {
    let env = [
        ("XDG_STATE_HOME", "/state"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:s3cret@vendor:4318"),
        ("OTEL_TRACES_SAMPLER", "nope"),
        ("OTEL_PROPAGATORS", "b3,nope"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "7"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine,team=a"),
        ("LOG_LEVEL", "WARNING"),
    ];
    let (code, answer) = doctor(&["--settings", "order"], &env);
    assert_eq!(code, 0, "{answer:#}");
    let file = "sqlite:///state/o11y-lab/orders.db";
    for (flag, value, from) in [
        ("--port", "3002", "default"),
        ("--data-dir", "/state/o11y-lab", "computed from XDG_STATE_HOME"),
        ("--database-url", file, "computed from DATA_DIR"),
        ("--log-level", "warn", "environment"),
        ("--otel-log-level", "warn", "computed from LOG_LEVEL"),
        ("--otel-service-name", "mine", "computed from OTEL_RESOURCE_ATTRIBUTES"),
        ("--otel-traces-sampler", "parentbased_always_on", "default"),
        ("--otel-propagators", "b3", "environment"),
        ("--otel-exporter-otlp-endpoint", "***", "environment"),
        ("--otel-exporter-otlp-logs-endpoint", "***", "computed from OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("--otel-exporter-otlp-traces-protocol", "http/protobuf", "default"),
        ("--otel-bsp-max-export-batch-size", "100", "computed from OTEL_BSP_MAX_QUEUE_SIZE"),
        ("--otel-blrp-max-queue-size", "2048", "default"),
        ("--otel-span-link-count-limit", "128", "default"),
        ("--otel-event-attribute-count-limit", "7", "computed from OTEL_ATTRIBUTE_COUNT_LIMIT"),
    ] {
        assert_eq!(setting(&answer, flag), (Value::from(value), from.to_owned()), "{flag}");
    }
    assert!(!answer.to_string().contains("s3cret"), "{answer:#}");
    let rows = answer["settings"].as_array().unwrap();
    let note = |flag| rows.iter().find(|row| row["flag"] == flag).unwrap()["note"].as_str().unwrap();
    assert!(note("--otel-traces-sampler").contains("using parentbased_always_on"), "{answer:#}");
    assert!(note("--otel-propagators").contains("ignoring that one"), "{answer:#}");
    assert!(note("--otel-blrp-max-queue-size").contains("is not a number from 1"), "{answer:#}");
}

#[test]
fn a_variable_that_a_role_refuses_is_shown_as_refused_and_one_that_it_does_not_read_is_not_shown() {
    let env =
        [("QUEUE_CONCURRENCY", "x"), ("DATABASE_URL", "mysql://me:s3cret@db/lab"), ("REQUEST_TIMEOUT", "0")];
    let (code, answer) = doctor(&["--settings", "order"], &env);
    assert_eq!(code, 2, "{answer:#}");
    for (flag, value) in [("--queue-concurrency", "x"), ("--database-url", "***"), ("--request-timeout", "0")]
    {
        assert_eq!(setting(&answer, flag), (Value::from(value), "refused".to_owned()), "{flag}");
    }
    assert!(answer.to_string().contains("expected a whole number") && !answer.to_string().contains("s3cret"));
    // The lambda has no queue, and yet it does not start with a setting of one that is wrong.
    let (code, answer) = doctor(&["--settings", "lambda"], &env[..1]);
    assert_eq!((code, setting(&answer, "--queue-concurrency").1.as_str()), (2, "refused"), "{answer:#}");
    let (code, answer) = doctor(&["--settings", "lambda"], &[]);
    assert!(code == 0 && !answer.to_string().contains("--queue-concurrency"), "{answer:#}");
}

#[test]
fn settings_are_asked_with_the_commands_flags_behind_the_dashes_and_need_what_their_transport_needs() {
    let (code, _) = doctor(&["--settings", "order", "--", "--queue-transport", "embedded"], &[]);
    assert_eq!(code, 0);
    let run = |args: &[&str], env: &[(&str, &str)]| {
        let output = bin().arg("doctor").args(args).envs(env.iter().copied()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["--settings", "order", "--queue-transport", "embedded"], &[]);
    assert!(code == Some(2) && said.contains("stand behind `--`"), "{said}");
    let (code, said) = run(&["--settings", "order"], &[("QUEUE_TRANSPORT", "redis")]);
    assert!(code == Some(2) && said.contains("would not start") && said.contains("REDIS_URL"), "{said}");
    // The gateway talks to no queue.
    assert_eq!(run(&["--settings", "gateway"], &[("QUEUE_TRANSPORT", "redis")]).0, Some(0));
}

#[test]
fn a_receiver_is_not_asked_where_nothing_would_be_sent_to_it() {
    let temp = tempfile::tempdir().unwrap();
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let base = free_port_base().to_string();
    let args = ["--data-dir", temp.path().to_str().unwrap(), "--port-base", &base];
    let asked = |more: &[(&str, &str)]| {
        let mut env = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
        env.extend(more);
        said(&doctor(&args, &env).1, "OTLP receiver", "fail").len()
    };
    assert_eq!(asked(&[]), 1);
    assert_eq!(asked(&[("OTEL_TRACES_EXPORTER", "none")]), 1);
    assert_eq!(asked(&[("OTEL_SDK_DISABLED", "true")]), 0);
    let none =
        ["OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_METRICS_EXPORTER"].map(|name| (name, "none"));
    assert_eq!(asked(&none), 0);
}
