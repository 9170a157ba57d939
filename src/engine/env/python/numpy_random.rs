//! NumPy's default random generator, bit for bit: `numpy.random.Generator(PCG64(SeedSequence(seed)))`.
//!
//! Environments that come from Python draw their tasks from it, so a task here is the task there only if every draw
//! is the same. SeedSequence spreads the seed over four words (O'Neill, "Developing a seed_seq alternative", 2015),
//! PCG64 is the XSL-RR 128/64 member of the PCG family (O'Neill, 2014), and bounded integers are Lemire's (2019).

const INITIAL_A: u32 = 0x43b0_d7e5;
const MULTIPLIER_A: u32 = 0x931e_8875;
const INITIAL_B: u32 = 0x8b51_f9dd;
const MULTIPLIER_B: u32 = 0x58f3_8ded;
const MIX_LEFT: u32 = 0xca01_f9dd;
const MIX_RIGHT: u32 = 0x4973_f715;
const POOL_SIZE: usize = 4;

const PCG_MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

/// The stream of one seed.
#[derive(Debug, Clone)]
pub struct NumpyRandom {
    state: u128,
    increment: u128,
    /// The upper half of the last 64-bit word, when only its lower half has been used.
    half: Option<u32>,
}

impl NumpyRandom {
    pub fn new(seed: u64) -> Self {
        let [a, b, c, d] = seed_words(seed).map(u128::from);
        let increment = (c << 64 | d) << 1 | 1;
        let mut random = NumpyRandom { state: 0, increment, half: None };
        random.advance();
        random.state = random.state.wrapping_add(a << 64 | b);
        random.advance();
        random
    }

    fn advance(&mut self) {
        self.state = self.state.wrapping_mul(PCG_MULTIPLIER).wrapping_add(self.increment);
    }

    /// 64 random bits; leaves a stored half in place, as NumPy does.
    fn word(&mut self) -> u64 {
        self.advance();
        ((self.state >> 64) as u64 ^ self.state as u64).rotate_right((self.state >> 122) as u32)
    }

    /// 32 random bits: the halves of a word, the lower first.
    fn half_word(&mut self) -> u32 {
        if let Some(half) = self.half.take() {
            return half;
        }
        let word = self.word();
        self.half = Some((word >> 32) as u32);
        word as u32
    }

    /// `integers(low, high)`: a uniform integer in `low..high`, which must not be empty. A range of one value draws
    /// nothing.
    pub fn integers(&mut self, low: i32, high: i32) -> i32 {
        debug_assert!(low < high, "{low}..{high} is empty");
        let range = high.wrapping_sub(low) as u32;
        if range <= 1 {
            return low;
        }
        let mut product = u64::from(self.half_word()) * u64::from(range);
        let threshold = range.wrapping_neg() % range;
        while (product as u32) < threshold {
            product = u64::from(self.half_word()) * u64::from(range);
        }
        low.wrapping_add((product >> 32) as i32)
    }

    /// `uniform(0, 1)`: a uniform number in [0, 1), one of 2⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A uniformly chosen item of a list that is not empty, drawn as an index.
    pub fn choice<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.integers(0, items.len() as i32) as usize]
    }
}

/// `SeedSequence(seed).generate_state(4, uint64)`.
fn seed_words(seed: u64) -> [u64; 4] {
    let pool = seed_pool(seed);
    let mut constant = INITIAL_B;
    let halves: [u32; 8] = std::array::from_fn(|index| {
        let mut value = pool[index % POOL_SIZE] ^ constant;
        constant = constant.wrapping_mul(MULTIPLIER_B);
        value = value.wrapping_mul(constant);
        value ^ value >> 16
    });
    std::array::from_fn(|index| u64::from(halves[2 * index + 1]) << 32 | u64::from(halves[2 * index]))
}

/// The entropy pool. A seed has at most two 32-bit words here, which is fewer than the pool, so the rest is filled
/// with hashes of zero.
fn seed_pool(seed: u64) -> [u32; POOL_SIZE] {
    let mut constant = INITIAL_A;
    let mut hash = |mut value: u32| {
        value ^= constant;
        constant = constant.wrapping_mul(MULTIPLIER_A);
        value = value.wrapping_mul(constant);
        value ^ value >> 16
    };
    let mut pool = [seed as u32, (seed >> 32) as u32, 0, 0].map(&mut hash);
    for source in 0..POOL_SIZE {
        for target in (0..POOL_SIZE).filter(|&target| target != source) {
            let mixed = MIX_LEFT.wrapping_mul(pool[target]).wrapping_sub(MIX_RIGHT.wrapping_mul(hash(pool[source])));
            pool[target] = mixed ^ mixed >> 16;
        }
    }
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_spread_as_numpy_does() {
        // np.random.SeedSequence(0).generate_state(4, np.uint64)
        let expected = [15793235383387715774, 12390638538380655177, 2361836109651742017, 3188717715514472916];
        assert_eq!(seed_words(0), expected);
    }

    #[test]
    fn integers_and_uniform_numbers_are_numpys() {
        // g = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        // [g.integers(0, n) for n in (4, 6, 7, 1, 3, 1000, 2**31 - 1, 5)], g.uniform(0, 1), g.integers(-3, 22),
        // g.bit_generator.random_raw()
        #[rustfmt::skip]
        let cases = [
            (0u64, [3, 3, 3, 0, 0, 307, 87989972, 0], 0.8132702392002724, -3, 16837368535893154894u64),
            (1u64, [1, 3, 5, 0, 2, 34, 309580410, 4], 0.31183145201048545, 20, 7808994663829368904u64),
            (4294967295u64, [0, 1, 5, 0, 0, 909, 616939238, 1], 0.9350122911173898, 12, 5459621595263477427u64),
            (4294967296u64, [2, 5, 6, 0, 1, 302, 1719937019, 1], 0.05861516014935442, 20, 4360823125038362322u64),
            (18446744073709551615u64, [2, 4, 6, 0, 2, 358, 15897996, 0], 0.12896523452474162, 19, 5881532399743467424u64),
            (461168601842738790u64, [3, 4, 6, 0, 2, 11, 2033360373, 3], 0.6196870049310956, 5, 13479165381073960459u64),
        ];
        for (seed, integers, unit, late, raw) in cases {
            let mut random = NumpyRandom::new(seed);
            assert_eq!([4, 6, 7, 1, 3, 1000, i32::MAX, 5].map(|n| random.integers(0, n)), integers, "seed {seed}");
            assert_eq!((random.unit(), random.integers(-3, 22), random.word()), (unit, late, raw), "seed {seed}");
        }
    }

    #[test]
    fn the_halves_of_a_word_are_used_low_first() {
        let mut random = NumpyRandom::new(0);
        let draws: Vec<i32> = (0..12).map(|_| random.integers(0, 4)).collect();
        assert_eq!(draws, [3, 2, 2, 1, 1, 0, 0, 0, 0, 3, 2, 3]);
        assert_eq!([0, 1].map(|seed| NumpyRandom::new(seed).word()), [11749869230777074271, 9441442522235856127]);
    }
}
