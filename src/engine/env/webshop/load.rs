//! Reading the three files of the original WebShop: products, attributes with instructions, people's instructions.
//!
//! What the original would choke on with a traceback is refused here with the product's number and id; what it skips
//! (ids that are `nan` or longer than ten characters, ids seen before) is skipped.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::product::{Instruction, Pricing, Product};
use super::python;
use crate::engine::{Error, Result, file};

/// Ids are at most this long; longer ones are skipped as the original skips them.
const LONGEST_ASIN: usize = 10;

/// The files of one folder.
#[derive(Debug, Clone)]
pub struct ProductFiles {
    pub products: PathBuf,
    pub attributes: PathBuf,
    /// Needed for people's goals only.
    pub human: Option<PathBuf>,
}

impl ProductFiles {
    /// The files in a folder: those of the full set, else those of the first thousand products.
    pub fn find(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::file(
                folder,
                "no such folder; expected one with the WebShop files items_shuffle.json and items_ins_v2.json",
            ));
        }
        let pick = |full: &str, small: &str| {
            [full, small]
                .map(|name| folder.join(name))
                .into_iter()
                .find(|path| path.is_file())
                .ok_or_else(|| Error::file(folder, format!("neither {full} nor {small} is in this folder")))
        };
        let human = folder.join("items_human_ins.json");
        Ok(ProductFiles {
            products: pick("items_shuffle.json", "items_shuffle_1000.json")?,
            attributes: pick("items_ins_v2.json", "items_ins_v2_1000.json")?,
            human: human.is_file().then_some(human),
        })
    }

    pub fn all(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.products, &self.attributes].into_iter().chain(&self.human)
    }

    /// Hands every product of the first `limit` in the file to `each`.
    pub fn read<E: From<Error>>(
        &self,
        limit: Option<usize>,
        mut each: impl FnMut(Product) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut attributes: HashMap<String, RawAttributes> = read_map(&self.attributes)?;
        let mut human: HashMap<String, Vec<RawHuman>> = match &self.human {
            Some(path) => read_map(path)?,
            None => HashMap::new(),
        };
        let mut seen = HashSet::new();
        let mut skipped = 0usize;
        let mut failure = None;
        let mut number = 0;
        let result = read_list(&self.products, |raw: RawProduct| {
            number += 1;
            let take = || -> std::result::Result<(), E> {
                let asin = raw.asin().map_err(|problem| self.complain(number, None, &problem))?;
                if asin == "nan" || asin.chars().count() > LONGEST_ASIN || !seen.insert(asin.clone()) {
                    skipped += 1;
                    return Ok(());
                }
                let instructions = (attributes.remove(&asin), human.remove(&asin));
                let product =
                    raw.product(instructions).map_err(|problem| self.complain(number, Some(&asin), &problem))?;
                each(product)
            };
            match take() {
                Ok(()) => limit.is_none_or(|limit| number < limit),
                Err(error) => {
                    failure = Some(error);
                    false
                }
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        result?;
        if skipped > 0 {
            tracing::warn!(
                "{}: {skipped} products skipped: their ids are there already, or no ids",
                self.products.display()
            );
        }
        Ok(())
    }

    fn complain(&self, number: usize, asin: Option<&str>, problem: &str) -> Error {
        let asin = asin.map(|asin| format!(" ({asin})")).unwrap_or_default();
        Error::file(&self.products, format!("product {number}{asin}: {problem}"))
    }
}

/// A product as the file has it; only what the shop uses is read.
#[derive(Deserialize)]
struct RawProduct {
    asin: Option<Value>,
    name: Option<Value>,
    category: Option<Value>,
    query: Option<Value>,
    product_category: Option<Value>,
    full_description: Option<Value>,
    small_description: Option<Value>,
    pricing: Option<Value>,
    customization_options: Option<Value>,
}

#[derive(Deserialize)]
struct RawAttributes {
    attributes: Option<Vec<String>>,
    instruction: Option<String>,
    instruction_attributes: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawHuman {
    instruction: String,
    instruction_attributes: Vec<String>,
    #[serde(default)]
    instruction_options: Vec<String>,
}

/// What stands for a product without attributes, as in the original.
const NO_ATTRIBUTES: &str = "DUMMY_ATTR";

impl RawProduct {
    fn asin(&self) -> Result<String, String> {
        text("asin", &self.asin)
    }

    fn product(self, instructions: (Option<RawAttributes>, Option<Vec<RawHuman>>)) -> Result<Product, String> {
        let (attributes, human) = instructions;
        let (attributes, instruction) = match attributes {
            Some(raw) => (raw.attributes, synthetic_instruction(raw.instruction, raw.instruction_attributes)?),
            None => (None, None),
        };
        let human_instructions = human.unwrap_or_default().into_iter().map(|raw| Instruction {
            text: raw.instruction,
            attributes: raw.instruction_attributes,
            options: raw.instruction_options,
        });
        Ok(Product {
            asin: self.asin()?,
            name: text("name", &self.name)?,
            category: text("category", &self.category)?,
            query: python::strip(&text("query", &self.query)?.to_lowercase()).to_string(),
            product_category: text("product_category", &self.product_category)?,
            pricing: pricing(&self.pricing)?,
            description: text("full_description", &self.full_description)?,
            bullets: bullets(&self.small_description)?,
            options: options(&self.customization_options)?,
            attributes: attributes.unwrap_or_else(|| vec![NO_ATTRIBUTES.to_string()]),
            instruction,
            human_instructions: human_instructions.collect(),
        })
    }
}

fn synthetic_instruction(text: Option<String>, attributes: Option<Vec<String>>) -> Result<Option<Instruction>, String> {
    let Some(text) = text else {
        return Ok(None);
    };
    match attributes {
        Some(attributes) if !attributes.is_empty() => Ok(Some(Instruction { text, attributes, options: Vec::new() })),
        _ => Err("its instruction has no `instruction_attributes`; expected a list with at least one".to_string()),
    }
}

/// What came, in a few words.
fn found(value: &Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => "nothing".to_string(),
        Some(value) => {
            let text = value.to_string();
            match text.char_indices().nth(40) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            }
        }
    }
}

fn text(key: &str, value: &Option<Value>) -> Result<String, String> {
    match value {
        Some(Value::String(text)) => Ok(text.clone()),
        other => Err(format!("`{key}`: expected a text, got {}", found(other))),
    }
}

/// One text is a list of one.
fn bullets(value: &Option<Value>) -> Result<Vec<String>, String> {
    let expected = || format!("`small_description`: expected a text or a list of texts, got {}", found(value));
    match value {
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_string).ok_or_else(expected)).collect()
        }
        _ => Err(expected()),
    }
}

