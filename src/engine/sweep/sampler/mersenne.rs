//! The Mersenne Twister as numpy's `RandomState` uses it, for the one thing that must come out as in Optuna: the order of a grid.

const SIZE: usize = 624;
const MIDDLE: usize = 397;

pub struct Mersenne {
    state: [u32; SIZE],
    next: usize,
}

impl Mersenne {
    /// Matsumoto's and Nishimura's `init_genrand`.
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; SIZE];
        for place in 1..SIZE {
            let before = state[place - 1];
            state[place] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(place as u32);
        }
        Mersenne { state, next: SIZE }
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == SIZE {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for place in 0..SIZE {
            let joined = (self.state[place] & 0x8000_0000) | (self.state[(place + 1) % SIZE] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[place] = self.state[(place + MIDDLE) % SIZE] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// From 0 to `most`: the lowest bits that can hold it, drawn until they do (numpy's `random_interval`).
    fn up_to(&mut self, most: u32) -> u32 {
        let mask = most.checked_ilog2().map_or(0, |bit| u32::MAX >> (31 - bit));
        loop {
            let value = self.next_u32() & mask;
            if value <= most {
                return value;
            }
        }
    }

    /// `RandomState.shuffle` of a list.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.up_to(last as u32) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_numpys() {
        // Python: x = list(range(12)); numpy.random.RandomState(seed).shuffle(x)
        for (seed, wanted) in [(0, [6, 11, 4, 10, 2, 8, 1, 7, 9, 3, 0, 5]), (7, [7, 10, 2, 5, 0, 1, 11, 8, 3, 6, 9, 4])]
        {
            let mut items: Vec<u32> = (0..12).collect();
            Mersenne::new(seed).shuffle(&mut items);
            assert_eq!(items, wanted);
        }
    }
}
