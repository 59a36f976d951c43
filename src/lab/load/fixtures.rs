//! Fixtures: the users and orders that this run made and asks about.

use serde_json::{Value, json};

/// The route whose 201 is an accepted order.
pub(super) const CREATE_ORDER: &str = "POST /api/orders";
/// The route whose 201 is a new user.
pub(super) const CREATE_USER: &str = "POST /api/users";

/// Places for users and for orders.
pub(super) const PLACES: usize = 8;

/// The rows that requests name. It never grows: a new one takes the place of the oldest.
pub(super) struct Fixtures {
    run: String,
    users: Places,
    orders: Places,
    made: [u64; 2],
}

/// Ids of one kind.
struct Places {
    ids: Vec<String>,
    most: usize,
    oldest: usize,
}

impl Places {
    fn none() -> Self {
        Self { ids: Vec::new(), most: PLACES, oldest: 0 }
    }

    fn full(ids: Vec<String>) -> Self {
        Self { most: ids.len(), ids, oldest: 0 }
    }

    fn put(&mut self, id: String) {
        if self.ids.len() < self.most {
            self.ids.push(id);
        } else if let Some(oldest) = self.ids.get_mut(self.oldest) {
            *oldest = id;
            self.oldest = (self.oldest + 1) % self.most;
        }
    }

    /// An id; one that no row has where there is none.
    fn get(&self, place: usize) -> &str {
        self.ids.get(place % self.ids.len().max(1)).map_or("0", String::as_str)
    }
}

impl Fixtures {
    /// None so far.
    pub(super) fn none(seed: u64) -> Self {
        // A seed makes the same requests each time, but an address can be taken only once.
        let run = format!("{seed}-{:08x}", fastrand::u32(..));
        Self { run, users: Places::none(), orders: Places::none(), made: [0; 2] }
    }

    /// Placeholders instead of ids, for a list of requests that are not sent.
    pub(super) fn symbolic() -> Self {
        let signs = |name: &str| Places::full((0..PLACES).map(|place| format!("${name}{place}")).collect());
        Self { run: "$run".to_owned(), users: signs("user"), orders: signs("order"), made: [0; 2] }
    }

    #[cfg(test)]
    pub(super) fn of(users: &[&str], orders: &[&str]) -> Self {
        let owned = |ids: &[&str]| Places::full(ids.iter().map(|id| (*id).to_owned()).collect());
        Self { run: "1-0".to_owned(), users: owned(users), orders: owned(orders), made: [0; 2] }
    }

    /// Tells this run from every other; part of new addresses.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// The id of a user.
    pub(super) fn user(&self, place: usize) -> &str {
        self.users.get(place)
    }

    /// The id of an order.
    pub(super) fn order(&self, place: usize) -> &str {
        self.orders.get(place)
    }

    /// Learns of an order that was accepted.
    pub(super) fn learn(&mut self, route: &str, status: u16, body: &[u8]) {
        if (route, status) == (CREATE_ORDER, 201)
            && let Some(id) = id_of(body)
        {
            self.orders.put(id);
        }
    }

    /// A row that was made before the first request, or again later: it is asked about from now on.
    pub(super) fn put_made(&mut self, route: &str, id: String) {
        if route == CREATE_USER {
            self.made[0] += 1;
            self.users.put(id);
        } else {
            self.made[1] += 1;
            self.orders.put(id);
        }
    }

    /// Rows of others, asked about where none of its own could be made.
    pub(super) fn put_found(&mut self, users: Vec<String>, orders: Vec<String>) {
        users.into_iter().for_each(|id| self.users.put(id));
        orders.into_iter().for_each(|id| self.orders.put(id));
    }

    /// Whether there are users, and whether there are orders to ask about.
    pub(super) fn any(&self) -> (bool, bool) {
        (!self.users.ids.is_empty(), !self.orders.ids.is_empty())
    }

    /// How many rows it made beside those of its requests, as the report says it.
    pub(super) fn made(&self) -> Value {
        json!({ "users": self.made[0], "orders": self.made[1] })
    }

    /// How many rows it made so far.
    pub(super) fn made_in_all(&self) -> u64 {
        self.made.iter().sum()
    }
}

/// The body of a new user; `name` makes the address unique.
pub(super) fn new_user(name: &str) -> String {
    format!(r#"{{"name":"Load {name}","email":"load-{name}@example.com"}}"#)
}

/// The row's id, which has to be a number: it goes into paths.
pub(super) fn id_of(body: &[u8]) -> Option<String> {
    id_in(&serde_json::from_slice(body).ok()?)
}

/// The id of a row that was read.
pub(super) fn id_in(row: &Value) -> Option<String> {
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

    #[test]
    fn where_nothing_could_be_made_an_id_is_named_that_no_row_has() {
        let mut fixtures = Fixtures::none(1);
        assert_eq!((fixtures.user(3), fixtures.order(3), fixtures.any()), ("0", "0", (false, false)));
        fixtures.put_found(vec!["7".to_owned()], Vec::new());
        fixtures.put_made(CREATE_ORDER, "9".to_owned());
        assert_eq!((fixtures.user(3), fixtures.order(3), fixtures.made_in_all()), ("7", "9", 1));
    }
}
