//! What is counted as what.
#![allow(clippy::unwrap_used)]
use super::super::mix::Draw;
use super::*;
use crate::config::Mix;

fn outcome(mix: Mix, result: Result<u16, Failure>, ms: u64) -> Outcome {
    let mut draws = (0..).map(|number| Draw::new(1, number, mix).case);
    let case = draws.find(|case| case.route == CREATE_ORDER && case.expect.len() == 1).unwrap();
    let done = Done { case, trace_id: format!("{ms:032x}"), result };
    Outcome { done, phase: 0, waited: Duration::ZERO, latency: Duration::from_millis(ms) }
}

#[test]
fn what_the_mix_expects_is_told_from_what_it_does_not() {
    let mut recorder = Recorder::new(1).unwrap();
    let refused = || Err(Failure::Connect("refused".into()));
    for (mix, result, class) in [
        (Mix::Checkout, Ok(201), Class::Ok),
        (Mix::Errors, Ok(400), Class::Refused),
        (Mix::Errors, Ok(201), Class::Unexpected),
        (Mix::Checkout, Ok(404), Class::Unexpected),
        (Mix::Errors, Ok(503), Class::Server),
        (Mix::Checkout, Err(Failure::Timeout), Class::Timeout),
        (Mix::Checkout, refused(), Class::Connect),
    ] {
        let outcome = outcome(mix, result, 10);
        assert_eq!(Class::of(&outcome.done), class);
        recorder.add(&outcome);
    }
    assert_eq!((recorder.total.count(), recorder.total.wrong(), recorder.orders), (7, 5, 1));
    assert_eq!(recorder.surprises.len(), 5);
    recorder.dropped = 3;
    assert_eq!(recorder.error_ratio(), 0.8);
    // Six were measured: a refused connection has no latency.
    assert_eq!(recorder.total.latency.len(), 6);
}

#[test]
fn the_slowest_are_kept_in_order_and_no_more_of_them() {
    let mut recorder = Recorder::new(1).unwrap();
    for ms in [3, 9, 1, 7, 5, 8, 2, 6, 4] {
        recorder.add(&outcome(Mix::Checkout, Ok(201), ms));
    }
    let kept: Vec<_> = recorder.slowest.iter().map(|slow| slow.latency.as_millis()).collect();
    assert_eq!(kept, [9, 8, 7, 6, 5]);
}

#[test]
fn percentiles_are_in_milliseconds() {
    let mut recorder = Recorder::new(1).unwrap();
    (1..=100).for_each(|ms| recorder.add(&outcome(Mix::Checkout, Ok(201), ms)));
    for (percentile, ms) in [(50.0, 50.0), (90.0, 90.0), (99.0, 99.0), (100.0, 100.0)] {
        let found = recorder.total.percentile_ms(percentile);
        assert!((found - ms).abs() < 0.1, "p{percentile}: {found}");
    }
}
