//! A stall, full connections, a full backlog, a stop: the loop with senders made up here.

use std::cell::Cell;

use super::super::mix::draw;
use super::super::plan::{Phase, Rate};
use super::*;
use crate::config::{Arrivals, Mix};

fn open(rate: f64, length: Duration, backlog: usize) -> Pace {
    let rate = Rate::Line(rate, rate);
    let phase = Phase { name: "steady".into(), length, rate, mix: Mix::Browse };
    Pace::Open { schedule: Schedule::new(&[phase], Arrivals::Even, 1, 0), backlog }
}

fn done(result: Result<u16, LoadFailure>) -> SentRequest {
    SentRequest { case: draw(1, 0, Mix::Browse).case, trace: None, connect: None, result }
}

#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    dropped: usize,
}

impl Seen {
    fn tell(&mut self, event: LoadEvent<'_>) {
        match event {
            LoadEvent::Over(outcome) => self.latencies.push(outcome.latency),
            LoadEvent::Dropped => self.dropped += 1,
            LoadEvent::Tick { .. } => {}
        }
    }

    fn slower_than(&self, limit: Duration) -> usize {
        self.latencies.iter().filter(|latency| **latency > limit).count()
    }
}

/// A server that answers at once, but stands still once, from a third of a second to a whole one.
async fn with_a_stall(pace: Pace, connections: usize) -> Seen {
    let start = Instant::now();
    let (from, to) = (start + Duration::from_millis(333), start + Duration::from_secs(1));
    let mut seen = Seen::default();
    let send = |_| async move {
        tokio::time::sleep(Duration::from_millis(2)).await;
        if Instant::now() >= from {
            tokio::time::sleep_until(to).await;
        }
        done(Ok(200))
    };
    let ended = run(pace, connections, std::future::pending(), send, |event| seen.tell(event)).await;
    assert!(!ended.interrupted && ended.unfinished == 0);
    seen
}

#[actix_web::test]
async fn a_stall_is_seen_by_everybody_who_came_meanwhile_and_only_the_open_loop_knows_them() {
    let length = Duration::from_millis(1500);
    let open = with_a_stall(open(200.0, length, 1000), 2).await;
    assert_eq!((open.latencies.len(), open.dropped), (300, 0));
    let closed = with_a_stall(Pace::Closed { length }, 2).await;
    // 133 were due in the stall, and 113 of them more than a tenth of a second before its end.
    let (open, closed) =
        (open.slower_than(Duration::from_millis(100)), closed.slower_than(Duration::from_millis(100)));
    assert!(open >= 100, "{open}");
    // One for each connection; the rest is for a machine with other work.
    assert!((1..=20).contains(&closed), "{closed}");
}

#[actix_web::test]
async fn no_more_are_in_flight_than_connections_and_what_finds_no_room_is_dropped() {
    let (now, most, dropped, over) = (Cell::new(0), Cell::new(0), Cell::new(0), Cell::new(0));
    // Three are in flight, five wait: nothing is answered before all others were dropped.
    let send = |_| async {
        now.set(now.get() + 1);
        most.set(most.get().max(now.get()));
        while dropped.get() < 92 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        now.set(now.get() - 1);
        done(Ok(200))
    };
    let tell = |event: LoadEvent<'_>| match event {
        LoadEvent::Over(_) => over.set(over.get() + 1),
        LoadEvent::Dropped => dropped.set(dropped.get() + 1),
        LoadEvent::Tick { .. } => {}
    };
    let stop = tokio::time::sleep(Duration::from_secs(20));
    let ended = run(open(1000.0, Duration::from_millis(100), 5), 3, stop, send, tell).await;
    assert!(!ended.interrupted, "{} dropped", dropped.get());
    assert_eq!((most.get(), over.get(), dropped.get()), (3, 8, 92));
}

#[actix_web::test]
async fn whoever_stops_it_learns_what_was_left() {
    let flying = Cell::new(0);
    let send = |_| {
        flying.set(flying.get() + 1);
        std::future::pending()
    };
    let stop = async {
        while flying.get() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let ended = run(open(100.0, Duration::from_secs(60), 1000), 2, stop, send, |_| {}).await;
    assert!(ended.interrupted && ended.unfinished >= 2, "{}", ended.unfinished);
}

#[actix_web::test]
async fn a_closed_loop_does_not_race_against_a_refused_connection() {
    let mut seen = Seen::default();
    let send = |_| async { done(Err(LoadFailure::Connect("refused".into()))) };
    let pace = Pace::Closed { length: Duration::from_millis(450) };
    run(pace, 2, std::future::pending(), send, |event| seen.tell(event)).await;
    assert!((2..=10).contains(&seen.latencies.len()), "{}", seen.latencies.len());
}
