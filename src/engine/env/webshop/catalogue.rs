//! A catalogue of our own: products of many kinds, drawn from a seed.
//!
//! It is made to be hard in the way that real ones are: products of a kind share most of their words, differ in
//! attributes and options, and some of them have no price, a range of prices, no bullets or no instruction. What a
//! product is depends on the seed and its number alone, so a larger catalogue begins like a smaller one.

use std::collections::HashSet;

use rand_chacha::ChaCha8Rng;

use super::kinds::{KINDS, Kind};
use super::product::{Instruction, Pricing, Product};
use crate::engine::random;

const BRAND_STARTS: [&str; 14] =
    ["Bel", "Cor", "Dun", "Fen", "Hal", "Ked", "Lum", "Mor", "Nor", "Pell", "Quay", "Tam", "Ves", "Yar"];
const BRAND_ENDS: [&str; 12] =
    ["aro", "bridge", "croft", "dale", "esse", "field", "lane", "mere", "ora", "ston", "vane", "wick"];
const STYLES: [&str; 12] = [
    "Classic",
    "Modern",
    "Premium",
    "Everyday",
    "Compact",
    "Portable",
    "Deluxe",
    "Vintage",
    "Essential",
    "Professional",
    "Ultra Soft",
    "Upgraded",
];
const USERS: [&str; 8] = ["Women", "Men", "Kids", "Home", "Travel", "Office", "Gifts", "Daily Use"];
const LETTERS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The first so many products of a seed.
pub fn products(num_products: usize, seed: u64) -> impl Iterator<Item = Product> {
    let mut taken = HashSet::new();
    (0..num_products as u64).map(move |number| {
        let mut draws = Draws(random::stream(seed, "webshop catalogue", number));
        let kind = draws.one_of(&KINDS);
        let asin = loop {
            let asin = draws.asin();
            if taken.insert(asin.clone()) {
                break asin;
            }
        };
        draws.product(asin, kind)
    })
}

struct Draws(ChaCha8Rng);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        random::below(&mut self.0, n as u64) as usize
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// `count` different items, in a random order.
    fn some_of<T: Copy>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut items = items.to_vec();
        random::shuffle(&mut self.0, &mut items);
        items.truncate(count);
        items
    }

    fn asin(&mut self) -> String {
        let rest: String = (0..8).map(|_| char::from(*self.one_of(LETTERS))).collect();
        format!("B0{rest}")
    }

    fn product(&mut self, asin: String, kind: &Kind) -> Product {
        let count = 2 + self.below(4);
        let attributes = self.some_of(kind.attributes, count);
        let brand = format!("{}{}", self.one_of(&BRAND_STARTS), self.one_of(&BRAND_ENDS));
        let name = self.name(&brand, kind, &attributes);
        let description = format!(
            "The {brand} {} is {}. Made for {} and tested with care.",
            kind.noun.to_lowercase(),
            attributes.join(", "),
            self.one_of(&USERS).to_lowercase(),
        );
        Product {
            asin,
            name,
            category: kind.category.to_string(),
            query: kind.query.to_string(),
            product_category: kind.product_category.to_string(),
            pricing: self.pricing(kind.prices),
            description,
            bullets: self.bullets(&brand, &attributes),
            options: self.options(kind),
            instruction: self.instruction(kind, &attributes),
            attributes: attributes.into_iter().map(str::to_string).collect(),
            human_instructions: Vec::new(),
        }
    }

    fn name(&mut self, brand: &str, kind: &Kind, attributes: &[&str]) -> String {
        let style = self.one_of(&STYLES);
        let praise = self.one_of(attributes);
        let praise = title_case(praise);
        let user = self.one_of(&USERS);
        let number = 10 + self.below(990);
        match self.below(4) {
            0 => format!("{brand} {style} {} with {praise} for {user}", kind.noun),
            1 => format!("{brand} {praise} {} - {style}, Model {number}", kind.noun),
            2 => format!("{style} {} by {brand}, {praise} ({number})", kind.noun),
            _ => format!("{brand} {} for {user} | {praise} | {style} Series {number}", kind.noun),
        }
    }

    fn pricing(&mut self, (cheapest, dearest): (u64, u64)) -> Pricing {
        let cents = |draws: &mut Self, from: u64| from + draws.below(((dearest - cheapest) * 100) as usize) as u64;
        let low = cents(self, cheapest * 100);
        match self.below(20) {
            0 => Pricing::Unknown,
            1 => Pricing::Range(low as f64 / 100.0, cents(self, low + 100) as f64 / 100.0),
            _ => Pricing::One(low as f64 / 100.0),
        }
    }

    fn bullets(&mut self, brand: &str, attributes: &[&str]) -> Vec<String> {
        if self.happens(5) {
            return vec![String::new()];
        }
        let first = format!("From {brand}, who have made these for {} years", 2 + self.below(60));
        let praise = attributes.iter().map(|attribute| format!("{}: what you would hope for", title_case(attribute)));
        [first].into_iter().chain(praise).collect()
    }

    /// Mostly all of the kind's options, each with some of its values in the usual order.
    fn options(&mut self, kind: &Kind) -> Vec<(String, Vec<String>)> {
        let mut options = Vec::new();
        for (name, values) in kind.options {
            if self.happens(15) {
                continue;
            }
            let count = 1 + self.below(values.len());
            let chosen = self.some_of(values, count);
            let values = values.iter().filter(|value| chosen.contains(value)).map(|value| value.to_string());
            options.push((name.to_string(), values.collect()));
        }
        options
    }

    fn instruction(&mut self, kind: &Kind, attributes: &[&str]) -> Option<Instruction> {
        if self.happens(40) {
            return None;
        }
        let count = 1 + self.below(attributes.len().min(3));
        let wanted = self.some_of(attributes, count);
        let text = match self.below(3) {
            0 => format!("Find me {} {}", wanted.join(", "), kind.query),
            1 => format!("I am looking for {} that are {}", kind.query, wanted.join(" and ")),
            _ => format!("I need {} {}", kind.query, wanted.join(", ")),
        };
        let attributes = wanted.into_iter().map(str::to_string).collect();
        Some(Instruction { text, attributes, options: Vec::new() })
    }
}

