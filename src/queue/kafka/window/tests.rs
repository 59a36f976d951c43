use std::collections::BTreeMap;

use super::*;

fn filled(keys: &[&str], now: Instant) -> Window {
    let mut window = Window::default();
    for (offset, key) in keys.iter().enumerate() {
        let message = Message {
            id: format!("m-{offset}"),
            key: (*key).to_owned(),
            headers: BTreeMap::new(),
            body: vec![0; 10],
        };
        window.push(offset as i64 + 100, message, now);
    }
    window
}

fn offsets(taken: &[Taken]) -> Vec<i64> {
    taken.iter().map(|(offset, ..)| *offset).collect()
}

#[test]
fn the_offset_never_moves_past_a_message_that_is_not_settled() {
    let now = Instant::now();
    let mut window = filled(&["a", "b", "c"], now);
    assert_eq!(offsets(&window.take(9, now)), [100, 101, 102]);
    window.settle(102);
    window.settle(101);
    assert_eq!(window.to_commit(), Some(100));
    window.committed(100);
    assert_eq!(window.to_commit(), None);
    window.put_back(100, now);
    assert_eq!(window.to_commit(), None);
    assert_eq!(offsets(&window.take(9, now)), [100]);
    window.settle(100);
    assert_eq!((window.to_commit(), window.count(), window.bytes()), (Some(103), (0, 0), 0));
    // Until it is accepted.
    assert_eq!(window.to_commit(), Some(103));
    window.committed(103);
    assert_eq!(window.to_commit(), None);
}

#[test]
fn a_message_waits_for_the_earlier_ones_of_its_key_and_for_no_other() {
    let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(5));
    let mut window = filled(&["a", "a", "b", "a"], now);
    assert_eq!(offsets(&window.take(9, now)), [100, 102]);
    window.put_back(100, later);
    assert_eq!(window.next_due(now), Some(later));
    assert!(window.take(9, now).is_empty());
    let again = window.take(9, later);
    assert_eq!((offsets(&again), again[0].2), (vec![100], 2));
    window.settle(100);
    assert_eq!(offsets(&window.take(9, later)), [101]);
    assert_eq!(window.count(), (1, 2));
}

#[test]
fn what_came_before_or_is_settled_already_changes_nothing() {
    let now = Instant::now();
    let mut window = filled(&["a", "b"], now);
    let known = Message { id: String::new(), key: "z".into(), headers: BTreeMap::new(), body: Vec::new() };
    window.push(100, known.clone(), now);
    assert_eq!(window.count(), (2, 0));
    window.take(1, now);
    window.settle(100);
    window.settle(100);
    window.put_back(100, now);
    window.put_back(99, now);
    assert!(!window.holds(100) && !window.holds(101));
    assert_eq!(offsets(&window.take(9, now)), [101]);
    assert!(window.holds(101));
}

#[test]
fn a_partition_that_leaves_gives_nothing_out_and_waits_for_what_is_in_hand_and_spoken_of() {
    let (now, silence) = (Instant::now(), Duration::from_secs(30));
    let mut window = filled(&["a", "b"], now);
    window.take(1, now);
    window.leaving = true;
    assert!(window.take(9, now).is_empty() && window.next_due(now).is_none());
    assert!(window.busy(now, silence) && !window.busy(now + silence, silence));
    window.heard_of(100, now + silence);
    assert!(window.busy(now + silence, silence));
    window.settle(100);
    assert!(!window.busy(now, silence));
    assert_eq!(window.to_commit(), Some(101));
}

#[test]
fn what_is_given_out_stays_in_reach_of_the_first_message_that_is_not_settled() {
    let now = Instant::now();
    let keys: Vec<_> = (0..REACH + 10).map(|key| key.to_string()).collect();
    let mut window = filled(&keys.iter().map(String::as_str).collect::<Vec<_>>(), now);
    assert_eq!(window.take(2 * REACH, now).len(), REACH);
    (1..REACH as i64).for_each(|offset| window.settle(100 + offset));
    assert!(window.take(9, now).is_empty());
    window.settle(100);
    assert_eq!(window.take(2 * REACH, now).len(), 10);
}
