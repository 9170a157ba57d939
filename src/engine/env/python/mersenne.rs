//! CPython's random numbers, so that a task id means the same task here and upstream.
//!
//! MT19937 by Matsumoto and Nishimura (2002) with `init_by_array`, and on top of it what `random.Random(seed)` of
//! CPython 3.2 to 3.13 does for `getrandbits`, `choice`, `sample`, `random` and `shuffle` (Lib/random.py, Modules/_randommodule.c). Everything
//! else in this program draws from its own seeded streams.

use std::collections::HashSet;

const N: usize = 624;
const M: usize = 397;

/// `random.Random(seed)` for a non-negative integer seed.
#[derive(Debug, Clone)]
pub struct Mersenne {
    state: [u32; N],
    /// The next word of `state` to hand out; `N` when all are used up.
    index: usize,
}

impl Mersenne {
    /// CPython seeds with the integer's 32-bit words, the lowest first; zero is one word.
    pub fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        if high == 0 { Self::from_words(&[low]) } else { Self::from_words(&[low, high]) }
    }

    /// `init_by_array` of the reference code.
    fn from_words(key: &[u32]) -> Self {
        let mut state = [0u32; N];
        state[0] = 19_650_218;
        for i in 1..N {
            state[i] = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let mut i = 1;
        for step in 0..N.max(key.len()) {
            let j = step % key.len();
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_664_525);
            state[i] = (state[i] ^ mixed).wrapping_add(key[j]).wrapping_add(j as u32);
            i = next_index(&mut state, i);
        }
        for _ in 0..N - 1 {
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_566_083_941);
            state[i] = (state[i] ^ mixed).wrapping_sub(i as u32);
            i = next_index(&mut state, i);
        }
        state[0] = 0x8000_0000;
        Mersenne { state, index: N }
    }

    /// The next 32 random bits (`genrand_uint32`).
    pub fn word(&mut self) -> u32 {
        if self.index == N {
            self.refill();
        }
        let mut y = self.state[self.index];
        self.index += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for k in 0..N {
            let y = (self.state[k] & 0x8000_0000) | (self.state[(k + 1) % N] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[k] = self.state[(k + M) % N] ^ (y >> 1) ^ odd;
        }
        self.index = 0;
    }

    /// The top `bits` bits of a word; above 32 bits a second word gives the high part. `bits` is 1 to 64.
    pub fn getrandbits(&mut self, bits: u32) -> u64 {
        if bits <= 32 {
            return u64::from(self.word() >> (32 - bits));
        }
        let low = u64::from(self.word());
        low | u64::from(self.word() >> (64 - bits)) << 32
    }

    /// A uniform integer in `0..n`: draws of `n`'s bit length until one is below `n`. A two-way choice therefore
    /// takes two bits.
    pub fn randbelow(&mut self, n: u64) -> u64 {
        assert!(n > 0, "randbelow needs a positive bound");
        let bits = u64::BITS - n.leading_zeros();
        loop {
            let drawn = self.getrandbits(bits);
            if drawn < n {
                return drawn;
            }
        }
    }

    /// `choice(items)`.
    pub fn choice<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.randbelow(items.len() as u64) as usize]
    }

    /// `random()`: a uniform number in [0, 1), one of 2^53.
    pub fn random(&mut self) -> f64 {
        let (high, low) = (u64::from(self.word() >> 5), u64::from(self.word() >> 6));
        (high << 26 | low) as f64 / (1u64 << 53) as f64
    }

    /// `shuffle(items)`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.randbelow(last as u64 + 1) as usize);
        }
    }

    /// `sample(range(1, n + 1), k)`: `k` different integers of `1..=n` in the order drawn. `k` is at most `n`.
    pub fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        assert!(k <= n, "a sample is at most as large as its population");
        if n <= sample_pool_limit(k) { self.sample_from_pool(n, k) } else { self.sample_by_set(n, k) }
    }

    fn sample_from_pool(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut pool: Vec<usize> = (1..=n).collect();
        (0..k)
            .map(|i| {
                let j = self.randbelow((n - i) as u64) as usize;
                let drawn = pool[j];
                pool[j] = pool[n - i - 1];
                drawn
            })
            .collect()
    }

    fn sample_by_set(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut taken = HashSet::with_capacity(k);
        let mut drawn = Vec::with_capacity(k);
        while drawn.len() < k {
            let j = self.randbelow(n as u64) as usize;
            if taken.insert(j) {
                drawn.push(j + 1);
            }
        }
        drawn
    }
}

