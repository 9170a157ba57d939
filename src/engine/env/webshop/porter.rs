//! Porter's stemmer of 1980 ("An algorithm for suffix stripping", Program 14.3) as Lucene applies it.
//!
//! Lucene's differs from the paper where Porter's own later code does: `bli` becomes `ble` (the paper: `abli` becomes
//! `able`), `logi` becomes `log`, and words of one or two characters stay. Snowball's `porter` has none of these.

/// The stem of a word in small letters. Lucene counts in UTF-16, and so does this.
pub fn stem(word: &str) -> String {
    let mut stem = Stem { units: word.encode_utf16().collect() };
    if stem.units.len() > 2 {
        stem.plurals();
        stem.past_and_progressive();
        stem.final_y();
        stem.double_suffixes();
        stem.single_suffixes();
        stem.bare_suffixes();
        stem.final_e_and_l();
    }
    // Only ASCII is ever cut or put in place, so no pair of surrogates is broken.
    String::from_utf16_lossy(&stem.units)
}

struct Stem {
    units: Vec<u16>,
}

impl Stem {
    fn is(&self, index: usize, letter: u8) -> bool {
        self.units[index] == u16::from(letter)
    }

    fn is_one_of(&self, index: usize, letters: &[u8]) -> bool {
        letters.iter().any(|&letter| self.is(index, letter))
    }

    /// A `y` is a consonant at the start and behind a vowel.
    fn is_consonant(&self, index: usize) -> bool {
        match self.is(index, b'y') {
            true => index == 0 || !self.is_consonant(index - 1),
            false => !self.is_one_of(index, b"aeiou"),
        }
    }

    /// How often a consonant follows a vowel in the first `length` units: the paper's m.
    fn measure(&self, length: usize) -> usize {
        let consonants: Vec<bool> = (0..length).map(|index| self.is_consonant(index)).collect();
        consonants.windows(2).filter(|pair| !pair[0] && pair[1]).count()
    }

    fn has_vowel(&self, length: usize) -> bool {
        (0..length).any(|index| !self.is_consonant(index))
    }

    /// The first `length` units end in the same consonant twice.
    fn ends_double(&self, length: usize) -> bool {
        length >= 2 && self.units[length - 1] == self.units[length - 2] && self.is_consonant(length - 1)
    }

    /// The first `length` units end in consonant, vowel, consonant, the last of them not w, x or y.
    fn ends_short(&self, length: usize) -> bool {
        length >= 3
            && self.is_consonant(length - 1)
            && !self.is_consonant(length - 2)
            && self.is_consonant(length - 3)
            && !self.is_one_of(length - 1, b"wxy")
    }

    /// The length before `suffix`, where the word ends in it.
    fn before(&self, suffix: &str) -> Option<usize> {
        let start = self.units.len().checked_sub(suffix.len())?;
        self.units[start..].iter().copied().eq(suffix.bytes().map(u16::from)).then_some(start)
    }

    fn replace(&mut self, start: usize, ending: &str) {
        self.units.truncate(start);
        self.units.extend(ending.bytes().map(u16::from));
    }

    /// The first suffix that fits is replaced if what is before it has m > 0.
    fn replace_first(&mut self, suffixes: &[(&str, &str)]) {
        if let Some((start, ending)) = suffixes.iter().find_map(|(suffix, ending)| Some((self.before(suffix)?, ending)))
            && self.measure(start) > 0
        {
            self.replace(start, ending);
        }
    }

    /// Step 1a.
    fn plurals(&mut self) {
        if let Some(start) = self.before("sses") {
            self.replace(start, "ss");
        } else if let Some(start) = self.before("ies") {
            self.replace(start, "i");
        } else if self.before("s").is_some() && self.before("ss").is_none() {
            self.units.pop();
        }
    }

    /// Step 1b.
    fn past_and_progressive(&mut self) {
        if let Some(start) = self.before("eed") {
            if self.measure(start) > 0 {
                self.units.pop();
            }
            return;
        }
        let Some(start) = self.before("ed").or_else(|| self.before("ing")).filter(|&start| self.has_vowel(start))
        else {
            return;
        };
        self.units.truncate(start);
        let length = self.units.len();
        if ["at", "bl", "iz"].iter().any(|ending| self.before(ending).is_some()) {
            self.units.push(u16::from(b'e'));
        } else if self.ends_double(length) {
            if !self.is_one_of(length - 1, b"lsz") {
                self.units.pop();
            }
        } else if self.measure(length) == 1 && self.ends_short(length) {
            self.units.push(u16::from(b'e'));
        }
    }

    /// Step 1c.
    fn final_y(&mut self) {
        if let Some(start) = self.before("y")
            && self.has_vowel(start)
        {
            self.replace(start, "i");
        }
    }

    /// Step 2.
    #[rustfmt::skip]
    fn double_suffixes(&mut self) {
        self.replace_first(&[
            ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
            ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
            ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"),
            ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble"), ("logi", "log"),
        ]);
    }

    /// Step 3.
    #[rustfmt::skip]
    fn single_suffixes(&mut self) {
        self.replace_first(&[
            ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
        ]);
    }

    /// Step 4: off comes the first suffix that fits if what is before it has m > 1; `ion` fits behind s and t only.
    fn bare_suffixes(&mut self) {
        const SUFFIXES: [&str; 19] = [
            "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate",
            "iti", "ous", "ive", "ize",
        ];
        let fits = |suffix: &&str| {
            self.before(suffix).filter(|&start| *suffix != "ion" || start > 0 && self.is_one_of(start - 1, b"st"))
        };
        if let Some(start) = SUFFIXES.iter().find_map(fits)
            && self.measure(start) > 1
        {
            self.units.truncate(start);
        }
    }

    /// Step 5.
    fn final_e_and_l(&mut self) {
        let whole = self.units.len();
        if self.before("e").is_some() {
            let measure = self.measure(whole);
            if measure > 1 || measure == 1 && !self.ends_short(whole - 1) {
                self.units.pop();
            }
        }
        let length = self.units.len();
        if self.before("l").is_some() && self.ends_double(length) && self.measure(length) > 1 {
            self.units.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_the_paper_and_lucene_cut_them() {
        for (word, expected) in [
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("cats", "cat"),
            ("feed", "feed"),
            ("agreed", "agre"),
            ("plastered", "plaster"),
            ("motoring", "motor"),
            ("conflated", "conflat"),
            ("hopping", "hop"),
            ("filing", "file"),
            ("happy", "happi"),
            ("relational", "relat"),
            ("controlling", "control"),
            ("generalization", "gener"),
            ("replacement", "replac"),
            ("adoption", "adopt"),
            ("rate", "rate"),
            ("roll", "roll"),
            // Where Snowball's porter says possibli and technologi.
            ("possibly", "possibl"),
            ("technology", "technolog"),
            ("is", "is"),
            ("crème", "crème"),
            ("日本", "日本"),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
    }
}
