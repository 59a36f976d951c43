//! A leak of connections, on purpose: places of the pool that operations do not return.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// What faults do to one operation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    /// By so much it takes longer.
    pub(super) slow: Option<Duration>,
    /// Places leak, so it needs one on every engine.
    pub(super) scarce: bool,
    /// It does not return its place.
    pub(super) leaks: bool,
}

/// The places that have leaked. They come back all at once, when the fault ends.
#[derive(Default)]
pub(super) struct Leak {
    lasts: AtomicBool,
    places: Mutex<LeakedPlaces>,
}

#[derive(Default)]
struct LeakedPlaces {
    /// None where nothing may leak.
    most: usize,
    leaked: usize,
}

impl Leak {
    /// Whether places leak at present.
    pub(super) fn lasts(&self) -> bool {
        self.lasts.load(Ordering::Acquire)
    }

    /// The fault was set, for `most` places, or it has ended.
    pub(super) fn changed(&self, places: &Semaphore, most: Option<usize>) {
        let mut own = self.lock();
        own.most = most.unwrap_or_default();
        if most.is_none() {
            places.add_permits(std::mem::take(&mut own.leaked));
        }
        self.lasts.store(most.is_some(), Ordering::Release);
    }

    /// Keeps an operation's place, unless enough have leaked or the fault is over.
    pub(super) fn keep(&self, place: SemaphorePermit<'_>) {
        let mut own = self.lock();
        if own.leaked < own.most {
            own.leaked += 1;
            place.forget();
        }
    }

    /// How many have leaked.
    pub(super) fn leaked(&self) -> usize {
        self.lock().leaked
    }

    fn lock(&self) -> MutexGuard<'_, LeakedPlaces> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn leaked_places_come_back_when_the_fault_ends_and_none_leaks_after_it() {
        let (leak, places) = (Leak::default(), Semaphore::new(4));
        let leaks = || leak.keep(places.try_acquire().unwrap());
        leaks();
        assert_eq!((places.available_permits(), leak.lasts()), (4, false));
        leak.changed(&places, Some(3));
        (0..4).for_each(|_| leaks());
        assert_eq!((places.available_permits(), leak.lasts()), (1, true));
        leak.changed(&places, Some(1000));
        leaks();
        assert_eq!(places.available_permits(), 0);
        leak.changed(&places, None);
        assert_eq!((places.available_permits(), leak.lasts()), (4, false));
        // An operation that began under the fault and ends after it.
        leaks();
        assert_eq!(places.available_permits(), 4);
    }
}
