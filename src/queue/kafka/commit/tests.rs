use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::*;
use crate::queue::Message;
use crate::queue::kafka::incoming::OwnedPartition;

const SILENCE: Duration = Duration::from_secs(30);

/// Partition 0 with one settled message, which the group wants back if `leaving`.
fn settled(leaving: bool) -> MemberState {
    let mut state = MemberState::default();
    let mut owned = OwnedPartition::new();
    let message = Message { id: "m".into(), key: "k".into(), headers: BTreeMap::new(), body: Vec::new() };
    owned.window.push(7, message, Instant::now());
    owned.window.take(1, Instant::now());
    owned.window.settle(7);
    owned.window.leaving = leaving;
    state.owned.insert(0, owned);
    state
}

fn refused(code: RDKafkaErrorCode) -> KafkaResult<()> {
    Err(KafkaError::ConsumerCommit(code))
}

fn to_hand_over(state: &MemberState) -> Vec<i32> {
    state.to_hand_over(Instant::now(), SILENCE, true)
}

#[test]
fn a_partition_is_handed_over_only_when_the_group_has_accepted_what_was_settled() {
    let mut state = settled(true);
    for code in [RDKafkaErrorCode::RebalanceInProgress, RDKafkaErrorCode::NotCoordinator] {
        let commit = state.to_commit("q").expect("it was refused, so it is committed again");
        let offset = commit.offsets.find_partition("q", 0).map(|element| element.offset());
        assert_eq!((offset, to_hand_over(&state)), (Some(Offset::Offset(8)), vec![]));
        state.answered(&commit, refused(code));
        assert!(to_hand_over(&state).is_empty() && !state.expelled, "{code:?}");
    }
    let commit = state.to_commit("q").expect("once more");
    state.answered(&commit, Ok(()));
    assert_eq!((to_hand_over(&state), state.all_accepted()), (vec![0], true));
    assert!(state.to_commit("q").is_none());
}

#[test]
fn what_is_settled_while_a_commit_is_on_its_way_is_committed_next() {
    let mut state = settled(false);
    let commit = state.to_commit("q").expect("something is settled");
    let message = Message { id: "n".into(), key: "k".into(), headers: BTreeMap::new(), body: Vec::new() };
    state.owned.entry(0).and_modify(|owned| {
        owned.window.push(8, message, Instant::now());
        owned.window.take(1, Instant::now());
        owned.window.settle(8);
    });
    state.answered(&commit, Ok(()));
    assert!(!state.all_accepted());
    let next = state.to_commit("q").expect("more is settled");
    assert_eq!(next.offsets.find_partition("q", 0).map(|element| element.offset()), Some(Offset::Offset(9)));
}

#[test]
fn a_member_that_is_expelled_while_it_holds_partitions_waits_for_no_commit() {
    let mut state = settled(false);
    // Of the generation that ended while the commit was on its way: the next one has all partitions still.
    let commit = state.to_commit("q").expect("something is settled");
    state.owned.entry(0).and_modify(|owned| owned.window.leaving = true);
    state.answered(&commit, refused(RDKafkaErrorCode::IllegalGeneration));
    assert!(!state.expelled && to_hand_over(&state).is_empty());
    let commit = state.to_commit("q").expect("again, in the generation that began meanwhile");
    state.answered(&commit, refused(RDKafkaErrorCode::UnknownMemberId));
    assert!(state.expelled);
    assert_eq!(state.to_hand_over(Instant::now(), SILENCE, false), [0]);
}
