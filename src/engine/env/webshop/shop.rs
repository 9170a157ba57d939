//! Everything that the sessions of one shop share: the products, the index over them, the goals.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::goals::{Goal, GoalKind, Goals, Recording};
use super::load::ProductFiles;
use super::name::NAME;
use super::nouns::NounRule;
use super::options::WebShopOptions;
use super::product::Product;
use super::store::{Store, StoreBuilder};
use super::{cache, catalogue, python};
use crate::engine::env::python::mersenne::Mersenne;
use crate::engine::{Error, Result, file};

/// A search shows at most this many products.
const MOST_RESULTS: usize = 50;

/// Products in a catalogue of our own.
const OWN_PRODUCTS: usize = 2000;

pub struct Shop {
    pub store: Store,
    pub goals: Goals,
    pub noun_rule: NounRule,
}

impl Shop {
    pub fn open(options: &WebShopOptions) -> Result<Self> {
        let (store, recording) = match &options.data {
            Some(folder) => (stocked(options, folder)?, Recording::find(folder)?),
            None => (own(options.num_products.unwrap_or(OWN_PRODUCTS), options.seed.unwrap_or(0))?, None),
        };
        let goals = Goals::make(&store, options.goals, recording)?;
        if goals.len() == 0 {
            return Err(Error::environment(NAME, "these files hold no goals of the kind asked for"));
        }
        Ok(Shop { store, goals, noun_rule: options.noun_rule })
    }

    /// The goal of a session.
    pub fn goal(&self, session: u64) -> Result<Goal> {
        let goal = usize::try_from(session).ok().map(|session| self.goals.get(session, &self.store)).transpose()?;
        goal.flatten().ok_or_else(|| {
            let last = self.goals.len() - 1;
            Error::environment(NAME, format!("there is no task {session}; expected a number from 0 to {last}"))
        })
    }

    /// The places of the products that `search[keywords]` lists. A first word `<r>`, `<a>`, `<c>` or `<q>` asks for
    /// random products, or for all with an attribute, a category or a query.
    pub fn find(&self, keywords: &str, session: u64) -> Result<Vec<usize>> {
        let (first, rest) = keywords.split_once(' ').unwrap_or((keywords, ""));
        let wanted = python::strip(rest);
        match first {
            "<r>" => {
                let count = MOST_RESULTS.min(self.store.len());
                let numbers = Mersenne::new(session).sample(self.store.len(), count);
                Ok(numbers.into_iter().map(|number| number - 1).collect())
            }
            "<a>" => self.all_with(|product| product.attributes.iter().any(|attribute| attribute == wanted)),
            // Only the next word: that is how the original takes it.
            "<c>" => self.all_with(|product| product.category == python::strip(rest.split(' ').next().unwrap_or(""))),
            "<q>" => self.all_with(|product| product.query == wanted),
            _ => {
                let hits = self.store.search(keywords, MOST_RESULTS);
                Ok(hits.into_iter().map(|hit| hit.document as usize).collect())
            }
        }
    }

    fn all_with(&self, is_wanted: impl Fn(&Product) -> bool) -> Result<Vec<usize>> {
        let mut places = Vec::new();
        for place in 0..self.store.len() {
            if is_wanted(&self.store.product(place)?) {
                places.push(place);
            }
        }
        Ok(places)
    }
}

/// The store of the files in a folder.
fn stocked(options: &WebShopOptions, folder: &Path) -> Result<Store> {
    let files = ProductFiles::find(folder)?;
    if options.goals != GoalKind::Synthetic && files.human.is_none() {
        return Err(Error::file(folder.join("items_human_ins.json"), "no such file, and people's goals come from it"));
    }
    let kept_in = options.cache_dir.as_deref().unwrap_or(folder);
    let store = cache::open(&files, options.num_products, options.cache.then_some(kept_in))?;
    if store.len() == 0 {
        return Err(Error::file(&files.products, "lists no products"));
    }
    Ok(store)
}

/// The store of a catalogue of our own.
fn own(num_products: usize, seed: u64) -> Result<Store> {
    let mut builder = StoreBuilder::new(Vec::new());
    for product in catalogue::products(num_products, seed) {
        builder.add(&product).map_err(|e| Error::environment(NAME, e))?;
    }
    Store::in_memory(builder.finish("own").map_err(|e| Error::environment(NAME, e))?)
}

/// Writes a shop's products as the original's files of a thousand.
pub fn export(shop: &Shop, folder: &Path) -> Result<()> {
    let (mut products, mut attributes, mut human) = (Vec::new(), Map::new(), Map::new());
    for place in 0..shop.store.len() {
        let product = shop.store.product(place)?;
        let mut about = json!({ "attributes": product.attributes });
        if let Some(instruction) = &product.instruction {
            about["instruction"] = json!(instruction.text);
            about["instruction_attributes"] = json!(instruction.attributes);
        }
        attributes.insert(product.asin.clone(), about);
        let sentences: Vec<Value> = product
            .human_instructions
            .iter()
            .map(|sentence| {
                json!({
                    "instruction": sentence.text,
                    "instruction_attributes": sentence.attributes,
                    "instruction_options": sentence.options,
                })
            })
            .collect();
        if !sentences.is_empty() {
            human.insert(product.asin.clone(), Value::Array(sentences));
        }
        products.push(as_in_file(&product));
    }
    file::create_folder(folder)?;
    let write = |name: &str, value: Value| file::write_atomic(folder.join(name), value.to_string().as_bytes());
    write("items_shuffle_1000.json", Value::Array(products))?;
    write("items_ins_v2_1000.json", Value::Object(attributes))?;
    write("items_human_ins.json", Value::Object(human))
}

fn as_in_file(product: &Product) -> Value {
    use super::product::Pricing;
    let options: Map<String, Value> = product
        .options
        .iter()
        .map(|(name, values)| (name.clone(), values.iter().map(|value| json!({ "value": value })).collect()))
        .collect();
    let pricing = match product.pricing {
        Pricing::Unknown => String::new(),
        Pricing::One(price) => format!("${price:.2}"),
        Pricing::Range(low, high) => format!("${low:.2} - ${high:.2}"),
    };
    json!({
        "asin": product.asin,
        "name": product.name,
        "category": product.category,
        "query": product.query,
        "product_category": product.product_category,
        "full_description": product.description,
        "small_description": product.bullets,
        "pricing": pricing,
        "customization_options": options,
        "images": [""],
    })
}
