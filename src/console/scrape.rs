//! Scrapes every service's `/metrics`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::red::{self, Scrape};
use super::state::Console;
use crate::config::reached_at;
use crate::runtime::oneshot::OneShot;
use crate::schema::SERVICES;

/// The longest one scrape may take.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The largest page read, in bytes.
const MOST_BYTES: usize = 4 << 20;

/// The interval until every service has answered once: while the lab starts, "not answering" should
/// not stay on the page any longer than it is true.
const EAGER: Duration = Duration::from_millis(500);
/// How many such rounds; a console may well be there for some of the services only.
const EAGER_ROUNDS: usize = 40;

/// Starts scraping, on the current thread, until the process ends. The first round is at once. The
/// services are where the console is: they listen on `host`.
pub(super) fn start(console: Arc<Console>, host: IpAddr, interval: Duration) {
    actix_web::rt::spawn(async move {
        let http = OneShot::new(TIMEOUT, MOST_BYTES);
        for _ in 0..EAGER_ROUNDS {
            if scrape_all(&console, host, &http).await {
                break;
            }
            tokio::time::sleep(EAGER.min(interval)).await;
        }
        let mut ticks = tokio::time::interval(interval);
        // After a pause of the whole machine one round is enough.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            scrape_all(&console, host, &http).await;
        }
    });
}

/// One round; whether every service answered.
async fn scrape_all(console: &Console, host: IpAddr, http: &OneShot) -> bool {
    let ports = SERVICES.iter().map(|service| console.ports.of(service.role));
    let scrapes = join_all(ports.map(|port| scrape(http, reached_at(host, port)))).await;
    let all = scrapes.iter().all(Option::is_some);
    let mut services = console.services();
    let scrapes = scrapes.into_iter().enumerate();
    let changed = scrapes.fold(false, |any, (i, scrape)| services.note(i, scrape) || any);
    drop(services);
    if changed {
        console.metrics_changed();
    }
    all
}

async fn scrape(http: &OneShot, address: String) -> Option<Scrape> {
    let answer = http.get(&format!("http://{address}/metrics")).await.ok()?;
    let page = std::str::from_utf8(&answer.body).ok()?;
    answer.is_success().then(|| red::parse(page))
}
