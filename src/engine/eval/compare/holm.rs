//! Holm's correction: p-values of several tests, raised so that the chance of any false alarm among them keeps its level.

/// The step-down adjusted p-values (Holm 1979, "A simple sequentially rejective multiple test procedure"), in the order given: of m
/// values the i-th smallest becomes the largest of (m − j + 1)·p₍ⱼ₎ over j ≤ i, at most 1. It supposes nothing of how the
/// tests depend on each other. A value that is not a number counts as 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let value = |index: usize| if p_values[index].is_nan() { 1.0 } else { p_values[index] };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (place, index) in order.into_iter().enumerate() {
        largest = largest.max((p_values.len() - place) as f64 * value(index)).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_pays_for_all_and_no_order_is_turned() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert_eq!(holm(&[0.2]), [0.2]);
        assert_eq!(holm(&[f64::NAN, 0.01]), [1.0, 0.02]);
        assert!(holm(&[]).is_empty());
    }
}
