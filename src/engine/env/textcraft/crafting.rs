//! What a player's action does: the inventory, the three commands, and every text that answers them.
//!
//! The readings are AgentGym's (`environment.py`), quirks included: a pattern must match at the start only and reads
//! no further than the line; the number before what is crafted is ignored; recipes that are not shown work.

use std::sync::LazyLock;

use regex::Regex;

use super::book::{Book, Recipe, spoken};
use super::count::Count;
use crate::engine::env::python::{repr, strip};

/// An action that took place.
pub struct Done {
    pub observation: String,
    /// What a craft made.
    pub made: Option<&'static str>,
}

/// An action that did not.
#[derive(Debug)]
pub enum Refusal {
    /// The observation that says so.
    Observation(String),
    /// Upstream raises an error with this text.
    Crash(String),
}

/// What the player carries, in the order in which it came.
#[derive(Debug, Clone, Default)]
pub struct Inventory(Vec<(&'static str, Count)>);

/// A name that a player wrote.
enum Named {
    Item(String),
    Tag(String),
}

/// What a player puts into a craft.
struct Input {
    named: Named,
    count: Count,
}

pub fn act(book: &Book, inventory: &mut Inventory, action: &str) -> Result<Done, Refusal> {
    static CRAFT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^craft (.*) using (.*)"));
    static GET: LazyLock<Regex> = LazyLock::new(|| pattern(r"^get ([0-9]+) (.*)"));
    if let Some(found) = CRAFT.captures(action) {
        return craft(book, inventory, &found[1], &found[2]);
    }
    let observation = if let Some(found) = GET.captures(action) {
        get(book, inventory, &found[1], &found[2])?
    } else if action.starts_with("inventory") {
        inventory.describe()
    } else {
        return refuse(format!("Could not execute {action}"));
    };
    Ok(Done { observation, made: None })
}

fn get(book: &Book, inventory: &mut Inventory, digits: &str, name: &str) -> Result<String, Refusal> {
    let count = Count::read(digits).map_err(Refusal::Crash)?;
    let Some(item) = book.gathered(&written(name)) else {
        return refuse(format!("Could not find {name}"));
    };
    inventory.put(item, &count);
    Ok(format!("Got {count} {name}"))
}

fn craft(book: &Book, inventory: &mut Inventory, output: &str, inputs: &str) -> Result<Done, Refusal> {
    let (count, output) = match counted(output).map_err(Refusal::Crash)? {
        Some((count, name)) => (count, Named::read(book, name)),
        None => (Count::from(1), Named::read(book, output)),
    };
    let inputs = inputs.split(',').map(|input| Input::read(book, strip(input))).collect::<Result<Vec<_>, _>>()?;
    if !inputs.iter().all(|input| inventory.has(input)) {
        let output = match output {
            Named::Item(name) => format!("minecraft:{name}"),
            Named::Tag(_) => "None".to_string(),
        };
        return refuse(format!("Could not find enough items to craft {output}"));
    }
    let Some(recipe) = output.recipe(book, &inputs) else {
        return refuse(format!(
            "Could not find a valid recipe for ItemTagWithCount(item_tag={}, count={count})",
            output.repr()
        ));
    };
    inputs.iter().for_each(|input| inventory.take(input));
    inventory.put(recipe.output, &Count::from(recipe.count));
    Ok(Done { observation: format!("Crafted {} minecraft:{}", recipe.count, recipe.output), made: Some(recipe.output) })
}

fn refuse<T>(observation: String) -> Result<T, Refusal> {
    Err(Refusal::Observation(observation))
}

/// The number and the name in `4 oak planks`.
fn counted(text: &str) -> Result<Option<(Count, &str)>, String> {
    static COUNTED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^([0-9]+) (.*)"));
    let Some(found) = COUNTED.captures(text) else { return Ok(None) };
    let (_, [digits, name]) = found.extract();
    Ok(Some((Count::read(digits)?, name)))
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is valid")
}

/// A name as the book writes it.
fn written(name: &str) -> String {
    name.replace(' ', "_")
}

impl Named {
    fn read(book: &Book, name: &str) -> Self {
        let name = written(name);
        if book.is_tag(&name) { Named::Tag(name) } else { Named::Item(name) }
    }

    /// The first recipe for this item that takes exactly these inputs. A tag has none.
    fn recipe<'a>(&self, book: &'a Book, inputs: &[Input]) -> Option<&'a Recipe> {
        let Named::Item(name) = self else { return None };
        book.recipes_of(name).iter().map(|&index| book.recipe(index)).find(|recipe| takes(book, recipe, inputs))
    }

    /// Python's `repr` of upstream's `ItemTag`.
    fn repr(&self) -> String {
        let field = |name: &str| repr(&format!("minecraft:{name}"));
        let (tag, item) = match self {
            Named::Item(name) => ("None".to_string(), field(name)),
            Named::Tag(name) => (field(name), "None".to_string()),
        };
        format!("ItemTag(tag={tag}, item_id={item})")
    }
}

impl Input {
    fn read(book: &Book, text: &str) -> Result<Self, Refusal> {
        match counted(text).map_err(Refusal::Crash)? {
            Some((count, name)) => Ok(Input { named: Named::read(book, name), count }),
            None => refuse(format!("Wrong item format: {text}")),
        }
    }
}

/// Whether the inputs are the recipe's ingredients, one for one, in any order. The first input that fits an ingredient
/// must have its count.
fn takes(book: &Book, recipe: &Recipe, inputs: &[Input]) -> bool {
    let mut left: Vec<&Input> = inputs.iter().collect();
    for ingredient in &recipe.ingredients {
        let fits = |input: &&Input| match &input.named {
            Named::Item(name) => book.fits(name, ingredient),
            Named::Tag(name) => ingredient.is_tag && name == ingredient.name,
        };
        let Some(index) = left.iter().position(fits) else { return false };
        if left[index].count != Count::from(ingredient.count) {
            return false;
        }
        left.remove(index);
    }
    left.is_empty()
}

impl Inventory {
    fn describe(&self) -> String {
        if self.0.is_empty() {
            return "Inventory: You are not carrying anything.".to_string();
        }
        let items = self.0.iter().map(|(item, count)| format!("[{}] ({count}) ", spoken(item)));
        format!("Inventory: {}", items.collect::<String>())
    }

    /// How much of an item there is, where that is a small number; a huge one counts as plenty.
    pub fn amount(&self, item: &str) -> u64 {
        let carried = self.0.iter().find(|(carried, _)| *carried == item);
        carried.map_or(0, |(_, count)| count.small().unwrap_or(u64::MAX))
    }

    /// Each input for itself; one that is named twice is not added up. Tags are never carried.
    fn has(&self, input: &Input) -> bool {
        let Named::Item(name) = &input.named else { return false };
        self.0.iter().any(|(item, count)| item == name && *count >= input.count)
    }

    fn put(&mut self, item: &'static str, more: &Count) {
        match self.0.iter_mut().find(|(carried, _)| *carried == item) {
            Some((_, count)) => count.add(more),
            None => self.0.push((item, more.clone())),
        }
    }

    fn take(&mut self, input: &Input) {
        let Named::Item(name) = &input.named else { return };
        if let Some(index) = self.0.iter().position(|(item, _)| item == name) {
            self.0[index].1.subtract(&input.count);
            if self.0[index].1.is_zero() {
                self.0.remove(index);
            }
        }
    }
}
