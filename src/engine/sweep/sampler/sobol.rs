//! Sobol's sequence in the dimensions and with the direction numbers of SciPy: points that fill a cube evenly from the first one on.
//!
//! Scrambled as SciPy does it (Matoušek's linear scrambling and a digital shift), with this crate's own random bits.

use rand::Rng;

use crate::engine::random;

/// Bits of a coordinate, as SciPy has them.
const BITS: usize = 30;

/// The most dimensions that there are direction numbers for.
pub const DIMENSIONS: usize = 64;

/// The `index`-th point's coordinate in a dimension; `scramble`: by which seed.
pub fn coordinate(index: u64, dimension: usize, scramble: Option<u64>) -> f64 {
    let mut vectors = vectors(dimension);
    let shift = scramble.map_or(0, |seed| scrambled(&mut vectors, seed, dimension));
    let gray = index ^ (index >> 1);
    let bits = (0..BITS).filter(|bit| gray >> bit & 1 == 1);
    let point = bits.fold(shift, |point, bit| point ^ vectors[bit]);
    f64::from(point) / (1u64 << BITS) as f64
}

/// The direction numbers of a dimension, the highest bit first.
fn vectors(dimension: usize) -> [u32; BITS] {
    let mut vectors = [1; BITS];
    if let Some((polynomial, first)) = dimension.checked_sub(1).map(|place| DIRECTIONS[place]) {
        let degree = first.len();
        vectors[..degree].copy_from_slice(first);
        for place in degree..BITS {
            let mut vector = vectors[place - degree];
            for k in 0..degree {
                if polynomial >> (degree - 1 - k) & 1 == 1 {
                    vector ^= vectors[place - k - 1] << (k + 1);
                }
            }
            vectors[place] = vector;
        }
    }
    for (place, vector) in vectors.iter_mut().enumerate() {
        *vector <<= BITS - 1 - place;
    }
    vectors
}

/// Scrambles the vectors by a random lower triangular matrix, and gives the random shift.
fn scrambled(vectors: &mut [u32; BITS], seed: u64, dimension: usize) -> u32 {
    let mut stream = random::stream(seed, "sweep scramble", dimension as u64);
    let mut bits = || (stream.next_u64() >> (64 - BITS)) as u32;
    // Row i of the matrix: which of the bits down to i enter bit i, itself always.
    let rows: Vec<u32> = (0..BITS)
        .map(|row| {
            let diagonal = 1 << (BITS - 1 - row);
            (bits() & !(diagonal - 1)) | diagonal
        })
        .collect();
    for vector in vectors.iter_mut() {
        let bit = |(row, mask): (usize, &u32)| ((*vector & mask).count_ones() & 1) << (BITS - 1 - row);
        *vector = rows.iter().enumerate().map(bit).sum();
    }
    bits()
}

