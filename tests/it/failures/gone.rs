//! Clients that close their connection in good order, that offer HTTP/2, and requests too long to be read.

use super::*;

#[test]
fn a_client_that_closes_its_connection_while_it_is_served_is_499_and_its_work_is_cancelled() {
    let lab = Lab::start();
    let fault = json!({"fault": "latency", "ms": 20_000, "route": "/users/{id}"});
    assert!(post(&lab.url(Role::User, "/faults"), &fault).status < 300);
    let (gateway, user) = (lab.api(""), lab.url(Role::User, ""));
    let traced = "GET /api/users/1 HTTP/1.1\r\nhost: lab\r\ntraceparent: 00-";
    for (n, trace) in
        ["4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4737"].iter().enumerate()
    {
        let mut client = Raw::connect(&gateway);
        // The second one has been served on this connection before.
        for _ in 0..n {
            client.send("GET / HTTP/1.1\r\nhost: lab\r\n\r\n");
            assert_eq!(client.answer().unwrap().status, 200);
        }
        client.send(&format!("{traced}{trace}-00f067aa0ba902b7-01\r\n\r\n"));
        let active = "http_server_active_requests{http_request_method=\"GET\",http_route=\"/users/{id}\"}";
        eventually("the request has come through", || {
            lab.metric(Role::User, active).filter(|active| *active == 1.0)
        });
        client.close();
        let counted = (n + 1) as f64;
        eventually("it is counted as aborted", || {
            (served(&gateway, "GET", "/api/users/{id}", 499) == counted).then_some(())
        });
        assert_eq!(called(&gateway, "user-service", "cancelled"), counted);
        eventually("the service behind it has stopped too", || {
            (served(&user, "GET", "/users/{id}", 499) == counted).then_some(())
        });
        let line = eventually("there is a line of it", || {
            let of = |line: &Value| line["service"] == "api-gateway" && line["traceId"] == *trace;
            lab.logs().into_iter().find(|line| of(line) && line["status"] == 499)
        });
        assert_eq!(line["level"], "info", "{line}");
        let spans = lab.trace(trace, 3);
        for service in ["api-gateway", "user-service"] {
            let name = if service == "api-gateway" { "GET /api/users/{id}" } else { "GET /users/{id}" };
            let server = spans.span(service, name).unwrap();
            assert_eq!(server.text("http.response.status_code"), "499", "{server:?}");
            assert_eq!(server.text("error.type"), "cancelled");
        }
    }
}

#[test]
fn a_body_that_its_client_ends_half_way_by_closing_is_499() {
    let (_process, url, _temp) = gateway_before("127.0.0.1:9", &[]);
    let head = "POST /api/users HTTP/1.1\r\nhost: lab\r\ncontent-type: application/json\r\n";
    let mut client = Raw::connect(&url);
    client.send(&format!("{head}content-length: 100\r\n\r\n{{\"name\":"));
    eventually("its body is waited for", || {
        let active = "http_server_active_requests{http_request_method=\"POST\",http_route=\"/api/users\"}";
        metric(&get(&format!("{url}/metrics")).text, active).filter(|active| *active == 1.0)
    });
    client.close();
    eventually("it is counted", || (served(&url, "POST", "/api/users", 499) == 1.0).then_some(()));
    assert_eq!(served(&url, "POST", "/api/users", 400), 0.0);
}

#[test]
fn javas_http_client_loses_no_request_although_it_offers_http_2() {
    let lab = Lab::shared();
    let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/PlainClient.java");
    let done = std::process::Command::new("java").args([tool, &lab.api(""), "20"]).output();
    let done = done.unwrap_or_else(|error| panic!("no Java, which scripts/provision gets: {error}"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let statuses: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(statuses, json!({"200": 40, "201": 40}));
}

#[test]
fn a_target_that_is_too_long_is_refused_in_the_form_of_all_errors_however_long_it_is() {
    let (process, url, _temp) = gateway_before("127.0.0.1:9", &[]);
    for (kilobytes, status) in [(9, 414), (60, 414), (70, 400), (120, 400), (300, 431)] {
        for keep in [false, true] {
            let mut client = Raw::connect(&url);
            if keep {
                client.send("GET / HTTP/1.1\r\nhost: lab\r\n\r\n");
                assert_eq!(client.answer().unwrap().status, 200);
            }
            client.send(&format!("GET /{} HTTP/1.1\r\nhost: lab\r\n\r\n", "x".repeat(kilobytes * 1000)));
            let answer = client.answer().unwrap_or_else(|| panic!("no answer to {kilobytes} kB"));
            assert_eq!(answer.status, status, "{kilobytes} kB: {answer:?}");
            assert!(answer.head.contains("application/problem+json"), "{answer:?}");
            assert_eq!(answer.json()["status"], status);
        }
    }
    assert_eq!(served(&url, "GET", "other", 414), 4.0);
    assert_eq!([400, 431].map(|status| refused_unread(&url, status)), [4.0, 2.0]);
    let lines = log_lines(&process);
    let with = |status: u16| lines.iter().filter(|line| line["status"] == status).count();
    assert_eq!([414, 400, 431].map(with), [4, 4, 2]);
}
