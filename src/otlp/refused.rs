//! The items of an export that were not taken, and why.

use std::collections::BTreeMap;

/// Different reasons that are told; further ones are only counted.
const MOST_REASONS: usize = 5;
/// The longest that one of them is told, in characters.
const LONGEST_REASON: usize = 200;

/// How many items of an export were refused, and the reasons with how often each was one.
#[derive(Debug, Default)]
pub(crate) struct RefusedItems {
    count: u64,
    reasons: BTreeMap<String, u64>,
}

impl RefusedItems {
    /// Counts one.
    pub(crate) fn note(&mut self, why: &str) {
        self.note_all(why, 1);
    }

    /// Counts so many of one reason.
    pub(crate) fn note_all(&mut self, why: &str, items: u64) {
        self.count += items;
        let why = shortened(why);
        if items > 0 && (self.reasons.len() < MOST_REASONS || self.reasons.contains_key(&why)) {
            *self.reasons.entry(why).or_default() += items;
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The count and the reasons as an export's answer has them; nothing where all was taken.
    pub(crate) fn partial(&self) -> Option<(i64, String)> {
        let told: u64 = self.reasons.values().sum();
        let mut reasons: Vec<_> = self.reasons.iter().map(|(why, times)| format!("{times}: {why}")).collect();
        if told < self.count {
            reasons.push(format!("{}: other reasons", self.count - told));
        }
        let count = i64::try_from(self.count).unwrap_or(i64::MAX);
        (count > 0).then(|| (count, reasons.join("; ")))
    }
}

/// Its beginning and its end: a reason begins with the way to a field and ends with what is wrong there.
fn shortened(why: &str) -> String {
    let length = why.chars().count();
    if length <= LONGEST_REASON {
        return why.to_owned();
    }
    let start: String = why.chars().take(LONGEST_REASON / 2).collect();
    let end: String = why.chars().skip(length - LONGEST_REASON / 2).collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_with_its_count_and_many_reasons_stay_short() {
        let mut refused = RefusedItems::default();
        refused.note_all("none", 0);
        assert_eq!(refused.partial(), None);
        for why in ["b", "a", "b"] {
            refused.note(why);
        }
        assert_eq!(refused.partial(), Some((3, "1: a; 2: b".into())));
        (0..100).for_each(|n| refused.note(&format!("{n} {}", "x".repeat(10_000))));
        let (count, text) = refused.partial().unwrap_or_default();
        assert!(count == 103 && text.len() < 1_500 && text.ends_with("97: other reasons"), "{text}");
    }
}
