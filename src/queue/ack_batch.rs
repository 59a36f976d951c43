//! The batching of acknowledgements: many settlements in one call to the broker.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::QueueError;
use super::broker::unavailable;

/// Batcher of acknowledgements: while one call is under way the next ones gather, so that a single
/// one waits for nothing and many share a call. `T` is a transport's receipt.
pub(super) struct AckBatcher<T> {
    /// Most in one call.
    limit: usize,
    /// At most as many as there are deliveries in flight.
    waiting: Mutex<VecDeque<WaitingAck<T>>>,
    turn: tokio::sync::Mutex<()>,
}

struct WaitingAck<T> {
    item: T,
    answer: oneshot::Sender<Result<(), QueueError>>,
}

/// Items of a call that failed by themselves, by their places in it.
pub(super) type FailedAcks = Vec<(usize, QueueError)>;

impl<T> AckBatcher<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Has the item settled by one call of `settle_all`, with those that came with it; returns when
    /// that call has ended. `settle_all` fails where nothing is known of any of them.
    pub(super) async fn settle<F>(&self, item: T, settle_all: impl Fn(Vec<T>) -> F) -> Result<(), QueueError>
    where
        F: Future<Output = Result<FailedAcks, QueueError>>,
    {
        let (answer, mut answered) = oneshot::channel();
        self.waiting().push_back(WaitingAck { item, answer });
        loop {
            let turn = tokio::select! {
                // The answer first: a caller that has it must not queue for another call.
                biased;
                answer = &mut answered => return answer.unwrap_or_else(|_| Err(abandoned())),
                turn = self.turn.lock() => turn,
            };
            // Those that are about to come are worth the wait for.
            tokio::task::yield_now().await;
            self.settle_some(&settle_all).await;
            drop(turn);
        }
    }

    /// One call for the oldest that wait. Where it is dropped, so are their answers.
    async fn settle_some<F>(&self, settle_all: &impl Fn(Vec<T>) -> F)
    where
        F: Future<Output = Result<FailedAcks, QueueError>>,
    {
        let (items, answers): (Vec<_>, Vec<_>) = {
            let mut waiting = self.waiting();
            let many = waiting.len().min(self.limit);
            waiting.drain(..many).map(|one| (one.item, one.answer)).unzip()
        };
        if items.is_empty() {
            return;
        }
        let mut settled = settle_all(items).await;
        for (place, answer) in answers.into_iter().enumerate() {
            let result = match &mut settled {
                Ok(failed) => match failed.iter().position(|(failed, _)| *failed == place) {
                    Some(found) => Err(failed.swap_remove(found).1),
                    None => Ok(()),
                },
                Err(error) => Err(error.clone()),
            };
            // A caller that went away wants no answer.
            let _ = answer.send(result);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<WaitingAck<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller that made the call went away in the middle of it.
fn abandoned() -> QueueError {
    unavailable("did not answer in time")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn those_that_come_while_a_call_is_made_share_the_next_one_and_each_hears_of_its_own() {
        let calls = Mutex::new(Vec::new());
        let batcher = AckBatcher::new(4);
        let all = |items: Vec<u32>| {
            calls.lock().unwrap().push(items.clone());
            async move {
                tokio::task::yield_now().await;
                let bad = items.iter().position(|item| *item == 5);
                Ok(bad.map(|place| (place, QueueError::Refused("five".to_owned()))).into_iter().collect())
            }
        };
        let results = join_all((0..10).map(|item| batcher.settle(item, all))).await;
        let failed: Vec<_> = results.iter().enumerate().filter(|(_, result)| result.is_err()).collect();
        assert!(matches!(failed[..], [(5, Err(QueueError::Refused(_)))]), "{failed:?}");
        assert_eq!(*calls.lock().unwrap(), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    }

    #[tokio::test]
    async fn a_call_that_fails_or_is_given_up_is_heard_of_by_all_of_it() {
        let batcher = AckBatcher::new(4);
        let fails = |_: Vec<u32>| async { Err(unavailable("is gone")) };
        let results = join_all((0..3).map(|item| batcher.settle(item, fails))).await;
        assert!(results.iter().all(Result::is_err));

        let hangs = |_: Vec<u32>| std::future::pending();
        let leader = tokio::time::timeout(Duration::from_millis(50), batcher.settle(1, hangs));
        let follower = batcher.settle(2, |_: Vec<u32>| async { Ok(Vec::new()) });
        let (led, followed) = tokio::join!(leader, follower);
        assert!(led.is_err() && followed.is_err(), "{followed:?}");
        assert!(batcher.settle(3, |_: Vec<u32>| async { Ok(Vec::new()) }).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_comes_when_its_call_has_ended_and_does_not_wait_for_the_call_after_it() {
        let batcher = AckBatcher::new(4);
        let (asked, may_end) = (Notify::new(), Notify::new());
        let first = batcher.settle(1, |_: Vec<u32>| async {
            asked.notify_one();
            may_end.notified().await;
            Ok(Vec::new())
        });
        // Waits for the first call, then begins one that never ends.
        let second = async {
            asked.notified().await;
            let second = batcher.settle(2, |_: Vec<u32>| std::future::pending());
            tokio::join!(second, async { may_end.notify_one() }).0
        };
        let first_is_answered = async {
            tokio::select! {
                answer = first => answer,
                _ = second => Err(unavailable("ended the call that never ends")),
            }
        };
        let answered = tokio::time::timeout(Duration::from_secs(10), first_is_answered).await;
        assert!(matches!(answered, Ok(Ok(()))), "{answered:?}");
    }
}
