//! The whole way of a page, as a learner walks it, by the README's own commands: the lab with Prometheus
//! and Alertmanager beside it, traffic, a fault, the page, the repair; a dead consumer; and after another
//! `up` the same way again.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use o11y_lab::lab::backend::alert::AlertInstance;
use o11y_lab::schema::{Endpoint, Role};
use serde_json::Value;

use crate::helpers::dashboards::{empty_panels, waits_for};
use crate::helpers::process::signal_pid;
use crate::helpers::{Lab, Process, backend, eventually, eventually_within, http};
use crate::readme::{Shell, commands};

/// How long the healthy lab is watched.
const HEALTHY: Duration = Duration::from_secs(120);
/// The lab profile promises a page within two minutes.
const PAGE: Duration = Duration::from_secs(120);
/// The README promises its end within a minute and a half.
const END: Duration = Duration::from_secs(90);
/// The slower page of the same SLO holds for 2m30s after the repair, and what ends is told once more.
const CALM: Duration = Duration::from_secs(300);
const GATEWAY: &str = "api-gateway";
const NOTIFY: &str = "notification-service";

/// The README's commands.
struct Walk {
    up: String,
    load: String,
    fault: String,
    alerts: String,
    clear: String,
}

impl Walk {
    fn read() -> Self {
        let lines: [String; 6] = commands("A page, from the fault to the repair").try_into().unwrap();
        let [up, load, fault, alerts, clear, again] = lines;
        assert_eq!(alerts.split('#').next(), again.split('#').next());
        Self { up, load, fault, alerts, clear }
    }
}

struct Scene<'a> {
    lab: Lab,
    _load: Process,
    shell: &'a Shell,
    walk: &'a Walk,
}

impl<'a> Scene<'a> {
    fn set(shell: &'a Shell, walk: &'a Walk) -> Self {
        let lab = shell.up(&walk.up);
        for port in [lab.ports().at(Endpoint::Prometheus), lab.ports().at(Endpoint::Alertmanager)] {
            let ready = format!("http://127.0.0.1:{port}/-/ready");
            eventually("the backends are ready", || {
                http::try_send("GET", &ready, &[], None).filter(|answer| answer.status == 200)
            });
        }
        Self { lab, _load: Process::spawn(shell.command(&walk.load)), shell, walk }
    }

    fn prometheus(&self) -> String {
        format!("http://127.0.0.1:{}", self.lab.ports().at(Endpoint::Prometheus))
    }

    /// The alerts that fire in Prometheus.
    fn alerts(&self) -> Vec<AlertInstance> {
        let alerts = backend::alerts(&self.prometheus()).into_iter();
        alerts.filter(|alert| alert.state == "firing").collect()
    }

    /// The same, as (name, service).
    fn firing(&self) -> Vec<(String, String)> {
        self.alerts().iter().map(name_and_service).collect()
    }

    /// Whether nobody is paged. Tickets on the budget look back for hours, and stay.
    fn is_calm(&self) -> Option<()> {
        self.alerts().iter().all(|alert| alert.label("severity") != "critical").then_some(())
    }

    fn fires(&self, name: &str, service: &str) -> Option<()> {
        self.firing().contains(&(name.to_owned(), service.to_owned())).then_some(())
    }

    /// What notification-service was told.
    fn told(&self, status: &str) -> Vec<(String, String)> {
        let answer = http::try_send("GET", &self.lab.url(Role::Notify, "/alerts"), &[], None);
        let rows = answer.and_then(|answer| answer.json["alerts"].as_array().cloned()).unwrap_or_default();
        rows.iter().filter(|row| row["status"] == status).map(named).collect()
    }

    fn is_told(&self, name: &str, service: &str, status: &str) -> Option<()> {
        self.told(status).contains(&(name.to_owned(), service.to_owned())).then_some(())
    }

    /// Alertmanager's word on an alert: active or suppressed.
    fn state(&self, name: &str, service: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}", self.lab.ports().at(Endpoint::Alertmanager));
        let wanted = (name.to_owned(), service.to_owned());
        let mut all = backend::managed_alerts(&url).into_iter();
        all.find(|alert| name_and_service(alert) == wanted).map(|alert| alert.state)
    }

    /// The pages of the gateway that were told, each once, by name and start.
    fn pages(&self) -> Vec<(String, String)> {
        let rows = self.shell.json(&self.walk.alerts)["alerts"].as_array().cloned().unwrap_or_default();
        let critical = |row: &&Value| row["labels"]["severity"] == "critical";
        let of_gateway = rows.iter().filter(critical).filter(|row| named(row).1 == GATEWAY);
        of_gateway.map(|row| (named(row).0, row["startsAt"].to_string())).collect()
    }

    /// Panels without data that have nothing to wait for.
    fn empty(&self) -> Vec<(String, String, String)> {
        let empty = empty_panels(&self.prometheus()).into_iter();
        empty.filter(|(dashboard, panel, _)| waits_for(dashboard, panel).is_none()).collect()
    }
}

