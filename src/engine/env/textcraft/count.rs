//! Whole numbers of any size, because upstream counts items with Python's integers: a model that stammers
//! `get 99999999999999999999 sticks` gets them.

use std::cmp::Ordering;
use std::fmt;

/// Nine decimal digits to a limb.
const LIMB: u64 = 1_000_000_000;

/// Python reads no longer numbers (`sys.get_int_max_str_digits()`).
const MAX_DIGITS: usize = 4300;

/// A number of items, at least 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Count {
    /// The lowest limb first, no zeros at the end.
    limbs: Vec<u64>,
}

impl Count {
    /// The number in a run of ASCII digits, or the text of Python's `ValueError`.
    pub fn read(digits: &str) -> Result<Self, String> {
        if digits.len() > MAX_DIGITS {
            return Err(format!(
                "Exceeds the limit ({MAX_DIGITS} digits) for integer string conversion: value has {} digits; \
                 use sys.set_int_max_str_digits() to increase the limit",
                digits.len()
            ));
        }
        let digits: Vec<u64> = digits.bytes().map(|digit| u64::from(digit - b'0')).collect();
        let limbs = digits.rchunks(9).map(|limb| limb.iter().fold(0, |number, digit| number * 10 + digit)).collect();
        Ok(Count { limbs }.trimmed())
    }

    pub fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    pub fn add(&mut self, other: &Count) {
        let (length, mut carry) = (self.limbs.len().max(other.limbs.len()), 0);
        self.limbs.resize(length + 1, 0);
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let sum = *limb + other.limbs.get(index).unwrap_or(&0) + carry;
            (*limb, carry) = (sum % LIMB, sum / LIMB);
        }
        *self = std::mem::take(self).trimmed();
    }

    /// Takes `other`, which is at most this, away.
    pub fn subtract(&mut self, other: &Count) {
        let mut borrow = 0;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let taken = other.limbs.get(index).unwrap_or(&0) + borrow;
            borrow = u64::from(*limb < taken);
            *limb = *limb + borrow * LIMB - taken;
        }
        *self = std::mem::take(self).trimmed();
    }

    /// The number where it is a small one.
    pub fn small(&self) -> Option<u64> {
        match self.limbs.as_slice() {
            [] => Some(0),
            [only] => Some(*only),
            _ => None,
        }
    }

    fn trimmed(mut self) -> Self {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
        self
    }
}

impl From<u64> for Count {
    fn from(number: u64) -> Self {
        Count { limbs: vec![number % LIMB, number / LIMB % LIMB, number / LIMB / LIMB] }.trimmed()
    }
}

impl Ord for Count {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.limbs.len().cmp(&other.limbs.len());
        by_length.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }
}

impl PartialOrd for Count {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.limbs.last().unwrap_or(&0))?;
        self.limbs.iter().rev().skip(1).try_for_each(|limb| write!(f, "{limb:09}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(digits: &str) -> Count {
        Count::read(digits).unwrap()
    }

    #[test]
    fn large_numbers_are_added_and_taken_away_exactly() {
        let mut number = count("999999999999999999999");
        number.add(&count("0000001"));
        assert_eq!(number.to_string(), "1000000000000000000000");
        assert!(number > count("999999999999999999999") && number.small().is_none());
        number.subtract(&count("999999999999999999998"));
        assert_eq!((number.to_string(), number.small()), ("2".to_string(), Some(2)));
        number.subtract(&Count::from(2));
        assert!(number.is_zero() && number == count("000"));
        assert_eq!(Count::from(u64::MAX).to_string(), u64::MAX.to_string());
    }

    #[test]
    fn too_many_digits_are_refused_in_pythons_words() {
        assert!(Count::read(&"9".repeat(4300)).is_ok());
        // int("0" * 4400 + "1") in CPython 3.11
        assert_eq!(
            Count::read(&"0".repeat(4401)).unwrap_err(),
            "Exceeds the limit (4300 digits) for integer string conversion: value has 4401 digits; \
             use sys.set_int_max_str_digits() to increase the limit"
        );
    }
}
