//! The one table `up` prints, and what to do next.

use std::fmt::Write as _;

use super::child::ChildStatus;
use super::machine::ChildState;
use super::plan::LabPlan;
use crate::schema::{Endpoint, Role};

/// One row: a child and how it is.
pub(super) struct TableRow<'a> {
    pub(super) name: &'a str,
    pub(super) url: String,
    pub(super) status: ChildStatus,
}

/// The table, one line a child.
pub(super) fn table(rows: &[TableRow<'_>]) -> String {
    let name = rows.iter().map(|r| r.name.len()).max().unwrap_or(0).max("SERVICE".len());
    let url = rows.iter().map(|r| r.url.len()).max().unwrap_or(0).max("URL".len());
    let mut out = format!("{:<name$}  {:<url$}  {:>7}  STATE\n", "SERVICE", "URL", "PID");
    for row in rows {
        let pid = row.status.pid.map_or("-".to_owned(), |pid| pid.to_string());
        let reason = match (&row.status.reason, row.status.state) {
            (Some(reason), ChildState::Starting | ChildState::Restarting(_)) => format!(" ({reason})"),
            _ => String::new(),
        };
        let _ =
            writeln!(out, "{:<name$}  {:<url$}  {pid:>7}  {}{reason}", row.name, row.url, row.status.state);
    }
    out
}

/// The next steps: the console's URL, Prometheus's page of `alerts`, requests to try, how to `stop`.
pub(super) fn next_steps(plan: &LabPlan, alerts: Option<&str>, stop: &str) -> String {
    let mut out = format!("\nLook:  {}\n", plan.page(plan.ports.at(Endpoint::Console)));
    if let Some(alerts) = alerts {
        let _ = writeln!(out, "       {alerts}");
    }
    if plan.runs(Role::Gateway) {
        out.push_str("       (three buttons there: send an order, start traffic, break something)\n");
        let gateway = plan.page(plan.ports.of(Role::Gateway));
        let post = |path: &str, body: &str| {
            format!("curl {gateway}{path} -H 'content-type: application/json' -d '{body}'")
        };
        // The data may be that of an earlier start, and an address can be taken only once.
        let ada = format!("ada-{:x}@example.com", jiff::Timestamp::now().as_second());
        let user = post("/api/users", &format!(r#"{{"name":"Ada","email":"{ada}"}}"#));
        let order = post("/api/orders", r#"{"userId":1,"items":["book"],"total":49.99}"#);
        let _ = writeln!(out, "Try:   {user}\n       {order}");
    }
    let _ = writeln!(out, "{stop}\n");
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_table_aligns_and_says_why_something_is_not_ready() {
        let row = |name, state, pid, reason: Option<&str>| TableRow {
            name,
            url: "http://127.0.0.1:7001".to_owned(),
            status: ChildStatus { state, pid, reason: reason.map(str::to_owned), restarts: 0, since: None },
        };
        let text = table(&[
            row("user-service", ChildState::Ready, Some(42), Some("old news")),
            row("notification-service", ChildState::Starting, Some(43), Some("queue: unavailable")),
            row("x", ChildState::Restarting(Duration::from_secs(1)), None, None),
        ]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "SERVICE               URL                        PID  STATE");
        assert_eq!(lines[1], "user-service          http://127.0.0.1:7001       42  ready");
        assert!(lines[2].ends_with("     43  starting (queue: unavailable)"));
        assert!(lines[3].ends_with("      -  restarting"));
    }

    #[test]
    fn the_next_steps_use_the_ports_of_this_lab() {
        let text = next_steps(&LabPlan::example(7000, &[]), None, "Stop:  Ctrl-C");
        assert!(
            text.contains("http://127.0.0.1:7005\n") && text.contains("http://127.0.0.1:7000/api/orders")
        );
        assert!(text.contains("send an order, start traffic, break something"), "{text}");
        assert!(!next_steps(&LabPlan::example(7000, &[Role::User]), None, "").contains("curl"));
    }

    #[test]
    fn a_lab_with_a_public_name_prints_urls_that_a_browser_elsewhere_can_open() {
        let host = std::net::Ipv4Addr::UNSPECIFIED.into();
        let named =
            |name: &str| LabPlan { host, public_host: Some(name.to_owned()), ..LabPlan::example(7000, &[]) };
        let text = next_steps(&named("lab.example"), None, "");
        assert!(text.contains("http://lab.example:7005\n") && !text.contains("127.0.0.1"), "{text}");
        assert_eq!(named("[fd00::7]").shown("http://127.0.0.1:7000/alerts"), "http://[fd00::7]:7000/alerts");
        assert_eq!(named("lab").shown("https://vendor:7000/x"), "https://vendor:7000/x");
        let unnamed = LabPlan { host, ..LabPlan::example(7000, &[]) };
        assert_eq!(unnamed.page(7000), "http://127.0.0.1:7000");
    }
}
