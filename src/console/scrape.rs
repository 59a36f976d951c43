//! Looks at every service's `/metrics` now and then.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::red::{self, Look};
use super::state::Console;
use crate::schema::SERVICES;

/// The longest one look may take.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The largest page read, in bytes.
const MOST_BYTES: usize = 4 << 20;

/// The time between two looks until every service has answered once: while the lab starts, "not
/// answering" should not stay on the page any longer than it is true.
const EAGER: Duration = Duration::from_millis(500);
/// How many such looks; a console may well be there for some of the services only.
const EAGER_LOOKS: usize = 40;

/// Starts looking, on the current thread, until the process ends. Looks at once for the first time.
pub(super) fn start(console: Arc<Console>, interval: Duration) {
    actix_web::rt::spawn(async move {
        let client = awc::Client::builder().timeout(TIMEOUT).disable_redirects().finish();
        for _ in 0..EAGER_LOOKS {
            if look_at_all(&console, &client).await {
                break;
            }
            tokio::time::sleep(EAGER.min(interval)).await;
        }
        let mut ticks = tokio::time::interval(interval);
        // After a pause of the whole machine one look is enough.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            look_at_all(&console, &client).await;
        }
    });
}

/// Answers whether every service did.
async fn look_at_all(console: &Console, client: &awc::Client) -> bool {
    let ports = SERVICES.iter().map(|service| console.ports.of(service.role));
    let looks = join_all(ports.map(|port| look(client, port))).await;
    let all = looks.iter().all(Option::is_some);
    let mut services = console.services();
    let changed = looks.into_iter().enumerate().fold(false, |any, (i, look)| services.note(i, look) || any);
    drop(services);
    if changed {
        console.metrics_changed();
    }
    all
}

async fn look(client: &awc::Client, port: u16) -> Option<Look> {
    let answer = async {
        let mut response = client.get(format!("http://127.0.0.1:{port}/metrics")).send().await.ok()?;
        let body = response.body().limit(MOST_BYTES).await.ok()?;
        response.status().is_success().then_some(body)
    };
    let body = tokio::time::timeout(TIMEOUT, answer).await.ok()??;
    Some(red::parse(std::str::from_utf8(&body).ok()?))
}
