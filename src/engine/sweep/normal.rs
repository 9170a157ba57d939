//! The normal distribution cut to an interval, in logarithms, so that far tails keep their digits: what SciPy's `truncnorm` computes and
//! Optuna took over.

use statrs::function::erf::{erf, erfc};
use std::f64::consts::{LN_2, PI, SQRT_2};

/// ln √(2π)
fn log_sqrt_two_pi() -> f64 {
    0.5 * (2.0 * PI).ln()
}

/// The logarithm of the share below `x`.
fn log_cdf(x: f64) -> f64 {
    match x {
        _ if x > 6.0 => -cdf(-x),
        _ if x > -20.0 => cdf(x).ln(),
        _ => log_far_tail(x),
    }
}

fn cdf(x: f64) -> f64 {
    0.5 * erfc(-x / SQRT_2)
}

/// Where [`cdf`] is about to vanish: its asymptotic series.
fn log_far_tail(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for i in 1..20 {
        let next = term * -f64::from(2 * i - 1) / (x * x);
        if next.abs() < f64::EPSILON || next.abs() > term.abs() {
            break;
        }
        term = next;
        sum += term;
    }
    -0.5 * x * x - (-x).ln() - log_sqrt_two_pi() + sum.ln()
}

/// ln(eᵃ − eᵇ) of a ≥ b.
fn log_difference(a: f64, b: f64) -> f64 {
    a + (-(b - a).exp()).ln_1p()
}

/// The logarithm of the share between `a` and `b`.
pub fn log_mass(a: f64, b: f64) -> f64 {
    if b <= 0.0 {
        log_difference(log_cdf(b), log_cdf(a))
    } else if a > 0.0 {
        log_difference(log_cdf(-a), log_cdf(-b))
    } else {
        // A mass near 1 is 1 less two small ones.
        let below = |x: f64| 0.5 + 0.5 * erf(x / SQRT_2);
        (-below(a) - below(-b)).ln_1p()
    }
}

/// The logarithm of the density at `x`, without the cut.
pub fn log_density(x: f64) -> f64 {
    -0.5 * x * x - log_sqrt_two_pi()
}

/// The point below which `log_share` lies: the inverse of [`log_cdf`], by Newton's method.
fn inverse_log_cdf(log_share: f64) -> f64 {
    // Near 1 the other tail is the better conditioned one.
    let is_flipped = log_share > -1e-2;
    let target = if is_flipped { (-log_share.exp_m1()).ln() } else { log_share };
    let mut x = match target < -5.0 {
        true => -(-2.0 * (target + log_sqrt_two_pi())).sqrt(),
        // The logistic curve that is nearest.
        false => -(3f64.sqrt() / PI) * (-target).exp_m1().ln(),
    };
    for _ in 0..100 {
        let reached = log_cdf(x);
        let change = (reached - target) * (reached - log_density(x)).exp();
        x -= change;
        if change.abs() < 1e-8 * x.abs() {
            break;
        }
    }
    if is_flipped { -x } else { x }
}

fn log_sum(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if high == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// The point of the interval from `a` to `b` that has the share `q` of it below.
pub fn quantile(q: f64, a: f64, b: f64) -> f64 {
    let mass = log_mass(a, b);
    let x = match a < 0.0 {
        true => inverse_log_cdf(log_sum(log_cdf(a), q.ln() + mass)),
        false => -inverse_log_cdf(log_sum(log_cdf(-b), (-q).ln_1p() + mass)),
    };
    // Nothing is left of it where q is 0 or 1.
    if x.is_nan() { if q * 2.0 < LN_2 { a } else { b } } else { x.clamp(a, b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masses_and_quantiles_are_optunas() {
        // Python: optuna.samplers._tpe._truncnorm._log_gauss_mass(a, b), ppf(0.3, a, b)
        let wanted: [(f64, f64, f64, f64); 6] = [
            (-1.0, 2.0, -0.20016629432446262, -0.24240381788922705),
            (0.5, 0.7, -2.7094428728758047, 0.5575806898034921),
            (3.0, 9.0, -6.607726221510348, 3.107016696637142),
            (-30.0, -25.0, -316.6394080080202, -25.048036221694353),
            (-8.0, 8.0, -1.221245327087673e-15, -0.5244005127080406),
            (12.0, 40.0, -75.41067300156878, 12.029484923334063),
        ];
        for (a, b, mass, point) in wanted {
            let near = 1e-9 * mass.abs().max(1e-3);
            assert!((log_mass(a, b) - mass).abs() < near, "{a} to {b}: {} {mass}", log_mass(a, b));
            assert!((quantile(0.3, a, b) / point - 1.0).abs() < 1e-7, "{a} to {b}: {} {point}", quantile(0.3, a, b));
        }
    }

    #[test]
    fn quantiles_stay_within() {
        for (a, b) in [(-1.0, 2.0), (8.0, 9.0), (-40.0, -38.0)] {
            let points: Vec<f64> = [0.0, 1e-300, 0.5, 1.0 - 1e-16].map(|q| quantile(q, a, b)).to_vec();
            assert!(points.iter().all(|x| (a..=b).contains(x)) && points.is_sorted(), "{points:?}");
        }
    }
}
