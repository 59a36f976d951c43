//! Which item stands for which row: where several rows could take it, the one with which least is wrong.

use super::values::least;
use crate::config::spec::SpecRange;

/// For each item its row, if any could take it. `wrong` says for each item how much would be wrong with each row, or
/// that it cannot be that row's. Rows get their least first, then what they may have; what is more than all may
/// have goes where least is wrong.
pub(super) fn assign(counts: &[Option<&SpecRange>], wrong: &[Vec<Option<usize>>]) -> Vec<Option<usize>> {
    let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
    for (item, rows) in wrong.iter().enumerate() {
        let of = rows.iter().enumerate().filter_map(|(row, wrong)| Some(((*wrong)?, item, row)));
        pairs.extend(of);
    }
    pairs.sort_unstable();
    let (mut given, mut taken) = (vec![None; wrong.len()], vec![0.0; counts.len()]);
    let least = |row: usize| least(counts[row]);
    let most = |row: usize| counts[row].map_or(f64::INFINITY, |range| range.bounds().1);
    let rounds: [&dyn Fn(usize) -> f64; 3] = [&least, &most, &|_| f64::INFINITY];
    for room in rounds {
        for (_, item, row) in &pairs {
            if given[*item].is_none() && taken[*row] < room(*row) {
                given[*item] = Some(*row);
                taken[*row] += 1.0;
            }
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_gets_its_least_before_another_gets_more_and_the_best_fit_comes_first() {
        let two = SpecRange::Exactly(2.into());
        // Any number, and exactly two: all four items fit both.
        let given = assign(&[None, Some(&two)], &vec![vec![Some(0), Some(0)]; 4]);
        assert_eq!(given.iter().filter(|row| **row == Some(1)).count(), 2);
        // What fits without a flaw is not taken by what does not.
        let given =
            assign(&[Some(&two), None], &[vec![Some(1), Some(0)], vec![Some(0), Some(1)], vec![None, None]]);
        assert_eq!(given, [Some(1), Some(0), None]);
        // More than all may have.
        assert_eq!(assign(&[Some(&two)], &vec![vec![Some(0)]; 3]), [Some(0); 3]);
    }
}
