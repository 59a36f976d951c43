//! The sequence of requests: a draw from the tables, by seed and number.

use super::cases::{BROWSE, CHECKOUT, ERRORS};
use super::draw::{Draw, LoadCase};
use crate::config::Mix;

/// Request `number` of the sequence: a pure function of its arguments.
pub(super) fn draw(seed: u64, number: u64, mix: Mix) -> Draw {
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
    Draw::of(case, number, &mut rng)
}

fn pick(cases: &'static [LoadCase], rng: &mut fastrand::Rng) -> &'static LoadCase {
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

    use super::super::fixtures::{CREATE_ORDER, Fixtures};
    use super::*;
    use crate::api::{NewOrder, NewUser};

    fn sequence(seed: u64, mix: Mix) -> Vec<String> {
        let fixtures = Fixtures::symbolic();
        let line = |d: Draw| format!("{} {} {}", d.case.route, d.path(&fixtures), d.body(&fixtures));
        (0..500).map(|n| line(draw(seed, n, mix))).collect()
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
            (0..500).map(|n| draw(1, n, mix).case).map(|c| (c.route, c.what)).collect()
        };
        for (mix, table) in [(Mix::Browse, BROWSE), (Mix::Checkout, CHECKOUT), (Mix::Errors, ERRORS)] {
            assert_eq!(cases(mix), table.iter().map(|c| (c.route, c.what)).collect());
        }
        let counted =
            |set: &[LoadCase]| (0..1000).filter(|n| in_set(draw(1, *n, Mix::Mixed).case, set)).count();
        assert!((40..=160).contains(&counted(ERRORS)), "{}", counted(ERRORS));
        assert!(counted(BROWSE) > counted(CHECKOUT) && counted(CHECKOUT) > counted(ERRORS));
    }

    fn in_set(case: &LoadCase, set: &[LoadCase]) -> bool {
        set.iter().any(|c| (c.route, c.what, c.expect) == (case.route, case.what, case.expect))
    }

    #[test]
    fn what_checks_out_keeps_the_rules_and_what_is_wrong_breaks_them() {
        let fixtures = Fixtures::of(&["1", "2"], &["3"]);
        for number in 0..500 {
            let drawn = draw(3, number, Mix::Checkout);
            let body = serde_json::from_str(&drawn.body(&fixtures)).unwrap_or_default();
            match drawn.case.route {
                "POST /api/users" => assert!(NewUser::from_json(&body).is_ok(), "{body}"),
                "POST /api/orders" | "POST /api/orders/validate" => {
                    assert!(NewOrder::from_json(&body).is_ok(), "{body}");
                }
                _ => {}
            }
            let drawn = draw(3, number, Mix::Errors);
            assert!(drawn.case.expect.iter().all(|status| (400..500).contains(status)));
            if drawn.case.route == CREATE_ORDER && drawn.case.expect == [400] {
                let body = serde_json::from_str(&drawn.body(&fixtures)).unwrap_or_default();
                assert!(NewOrder::from_json(&body).is_err(), "{body}");
            }
        }
    }
}
