//! Money without floating-point surprises.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most an order may be worth: far below 2^53 cents, so that a JSON number carries it exactly.
pub const MAX_TOTAL: f64 = 1e12;

/// An amount of USD in whole cents. On the wire it is a JSON number of dollars with at most two
/// decimals, such as `49.99`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cents(pub i64);

impl Cents {
    /// Dollars as a client wrote them. `None` where the number is negative, not finite, above
    /// [`MAX_TOTAL`] or has more than two decimals.
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        if !dollars.is_finite() || !(0.0..=MAX_TOTAL).contains(&dollars) {
            return None;
        }
        let cents = (dollars * 100.0).round();
        // The number was written with at most two decimals exactly if dividing the cents again
        // gives the same double.
        (cents / 100.0 == dollars).then_some(Self(cents as i64))
    }

    /// Dollars as a double, for JSON and for histograms.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 100.0
    }
}

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 0 {
            serializer.serialize_i64(self.0 / 100)
        } else {
            serializer.serialize_f64(self.dollars())
        }
    }
}

impl<'de> Deserialize<'de> for Cents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Self::from_dollars(dollars)
            .ok_or_else(|| serde::de::Error::custom("not an amount of USD with at most two decimals"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_amount_of_cents_survives_the_way_through_json() {
        for cents in (0..200_000).chain([99_999_999_999_999, 100_000_000_000_000, 1_234_567_890_123]) {
            let json = serde_json::to_string(&Cents(cents)).unwrap();
            assert_eq!(serde_json::from_str::<Cents>(&json).unwrap(), Cents(cents), "{json}");
        }
    }

    #[test]
    fn amounts_that_are_no_money_are_refused() {
        for bad in [-0.01, 0.001, 1.999, 1e12 + 1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Cents::from_dollars(bad), None, "{bad}");
        }
        assert_eq!(Cents::from_dollars(49.99), Some(Cents(4999)));
        assert_eq!(Cents::from_dollars(-0.0), Some(Cents(0)));
    }
}
