//! What is asked: the draw from the tables of requests, by seed and number.

mod cases;

use super::world::World;
use crate::config::Mix;
pub(super) use cases::CREATE_ORDER;
use cases::{BROWSE, CHECKOUT, ERRORS};

/// One kind of request.
pub(super) struct Case {
    /// Method and route template, as the report groups them.
    pub(super) route: &'static str,
    /// What it is, where a route has more than one.
    pub(super) what: &'static str,
    /// The statuses that are right.
    pub(super) expect: &'static [u16],
    /// Of how many draws it gets its share.
    weight: u32,
    path: fn(&Draw, &World) -> String,
    body: fn(&Draw, &World) -> String,
}

impl Case {
    /// The method of its route.
    pub(super) fn method(&self) -> &'static str {
        self.route.split(' ').next().unwrap_or_default()
    }
}

const THINGS: [&str; 8] = ["book", "lamp", "kettle", "chair", "pen", "globe", "clock", "rug"];

/// The body of a new user; `name` makes the address unique.
pub(super) fn user(name: &str) -> String {
    format!(r#"{{"name":"Load {name}","email":"load-{name}@example.com"}}"#)
}

/// One request of the sequence. Users and orders are places in the [`World`]: which row is in such a
/// place depends on the answers, which request is sent does not.
pub(super) struct Draw {
    /// What it is.
    pub(super) case: &'static Case,
    number: u64,
    user: usize,
    order: usize,
    things: Vec<&'static str>,
    cents: u64,
}

impl Draw {
    /// Request `number` of the sequence: a pure function of its arguments.
    pub(super) fn new(seed: u64, number: u64, mix: Mix) -> Self {
        // The odd constant of SplitMix64 spreads neighbouring numbers over all bits.
        let mut rng = fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let cases = match mix {
            Mix::Browse => BROWSE,
            Mix::Checkout => CHECKOUT,
            Mix::Errors => ERRORS,
            Mix::Mixed => match rng.u8(0..10) {
                0..6 => BROWSE,
                6..9 => CHECKOUT,
                _ => ERRORS,
            },
        };
        let case = pick(cases, &mut rng);
        let things = (0..rng.usize(1..=4)).map(|_| THINGS[rng.usize(0..THINGS.len())]).collect();
        let (user, order, cents) = (rng.usize(..), rng.usize(..), rng.u64(100..=50_000));
        Self { case, number, user, order, things, cents }
    }

    /// Path and query.
    pub(super) fn path(&self, world: &World) -> String {
        (self.case.path)(self, world)
    }

    /// The JSON body; empty for none.
    pub(super) fn body(&self, world: &World) -> String {
        (self.case.body)(self, world)
    }

    fn sound_order(&self, world: &World) -> String {
        self.order_with(world.user(self.user), &self.items(), &self.total())
    }

    fn order_with(&self, user: &str, items: &str, total: &str) -> String {
        format!(r#"{{"userId":{user},"items":{items},"total":{total}}}"#)
    }

    fn items(&self) -> String {
        serde_json::json!(self.things).to_string()
    }

    fn total(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

fn pick(cases: &'static [Case], rng: &mut fastrand::Rng) -> &'static Case {
    let mut ticket = rng.u32(0..cases.iter().map(|case| case.weight).sum());
    for case in cases {
        if ticket < case.weight {
            return case;
        }
        ticket -= case.weight;
    }
    &cases[0]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::ValueEnum as _;

    use super::*;
    use crate::api::{NewOrder, NewUser};

    fn sequence(seed: u64, mix: Mix) -> Vec<String> {
        let world = World::symbolic();
        let line = |d: Draw| format!("{} {} {}", d.case.route, d.path(&world), d.body(&world));
        (0..500).map(|n| line(Draw::new(seed, n, mix))).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_requests_and_another_seed_others() {
        for mix in Mix::value_variants() {
            assert_eq!(sequence(1, *mix), sequence(1, *mix));
            assert_ne!(sequence(1, *mix), sequence(2, *mix));
        }
    }

    #[test]
    fn every_mix_draws_all_its_cases_and_mixed_draws_about_its_shares() {
        let cases = |mix| -> BTreeSet<_> {
            (0..500).map(|n| Draw::new(1, n, mix).case).map(|c| (c.route, c.what)).collect()
        };
        for (mix, table) in [(Mix::Browse, BROWSE), (Mix::Checkout, CHECKOUT), (Mix::Errors, ERRORS)] {
            assert_eq!(cases(mix), table.iter().map(|c| (c.route, c.what)).collect());
        }
        let drawn =
            |set: &[Case]| (0..1000).filter(|n| in_set(Draw::new(1, *n, Mix::Mixed).case, set)).count();
        assert!((40..=160).contains(&drawn(ERRORS)), "{}", drawn(ERRORS));
        assert!(drawn(BROWSE) > drawn(CHECKOUT) && drawn(CHECKOUT) > drawn(ERRORS));
    }

    fn in_set(case: &Case, set: &[Case]) -> bool {
        set.iter().any(|c| (c.route, c.what, c.expect) == (case.route, case.what, case.expect))
    }

    #[test]
    fn what_checks_out_keeps_the_rules_and_what_is_wrong_breaks_them() {
        let world = World::of(&["1", "2"], &["3"]);
        for number in 0..500 {
            let draw = Draw::new(3, number, Mix::Checkout);
            let body = serde_json::from_str(&draw.body(&world)).unwrap_or_default();
            match draw.case.route {
                "POST /api/users" => assert!(NewUser::from_json(&body).is_ok(), "{body}"),
                "POST /api/orders" | "POST /api/orders/validate" => {
                    assert!(NewOrder::from_json(&body).is_ok(), "{body}");
                }
                _ => {}
            }
            let draw = Draw::new(3, number, Mix::Errors);
            assert!(draw.case.expect.iter().all(|status| (400..500).contains(status)));
            if draw.case.route == CREATE_ORDER && draw.case.expect == [400] {
                let body = serde_json::from_str(&draw.body(&world)).unwrap_or_default();
                assert!(NewOrder::from_json(&body).is_err(), "{body}");
            }
        }
    }
}
