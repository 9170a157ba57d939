//! Histograms in the buckets of `tf.summary.histogram` of old, which `SummaryWriter.add_histogram` has kept.

use std::sync::LazyLock;

use super::event::Histogram;

/// The edges: from 1e-12 on each is a tenth further from 0 than the one before, on both sides of it.
static EDGES: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let positive: Vec<f64> =
        std::iter::successors(Some(1e-12), |edge| Some(edge * 1.1)).take_while(|edge| *edge < 1e20).collect();
    let negative = positive.iter().rev().map(|edge| -edge);
    negative.chain([0.0]).chain(positive.iter().copied()).collect()
});

/// Nothing where no value is finite. A value beyond 1e20 has no bucket, but counts in all else.
pub fn histogram(values: &[f64]) -> Option<Histogram> {
    let edges = &*EDGES;
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let (min, max) = (finite.iter().copied().reduce(f64::min)?, finite.iter().copied().reduce(f64::max)?);
    let mut counts = vec![0.0; edges.len() - 1];
    for &value in &finite {
        // A bucket has its lower edge; the last one has its upper edge too.
        match edges.partition_point(|edge| *edge <= value) {
            0 => {}
            above if above < edges.len() => counts[above - 1] += 1.0,
            _ if value == edges[edges.len() - 1] => counts[edges.len() - 2] += 1.0,
            _ => {}
        }
    }
    // From an empty bucket, whose limit is the lower edge of the first that counts, to the last one that counts.
    let is_counted = |count: &f64| *count > 0.0;
    let first = counts.iter().position(is_counted).unwrap_or(0);
    let last = counts.iter().rposition(is_counted).unwrap_or(0);
    Some(Histogram {
        min,
        max,
        num: finite.len() as f64,
        sum: finite.iter().sum(),
        sum_squares: finite.iter().map(|value| value * value).sum(),
        bucket_limit: edges[first..=last + 1].to_vec(),
        bucket: [&[0.0], &counts[first..=last]].concat(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_summary_writer() {
        // >>> import numpy as np; from tensorboardX import SummaryWriter; from tensorboardX.summary import make_histogram
        // >>> h = make_histogram(np.array([-1.0, 0.0, 0.1, 0.1, 0.12]), SummaryWriter("board").default_bins)
        // >>> h.bucket[0], len(h.bucket), sum(h.bucket), h.bucket_limit[0], h.bucket_limit[-1], h.sum_squares
        let h = histogram(&[-1.0, 0.0, 0.1, 0.1, 0.12, f64::NAN]).unwrap();
        assert_eq!((h.bucket[0], h.bucket.len(), h.bucket.iter().sum::<f64>()), (0.0, 561, 5.0));
        assert_eq!((h.bucket_limit[0], h.bucket_limit[560]), (-1.0089710279437536, 0.12394802823537933));
        assert_eq!(h.sum_squares, 1.0344);
        assert_eq!(h.bucket.len(), h.bucket_limit.len());
    }

    #[test]
    fn without_finite_values_there_is_none() {
        assert!(histogram(&[]).is_none() && histogram(&[f64::INFINITY]).is_none());
    }
}
