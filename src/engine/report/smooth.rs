//! Long curves: a line through their noise, and no more points than can be seen.

/// Curves of more points than this are shown with a smoothed line over them.
const LONG: usize = 100;

/// Of how many points, before and behind taken together, a smoothed one is the mean; `None` for a short curve.
pub fn window(points: usize) -> Option<usize> {
    // Odd, so that it has a middle.
    (points > LONG).then_some((points / 25) | 1)
}

/// The mean of the numbers within `window` around every place; at the ends of those that are there. Gaps stay gaps only where the
/// whole window is one.
pub fn moving_mean(values: &[f64], window: usize) -> Vec<f64> {
    let half = window / 2;
    let mean = |place: usize| {
        let around = &values[place.saturating_sub(half)..(place + half + 1).min(values.len())];
        let (sum, n) = around.iter().filter(|v| v.is_finite()).fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
        if n == 0 { f64::NAN } else { sum / f64::from(n) }
    };
    (0..values.len()).map(mean).collect()
}

/// At most about `most` points: of every stretch the lowest and the highest, so that spikes are seen. Gaps are kept.
pub fn thin(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(most / 2);
    let ends = |points: &[(f64, f64)]| {
        let finite = || points.iter().copied().filter(|(_, y)| y.is_finite());
        let (low, high) = (finite().min_by(|a, b| a.1.total_cmp(&b.1)), finite().max_by(|a, b| a.1.total_cmp(&b.1)));
        match (low, high) {
            (Some(low), Some(high)) if low.0 <= high.0 => vec![low, high],
            (Some(low), Some(high)) => vec![high, low],
            _ => vec![points[0]],
        }
    };
    points.chunks(stretch).flat_map(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_mean_of_what_is_there() {
        let smooth = moving_mean(&[1.0, 2.0, f64::NAN, 6.0], 3);
        assert_eq!(smooth, [1.5, 1.5, 4.0, 6.0]);
        assert!(moving_mean(&[f64::NAN], 3)[0].is_nan());
        assert_eq!((window(100), window(600)), (None, Some(25)));
    }

    #[test]
    fn thinning_keeps_spikes() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), if i == 777 { 9.0 } else { 0.0 })).collect();
        let thinned = thin(&points, 400);
        assert!(thinned.len() <= 400 && thinned.contains(&(777.0, 9.0)), "{}", thinned.len());
        assert!(thinned.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }
}
