//! Fixtures: the users and orders that this run made and asks about.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::client::LoadClient;

/// The route whose 201 is an accepted order.
pub(super) const CREATE_ORDER: &str = "POST /api/orders";

/// Places for users and for orders.
const PLACES: usize = 8;

/// The rows that requests name. It never grows: a new order takes the place of the oldest.
pub(super) struct Fixtures {
    run: String,
    users: Vec<String>,
    orders: Vec<String>,
    oldest: usize,
}

impl Fixtures {
    /// Makes the users and orders that a run starts with. They are the run's own, so that it changes
    /// no rows of other clients.
    ///
    /// # Errors
    /// The gateway cannot be asked, or refuses.
    pub(super) async fn make(client: &LoadClient, seed: u64) -> anyhow::Result<Self> {
        let client = client.patient();
        // A seed makes the same requests each time, but an address can be taken only once.
        let run = format!("{seed}-{:08x}", fastrand::u32(..));
        let mut fixtures = Self { run, users: Vec::new(), orders: Vec::new(), oldest: 0 };
        for place in 0..PLACES {
            let body = new_user(&format!("{}-place-{place}", fixtures.run));
            fixtures.users.push(create(&client, "/api/users", body).await?);
        }
        for place in 0..PLACES {
            let order = format!(r#"{{"userId":{},"items":["book"],"total":9.99}}"#, fixtures.user(place));
            fixtures.orders.push(create(&client, "/api/orders", order).await?);
        }
        Ok(fixtures)
    }

    /// Placeholders instead of ids, for a list of requests that are not sent.
    pub(super) fn symbolic() -> Self {
        let signs = |name: &str| (0..PLACES).map(|place| format!("${name}{place}")).collect();
        Self { run: "$run".to_owned(), users: signs("user"), orders: signs("order"), oldest: 0 }
    }

    #[cfg(test)]
    pub(super) fn of(users: &[&str], orders: &[&str]) -> Self {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Self { run: "1-0".to_owned(), users: owned(users), orders: owned(orders), oldest: 0 }
    }

    /// Tells this run from every other; part of new addresses.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// The id of a user.
    pub(super) fn user(&self, place: usize) -> &str {
        in_place(&self.users, place)
    }

    /// The id of an order.
    pub(super) fn order(&self, place: usize) -> &str {
        in_place(&self.orders, place)
    }

    /// Learns of an order that was accepted.
    pub(super) fn learn(&mut self, route: &str, status: u16, body: &[u8]) {
        if (route, status) != (CREATE_ORDER, 201) {
            return;
        }
        if let Some(id) = id_of(body) {
            self.orders[self.oldest] = id;
            self.oldest = (self.oldest + 1) % self.orders.len();
        }
    }

    /// How many rows a run starts with, as the report says it.
    pub(super) fn made() -> Value {
        json!({ "users": PLACES, "orders": PLACES })
    }
}

/// The body of a new user; `name` makes the address unique.
pub(super) fn new_user(name: &str) -> String {
    format!(r#"{{"name":"Load {name}","email":"load-{name}@example.com"}}"#)
}

fn in_place(ids: &[String], place: usize) -> &str {
    ids.get(place % ids.len().max(1)).map_or("0", String::as_str)
}

async fn create(client: &LoadClient, path: &str, body: String) -> anyhow::Result<String> {
    let reply = client.send("POST", path, body).await;
    let answer = reply.result.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    ensure!(answer.status == 201, "POST {path} answered {}", answer.status);
    id_of(&answer.body).with_context(|| format!("POST {path} answered without an id"))
}

/// The row's id, which has to be a number: it goes into paths.
fn id_of(body: &[u8]) -> Option<String> {
    let row: Value = serde_json::from_slice(body).ok()?;
    row.get("id")?.as_u64().map(|id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_order_takes_the_place_of_the_oldest_and_nothing_else_does() {
        let mut fixtures = Fixtures::of(&["1"], &["10", "11"]);
        let seen = |fixtures: &Fixtures| [fixtures.order(0).to_owned(), fixtures.order(1).to_owned()];
        for (route, status, body) in [
            (CREATE_ORDER, 400, r#"{"id":5}"#),
            (CREATE_ORDER, 201, r#"{"id":"../x"}"#),
            ("GET /", 201, r#"{"id":5}"#),
        ] {
            fixtures.learn(route, status, body.as_bytes());
        }
        assert_eq!(seen(&fixtures), ["10", "11"]);
        for id in 12..15 {
            fixtures.learn(CREATE_ORDER, 201, format!(r#"{{"id":{id}}}"#).as_bytes());
        }
        assert_eq!(seen(&fixtures), ["14", "13"]);
    }
}
