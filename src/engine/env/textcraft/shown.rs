//! The crafting commands that a task shows: every recipe on the way to the goal, and distractors.
//!
//! Upstream draws the distractors and the order with `random.seed(42)`, from lists that it makes of Python sets, so its
//! text also depends on `PYTHONHASHSEED`. Both seeds are inputs here, and the draws are repeated exactly.

use std::collections::HashSet;

use super::book::Book;
use crate::engine::env::python::HashSecret;
use crate::engine::env::python::mersenne::Mersenne;

/// Uses of one ingredient that are candidates for distractors.
const USES_PER_INGREDIENT: usize = 10;

/// What the text depends on beside the goal.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    pub seed: u64,
    pub secret: HashSecret,
    pub max_distractors: usize,
}

/// The commands for a goal, in the order in which they are shown.
pub fn commands(book: &Book, goal: &'static str, draw: Draw) -> Vec<String> {
    let mut random = Mersenne::new(draw.seed);
    let mut tree = Vec::new();
    walk(book, goal, &mut Vec::new(), &mut tree);
    let mut candidates = Vec::new();
    for &recipe in &tree {
        for ingredient in &book.recipe(recipe).ingredients {
            let uses = book.uses(ingredient.name);
            let drawn = random.sample(uses.len(), uses.len().min(USES_PER_INGREDIENT));
            candidates.extend(drawn.into_iter().map(|position| uses[position - 1]));
        }
    }
    let mut seen = HashSet::new();
    let needed: Vec<String> = distinct(book, &tree, &mut seen);
    let others: Vec<String> = distinct(book, &candidates, &mut seen);

    let mut shown = draw.secret.set_order(needed.iter().map(String::as_str));
    let others = draw.secret.set_order(others.iter().map(String::as_str));
    let drawn = random.sample(others.len(), others.len().min(draw.max_distractors));
    shown.extend(drawn.into_iter().map(|position| others[position - 1]));
    for last in (1..shown.len()).rev() {
        // `random.shuffle`
        shown.swap(last, random.randbelow(last as u64 + 1) as usize);
    }
    shown.into_iter().map(str::to_string).collect()
}

/// All recipes from `name` downwards, an ingredient's as often as it is met: each occurrence draws distractors.
fn walk(book: &Book, name: &'static str, above: &mut Vec<&'static str>, found: &mut Vec<usize>) {
    if above.contains(&name) {
        return;
    }
    above.push(name);
    let makers = book.makers(name);
    found.extend(makers);
    for &recipe in makers {
        for ingredient in &book.recipe(recipe).ingredients {
            walk(book, ingredient.name, above, found);
        }
    }
    above.pop();
}

/// The commands of recipes that are not yet in `seen`, each once.
fn distinct(book: &Book, recipes: &[usize], seen: &mut HashSet<String>) -> Vec<String> {
    let commands = recipes.iter().map(|&recipe| book.recipe(recipe).command());
    commands.filter(|command| seen.insert(command.clone())).collect()
}
