//! Training data: records and the order in which they are seen.

pub mod cache;
mod columns;
pub mod packing;
pub mod read;
pub mod records;
mod refused;
pub mod rows;
pub mod survey;

use super::random;
pub use read::{RecordFile, read, read_rows, write};
pub use records::{Body, Origin, Record};

/// The order in which epoch `epoch` visits records `0..n`: a pure function of its three
/// arguments, so a resumed run finds its place by counting.
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    random::shuffle(&mut random::stream(seed, "data order", epoch), &mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_record_once_in_an_order_that_seed_and_epoch_decide() {
        let order = epoch_order(100, 7, 3);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_ne!(order, sorted);
        assert_eq!(order, epoch_order(100, 7, 3));
        assert_ne!(order, epoch_order(100, 7, 4));
        assert_ne!(order, epoch_order(100, 8, 3));
    }

    /// A changed order would silently break the resume of runs that an older version began.
    #[test]
    fn the_order_of_ten_records_stays_what_it_was() {
        assert_eq!(epoch_order(10, 0, 0), [2, 7, 1, 3, 8, 9, 0, 5, 4, 6]);
    }

    #[test]
    fn every_order_of_three_records_is_about_equally_frequent() {
        let mut counts = std::collections::HashMap::new();
        for epoch in 0..6000 {
            *counts.entry(epoch_order(3, 1, epoch)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|&n| (850..1150).contains(&n)), "{counts:?}");
    }

    #[test]
    fn no_records_and_one_record_have_an_order_too() {
        assert!(epoch_order(0, 0, 0).is_empty());
        assert_eq!(epoch_order(1, 0, 0), [0]);
    }
}
