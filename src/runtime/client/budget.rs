//! Retries as a share of the calls: while a service is down, repeating every call would triple the load
//! on what is left of it (Google's SRE book, "Handling Overload").

use std::cell::Cell;
use std::rc::Rc;

/// Retries that each call earns.
const SHARE: f64 = 0.1;
/// Retries that may be saved up, and that a new budget has.
const MOST: f64 = 10.0;

/// The retries that calls of one client may still have. Clones share them; of one thread.
#[derive(Clone)]
pub struct RetryBudget(Rc<Cell<f64>>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Rc::new(Cell::new(MOST)))
    }
}

impl RetryBudget {
    /// A call begins.
    pub fn earn(&self) {
        self.0.set((self.0.get() + SHARE).min(MOST));
    }

    /// Takes one retry, if there is one left.
    pub fn spend(&self) -> bool {
        let left = self.0.get() - 1.0;
        // A little less than 0 is ten tenths that do not add up to 1.
        let enough = left > -1e-6;
        if enough {
            self.0.set(left);
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_tenth_of_the_calls_beyond_a_small_reserve() {
        let budget = RetryBudget::default();
        let retries = (0..1_000)
            .filter(|_| {
                budget.earn();
                budget.spend()
            })
            .count();
        assert!((100..=111).contains(&retries), "{retries}");
        (0..10).for_each(|_| budget.earn());
        assert_eq!((budget.spend(), budget.spend()), (true, false));
    }
}
