//! McNemar's test: do two models that played the same tasks succeed equally often?
//!
//! Only the discordant tasks tell, those that one model alone solved. Under equality each of them is a fair coin, so their count
//! on one side is Binomial(discordant, ½), whatever n is.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, Discrete, DiscreteCDF};

/// The test's result. Both p-values are two-sided, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McNemar {
    /// Tasks that the candidate solved and the baseline did not.
    pub only_candidate: u64,
    /// Tasks that the baseline solved and the candidate did not.
    pub only_baseline: u64,
    /// The exact conditional test: twice the smaller tail, at most 1. It keeps its level and is conservative.
    pub p: f64,
    /// The mid-p test, which counts outcomes as likely as the one seen by half (Fagerland, Lydersen and Laake 2013, BMC Medical
    /// Research Methodology 13:91): less conservative, and over its level by little where it is at all.
    pub mid_p: f64,
}

/// From the counts of tasks that one model alone solved. Without any, both p-values are 1.
pub fn mcnemar(only_candidate: u64, only_baseline: u64) -> McNemar {
    let discordant = only_candidate + only_baseline;
    let fewer = only_candidate.min(only_baseline);
    let result = |p: f64, mid_p: f64| McNemar { only_candidate, only_baseline, p: p.min(1.0), mid_p: mid_p.min(1.0) };
    if discordant == 0 {
        return result(1.0, 1.0);
    }
    let coin = Binomial::new(0.5, discordant).expect("a half is a probability");
    let (tail, point) = (coin.cdf(fewer), coin.pmf(fewer));
    match only_candidate == only_baseline {
        // The outcome in the middle is its own mirror image.
        true => result(1.0, 1.0 - point / 2.0),
        false => result(2.0 * tail, 2.0 * tail - point),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_tables_come_out_by_hand() {
        let test = mcnemar(5, 0);
        assert!((test.p - 2.0 / 32.0).abs() < 1e-15 && (test.mid_p - 1.0 / 32.0).abs() < 1e-15, "{test:?}");
        let test = mcnemar(1, 1);
        assert_eq!((test.p, test.mid_p), (1.0, 0.75));
        let test = mcnemar(0, 0);
        assert_eq!((test.p, test.mid_p), (1.0, 1.0));
    }

    #[test]
    fn both_sides_are_alike() {
        let (a, b) = (mcnemar(13, 4), mcnemar(4, 13));
        assert_eq!((a.p, a.mid_p), (b.p, b.mid_p));
    }
}