/// For each dimension after the first: its primitive polynomial and its first direction numbers (Joe and Kuo, "Constructing Sobol sequences
/// with better two-dimensional projections", 2008: new-joe-kuo-6.21201), as SciPy writes them.
#[rustfmt::skip]
const DIRECTIONS: [(u32, &[u32]); DIMENSIONS - 1] = [
    (3, &[1]),
    (7, &[1, 3]),
    (11, &[1, 3, 1]),
    (13, &[1, 1, 1]),
    (19, &[1, 1, 3, 3]),
    (25, &[1, 3, 5, 13]),
    (37, &[1, 1, 5, 5, 17]),
    (41, &[1, 1, 5, 5, 5]),
    (47, &[1, 1, 7, 11, 19]),
    (55, &[1, 1, 5, 1, 1]),
    (59, &[1, 1, 1, 3, 11]),
    (61, &[1, 3, 5, 5, 31]),
    (67, &[1, 3, 3, 9, 7, 49]),
    (91, &[1, 1, 1, 15, 21, 21]),
    (97, &[1, 3, 1, 13, 27, 49]),
    (103, &[1, 1, 1, 15, 7, 5]),
    (109, &[1, 3, 1, 15, 13, 25]),
    (115, &[1, 1, 5, 5, 19, 61]),
    (131, &[1, 3, 7, 11, 23, 15, 103]),
    (137, &[1, 3, 7, 13, 13, 15, 69]),
    (143, &[1, 1, 3, 13, 7, 35, 63]),
    (145, &[1, 3, 5, 9, 1, 25, 53]),
    (157, &[1, 3, 1, 13, 9, 35, 107]),
    (167, &[1, 3, 1, 5, 27, 61, 31]),
    (171, &[1, 1, 5, 11, 19, 41, 61]),
    (185, &[1, 3, 5, 3, 3, 13, 69]),
    (191, &[1, 1, 7, 13, 1, 19, 1]),
    (193, &[1, 3, 7, 5, 13, 19, 59]),
    (203, &[1, 1, 3, 9, 25, 29, 41]),
    (211, &[1, 3, 5, 13, 23, 1, 55]),
    (213, &[1, 3, 7, 3, 13, 59, 17]),
    (229, &[1, 3, 1, 3, 5, 53, 69]),
    (239, &[1, 1, 5, 5, 23, 33, 13]),
    (241, &[1, 1, 7, 7, 1, 61, 123]),
    (247, &[1, 1, 7, 9, 13, 61, 49]),
    (253, &[1, 3, 3, 5, 3, 55, 33]),
    (285, &[1, 3, 1, 15, 31, 13, 49, 245]),
    (299, &[1, 3, 5, 15, 31, 59, 63, 97]),
    (301, &[1, 3, 1, 11, 11, 11, 77, 249]),
    (333, &[1, 3, 1, 11, 27, 43, 71, 9]),
    (351, &[1, 1, 7, 15, 21, 11, 81, 45]),
    (355, &[1, 3, 7, 3, 25, 31, 65, 79]),
    (357, &[1, 3, 1, 1, 19, 11, 3, 205]),
    (361, &[1, 1, 5, 9, 19, 21, 29, 157]),
    (369, &[1, 3, 7, 11, 1, 33, 89, 185]),
    (391, &[1, 3, 3, 3, 15, 9, 79, 71]),
    (397, &[1, 3, 7, 11, 15, 39, 119, 27]),
    (425, &[1, 1, 3, 1, 11, 31, 97, 225]),
    (451, &[1, 1, 1, 3, 23, 43, 57, 177]),
    (463, &[1, 3, 7, 7, 17, 17, 37, 71]),
    (487, &[1, 3, 1, 5, 27, 63, 123, 213]),
    (501, &[1, 1, 3, 5, 11, 43, 53, 133]),
    (529, &[1, 3, 5, 5, 29, 17, 47, 173, 479]),
    (539, &[1, 3, 3, 11, 3, 1, 109, 9, 69]),
    (545, &[1, 1, 1, 5, 17, 39, 23, 5, 343]),
    (557, &[1, 3, 1, 5, 25, 15, 31, 103, 499]),
    (563, &[1, 1, 1, 11, 11, 17, 63, 105, 183]),
    (601, &[1, 1, 5, 11, 9, 29, 97, 231, 363]),
    (607, &[1, 1, 5, 15, 19, 45, 41, 7, 383]),
    (617, &[1, 3, 7, 7, 31, 19, 83, 137, 221]),
    (623, &[1, 1, 1, 3, 23, 15, 111, 223, 83]),
    (631, &[1, 1, 5, 13, 31, 15, 55, 25, 161]),
    (637, &[1, 1, 3, 13, 25, 47, 39, 87, 257]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_scipys() {
        // Python: scipy.stats.qmc.Sobol(64, scramble=False).random(128)[[1, 5, 100]][:, [0, 1, 4, 31, 63]]
        let points = [
            [0.5, 0.5, 0.5, 0.5, 0.5],
            [0.875, 0.875, 0.875, 0.625, 0.625],
            [0.4140625, 0.2578125, 0.8828125, 0.4140625, 0.6484375],
        ];
        for (index, wanted) in [1, 5, 100].into_iter().zip(points) {
            let point = [0, 1, 4, 31, 63].map(|dimension| coordinate(index, dimension, None));
            assert_eq!(point, wanted, "point {index}");
        }
    }

    #[test]
    fn scrambled_points_fill_every_stratum_once() {
        for dimension in [0, 1, 7, 63] {
            for seed in 0..5 {
                let mut counts = [0; 64];
                for index in 0..64 {
                    counts[(coordinate(index, dimension, Some(seed)) * 64.0) as usize] += 1;
                }
                assert_eq!(counts, [1; 64], "dimension {dimension}, seed {seed}");
            }
        }
        assert_ne!(coordinate(0, 0, Some(1)), coordinate(0, 0, Some(2)));
    }
}
