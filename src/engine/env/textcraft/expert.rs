//! A player who knows the book: the next action on a short way from what is carried now to the goal.
//!
//! Many items have several recipes, and several items stand for a tag. For every goal one choice of each is made, from
//! nothing carried: beginning with the first ones, whatever single change makes the plan shorter is taken until none
//! does. With the choices made, what must be gathered and crafted is arithmetic from the goal downwards. Ingredients are
//! gathered first, each in one `get`, then crafting goes upwards. Every action makes a plan anew, one shorter than the
//! last, so the expert finds its way from any inventory.

use std::collections::HashMap;

use super::book::{Ingredient, Recipe, book, command, spoken};
use super::crafting::Inventory;

/// How to make the goal and all that it needs: a recipe of each item, and for each tag a recipe of its chosen member.
/// Positions among a name's recipes; the first where there is none.
#[derive(Debug, Clone, Default)]
pub struct Choices(HashMap<&'static str, usize>);

/// What is missing for a goal.
#[derive(Default)]
struct Plan {
    gets: Vec<(u64, &'static str)>,
    /// The goal's craft first.
    crafts: Vec<Craft>,
}

struct Craft {
    recipe: &'static Recipe,
    /// The ingredients, items all.
    inputs: Vec<(u64, &'static str)>,
    times: u64,
}

/// The next action towards a goal.
pub fn advise(choices: &Choices, goal: &'static str, inventory: &Inventory) -> Option<String> {
    let plan = choices.plan(goal, inventory);
    if let Some((count, item)) = plan.gets.first() {
        return Some(format!("get {count} {}", spoken(item)));
    }
    let Craft { recipe, inputs, .. } = plan.crafts.last()?;
    Some(command(recipe.count, recipe.output, inputs.iter().copied()))
}

/// What is left of the plan that [`advise`] follows: it gathers everything first and crafts upwards.
pub fn reason(choices: &Choices, goal: &'static str, inventory: &Inventory) -> String {
    let plan = choices.plan(goal, inventory);
    let gets: Vec<String> = plan.gets.iter().map(|(count, item)| format!("{count} {}", spoken(item))).collect();
    let craft = |craft: &Craft| format!("{} {}", craft.times * craft.recipe.count, spoken(craft.recipe.output));
    let crafts = plan.crafts.iter().rev().map(craft).collect::<Vec<_>>().join(", then ");
    if gets.is_empty() {
        return format!("All that has to be gathered I carry. What is left is to craft {crafts}.");
    }
    format!("To craft {} I have to gather {}. Then I craft {crafts}.", spoken(goal), gets.join(" and "))
}

impl Plan {
    /// In actions.
    fn length(&self) -> u64 {
        self.gets.len() as u64 + self.crafts.iter().map(|craft| craft.times).sum::<u64>()
    }
}

impl Choices {
    pub fn for_goal(goal: &'static str) -> Self {
        let length = |choices: &Choices| choices.plan(goal, &Inventory::default()).length();
        let mut best = Choices::default();
        let mut shortest = length(&best);
        let names = names_below(goal);
        loop {
            let before = shortest;
            for &name in &names {
                for position in 0..book().makers(name).len() {
                    let mut changed = best.clone();
                    changed.0.insert(name, position);
                    let length = length(&changed);
                    if length < shortest {
                        (best, shortest) = (changed, length);
                    }
                }
            }
            if shortest == before {
                return best;
            }
        }
    }

    fn plan(&self, goal: &'static str, inventory: &Inventory) -> Plan {
        let mut plan = Plan::default();
        // The goal must be crafted even where it is carried.
        let mut wanted = HashMap::from([(goal, inventory.amount(goal).saturating_add(1))]);
        let mut order = Vec::new();
        self.ingredients_first(goal, &mut order);
        for item in order.into_iter().rev() {
            let missing = wanted.get(item).map_or(0, |wanted| wanted.saturating_sub(inventory.amount(item)));
            match self.recipe(item) {
                _ if missing == 0 => {}
                None => plan.gets.push((missing, item)),
                Some(recipe) => {
                    let times = missing.div_ceil(recipe.count);
                    let inputs: Vec<_> =
                        recipe.ingredients.iter().map(|input| (input.count, self.item(input))).collect();
                    inputs.iter().for_each(|(count, input)| *wanted.entry(*input).or_default() += count * times);
                    plan.crafts.push(Craft { recipe, inputs, times });
                }
            }
        }
        plan
    }

    /// The chosen recipe of an item or a tag; `None` for what is gathered.
    fn recipe(&self, name: &str) -> Option<&'static Recipe> {
        let position = self.0.get(name).copied().unwrap_or(0);
        book().makers(name).get(position).map(|&index| book().recipe(index))
    }

    /// What is put in for an ingredient.
    fn item(&self, ingredient: &Ingredient) -> &'static str {
        let member = self.recipe(ingredient.name).filter(|_| ingredient.is_tag);
        member.map_or(ingredient.name, |recipe| recipe.output)
    }

    /// The goal and all below it, every item after its ingredients. The book has no cycles.
    fn ingredients_first(&self, item: &'static str, order: &mut Vec<&'static str>) {
        if order.contains(&item) {
            return;
        }
        let inputs = self.recipe(item).into_iter().flat_map(|recipe| &recipe.ingredients);
        inputs.for_each(|input| self.ingredients_first(self.item(input), order));
        order.push(item);
    }
}

/// The goal and every name that any way to it meets.
fn names_below(goal: &'static str) -> Vec<&'static str> {
    let mut names = vec![goal];
    let mut done = 0;
    while let Some(&name) = names.get(done) {
        done += 1;
        for recipe in book().makers(name).iter().map(|&index| book().recipe(index)) {
            // Beside the ingredients the output: a tag's recipe leads to one of its items.
            for below in recipe.ingredients.iter().map(|input| input.name).chain([recipe.output]) {
                if !names.contains(&below) {
                    names.push(below);
                }
            }
        }
    }
    names
}
