//! Faults of a process: its clock, its version, its start, and what it takes of the machine.

use super::*;

fn threads(lab: &Lab, role: Role) -> f64 {
    value(lab, role, "process_threads")
}

#[test]
fn a_clock_that_is_slow_puts_a_roles_spans_before_their_parents_and_leaves_their_durations() {
    let lab = lab();
    let user = lab.user();
    fault(&lab, &["set", "clock-skew", "--ms", "20000"]);
    let answer = get(&lab.api(&format!("/api/users/{user}")));
    let trace = lab.trace(&answer.trace_id(), 4);
    let span = |service: &str, name: &str| trace.span(service, name).unwrap();
    let (served, query) = (span("user-service", "GET /users/{id}"), span("user-service", "SELECT users"));
    let root = span("api-gateway", "GET /api/users/{id}");
    assert!(served.end < root.start, "{}", trace.drawing());
    assert!(served.start <= query.start && query.end <= served.end, "{}", trace.drawing());
    for (span, fault) in [(served, "clock-skew"), (query, "clock-skew"), (root, "")] {
        assert_eq!(span.text("o11y_lab.fault"), fault, "{}", span.name);
    }
    fault(&lab, &["clear"]);
    let answer = get(&lab.api(&format!("/api/users/{user}")));
    let trace = lab.trace(&answer.trace_id(), 4);
    assert!(trace.span("user-service", "GET /users/{id}").unwrap().start >= trace.roots()[0].start);
}

#[test]
fn a_deploy_changes_the_version_of_spans_and_build_info_and_goes_back_when_it_ends() {
    let lab = lab();
    let version = env!("CARGO_PKG_VERSION");
    let next = o11y_lab::schema::faults::NEXT_VERSION;
    let info = |version: &str| {
        let series = format!("build_info{{version=\"{version}\",service=\"order-service\"}}");
        lab.metric(Role::Order, &series)
    };
    let seen = || {
        let answer = get(&lab.api("/api/orders?limit=1"));
        let trace = lab.trace(&answer.trace_id(), 4);
        let span = trace.span("order-service", "GET /orders").unwrap();
        (span.resource["service.version"].clone(), span.text("o11y_lab.fault"))
    };
    assert_eq!((info(version), info(next)), (Some(1.0), None));
    fault(&lab, &["set", "deploy", "--ms", "1"]);
    // One series only: what is joined to it would else match twice.
    assert_eq!((info(version), info(next)), (None, Some(1.0)));
    assert_eq!(seen(), (json!(next), "deploy".to_owned()));
    fault(&lab, &["clear"]);
    assert_eq!(seen(), (json!(version), String::new()));
    assert_eq!((info(version), info(next)), (Some(1.0), None));
}

#[test]
fn a_role_that_still_starts_is_healthy_not_ready_and_refuses_requests_until_its_time_is_over() {
    let lab = lab();
    fault(&lab, &["set", "slow-start", "--role", "order", "--seconds", "600"]);
    let ready = get(&lab.url(Role::Order, "/ready"));
    assert_eq!((ready.status, ready.json["status"].as_str()), (503, Some("not ready")));
    let checks = ready.json["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "start").unwrap();
    assert_eq!((check["required"].clone(), check["ok"].clone()), (json!(true), json!(false)));
    assert_eq!(get(&lab.url(Role::Order, "/health")).status, 200);
    let answer = get(&lab.api("/api/orders"));
    assert_eq!(answer.status, 503, "{answer:?}");
    let trace = lab.trace(&answer.trace_id(), 3);
    assert_eq!(trace.span("order-service", "GET /orders").unwrap().text("o11y_lab.fault"), "slow-start");
    fault(&lab, &["set", "slow-start", "--role", "order", "--seconds", "1"]);
    eventually("it has started", || (get(&lab.url(Role::Order, "/ready")).status == 200).then_some(()));
    assert_eq!(get(&lab.api("/api/orders")).status, 200);
}

#[test]
fn memory_grows_with_requests_up_to_its_bound_and_is_given_back() {
    let lab = lab();
    let user = lab.user();
    let resident = || value(&lab, Role::User, "process_resident_memory_bytes");
    let path = lab.url(Role::User, &format!("/users/{user}"));
    let before = resident();
    fault(&lab, &["set", "memory-growth", "--kib", "1024"]);
    let answer = get(&path);
    let trace = lab.trace(&answer.trace_id(), 2);
    assert_eq!(
        trace.span("user-service", "GET /users/{id}").unwrap().text("o11y_lab.fault"),
        "memory-growth"
    );
    for _ in 0..40 {
        assert_eq!(get(&path).status, 200);
    }
    let grown = resident() - before;
    const MIB: f64 = 1048576.0;
    assert!((20.0 * MIB..40.0 * MIB).contains(&grown), "{grown}");
    let line = "Cache grows and nothing is removed from it";
    eventually("lines say so", || lab.logs().iter().any(|one| one["message"] == line).then_some(()));
    fault(&lab, &["clear"]);
    eventually("it is given back", || (resident() < before + grown / 2.0).then_some(()));
}

#[test]
fn cpu_is_burnt_by_a_thread_of_its_own_that_ends_with_the_fault() {
    let lab = lab();
    let cpu = || value(&lab, Role::Order, "process_cpu_seconds_total");
    let (before, alone) = (cpu(), threads(&lab, Role::Order));
    fault(&lab, &["set", "cpu-burn", "--percent", "90"]);
    assert_eq!(threads(&lab, Role::Order), alone + 1.0);
    eventually("half a second of it is burnt", || (cpu() > before + 0.5).then_some(()));
    assert_eq!(get(&lab.url(Role::Order, "/ready")).status, 200);
    // Set again it is still one.
    fault(&lab, &["set", "cpu-burn", "--percent", "10"]);
    eventually("one thread", || (threads(&lab, Role::Order) == alone + 1.0).then_some(()));
    fault(&lab, &["clear"]);
    eventually("no thread", || (threads(&lab, Role::Order) == alone).then_some(()));
}

#[test]
fn a_flood_of_log_lines_is_in_no_trace_and_ends_with_the_fault() {
    let lab = lab();
    let alone = threads(&lab, Role::Gateway);
    fault(&lab, &["set", "log-flood", "--role", "gateway", "--lines", "200"]);
    let lines = || -> Vec<Value> {
        let of =
            |line: &Value| line["message"] == "Cache entry not found" && line["service"] == "api-gateway";
        lab.logs().into_iter().filter(of).collect()
    };
    let seen = eventually("many lines", || Some(lines()).filter(|lines| lines.len() > 50));
    assert!(seen.iter().all(|line| line.get("traceId").is_none()), "{:?}", seen[0]);
    assert_eq!(get(&lab.api("/api/users")).status, 200);
    fault(&lab, &["clear"]);
    eventually("no thread", || (threads(&lab, Role::Gateway) == alone).then_some(()));
}
