//! A product as the shop knows it, and its bytes in the store.

use super::name::NAME;
use super::python;
use crate::engine::{Error, Result};

/// What a product costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pricing {
    /// The files name no price: the original takes 100 dollars.
    Unknown,
    One(f64),
    /// What is charged lies somewhere between the two.
    Range(f64, f64),
}

impl Pricing {
    /// The price as pages show it.
    pub fn tag(&self) -> String {
        match self {
            Pricing::Unknown => "$100.0".to_string(),
            Pricing::One(price) => format!("${}", python::float(*price)),
            Pricing::Range(low, high) => format!("${} to ${}", python::float(*low), python::float(*high)),
        }
    }
}

/// A sentence that asks for a product, with the attributes it speaks of.
#[derive(Debug, Clone, PartialEq)]
pub struct Instruction {
    pub text: String,
    pub attributes: Vec<String>,
    /// Only people's instructions name options; those made from a template get them with the goal.
    pub options: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// The product's id; at most ten characters.
    pub asin: String,
    pub name: String,
    pub category: String,
    /// The search that led to the product, in small letters.
    pub query: String,
    /// From the widest to the narrowest, joined by ` › `.
    pub product_category: String,
    pub pricing: Pricing,
    pub description: String,
    pub bullets: Vec<String>,
    /// Names and what one can choose under each, in the file's order, all in small letters.
    pub options: Vec<(String, Vec<String>)>,
    pub attributes: Vec<String>,
    /// From the attribute file, by a template.
    pub instruction: Option<Instruction>,
    /// By people.
    pub human_instructions: Vec<Instruction>,
}

impl Product {
    /// The text that the search engine indexes.
    pub fn contents(&self) -> String {
        let options: Vec<String> =
            self.options.iter().map(|(name, values)| format!("{name}: {}", values.join(", "))).collect();
        let first_bullet = self.bullets.first().map_or("", String::as_str);
        [&self.name, &self.description, first_bullet, &options.join(", and ")].join(" ").to_lowercase()
    }

    /// How many ways there are to choose one value of every option; 1 where there are none.
    pub fn num_combinations(&self) -> Option<u64> {
        self.options.iter().try_fold(1u64, |product, (_, values)| product.checked_mul(values.len() as u64))
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        for text in [&self.asin, &self.name, &self.category, &self.query, &self.product_category] {
            put_text(out, text);
        }
        let (kind, low, high) = match self.pricing {
            Pricing::Unknown => (0, 0.0, 0.0),
            Pricing::One(price) => (1, price, 0.0),
            Pricing::Range(low, high) => (2, low, high),
        };
        put_number(out, kind);
        out.extend(low.to_le_bytes());
        out.extend(high.to_le_bytes());
        put_list(out, &self.options, |out, (name, values)| {
            put_text(out, name);
            put_texts(out, values);
        });
        put_list(out, self.instruction.as_slice(), put_instruction);
        put_list(out, &self.human_instructions, put_instruction);
        put_texts(out, &self.attributes);
        put_text(out, &self.description);
        put_texts(out, &self.bullets);
    }

    /// The product in bytes that [`Product::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Product> {
        Reader { bytes }.product().ok_or_else(|| Error::environment(NAME, "the cached catalogue is damaged"))
    }
}

/// A number in as few bytes as it takes, seven bits in each, the lowest first.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend(text.as_bytes());
}

fn put_list<T>(out: &mut Vec<u8>, items: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_number(out, items.len() as u64);
    items.iter().for_each(|item| put(out, item));
}

fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_list(out, texts, |out, text| put_text(out, text));
}

fn put_instruction(out: &mut Vec<u8>, instruction: &Instruction) {
    put_text(out, &instruction.text);
    put_texts(out, &instruction.attributes);
    put_texts(out, &instruction.options);
}

/// Reads what the `put_` functions wrote; `None` where the bytes are not such.
pub struct Reader<'a> {
    pub bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn float(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = self.number()?;
        (0..length).map(|_| item(self)).collect()
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        self.list(Self::text)
    }

    fn instruction(&mut self) -> Option<Instruction> {
        Some(Instruction { text: self.text()?, attributes: self.texts()?, options: self.texts()? })
    }

    fn pricing(&mut self) -> Option<Pricing> {
        let (kind, low, high) = (self.number()?, self.float()?, self.float()?);
        match kind {
            0 => Some(Pricing::Unknown),
            1 => Some(Pricing::One(low)),
            2 => Some(Pricing::Range(low, high)),
            _ => None,
        }
    }

    fn product(&mut self) -> Option<Product> {
        // In the order of `encode`.
        Some(Product {
            asin: self.text()?,
            name: self.text()?,
            category: self.text()?,
            query: self.text()?,
            product_category: self.text()?,
            pricing: self.pricing()?,
            options: self.list(|reader| Some((reader.text()?, reader.texts()?)))?,
            instruction: self.list(Self::instruction)?.pop(),
            human_instructions: self.list(Self::instruction)?,
            attributes: self.texts()?,
            description: self.text()?,
            bullets: self.texts()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_survives_its_bytes_and_damage_is_noticed() {
        let product = Product {
            asin: "B000".into(),
            name: "Tea – “Green”".into(),
            category: "grocery".into(),
            query: "tea".into(),
            product_category: "Food › Tea".into(),
            pricing: Pricing::Range(1.5, 1e20),
            description: "x".repeat(300),
            bullets: vec![String::new(), "two".into()],
            options: vec![("size".into(), vec!["1 oz".into(), "2 oz".into()]), ("none".into(), vec![])],
            attributes: vec!["gluten free".into()],
            instruction: Some(Instruction { text: "find".into(), attributes: vec!["a".into()], options: vec![] }),
            human_instructions: vec![],
        };
        let mut bytes = Vec::new();
        product.encode(&mut bytes);
        assert_eq!(Product::decode(&bytes).unwrap(), product);
        assert_eq!(product.num_combinations(), Some(0));
        for length in 0..bytes.len() {
            assert!(Product::decode(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn prices_are_shown_as_python_floats() {
        assert_eq!(Pricing::Unknown.tag(), "$100.0");
        assert_eq!(Pricing::One(12.5).tag(), "$12.5");
        assert_eq!(Pricing::Range(1254.99, 2000.0).tag(), "$1254.99 to $2000.0");
    }
}
