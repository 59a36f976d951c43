//! The values of one program, by measure and role, one for each round.

use std::collections::{BTreeMap, BTreeSet};

use super::measures::Measure;
use super::running::ByProcess;

/// The round in which a value was measured, and the value.
pub type Series = BTreeMap<usize, f64>;

/// Everything that was measured of one program.
#[derive(Debug, Default)]
pub struct Samples {
    /// Counted from 0.
    pub round: usize,
    series: BTreeMap<(Measure, Option<String>), Series>,
}

impl Samples {
    /// A value of this round.
    pub fn add(&mut self, measure: Measure, value: f64) {
        self.series.entry((measure, None)).or_default().insert(self.round, value);
    }

    /// Values by role, and their sum as the measure's own.
    pub fn add_sum(&mut self, measure: Measure, values: &ByProcess<f64>) {
        self.add_roles(measure, values);
        self.add(measure, values.values().sum());
    }

    /// Values by role.
    pub fn add_roles(&mut self, measure: Measure, values: &ByProcess<f64>) {
        for (role, value) in values {
            self.series.entry((measure, Some(role.clone()))).or_default().insert(self.round, *value);
        }
    }

    /// The values of a measure, or of a role's part in it.
    pub fn series(&self, measure: Measure, role: Option<&str>) -> Option<&Series> {
        self.series.get(&(measure, role.map(str::to_owned)))
    }

    /// The roles that a measure has values of.
    pub fn roles(&self, measure: Measure) -> BTreeSet<&str> {
        let of = |(key, _): (&(Measure, Option<String>), _)| key.0 == measure;
        self.series.iter().filter(|entry| of((entry.0, ()))).filter_map(|(key, _)| key.1.as_deref()).collect()
    }
}

/// The value in the middle, or between the two there.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<_> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// A program's values over those of the base.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Of the rounds' ratios: what slows the machine for minutes slows both of a round.
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

/// `None` where no round has both, or the base's values are 0.
pub fn ratio(program: &Series, base: &Series) -> Option<Ratio> {
    let of =
        |(round, value): (&usize, &f64)| base.get(round).filter(|base| **base > 0.0).map(|base| value / base);
    let all: Vec<_> = program.iter().filter_map(of).collect();
    let (least, most) = all.iter().fold((f64::MAX, f64::MIN), |(l, m), ratio| (l.min(*ratio), m.max(*ratio)));
    median(all).map(|median| Ratio { median, least, most })
}