fn name_and_service(alert: &AlertInstance) -> (String, String) {
    (alert.name().to_owned(), alert.label("service").to_owned())
}

fn named(alert: &Value) -> (String, String) {
    let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
    (label("alertname"), label("service"))
}

#[test]
#[ignore = "minutes long, and wants the machine for itself: make test-live"]
fn a_healthy_lab_fires_nothing_and_a_broken_one_pages_until_it_is_mended() {
    let temp = tempfile::tempdir().unwrap();
    let (shell, walk) = (Shell::new(temp.path()), Walk::read());
    let mut scene = Scene::set(&shell, &walk);
    watch_it_healthy(&scene);
    break_and_mend_the_gateway(&scene);
    lose_the_consumer(&scene);
    assert_eq!(names(&scene.pages()), ["ErrorBudgetFastBurn"], "one fault is one page");
    assert!(scene.lab.up.stop().success());
    drop(scene);

    let scene = Scene::set(&shell, &walk);
    break_and_mend_the_gateway(&scene);
    let pages = scene.pages();
    assert_eq!(names(&pages), ["ErrorBudgetFastBurn", "ErrorBudgetFastBurn"], "{pages:?}");
}

fn names(pages: &[(String, String)]) -> Vec<&str> {
    pages.iter().map(|(name, _)| name.as_str()).collect()
}

fn watch_it_healthy(scene: &Scene) {
    let until = Instant::now() + HEALTHY;
    while Instant::now() < until {
        assert_eq!(scene.firing(), [], "a healthy lab under load fires nothing");
        std::thread::sleep(Duration::from_secs(1));
    }
    eventually_within(PAGE, "every panel that waits for no failure shows data", || {
        let empty = scene.empty();
        eprintln!("healthy: {} panels without data {empty:?}", empty.len());
        empty.is_empty().then_some(())
    });
}

fn break_and_mend_the_gateway(scene: &Scene) {
    let page = ("ErrorBudgetFastBurn", GATEWAY);
    let before = scene.pages().len();
    scene.shell.run(&scene.walk.fault);
    let broken = Instant::now();
    eventually_within(PAGE, "the page fires", || scene.fires(page.0, page.1));
    eprintln!("the page fired after {} s", broken.elapsed().as_secs());
    eventually_within(PAGE, "the page is delivered", || scene.is_told(page.0, page.1, "firing"));
    assert_eq!(scene.pages().len(), before + 1, "{:?}", scene.pages());
    eprintln!("the page was delivered after {} s", broken.elapsed().as_secs());
    eventually_within(PAGE, "the ticket of the same service is held back", || {
        (scene.state("ServiceErrorRateHigh", GATEWAY)? == "suppressed").then_some(())
    });
    assert_eq!(scene.is_told("ServiceErrorRateHigh", GATEWAY, "firing"), None);
    let logged = |line: &Value| line["message"] == "Alert received" && line["alert"] == page.0;
    assert!(scene.lab.logs().iter().any(logged), "the page is a log line");
    let received = scene.lab.metric(Role::Notify, "alerts_received_total{status=\"firing\"}");
    assert!(received.is_some_and(|count| count >= 1.0), "the page is counted: {received:?}");
    eventually_within(PAGE, "the panel of alerts shows it", || {
        let empty = empty_panels(&scene.prometheus());
        empty.iter().all(|(_, panel, _)| panel != "Alerts over time").then_some(())
    });
    assert!(scene.shell.run(&scene.walk.clear).contains("cleared error"), "it lasts until it is cleared");
    let mended = Instant::now();
    eventually_within(END, "its end is delivered", || {
        scene.is_told(page.0, page.1, "firing").is_none().then_some(())?;
        scene.is_told(page.0, page.1, "resolved")
    });
    eprintln!("its end was delivered {} s after the repair", mended.elapsed().as_secs());
}

/// `up` starts a killed role again at once, so the consumer is stopped and not killed: to everybody
/// else it is as dead.
fn lose_the_consumer(scene: &Scene) {
    let pid = scene.lab.pid(Role::Notify);
    signal_pid(pid, Signal::SIGSTOP);
    for alert in ["TargetDown", "QueueConsumerStalled"] {
        eventually_within(PAGE, &format!("{alert} fires"), || scene.fires(alert, NOTIFY));
    }
    eventually_within(PAGE, "one dead consumer is one problem", || {
        (scene.state("QueueConsumerStalled", NOTIFY)? == "suppressed").then_some(())
    });
    signal_pid(pid, Signal::SIGCONT);
    eventually_within(PAGE, "it is told of its own death", || scene.is_told("TargetDown", NOTIFY, "firing"));
    eventually_within(CALM, "nobody is paged any more", || scene.is_calm());
}
