//! Loss spikes: a step whose loss is far from what the steps before it would lead one to expect.

/// Steps that a loss is compared with.
const WINDOW: usize = 50;
/// Too few to say what is usual.
const LEAST: usize = 10;
/// Standard deviations above the mean. Losses scatter with the records of a step; at six, noise alone is no spike.
const DEVIATIONS: f64 = 6.0;
/// And this part of the mean, so that losses that hardly scatter do not make a spike of nothing.
const PART: f64 = 0.2;

/// Whether `loss` is far above the mean of `recent`, which it joins if it is finite.
pub fn rises(recent: &mut Vec<f64>, loss: f64) -> bool {
    if !loss.is_finite() {
        return false;
    }
    let n = recent.len() as f64;
    let mean = recent.iter().sum::<f64>() / n;
    let deviation = (recent.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / n).sqrt();
    let far = recent.len() >= LEAST && loss - mean > (DEVIATIONS * deviation).max(PART * mean);
    recent.push(loss);
    if recent.len() > WINDOW {
        recent.remove(0);
    }
    far
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_far_above_the_usual_is_a_spike_and_scatter_is_none() {
        let mut recent = Vec::new();
        let usual = |i: usize| 2.0 + 0.1 * (i as f64).sin();
        assert!((0..200).all(|i| !rises(&mut recent, usual(i))));
        assert_eq!(recent.len(), WINDOW);
        assert!(!rises(&mut recent, 2.3));
        assert!(rises(&mut recent, 3.0));
        assert!(!rises(&mut recent, f64::NAN), "what is not finite is dealt with elsewhere");
    }

    #[test]
    fn the_first_steps_are_nothing_to_compare_with() {
        let mut recent = Vec::new();
        assert!((0..LEAST).all(|i| !rises(&mut recent, if i % 2 == 0 { 1.0 } else { 50.0 })));
    }
}
