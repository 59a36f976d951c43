//! Calls that can be made for many at once.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{self, error::TryRecvError};

use super::QueueError;
use super::broker::unavailable;

/// What waits for its turn. While one call is on its way the next ones gather, so that a single one
/// waits for nothing and many share a call.
pub(super) struct Together<T> {
    /// Most in one call.
    most: usize,
    /// At most as many as there are deliveries in hand.
    waiting: Mutex<VecDeque<Waiting<T>>>,
    turn: tokio::sync::Mutex<()>,
}

struct Waiting<T> {
    item: T,
    done: oneshot::Sender<Result<(), QueueError>>,
}

/// Which of the items of a call failed by themselves, by their places in it.
pub(super) type Failed = Vec<(usize, QueueError)>;

impl<T> Together<T> {
    pub(super) fn of(most: usize) -> Self {
        Self { most, waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Has the item done by one call of `all`, with those that came with it. `all` fails where nothing
    /// is known of any of them.
    pub(super) async fn call<F>(&self, item: T, all: impl Fn(Vec<T>) -> F) -> Result<(), QueueError>
    where
        F: Future<Output = Result<Failed, QueueError>>,
    {
        let (done, mut result) = oneshot::channel();
        self.waiting().push_back(Waiting { item, done });
        loop {
            let _turn = self.turn.lock().await;
            match result.try_recv() {
                Ok(result) => return result,
                // Whoever had it in hand gave up on the call.
                Err(TryRecvError::Closed) => return Err(unavailable("did not answer in time")),
                Err(TryRecvError::Empty) => {}
            }
            // Those that are about to come are worth the wait for.
            tokio::task::yield_now().await;
            let (items, waiting): (Vec<_>, Vec<_>) = {
                let mut waiting = self.waiting();
                let many = waiting.len().min(self.most);
                waiting.drain(..many).map(|one| (one.item, one.done)).unzip()
            };
            let mut answer = all(items).await;
            for (place, done) in waiting.into_iter().enumerate() {
                let result = match &mut answer {
                    Ok(failed) => match failed.iter().position(|(failed, _)| *failed == place) {
                        Some(found) => Err(failed.swap_remove(found).1),
                        None => Ok(()),
                    },
                    Err(error) => Err(error.clone()),
                };
                // Nobody there any more: then nobody wants to know.
                let _ = done.send(result);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting<T>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn those_that_come_while_a_call_is_made_share_the_next_one_and_each_hears_of_its_own() {
        let calls = Mutex::new(Vec::new());
        let together = Together::of(4);
        let all = |items: Vec<u32>| {
            calls.lock().unwrap().push(items.clone());
            async move {
                tokio::task::yield_now().await;
                let bad = items.iter().position(|item| *item == 5);
                Ok(bad.map(|place| (place, QueueError::Refused("five".to_owned()))).into_iter().collect())
            }
        };
        let results = join_all((0..10).map(|item| together.call(item, all))).await;
        let failed: Vec<_> = results.iter().enumerate().filter(|(_, result)| result.is_err()).collect();
        assert!(matches!(failed[..], [(5, Err(QueueError::Refused(_)))]), "{failed:?}");
        assert_eq!(*calls.lock().unwrap(), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    }

    #[tokio::test]
    async fn a_call_that_fails_or_is_given_up_is_heard_of_by_all_of_it() {
        let together = Together::of(4);
        let fails = |_: Vec<u32>| async { Err(unavailable("is gone")) };
        let results = join_all((0..3).map(|item| together.call(item, fails))).await;
        assert!(results.iter().all(Result::is_err));

        let hangs = |_: Vec<u32>| std::future::pending();
        let leader = tokio::time::timeout(std::time::Duration::from_millis(50), together.call(1, hangs));
        let follower = together.call(2, |_: Vec<u32>| async { Ok(Vec::new()) });
        let (led, followed) = tokio::join!(leader, follower);
        assert!(led.is_err() && followed.is_err(), "{followed:?}");
        assert!(together.call(3, |_: Vec<u32>| async { Ok(Vec::new()) }).await.is_ok());
    }
}
