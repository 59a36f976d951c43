//! What is counted as what.
#![allow(clippy::unwrap_used)]
use super::super::mix::draw;
use super::super::span::RequestTrace;
use super::*;
use crate::config::Mix;

fn outcome(mix: Mix, result: Result<u16, LoadFailure>, ms: u64) -> LoadOutcome {
    let mut draws = (0..).map(|number| draw(1, number, mix).case);
    let case = draws.find(|case| case.route == CREATE_ORDER && case.expect.len() == 1).unwrap();
    let done = SentRequest { case, trace: RequestTrace::sampled(ms), connect: None, result };
    LoadOutcome { done, phase: 0, waited: Duration::ZERO, latency: Duration::from_millis(ms) }
}

#[test]
fn what_the_mix_expects_is_told_from_what_it_does_not() {
    let mut recorder = LoadRecorder::new(1).unwrap();
    let refused = || Err(LoadFailure::Connect("refused".into()));
    for (mix, result, class) in [
        (Mix::Checkout, Ok(201), AnswerClass::Ok),
        (Mix::Errors, Ok(400), AnswerClass::Refused),
        (Mix::Errors, Ok(201), AnswerClass::Unexpected),
        (Mix::Checkout, Ok(404), AnswerClass::Unexpected),
        (Mix::Errors, Ok(503), AnswerClass::Server),
        (Mix::Checkout, Err(LoadFailure::Timeout), AnswerClass::Timeout),
        (Mix::Checkout, refused(), AnswerClass::Connect),
    ] {
        let outcome = outcome(mix, result, 10);
        assert_eq!(AnswerClass::of(&outcome.done), class);
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
    let mut recorder = LoadRecorder::new(1).unwrap();
    for ms in [3, 9, 1, 7, 5, 8, 2, 6, 4] {
        recorder.add(&outcome(Mix::Checkout, Ok(201), ms));
    }
    let kept: Vec<_> = recorder.slowest.iter().map(|slow| slow.latency.as_millis()).collect();
    assert_eq!(kept, [9, 8, 7, 6, 5]);
}

#[test]
fn percentiles_are_in_milliseconds() {
    let mut recorder = LoadRecorder::new(1).unwrap();
    (1..=100).for_each(|ms| recorder.add(&outcome(Mix::Checkout, Ok(201), ms)));
    for (percentile, ms) in [(50.0, 50.0), (90.0, 90.0), (99.0, 99.0), (100.0, 100.0)] {
        let found = recorder.total.percentile_ms(percentile).unwrap();
        assert!((found - ms).abs() < 0.1, "p{percentile}: {found}");
    }
}
