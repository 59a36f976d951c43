//! The real servers: rules that evaluate, runbooks that open, pages that arrive.

use std::time::Duration;

use o11y_lab::schema::{Role, SERVICES};
use serde_json::{Value, json};

use crate::helpers::prometheus::{Server, WEBHOOK, folder, path};
use crate::helpers::promql::Known;
use crate::helpers::rules::all;
use crate::helpers::{Lab, backend, eventually, eventually_within, free_port, get, post, single};

/// Five roles of a running lab, as Prometheus' targets.
pub fn targets(lab: &Lab) -> Vec<(String, String)> {
    SERVICES.iter().map(|s| (s.name.to_owned(), format!("127.0.0.1:{}", lab.ports().of(s.role)))).collect()
}

/// Waits until every rule has been evaluated, and fails where one could not be.
pub fn wait_rules(prometheus: &Server) {
    eventually_within(Duration::from_secs(60), "every rule is evaluated", || {
        let answer = prometheus.json("/api/v1/rules");
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules: Vec<Value> =
            groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect();
        for rule in &rules {
            assert_ne!(rule["health"], "err", "{rule}");
        }
        (rules.len() == all().len() && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    });
}

#[test]
fn a_live_prometheus_finds_every_series_that_a_rule_selects_and_fires_nothing_on_a_healthy_lab() {
    let lab = Lab::shared();
    lab.order(lab.user());
    let prometheus = Server::prometheus(folder("lab", &targets(lab), None));
    eventually("all roles are scraped", || (prometheus.query("up == 1").len() == 5).then_some(()));
    wait_rules(&prometheus);
    let rules = all();
    let known = Known::with(&rules);
    for selector in rules.iter().flat_map(|rule| known.read(&rule.expr).selectors) {
        // Two are exposed by the backends, which are no targets here, and no alert fires.
        let absent =
            ["alertmanager_", "prometheus_", "ALERTS{"].iter().any(|name| selector.starts_with(name));
        if !absent {
            eventually(&format!("{selector} finds a series"), || {
                (!prometheus.query(&selector).is_empty()).then_some(())
            });
        }
    }
    assert_eq!(prometheus.query("ALERTS{alertstate=\"firing\"}"), []);
    eventually("both SLOs have a budget", || {
        (prometheus.query("slo:period_error_budget_remaining:ratio").len() == 2).then_some(())
    });
}

#[test]
fn a_live_prometheus_takes_the_production_profile_too() {
    let prometheus = Server::prometheus(folder("production", &[], None));
    // Its slowest group is evaluated once in 5m, so only that nothing is wrong with the files.
    eventually("the rules are loaded", || {
        let answer = prometheus.json("/api/v1/rules?type=record");
        answer["data"]["groups"].as_array().filter(|groups| groups.len() >= 3).map(drop)
    });
    assert!(!prometheus.said().contains("level=error"), "{}", prometheus.said());
}

#[test]
fn an_alerts_runbook_opens_at_the_prometheus_that_fires_it() {
    let dead = ("loki".to_owned(), format!("127.0.0.1:{}", free_port()));
    let prometheus = Server::prometheus(folder("lab", &[dead], None));
    let url = eventually_within(Duration::from_secs(60), "TargetDown fires", || {
        let alerts = backend::alerts(&prometheus.url);
        let down = alerts.iter().find(|alert| alert.state == "firing" && alert.name() == "TargetDown")?;
        assert_eq!(down.label("service"), "loki");
        assert_eq!(down.annotations["summary"], "loki cannot be scraped");
        down.annotations.get("runbook_url").cloned()
    });
    let page = get(&url);
    assert_eq!(page.status, 200, "{url}");
    assert!(page.text.starts_with("# TargetDown\n"), "{url}: {}", page.text);
}

/// The configuration as it is, but for the webhook's address and the patience.
fn alertmanager(webhook: &str) -> Server {
    let text = std::fs::read_to_string(path("deploy/alertmanager/alertmanager.yml")).unwrap();
    let text = text.replace(WEBHOOK, webhook).replace("group_wait: 5s", "group_wait: 0s");
    let text = text.replace("group_wait: 30s", "group_wait: 2s").replace("interval: 15s", "interval: 1s");
    let text = text.replace("group_wait: 90s", "group_wait: 4s");
    Server::alertmanager(&text)
}

fn alert(name: &str, severity: &str, service: Option<&str>) -> Value {
    let mut labels = json!({"alertname": name, "severity": severity});
    if let Some(service) = service {
        labels["service"] = service.into();
    }
    json!({"labels": labels, "annotations": {"summary": name}})
}

fn received(url: &str, status: &str) -> Vec<String> {
    let answer = get(&format!("{url}/alerts")).json;
    let rows = answer["alerts"].as_array().cloned().unwrap_or_default();
    let rows = rows.iter().filter(|row| row["status"] == status);
    rows.filter_map(|row| row["labels"]["alertname"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_page_is_delivered_its_tickets_are_not_and_its_end_is() {
    let (_notify, url, _temp) = single(Role::Notify, &[]);
    let manager = alertmanager(&format!("{url}/alerts"));
    let send = |alerts: Value| {
        assert_eq!(post(&format!("{}/api/v2/alerts", manager.url), &alerts).status, 200);
    };
    send(json!([
        alert("ErrorBudgetFastBurn", "critical", Some("api-gateway")),
        alert("ServiceErrorRateHigh", "warning", Some("api-gateway")),
        alert("TargetDown", "critical", Some("notification-service")),
        alert("QueueConsumerStalled", "critical", Some("notification-service")),
        alert("OutboxBacklog", "warning", Some("order-service")),
        alert("PageWithoutService", "critical", None),
        alert("TicketWithoutService", "warning", None),
    ]));
    let arrive =
        ["ErrorBudgetFastBurn", "TargetDown", "OutboxBacklog", "PageWithoutService", "TicketWithoutService"];
    eventually("what is not inhibited arrives", || {
        let firing = received(&url, "firing");
        arrive.iter().all(|name| firing.iter().any(|got| got == name)).then_some(())
    });
    for name in ["ServiceErrorRateHigh", "QueueConsumerStalled"] {
        let all = backend::managed_alerts(&manager.url);
        let found = all.iter().find(|alert| alert.name() == name).unwrap();
        assert_eq!(found.state, "suppressed", "{found:?}");
        assert!(!received(&url, "firing").contains(&name.to_owned()), "{name}");
    }
    let mut over = alert("ErrorBudgetFastBurn", "critical", Some("api-gateway"));
    over["endsAt"] = "2020-01-01T00:00:00Z".into();
    over["startsAt"] = "2019-12-31T00:00:00Z".into();
    send(json!([over]));
    eventually("its end arrives", || {
        received(&url, "resolved").contains(&"ErrorBudgetFastBurn".to_owned()).then_some(())
    });
}

/// A burn-rate alert of an SLO.
fn burn(name: &str, severity: &str, slo: &str) -> Value {
    let mut alert = alert(name, severity, Some("api-gateway"));
    alert["labels"]["slo"] = slo.into();
    alert
}

/// The SLOs of the medium burns that were told.
fn medium_burns(url: &str) -> Vec<String> {
    let answer = get(&format!("{url}/alerts")).json;
    let rows = answer["alerts"].as_array().cloned().unwrap_or_default();
    let rows = rows.iter().map(|row| &row["labels"]);
    let medium = rows.filter(|labels| labels["alertname"] == "ErrorBudgetMediumBurn");
    medium.filter_map(|labels| labels["slo"].as_str().map(str::to_owned)).collect()
}

#[test]
fn one_fault_is_one_page_also_where_the_slower_burn_comes_first_and_stays_longer() {
    let (_notify, url, _temp) = single(Role::Notify, &[]);
    let manager = alertmanager(&format!("{url}/alerts"));
    let send = |alerts: Value| {
        assert_eq!(post(&format!("{}/api/v2/alerts", manager.url), &alerts).status, 200);
    };
    let (slower, slo) = ("ErrorBudgetMediumBurn", "gateway-availability");
    // That of the other SLO is alone: once it is told, the first would have been told too.
    send(json!([burn(slower, "critical", slo), burn(slower, "critical", "gateway-latency")]));
    let faster = burn("ErrorBudgetFastBurn", "critical", slo);
    send(json!([faster, burn("ErrorBudgetFastBurnLately", "warning", slo)]));
    let told = |slo: &str| medium_burns(&url).iter().any(|told| told == slo).then_some(());
    eventually("the lonely one is told", || told("gateway-latency"));
    assert_eq!(received(&url, "firing").iter().filter(|name| *name == "ErrorBudgetFastBurn").count(), 1);
    assert_eq!(told(slo), None, "it came first, and is held back");

    let mut over = faster;
    over["endsAt"] = "2020-01-01T00:00:00Z".into();
    over["startsAt"] = "2019-12-31T00:00:00Z".into();
    send(json!([over]));
    eventually("the end of the page", || {
        received(&url, "resolved").contains(&"ErrorBudgetFastBurn".to_owned()).then_some(())
    });
    // Another one that is alone, and as long on its way.
    let mut other = burn(slower, "critical", "gateway-latency");
    other["labels"]["service"] = "order-service".into();
    send(json!([other]));
    eventually("another lonely one is told", || {
        (medium_burns(&url).iter().filter(|told| *told == "gateway-latency").count() > 1).then_some(())
    });
    assert_eq!(told(slo), None, "it only remembers what is over");
    assert!(!received(&url, "firing").contains(&"ErrorBudgetFastBurnLately".to_owned()), "nobody is told");
}
