//! Set-up: makes the users and orders that a run asks about, in a lab that may be broken.
//!
//! What fails in a way that may pass is tried again for a while; then the run goes on with what there
//! is. The rows are the run's own, so that it changes none of other clients, but where none could be
//! made: a broken lab is what traffic is there to show.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::client::{LoadAnswer, LoadClient, LoadFailure};
use super::fixtures::{CREATE_ORDER, CREATE_USER, Fixtures, PLACES, id_in, id_of, new_user};
use super::progress::Progress;

/// Rows that a set-up makes.
pub(super) const ROWS: usize = 2 * PLACES;
/// The longest a run waits for its set-up.
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

    /// Makes users and orders, for at most [`WITHIN`]; what is made is in the fixtures at once.
    pub(super) async fn make(&self) {
        let before = self.fixtures.borrow().made_in_all();
        let all = async {
            self.make_all(CREATE_USER, before).await;
            if !self.fixtures.borrow().any().0 {
                let users = self.existing("GET /api/users", "users").await;
                self.fixtures.borrow_mut().put_found(users, Vec::new());
            }
            self.make_all(CREATE_ORDER, before).await;
        };
        let _ = tokio::time::timeout(WITHIN, all).await;
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