/// `$12.99`, `$10.00 - $20.00`, `$1,299.00`: a number behind every dollar sign, of which the first two count.
fn pricing(value: &Option<Value>) -> Result<Pricing, String> {
    let expected = || format!("`pricing`: expected amounts like $12.99 or $10.00 - $20.00, got {}", found(value));
    let text = match value {
        None | Some(Value::Null) => return Ok(Pricing::Unknown),
        Some(Value::String(text)) if text.is_empty() => return Ok(Pricing::Unknown),
        Some(Value::String(text)) => text,
        // Python takes an empty list, false and 0 for no price.
        Some(Value::Array(items)) if items.is_empty() => return Ok(Pricing::Unknown),
        _ => return Err(expected()),
    };
    let amounts: Vec<f64> =
        text.split('$').skip(1).map(|part| amount(part).ok_or_else(expected)).collect::<Result<_, _>>()?;
    match amounts[..] {
        [] => Err(expected()),
        [price] => Ok(Pricing::One(price)),
        [low, high, ..] => Ok(Pricing::Range(low, high)),
    }
}

/// The digits and points of a text as a number.
fn amount(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    digits.parse().ok().filter(|number: &f64| number.is_finite())
}

fn options(value: &Option<Value>) -> Result<Vec<(String, Vec<String>)>, String> {
    let names = match value {
        None => return Err("`customization_options`: expected an object, or null for none, got nothing".to_string()),
        Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => return Ok(Vec::new()),
        Some(Value::Array(items)) if items.is_empty() => return Ok(Vec::new()),
        Some(Value::Object(names)) => names,
        other => return Err(format!("`customization_options`: expected an object, got {}", found(other))),
    };
    let mut options: Vec<(String, Vec<String>)> = Vec::new();
    for (name, contents) in names {
        let contents = match contents {
            Value::Null => continue,
            Value::Array(contents) => contents,
            other => return Err(format!("option {name:?}: expected a list, got {}", found(&Some(other.clone())))),
        };
        let values = contents
            .iter()
            .map(|content| {
                option_value(content).ok_or_else(|| {
                    format!(
                        "option {name:?}: expected items with a text `value`, got {}",
                        found(&Some(content.clone()))
                    )
                })
            })
            .collect::<Result<Vec<String>, String>>()?;
        // As in a Python dict: a name that comes again keeps its place and gets the new values.
        let name = name.to_lowercase();
        match options.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = values,
            None => options.push((name, values)),
        }
    }
    Ok(options)
}

