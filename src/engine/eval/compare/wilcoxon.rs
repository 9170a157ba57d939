//! Wilcoxon's signed-rank test: are two models' differences on the same tasks symmetric about 0?
//!
//! Differences of 0 are left out (Wilcoxon's own way, `zero_method="wilcox"`, SciPy's default), the rest are ranked by size, equal
//! sizes sharing the mean of their ranks.
//!
//! Up to [`EXACT`] differences the p-value is exact: the distribution of the rank sum over all 2ⁿ assignments of signs to the ranks
//! *as they are*, ties included. Without ties that is the textbook table. SciPy does the same up to 13 values and, where there are
//! neither ties nor zeros, up to 50. Beyond, the normal approximation with tie and continuity correction stands, as
//! SciPy's with `correction=True, method="asymptotic"`.

use serde::{Deserialize, Serialize};

use super::bootstrap::{TIE, normal_cdf};

/// The most differences for which all assignments of signs are counted; their number, 2⁵⁰, is still exact as a float.
pub const EXACT: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wilcoxon {
    /// Differences that are not 0.
    pub n: u64,
    /// Differences of 0, which tell nothing here.
    pub zeros: u64,
    /// The ranks' sum where the candidate is better.
    pub positive: f64,
    /// The ranks' sum where it is worse.
    pub negative: f64,
    /// Two-sided, from 0 to 1.
    pub p: f64,
    /// Whether `p` is exact or the normal approximation.
    pub exact: bool,
}

/// From the differences (candidate − baseline), one a task. Numbers closer than 1e-12 are equal. Where all are 0, or none is there,
/// p is 1. Differences that are not numbers are left out as 0 is.
pub fn wilcoxon(differences: &[f64]) -> Wilcoxon {
    let mut sizes: Vec<(f64, bool)> =
        differences.iter().filter(|d| d.abs() > TIE).map(|d| (d.abs(), *d > 0.0)).collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ranks = doubled_ranks(&sizes);
    let positive: u64 = ranks.iter().zip(&sizes).filter(|(_, (_, better))| *better).map(|(rank, _)| rank).sum();
    let total: u64 = ranks.iter().sum();
    let exact = ranks.len() <= EXACT;
    Wilcoxon {
        n: ranks.len() as u64,
        zeros: (differences.len() - ranks.len()) as u64,
        positive: positive as f64 / 2.0,
        negative: (total - positive) as f64 / 2.0,
        p: if exact { exact_p(&ranks, positive) } else { normal_p(&ranks, positive) },
        exact,
    }
}

/// Twice the rank of every size, which ascend: a mean of ranks is a whole or a half.
fn doubled_ranks(sizes: &[(f64, bool)]) -> Vec<u64> {
    let mut ranks = Vec::with_capacity(sizes.len());
    for tied in sizes.chunk_by(|a, b| b.0 - a.0 <= TIE) {
        let (first, last) = (ranks.len() as u64 + 1, (ranks.len() + tied.len()) as u64);
        ranks.extend(std::iter::repeat_n(first + last, tied.len()));
    }
    ranks
}

/// Twice the smaller tail over all assignments of signs.
fn exact_p(ranks: &[u64], positive: u64) -> f64 {
    let total: u64 = ranks.iter().sum();
    // How many assignments give each sum.
    let mut counts = vec![0.0; total as usize + 1];
    counts[0] = 1.0;
    for &rank in ranks {
        for sum in (rank as usize..counts.len()).rev() {
            counts[sum] += counts[sum - rank as usize];
        }
    }
    // The distribution is symmetric, so the smaller tail is that of the smaller sum.
    let smaller = positive.min(total - positive) as usize;
    let tail: f64 = counts[..=smaller].iter().sum();
    (2.0 * tail / 2f64.powi(ranks.len() as i32)).min(1.0)
}

fn normal_p(ranks: &[u64], positive: u64) -> f64 {
    let n = ranks.len() as f64;
    let ties: f64 = ranks.chunk_by(|a, b| a == b).map(|tied| (tied.len() as f64).powi(3) - tied.len() as f64).sum();
    let sd = ((n * (n + 1.0) * (2.0 * n + 1.0) - ties / 2.0) / 24.0).sqrt();
    let away = positive as f64 / 2.0 - n * (n + 1.0) / 4.0;
    // Exactly in the middle there is nothing to correct.
    let corrected = if away == 0.0 { 0.0 } else { (away.abs() - 0.5).abs() };
    (2.0 * normal_cdf(-corrected / sd)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_samples_come_out_by_hand() {
        let test = wilcoxon(&[0.1, 0.2, 0.3]);
        assert_eq!((test.n, test.positive, test.negative, test.p, test.exact), (3, 6.0, 0.0, 0.25, true));
        let test = wilcoxon(&[0.1, -0.1, 0.0]);
        assert_eq!((test.n, test.zeros, test.positive, test.negative, test.p), (2, 1, 1.5, 1.5, 1.0));
    }

    #[test]
    fn no_difference_is_no_evidence() {
        for differences in [&[][..], &[0.0; 40][..], &[0.0; 400][..]] {
            let test = wilcoxon(differences);
            assert_eq!((test.n, test.zeros, test.p), (0, differences.len() as u64, 1.0));
        }
        assert!(wilcoxon(&[0.5]).p == 1.0);
    }

    #[test]
    fn what_rounding_parts_is_tied() {
        let test = wilcoxon(&[0.3 - 0.1, -(0.5 - 0.3), 0.4]);
        assert_eq!((test.positive, test.negative), (4.5, 1.5));
    }
}
