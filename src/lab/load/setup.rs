//! Set-up: makes the users and orders that a run asks about, in a lab that may be broken.
//!
//! What fails in a way that may pass is tried again for a while; then the run goes on with what there
//! is. The rows are the run's own, so that it changes none of other clients, but where none could be
//! made: a broken lab is what traffic is there to show.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::client::{LoadAnswer, LoadClient, LoadFailure};
use super::fixtures::{CREATE_ORDER, CREATE_USER, Fixtures, PLACES, id_in, id_of, new_user};
use super::progress::Progress;

/// Rows that a set-up makes.
pub(super) const ROWS: usize = 2 * PLACES;
/// The longest that a run waits for its set-up to make rows: half of it for users, half for orders.
pub(super) const WITHIN: Duration = Duration::from_secs(15);
/// The longest that a gateway may be away when a run begins: it may be starting.
const AWAY: Duration = Duration::from_secs(3);
/// Wait before another attempt; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A set-up of one run.
pub(super) struct SetUp<'a> {
    pub(super) client: &'a LoadClient,
    pub(super) fixtures: &'a RefCell<Fixtures>,
    pub(super) progress: &'a Progress,
    /// Most requests in flight.
    pub(super) connections: usize,
    /// The longest to make rows: [`WITHIN`].
    pub(super) within: Duration,
}

