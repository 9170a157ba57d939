//! The interval around a mean score: Bayesian, equal-tailed, with the Jeffreys prior Beta(½, ½).
//!
//! As the Affine validators compute it (affine-cortex, `affine/sampling.py` at 74b788c, which asks SciPy). It is
//! neither Wilson's interval nor one with a uniform prior.

use statrs::function::beta::beta_reg;

/// The validators' level, and the one of every interval that is shown without a level.
pub const DEFAULT_LEVEL: f64 = 0.80;

/// `(lower, upper)` for `n` scores on 0..1 that sum to `sum`, which may be fractional: the quantiles (1 − level)/2 and
/// (1 + level)/2 of Beta(½ + x, ½ + n − x), where x is `sum` clamped to 0..n.
///
/// No scores give `(0, 0)`, as upstream; a sum or level that is not a number gives `(0, 1)`. `level` is clamped to 0..1.
pub fn interval(sum: f64, n: u64, level: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 0.0);
    }
    if sum.is_nan() || level.is_nan() {
        return (0.0, 1.0);
    }
    let n = n as f64;
    let x = sum.clamp(0.0, n);
    let (alpha, beta) = (0.5 + x, 0.5 + n - x);
    let tail = (1.0 - level.clamp(0.0, 1.0)) / 2.0;
    (beta_quantile(tail, alpha, beta), beta_quantile(1.0 - tail, alpha, beta))
}

/// The `p` quantile of Beta(alpha, beta), by bisection on its distribution function down to neighbouring floats.
///
/// statrs' own inverse agrees within 1e-11 for counts up to 20 000, but does not end at 10⁹.
fn beta_quantile(p: f64, alpha: f64, beta: f64) -> f64 {
    if p <= 0.0 {
        return 0.0;
    }
    if p >= 1.0 {
        return 1.0;
    }
    let (mut below, mut above) = (0.0, 1.0);
    loop {
        let middle = 0.5 * (below + above);
        if middle <= below || middle >= above {
            return middle;
        }
        if beta_reg(alpha, beta, middle) < p {
            below = middle;
        } else {
            above = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scipys_intervals_come_out() {
        for (sum, n, lower, upper) in [
            (0.0, 10, 0.0007697553, 0.1235742063),
            (7.0, 10, 0.4982188819, 0.8494087741),
            (10.0, 10, 0.8764257937, 0.9992302447),
            (140.0, 200, 0.6571716842, 0.7399842478),
            (100.5, 200, 0.4573222492, 0.5476421990),
            (1.0, 1, 0.3513571980, 0.9938187561),
            (400.0, 500, 0.7762392871, 0.8220498330),
        ] {
            let got = interval(sum, n, 0.80);
            assert!((got.0 - lower).abs() < 1e-10 && (got.1 - upper).abs() < 1e-10, "{sum} of {n}: {got:?}");
        }
    }

    #[test]
    fn sums_outside_the_possible_are_clamped() {
        assert_eq!(interval(203.5, 200, 0.8), interval(200.0, 200, 0.8));
        assert_eq!(interval(-1.0, 200, 0.8), interval(0.0, 200, 0.8));
        assert_eq!(interval(0.0, 0, 0.8), (0.0, 0.0));
        assert_eq!(interval(f64::NAN, 5, 0.8), (0.0, 1.0));
        assert_eq!(interval(3.0, 5, f64::NAN), (0.0, 1.0));
    }

    #[test]
    fn a_higher_level_is_wider_and_level_one_is_everything() {
        let (eighty, ninety) = (interval(60.0, 100, 0.8), interval(60.0, 100, 0.9));
        assert!(ninety.0 < eighty.0 && eighty.1 < ninety.1);
        assert_eq!(interval(60.0, 100, 1.0), (0.0, 1.0));
        let (low, high) = interval(60.0, 100, 0.0);
        assert!((low - high).abs() < 1e-12 && (low - 0.6).abs() < 0.01);
    }

    #[test]
    fn large_counts_stay_accurate() {
        // Bisection on mpmath's incomplete beta function with 30 digits.
        for (sum, n, lower, upper) in [
            (3100.0, 6200, 0.4918630063941508, 0.5081369936058492),
            (0.0, 5000, 1.5789972108188047e-6, 0.0002705042248585293),
            (4999.5, 5000, 0.9995395890030878, 0.9999789281188836),
            (25000.0, 100000, 0.2482487430650607, 0.2517583981204367),
            (50000.0, 100000, 0.4979737024425525, 0.5020262975574475),
        ] {
            let got = interval(sum, n, 0.80);
            assert!((got.0 - lower).abs() < 1e-11 && (got.1 - upper).abs() < 1e-11, "{sum} of {n}: {got:?}");
        }
    }
}
