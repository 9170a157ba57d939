//! Python's `repr` of a string, and the order in which it walks a set of strings.

use std::sync::LazyLock;

use regex::Regex;

/// `repr(text)` of a string.
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut written = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            c if c == quote => written.extend(['\\', c]),
            c if is_printable(c) => written.push(c),
            c => written.push_str(&match c as u32 {
                code @ 0..=0xff => format!("\\x{code:02x}"),
                code @ 0x100..=0xffff => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
        }
    }
    written.push(quote);
    written
}

/// `str.isprintable()` of one character.
fn is_printable(c: char) -> bool {
    static HIDDEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[\p{C}\p{Z}]$").expect("the pattern is valid"));
    c == ' ' || !HIDDEN.is_match(c.encode_utf8(&mut [0; 4]))
}

/// The key of the string hash, as `PYTHONHASHSEED` decides it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HashSecret(u64, u64);

impl HashSecret {
    /// 0 switches randomisation off; any other seed fills the key from a linear congruential generator
    /// (`lcg_urandom` of Python/bootstrap_hash.c).
    pub fn new(hash_seed: u32) -> Self {
        if hash_seed == 0 {
            return HashSecret(0, 0);
        }
        let mut state = hash_seed;
        let mut word = || {
            u64::from_le_bytes(std::array::from_fn(|_| {
                state = state.wrapping_mul(214_013).wrapping_add(2_531_011);
                (state >> 16) as u8
            }))
        };
        HashSecret(word(), word())
    }

    /// `hash(text)` of an ASCII string: SipHash-1-3, CPython's own from 3.11 on.
    fn hash(self, text: &str) -> u64 {
        let HashSecret(k0, k1) = self;
        let mut state = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        let words = text.as_bytes().chunks_exact(8);
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        last[7] = text.len() as u8;
        for word in words.chain([last.as_slice()]) {
            let word = u64::from_le_bytes(word.try_into().expect("a chunk has eight bytes"));
            state[3] ^= word;
            sip_round(&mut state);
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        (0..3).for_each(|_| sip_round(&mut state));
        match state[0] ^ state[1] ^ state[2] ^ state[3] {
            // −1 means an error in CPython, so no hash has that value.
            u64::MAX => u64::MAX - 1,
            hash => hash,
        }
    }

    /// `list({a, b, …})` for different ASCII strings, added one by one: the order of the set's table
    /// (Objects/setobject.c, CPython 3.7 and later).
    pub fn set_order<'a>(self, strings: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let mut table: Vec<Option<(u64, &str)>> = vec![None; 8];
        for (index, text) in strings.into_iter().enumerate() {
            insert(&mut table, (self.hash(text), text));
            let used = index + 1;
            if used * 5 >= (table.len() - 1) * 3 {
                let wanted = if used > 50_000 { used * 2 } else { used * 4 };
                let larger = vec![None; (wanted + 1).next_power_of_two()];
                for entry in std::mem::replace(&mut table, larger).into_iter().flatten() {
                    insert(&mut table, entry);
                }
            }
        }
        table.into_iter().flatten().map(|(_, text)| text).collect()
    }
}

/// Puts an entry into the first free slot: up to nine neighbours are tried before the next jump.
fn insert<'a>(table: &mut [Option<(u64, &'a str)>], entry: (u64, &'a str)) {
    const NEIGHBOURS: usize = 9;
    let mask = table.len() - 1;
    let (mut slot, mut perturb) = (entry.0 as usize & mask, entry.0 as usize);
    loop {
        let last = if slot + NEIGHBOURS <= mask { slot + NEIGHBOURS } else { slot };
        if let Some(free) = (slot..=last).find(|&slot| table[slot].is_none()) {
            table[free] = Some(entry);
            return;
        }
        perturb >>= 5;
        slot = slot.wrapping_mul(5).wrapping_add(1).wrapping_add(perturb) & mask;
    }
}

fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    // PYTHONHASHSEED=<seed> python3.11 -c "print([hash(s) & (2**64 - 1) for s in ('', 'a',
    //     'craft 4 stick using 2 planks', '12345678', 'x' * 300)])"
    #[test]
    fn hashes_are_cpythons_for_every_hash_seed() {
        let long = "x".repeat(300);
        let words = ["a", "craft 4 stick using 2 planks", "12345678", &long];
        for (seed, expected) in [
            (0, [4644417185603328019, 12833245688009901193, 3785724242978802311, 3411635258680673508]),
            (1, [15433848885072367219, 15356984704664419682, 500036314421443289, 9249814942044010422]),
            (42, [18323536319731619102, 17710365010597714356, 9577846247827228661, 858452162732816776]),
            (u32::MAX, [12457060260671711367, 11746845568088579400, 12974306793057326612, 13082194533942195131]),
        ] {
            assert_eq!(words.map(|word| HashSecret::new(seed).hash(word)), expected, "seed {seed}");
        }
    }

    // s = set(); for i in range(n): s.add('item %d' % (i * i))
    // print(hashlib.sha256(','.join(s).encode()).hexdigest())
    #[test]
    fn small_and_large_sets_are_listed_in_cpythons_order() {
        for (seed, count, expected) in [
            (0, 5, "6f79848d17faaa204641950893ac69fae4ba7a1059ec1bfd0179368706588427"),
            (0, 40, "95b211ec857f397a6e9ad568e1c0a4639c6f1bf16b004bed1e0d5662c8fbf39e"),
            (0, 1000, "899229a4ef895ef92184ce588cdd1fc096d0a55ea15834735080419105b08b89"),
            (42, 5, "a5af27e9d603c692e65c0267824139b91e051e1d918ff76d1100319690f4ab06"),
            (42, 40, "e21c0f577e3d782a441d4afddf4b3c41ce3a199d2edfd917fd2aeda241ac4fee"),
            (42, 1000, "618657088ee2b9d503ef28fda1f1e42b1743b48d395827cf9ae59cbe983fa9af"),
        ] {
            let items: Vec<String> = (0..count).map(|i| format!("item {}", i * i)).collect();
            let listed = HashSecret::new(seed).set_order(items.iter().map(String::as_str)).join(",");
            let hash: String = Sha256::digest(listed.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hash, expected, "{count} items, seed {seed}");
        }
    }

    #[test]
    fn strings_are_quoted_as_repr_does() {
        assert_eq!(repr("minecraft:x"), "'minecraft:x'");
        assert_eq!(repr("a'b"), "\"a'b\"");
        assert_eq!(repr("a'b\"c"), r#"'a\'b"c'"#);
        let odd = "é\u{200b}\x7f\u{ad}\u{e0001} \u{3000}\u{e000}\t\\";
        assert_eq!(repr(odd), r"'é\u200b\x7f\xad\U000e0001 \u3000\ue000\t\\'");
    }
}