impl SetUp<'_> {
    /// Waits until the gateway answers anything.
    ///
    /// # Errors
    /// It did not for [`AWAY`]; the reason.
    pub(super) async fn reach(&self) -> Result<(), LoadFailure> {
        let end = Instant::now() + AWAY;
        let mut wait = FIRST_WAIT;
        loop {
            // `/health` is neither traced nor counted, and no fault hits it.
            match self.client.send("GET /health", "/health", String::new()).await.result {
                Err(failure) if Instant::now() + wait < end => {
                    self.progress.setting_up(0, Some(&failure.to_string()));
                    sleep(wait).await;
                    wait *= 2;
                }
                Err(failure) => return Err(failure),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Makes users and orders, for at most `within`; what is made is in the fixtures at once. Where there
    /// are none of a kind, those of others are asked for once, within a request's time limit.
    pub(super) async fn make(&self) {
        let before = self.fixtures.borrow().made_in_all();
        let _ = timeout(self.within / 2, self.make_all(CREATE_USER, before)).await;
        if !self.fixtures.borrow().any().0 {
            let users = self.existing("GET /api/users", "users").await;
            self.fixtures.borrow_mut().put_found(users, Vec::new());
        }
        let _ = timeout(self.within / 2, self.make_all(CREATE_ORDER, before)).await;
        if !self.fixtures.borrow().any().1 {
            let orders = self.existing("GET /api/orders", "orders").await;
            self.fixtures.borrow_mut().put_found(Vec::new(), orders);
        }
        let made = self.fixtures.borrow().made_in_all() - before;
        self.progress.set_up(made as usize);
    }

    /// Makes the rows of one kind, in the order of their places.
    async fn make_all(&self, route: &'static str, before: u64) {
        let mut rows = futures_util::stream::iter(0..PLACES)
            .map(|place| self.make_one(route, place, before))
            .buffered(self.connections.min(PLACES));
        while let Some(made) = rows.next().await {
            if let Some(id) = made {
                self.fixtures.borrow_mut().put_made(route, id);
                self.say(before, None);
            }
        }
    }

    /// Makes one row: as often as it takes, unless it is refused.
    async fn make_one(&self, route: &'static str, place: usize, before: u64) -> Option<String> {
        let client = self.client.patient();
        let path = route.split_once(' ').map_or("/", |(_, path)| path);
        let mut wait = FIRST_WAIT;
        loop {
            let (reason, again) = match client.send(route, path, self.body(route, place)).await.result {
                Ok(LoadAnswer { status: 201, body, .. }) => return id_of(&body),
                Ok(answer) => {
                    let passing = answer.status >= 500 || [408, 409, 429].contains(&answer.status);
                    (format!("{route} answered {}", answer.status), passing)
                }
                Err(failure) => (format!("{route}: {failure}"), true),
            };
            self.say(before, Some(&reason));
            if !again {
                return None;
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn say(&self, before: u64, reason: Option<&str>) {
        let made = self.fixtures.borrow().made_in_all() - before;
        self.progress.setting_up(made as usize, reason);
    }

    fn body(&self, route: &str, place: usize) -> String {
        let fixtures = self.fixtures.borrow();
        if route == CREATE_USER {
            // An attempt that got no answer may have taken its address.
            return new_user(&format!("{}-place-{place}-{:08x}", fixtures.run(), fastrand::u32(..)));
        }
        format!(r#"{{"userId":{},"items":["book"],"total":9.99}}"#, fixtures.user(place))
    }

    /// Ids of rows that are there already.
    async fn existing(&self, route: &'static str, key: &str) -> Vec<String> {
        let path = route.split_once(' ').map_or("/", |(_, path)| path);
        let reply = self.client.send(route, &format!("{path}?limit={PLACES}"), String::new()).await;
        let page = reply.result.ok().and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok());
        let rows = page.as_ref().and_then(|page| page[key].as_array());
        rows.into_iter().flatten().filter_map(id_in).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::http::StatusCode;
    use actix_web::{App, HttpResponse, HttpServer, web};
    use clap::{Args as _, FromArgMatches as _};
    use opentelemetry::global::BoxedTracer;
    use opentelemetry::trace::noop::NoopTracer;

    use super::*;
    use crate::config::LoadConfig;

    /// What a set-up has in a lab that answers every POST with this status.
    async fn fixtures_where(status: StatusCode) -> RefCell<Fixtures> {
        let refuse = move || web::post().to(move || async move { HttpResponse::new(status) });
        let list = |body: &'static str| web::get().to(move || async move { body });
        let server = HttpServer::new(move || {
            App::new()
                .service(
                    web::resource("/api/users")
                        .route(refuse())
                        .route(list(r#"{"users":[{"id":7},{"id":"x"}]}"#)),
                )
                .service(web::resource("/api/orders").route(refuse()).route(list(r#"{"orders":[{"id":9}]}"#)))
        });
        let server = server.workers(1).bind(("127.0.0.1", 0)).unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);

        let command = LoadConfig::augment_args(clap::Command::new("load"));
        let config = LoadConfig::from_arg_matches(&command.get_matches_from(["load"])).unwrap();
        let progress = Progress::new(&config, config.duration);
        let tracer = BoxedTracer::new(Box::new(NoopTracer::new()));
        let client = LoadClient::new(&base, config.timeout, 2, tracer).unwrap();
        let fixtures = RefCell::new(Fixtures::none(1));
        let set_up = SetUp {
            client: &client,
            fixtures: &fixtures,
            progress: &progress,
            connections: 2,
            within: Duration::from_millis(600),
        };
        set_up.reach().await.unwrap();
        set_up.make().await;
        handle.stop(false).await;
        fixtures
    }

    #[actix_web::test]
    async fn where_no_row_can_be_made_those_of_others_are_asked_about() {
        let fixtures = fixtures_where(StatusCode::BAD_REQUEST).await;
        let fixtures = fixtures.borrow();
        assert_eq!((fixtures.user(5), fixtures.order(5), fixtures.made_in_all()), ("7", "9", 0));
    }

    #[actix_web::test]
    async fn where_making_rows_is_tried_again_to_the_end_of_its_time_those_of_others_are_still_asked_about() {
        let fixtures = fixtures_where(StatusCode::SERVICE_UNAVAILABLE).await;
        let fixtures = fixtures.borrow();
        assert_eq!((fixtures.user(5), fixtures.order(5), fixtures.made_in_all()), ("7", "9", 0));
    }
}
