//! Numbers of [0, 1) as values of a parameter, evenly over its range: what random and quasi-random points become.
//!
//! As Optuna's transformation does it, whose edges of steps lie half a step outside the range.

use super::distribution::Distribution;

impl Distribution {
    /// The value at `share` of the range, from 0 to below 1.
    pub fn at(&self, share: f64) -> f64 {
        let within = |low: f64, high: f64| low + share * (high - low);
        match self {
            Distribution::Choice { choices } => (share * choices.len() as f64).floor().min(choices.len() as f64 - 1.0),
            Distribution::Float { low, high, log: true, .. } => within(low.ln(), high.ln()).exp().clamp(*low, *high),
            Distribution::Float { low, high, step: Some(step), .. } => {
                let at = within(low - 0.5 * step, high + 0.5 * step);
                (((at - low) / step).round_ties_even() * step + low).clamp(*low, *high)
            }
            Distribution::Float { low, high, .. } => within(*low, *high).clamp(*low, *high),
            Distribution::Int { low, high, log: true, .. } => {
                let (low, high) = (*low as f64, *high as f64);
                within((low - 0.5).ln(), (high + 0.5).ln()).exp().round_ties_even().clamp(low, high)
            }
            Distribution::Int { low, high, step, .. } => {
                let (low, high, step) = (*low as f64, *high as f64, *step as f64);
                let at = within(low - 0.5 * step, high + 0.5 * step);
                (((at - low) / step + 0.5).floor() * step + low).clamp(low, high)
            }
        }
    }

    /// Where a value lies between the ends of the range, from 0 to 1: its place on an axis.
    pub fn share(&self, value: f64) -> f64 {
        let (low, high) = match self {
            Distribution::Choice { choices } => (0.0, choices.len() as f64 - 1.0),
            _ => self.range().unwrap_or((0.0, 1.0)),
        };
        match high > low {
            true => (self.scaled(value) - self.scaled(low)) / (self.scaled(high) - self.scaled(low)),
            false => 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_even_share() {
        let ints = Distribution::int("n", 1, 9, false, 2).unwrap();
        let values: Vec<f64> = (0..10).map(|tenth| ints.at(f64::from(tenth) / 10.0 + 0.05)).collect();
        assert_eq!(values, [1.0, 1.0, 3.0, 3.0, 5.0, 5.0, 7.0, 7.0, 9.0, 9.0]);
        let log = Distribution::float("x", 1e-4, 1e-2, true, None).unwrap();
        assert!(
            (log.at(0.5) - 1e-3).abs() < 1e-12
                && (log.at(0.0) - 1e-4).abs() < 1e-15
                && log.at(0.999_999_999_999) <= 1e-2
        );
        let choice = Distribution::choice("c", vec![1.into(), 2.into(), 3.into()]).unwrap();
        assert_eq!([choice.at(0.0), choice.at(0.34), choice.at(0.99)], [0.0, 1.0, 2.0]);
        assert!((log.share(1e-3) - 0.5).abs() < 1e-12 && choice.share(1.0) == 0.5);
    }
}