fn option_value(content: &Value) -> Option<String> {
    Some(python::strip(content.get("value")?.as_str()?).replace('/', " | ").to_lowercase())
}

fn json_error(path: &Path, error: &serde_json::Error) -> Error {
    match error.is_io() {
        true => Error::file(path, format!("cannot be read: {error}")),
        false => Error::file(path, format!("is not as WebShop's files are: {error}")),
    }
}

fn open(path: &Path) -> Result<serde_json::Deserializer<serde_json::de::IoRead<BufReader<File>>>> {
    let file = File::open(path).map_err(|e| file::unreadable(path, &e))?;
    Ok(serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 20, file)))
}

/// A JSON object with values of one kind; of a key that comes twice the last counts.
fn read_map<T: DeserializeOwned>(path: &Path) -> Result<HashMap<String, T>> {
    struct Map<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Map<T> {
        type Value = HashMap<String, T>;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an object from product ids")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = HashMap::new();
            while let Some((key, value)) = map.next_entry()? {
                all.insert(key, value);
            }
            Ok(all)
        }
    }
    let mut json = open(path)?;
    let map = json.deserialize_map(Map(PhantomData)).and_then(|map| json.end().map(|()| map));
    map.map_err(|e| json_error(path, &e))
}

/// Hands the items of a JSON list to `each`, one at a time, until it returns false.
fn read_list<T: DeserializeOwned>(path: &Path, each: impl FnMut(T) -> bool) -> Result<()> {
    struct Items<'a, T, F> {
        each: F,
        stopped: &'a mut bool,
        item: PhantomData<T>,
    }
    impl<'de, T: Deserialize<'de>, F: FnMut(T) -> bool> Visitor<'de> for Items<'_, T, F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a list of products")
        }
        fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
            while let Some(item) = items.next_element()? {
                if !(self.each)(item) {
                    *self.stopped = true;
                    break;
                }
            }
            Ok(())
        }
    }
    impl<'de, T: Deserialize<'de>, F: FnMut(T) -> bool> DeserializeSeed<'de> for Items<'_, T, F> {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
            json.deserialize_seq(self)
        }
    }
    let mut json = open(path)?;
    let mut stopped = false;
    let result = Items { each, stopped: &mut stopped, item: PhantomData }.deserialize(&mut json);
    // What follows the last item wanted is not looked at, so the list's end is not missed.
    if stopped { Ok(()) } else { result.and_then(|()| json.end()).map_err(|e| json_error(path, &e)) }
}