/// Steps `i` over `1..N`, carrying the last word to the front when it wraps.
fn next_index(state: &mut [u32; N], i: usize) -> usize {
    if i + 1 < N {
        return i + 1;
    }
    state[0] = state[N - 1];
    1
}

/// CPython copies the population when that is smaller than a set of `k` would be: 21 words, and above five elements
/// the power of four at or over `3k` more.
fn sample_pool_limit(k: usize) -> usize {
    let mut table = 1;
    while table < 3 * k {
        table *= 4;
    }
    if k > 5 { 21 + table } else { 21 }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected numbers were printed by CPython 3.11.

    #[test]
    fn the_words_are_those_of_the_reference_code() {
        // mt19937ar.out: init_by_array({0x123, 0x234, 0x345, 0x456}).
        let mut random = Mersenne::from_words(&[0x123, 0x234, 0x345, 0x456]);
        let words: Vec<u32> = (0..5).map(|_| random.word()).collect();
        assert_eq!(words, [1067595299, 955945823, 477289528, 4107218783, 4228976476]);
    }

    #[test]
    fn bits_of_one_and_of_two_words_are_cpythons() {
        for (seed, expected) in [
            (0u64, [1, 1, 1627694678, 3823568514, 1806341205, 271752282791482, 8963783824838420066]),
            (42u64, [1, 0, 53710184, 3184935163, 1181241943, 39274139637470, 1890702223848595625]),
            (4294967301u64, [0, 1, 606635418, 3822202474, 6891077597, 99939656388353, 3160281327580079605]),
            (18446744073709551615u64, [0, 0, 726054176, 2657516307, 910393425, 26747403298243, 16617046528768934132]),
        ] {
            let mut random = Mersenne::new(seed);
            assert_eq!([1, 2, 31, 32, 33, 48, 64].map(|bits| random.getrandbits(bits)), expected, "seed {seed}");
        }
        let mut random = Mersenne::new(42);
        let late = (0..701).map(|_| random.word()).last();
        assert_eq!(late, Some(4214005797), "after the state was refilled twice");
        let choices: String = (0..16).map(|_| random.choice(&['T', 'F'])).collect();
        assert_eq!(choices, "FTTFTFTTFFFFTFTF");
    }

    #[test]
    fn small_and_large_populations_are_sampled_as_cpython_does() {
        let cases: [(u64, usize, usize, &[usize]); 6] = [
            (0, 15, 10, &[14, 7, 13, 15, 1, 5, 9, 8, 4, 3]),
            (1, 21, 5, &[5, 19, 3, 9, 4]),
            (2, 22, 5, &[2, 3, 12, 6, 22]),
            (3, 85, 10, &[31, 76, 70, 17, 48, 78, 61, 75, 9, 2]),
            (4, 86, 10, &[31, 39, 14, 51, 62, 20, 12, 9, 3, 52]),
            (5, 1000, 7, &[638, 262, 760, 368, 815, 708, 966]),
        ];
        for (seed, n, k, expected) in cases {
            assert_eq!(Mersenne::new(seed).sample(n, k), expected, "seed {seed}, {k} of {n}");
        }
    }

    #[test]
    fn fractions_and_shuffles_are_cpythons() {
        // r = random.Random(233); print(r.random(), r.random()); x = list(range(10)); r.shuffle(x); print(x)
        let mut random = Mersenne::new(233);
        assert_eq!([random.random(), random.random()], [0.6824769139473528, 0.6283202109809801]);
        let mut items: Vec<u32> = (0..10).collect();
        random.shuffle(&mut items);
        assert_eq!(items, [2, 9, 5, 6, 0, 1, 4, 7, 3, 8]);
    }

    #[test]
    fn the_pool_ends_where_a_set_becomes_smaller() {
        assert_eq!([1, 5, 6, 10, 21, 22].map(sample_pool_limit), [21, 21, 21 + 64, 21 + 64, 21 + 64, 21 + 256]);
    }
}
