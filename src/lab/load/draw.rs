//! One request of the sequence: which case it is and the numbers drawn for it.

use super::fixtures::Fixtures;

/// One kind of request: a row of the tables.
pub(super) struct LoadCase {
    /// Method and route template, as the report groups them.
    pub(super) route: &'static str,
    /// What it is, where a route has more than one.
    pub(super) what: &'static str,
    /// The statuses that are right.
    pub(super) expect: &'static [u16],
    /// Of how many draws it gets its share.
    pub(super) weight: u32,
    pub(super) path: fn(&Draw, &Fixtures) -> String,
    pub(super) body: fn(&Draw, &Fixtures) -> String,
}

impl LoadCase {
    /// The method of its route.
    pub(super) fn method(&self) -> &'static str {
        self.route.split(' ').next().unwrap_or_default()
    }
}

const THINGS: [&str; 8] = ["book", "lamp", "kettle", "chair", "pen", "globe", "clock", "rug"];

/// One request of the sequence. Users and orders are places in the [`Fixtures`]: which row is in such a
/// place depends on the answers, which request is sent does not.
pub(super) struct Draw {
    /// What it is.
    pub(super) case: &'static LoadCase,
    pub(super) number: u64,
    pub(super) user: usize,
    pub(super) order: usize,
    things: Vec<&'static str>,
    cents: u64,
}

impl Draw {
    /// Request `number` as a case, its rows, items and total drawn from `rng`.
    pub(super) fn of(case: &'static LoadCase, number: u64, rng: &mut fastrand::Rng) -> Self {
        let things = (0..rng.usize(1..=4)).map(|_| THINGS[rng.usize(0..THINGS.len())]).collect();
        let (user, order, cents) = (rng.usize(..), rng.usize(..), rng.u64(100..=50_000));
        Self { case, number, user, order, things, cents }
    }

    /// Path and query.
    pub(super) fn path(&self, fixtures: &Fixtures) -> String {
        (self.case.path)(self, fixtures)
    }

    /// The JSON body; empty for none.
    pub(super) fn body(&self, fixtures: &Fixtures) -> String {
        (self.case.body)(self, fixtures)
    }

    /// The body of an order that is to be accepted.
    pub(super) fn sound_order(&self, fixtures: &Fixtures) -> String {
        self.order_with(fixtures.user(self.user), &self.items(), &self.total())
    }

    /// The body of an order with these parts, each of them JSON.
    pub(super) fn order_with(&self, user: &str, items: &str, total: &str) -> String {
        format!(r#"{{"userId":{user},"items":{items},"total":{total}}}"#)
    }

    /// The drawn items.
    pub(super) fn items(&self) -> String {
        serde_json::json!(self.things).to_string()
    }

    /// The drawn total.
    pub(super) fn total(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }
}