fn title_case(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        format!("{}{rest}", first.to_uppercase())
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::goals::GoalOptions;
    use super::super::reward::matched_options;
    use super::*;

    #[test]
    fn a_catalogue_comes_from_its_seed_and_grows_at_its_end() {
        let all: Vec<Product> = products(1500, 7).collect();
        assert_eq!(products(300, 7).collect::<Vec<_>>(), all[..300]);
        assert_ne!(products(1, 8).next(), products(1, 7).next());
        let different = |of: fn(&Product) -> &str| all.iter().map(of).collect::<HashSet<_>>().len();
        assert_eq!(different(|product| &product.asin), 1500);
        assert!(different(|product| &product.product_category) >= 20);
        assert!(different(|product| &product.name) > 1400);
        assert!(all.iter().filter(|product| product.instruction.is_some()).count() > 700);
        for pricing in [|p: &Pricing| *p == Pricing::Unknown, |p: &Pricing| matches!(p, Pricing::Range(..))] {
            assert!(all.iter().any(|product| pricing(&product.pricing)));
        }
    }

    #[test]
    fn the_wanted_attributes_are_the_products() {
        for product in products(500, 0) {
            let wanted = product.instruction.iter().flat_map(|instruction| &instruction.attributes);
            assert!(wanted.into_iter().all(|attribute| product.attributes.contains(attribute)), "{}", product.asin);
        }
    }

    /// The reward takes the first colour inside a value for the value: `peppermint` would be `mint`, and never wanted.
    #[test]
    fn the_right_choice_of_an_option_is_recognised_as_such() {
        for kind in &KINDS {
            for (name, value) in kind.options.iter().flat_map(|(name, values)| values.iter().map(move |v| (name, v))) {
                let pair = (name.to_string(), value.to_string());
                let wanted = GoalOptions::Named(vec![pair.clone()]);
                assert_eq!(matched_options(&[pair], &wanted), 1, "{name}: {value}");
            }
        }
    }
}
