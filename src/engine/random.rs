//! Named random streams: every draw comes from a seed, a purpose and an index, so nothing global has to be saved.
//!
//! The streams and the functions over them are part of what a seed means. They are written out here, down to the
//! bounded integer, instead of taken from the `rand` crate, whose algorithms may change between versions; a test
//! below holds their first values.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The stream of (`seed`, `purpose`, `index`): ChaCha8 keyed with SHA-256(seed ‖ index ‖ purpose), both numbers as
/// eight little-endian bytes. `index` is a step, a row, a task id.
pub fn stream(seed: u64, purpose: &str, index: u64) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(index.to_le_bytes());
    hash.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// A seed for libtorch's own generator, where its kernels draw (dropout, initialisation).
pub fn torch_seed(seed: u64, purpose: &str, index: u64) -> i64 {
    (stream(seed, purpose, index).next_u64() >> 1) as i64
}

/// As many integers as 64 bits hold, in a place where 2^64 itself has no room: `below(rng, WHOLE_WORD)` is any of them.
pub const WHOLE_WORD: u64 = 0;

/// A uniform integer in `0..n`, or any at all where `n` is [`WHOLE_WORD`]. Unbiased: Lemire, "Fast random integer generation in an
/// interval" (2019), with rejection.
pub fn below(rng: &mut impl Rng, n: u64) -> u64 {
    if n == WHOLE_WORD {
        return rng.next_u64();
    }
    let threshold = n.wrapping_neg() % n;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(n);
        if product as u64 >= threshold {
            return (product >> 64) as u64;
        }
    }
}

/// A uniform number in [0, 1), one of 2^53.
pub fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A uniformly random order (Fisher and Yates).
pub fn shuffle<T>(rng: &mut impl Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_its_seed_its_purpose_and_its_index() {
        let first = |seed, purpose, index| stream(seed, purpose, index).next_u64();
        let base = first(1, "a", 2);
        assert_eq!(base, first(1, "a", 2));
        assert!([first(2, "a", 2), first(1, "b", 2), first(1, "a", 3)].iter().all(|&other| other != base));
    }

    #[test]
    fn the_first_values_of_a_stream_stay_what_they_are() {
        // Python: key = sha256(struct.pack("<QQ", 7, 3) + b"sampling"), ChaCha8 from block 0, words u[0..6] in pairs;
        // u0, (u1 * 1000) >> 64, int((u2 >> 11) / 2**53 * 1e9).
        let mut rng = stream(7, "sampling", 3);
        assert_eq!(
            [rng.next_u64(), below(&mut rng, 1000), (unit(&mut rng) * 1e9) as u64],
            [13685651611645790092, 982, 432377171]
        );
    }

    #[test]
    fn bounded_integers_cover_their_range_evenly() {
        let mut rng = stream(0, "test", 0);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[below(&mut rng, 6) as usize] += 1;
        }
        // Five standard deviations (about 91 each) around 10000.
        assert!(counts.iter().all(|&count| (9_543..=10_457).contains(&count)), "{counts:?}");
    }

    #[test]
    fn unit_numbers_stay_below_one_and_average_a_half() {
        let mut rng = stream(0, "test", 1);
        let numbers: Vec<f64> = (0..10_000).map(|_| unit(&mut rng)).collect();
        assert!(numbers.iter().all(|x| (0.0..1.0).contains(x)));
        let mean = numbers.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.015, "{mean}");
    }

    #[test]
    fn a_shuffle_keeps_the_items() {
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut stream(3, "test", 0), &mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
