//! The recipe book: which recipes stand in it, which names are items and which are tags, how deep every item lies.
//!
//! `recipes.txt` holds the facts; this file applies upstream's rules to them (AgentGym's `crafting_tree.py`), in the
//! order of the table, because some rules depend on it. Upstream reads its recipe files in the order of the directory,
//! which differs between machines; here that order is by file name, ascending.
//!
//! Names are the game's, without `minecraft:`.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

static TABLE: &str = include_str!("recipes.txt");

#[derive(Debug, Clone, PartialEq)]
pub struct Ingredient {
    pub name: &'static str,
    pub count: u64,
    /// Any item of the tag will do, but all of one kind.
    pub is_tag: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    pub output: &'static str,
    pub count: u64,
    group: Option<&'static str>,
    pub ingredients: Vec<Ingredient>,
}

impl Recipe {
    /// The crafting command, as players read and write it.
    pub fn command(&self) -> String {
        let inputs = self.ingredients.iter().map(|ingredient| (ingredient.count, ingredient.name));
        command(self.count, self.output, inputs)
    }
}

/// `craft 4 stick using 2 planks`.
pub fn command(count: u64, output: &str, inputs: impl Iterator<Item = (u64, &'static str)>) -> String {
    let inputs: Vec<String> = inputs.map(|(count, name)| format!("{count} {}", spoken(name))).collect();
    format!("craft {count} {} using {}", spoken(output), inputs.join(", "))
}

/// A name as observations write it.
pub fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

/// The recipes of every name of one kind, and the names in the order in which they came.
#[derive(Debug, Default)]
struct Shelf {
    names: Vec<&'static str>,
    recipes: HashMap<&'static str, Vec<usize>>,
}

impl Shelf {
    fn put(&mut self, name: &'static str, recipe: usize) {
        let of_name = self.recipes.entry(name).or_default();
        if of_name.is_empty() {
            self.names.push(name);
        }
        of_name.push(recipe);
    }

    fn get(&self, name: &str) -> Option<&[usize]> {
        self.recipes.get(name).map(Vec::as_slice)
    }

    /// Every recipe, name by name.
    fn all(&self) -> impl Iterator<Item = usize> {
        self.names.iter().flat_map(|name| self.recipes[name].iter().copied())
    }
}

#[derive(Debug)]
pub struct Book {
    recipes: Vec<Recipe>,
    by_item: Shelf,
    by_tag: Shelf,
    items: HashSet<&'static str>,
    tags: HashSet<&'static str>,
    tag_of: HashMap<&'static str, &'static str>,
    /// The recipes that use a name, items' recipes before tags'.
    uses: HashMap<&'static str, Vec<usize>>,
    goals: Vec<(&'static str, usize)>,
}

/// The one book of this process; it never changes.
pub fn book() -> &'static Book {
    static BOOK: LazyLock<Book> = LazyLock::new(|| Book::read(TABLE));
    &BOOK
}

impl Book {
    fn read(table: &'static str) -> Self {
        let mut book = Book {
            recipes: Vec::new(),
            by_item: Shelf::default(),
            by_tag: Shelf::default(),
            items: HashSet::new(),
            tags: HashSet::new(),
            tag_of: HashMap::new(),
            uses: HashMap::new(),
            goals: Vec::new(),
        };
        let mut dependencies = HashMap::new();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            book.enter(parse(line).expect("every line of the table is a recipe"), &mut dependencies);
        }
        book.turn_barren_tags_into_items();
        book.collect_uses();
        book.sort_goals();
        book
    }

    /// Adds a recipe unless it only unpacks a block, or makes something that one of its ingredients depends on.
    /// The names of a recipe that is left out stay known.
    fn enter(&mut self, recipe: Recipe, dependencies: &mut HashMap<&'static str, HashSet<&'static str>>) {
        for ingredient in &recipe.ingredients {
            if ingredient.is_tag { &mut self.tags } else { &mut self.items }.insert(ingredient.name);
        }
        let output = recipe.output;
        self.items.insert(output);
        if matches!(recipe.ingredients.as_slice(), [only] if only.name.ends_with("_block")) {
            return;
        }
        if let Some(group) = recipe.group
            && group != output
        {
            self.tags.insert(group);
            self.tag_of.insert(output, group);
        }
        let mut needed = dependencies.get(output).cloned().unwrap_or_default();
        let inputs = || recipe.ingredients.iter().map(|ingredient| ingredient.name);
        let goes_round = inputs().any(|name| match dependencies.get(name) {
            Some(needed) => needed.contains(output),
            None => false,
        });
        if !goes_round {
            for name in inputs() {
                needed.insert(name);
                needed.extend(dependencies.get(name).into_iter().flatten());
            }
            let index = self.recipes.len();
            self.by_item.put(output, index);
            if let Some(group) = recipe.group {
                self.by_tag.put(group, index);
            }
            self.recipes.push(recipe);
        }
        dependencies.insert(output, needed);
    }

    /// A tag of which no item can be crafted is gathered under its own name, like an item.
    fn turn_barren_tags_into_items(&mut self) {
        let fertile: HashSet<&str> =
            self.tag_of.iter().filter(|(item, _)| self.by_item.get(item).is_some()).map(|(_, tag)| *tag).collect();
        for ingredient in self.recipes.iter_mut().flat_map(|recipe| &mut recipe.ingredients) {
            if ingredient.is_tag && !fertile.contains(ingredient.name) {
                ingredient.is_tag = false;
                self.items.insert(ingredient.name);
                self.tags.remove(ingredient.name);
            }
        }
    }

    fn collect_uses(&mut self) {
        for index in self.by_item.all().chain(self.by_tag.all()) {
            for ingredient in &self.recipes[index].ingredients {
                self.uses.entry(ingredient.name).or_default().push(index);
            }
        }
    }

    /// All craftable items, the shallow ones first, else in the order of the table.
    fn sort_goals(&mut self) {
        let mut depths = HashMap::new();
        self.goals = self.by_item.names.iter().map(|name| (*name, self.depth(name, &mut depths))).collect();
        self.goals.sort_by_key(|(_, depth)| *depth);
    }

    /// Crafts on the longest way down, with the best recipe everywhere; 0 for what is gathered.
    fn depth(&self, name: &'static str, known: &mut HashMap<&'static str, usize>) -> usize {
        if let Some(depth) = known.get(name) {
            return *depth;
        }
        let mut of_recipe = |index: usize| -> usize {
            let below = self.recipes[index].ingredients.iter().map(|ingredient| self.depth(ingredient.name, known));
            1 + below.max().unwrap_or(0)
        };
        let depth = self.makers(name).iter().map(|&index| of_recipe(index)).min().unwrap_or(0);
        known.insert(name, depth);
        depth
    }

    pub fn recipe(&self, index: usize) -> &Recipe {
        &self.recipes[index]
    }

    /// The goals with their depths; the task id counts through them.
    pub fn goals(&self) -> &[(&'static str, usize)] {
        &self.goals
    }

    /// The recipes that make an item.
    pub fn recipes_of(&self, item: &str) -> &[usize] {
        self.by_item.get(item).unwrap_or_default()
    }

    /// The recipes that make an item, or else any item of a tag.
    pub fn makers(&self, name: &str) -> &[usize] {
        self.by_item.get(name).or(self.by_tag.get(name)).unwrap_or_default()
    }

    /// The recipes that use an item or a tag.
    pub fn uses(&self, name: &str) -> &[usize] {
        self.uses.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn is_tag(&self, name: &str) -> bool {
        self.tags.contains(name)
    }

    /// Whether an item satisfies an ingredient.
    pub fn fits(&self, item: &str, ingredient: &Ingredient) -> bool {
        match ingredient.is_tag {
            true => self.tag_of.get(item) == Some(&ingredient.name),
            false => item == ingredient.name,
        }
    }

    /// The item of this name if the world holds it: what is crafted and what is a tag must be made.
    pub fn gathered(&self, name: &str) -> Option<&'static str> {
        if self.is_tag(name) || !self.makers(name).is_empty() {
            return None;
        }
        self.items.get(name).copied()
    }
}

/// `3 oak_door [wooden_door] = 6 oak_planks`.
fn parse(line: &'static str) -> Option<Recipe> {
    let (made, inputs) = line.split_once(" = ")?;
    let (count, made) = made.split_once(' ')?;
    let (output, group) = match made.split_once(" [") {
        Some((output, group)) => (output, Some(group.strip_suffix(']')?)),
        None => (made, None),
    };
    let ingredient = |input: &'static str| {
        let (count, name) = input.split_once(' ')?;
        let tag = name.strip_prefix('#');
        Some(Ingredient { name: tag.unwrap_or(name), count: count.parse().ok()?, is_tag: tag.is_some() })
    };
    let ingredients = inputs.split(" + ").map(ingredient).collect::<Option<_>>()?;
    Some(Recipe { output, count: count.parse().ok()?, group, ingredients })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Numbers from the original code (AgentGym at 3ef9235) over its recipe files in ascending order:
    //   tree = CraftingTree(...); sum(map(len, tree.itemid_recipes.values())), len(tree.itemid_recipes), …

    #[test]
    fn the_book_has_the_recipes_and_names_of_the_original() {
        let book = book();
        assert_eq!(book.recipes.len(), 613);
        assert_eq!(book.goals.len(), 544);
        assert_eq!((book.tags.len(), book.items.len()), (23, 676));
        let alternatives = book.by_item.recipes.values().filter(|recipes| recipes.len() > 1).count();
        assert_eq!(alternatives, 59);
        let at_depth = |depth| book.goals.iter().filter(|(_, d)| *d == depth).count();
        assert_eq!([1, 2, 3, 4].map(at_depth), [125, 291, 117, 11]);
    }

    #[test]
    fn only_planks_and_wool_remain_tags_in_recipes() {
        let mut tags: Vec<&str> =
            book().recipes.iter().flat_map(|r| &r.ingredients).filter(|i| i.is_tag).map(|i| i.name).collect();
        tags.sort();
        tags.dedup();
        assert_eq!(tags, ["planks", "wool"]);
        assert_eq!(book().makers("planks").len(), 8);
        assert_eq!(book().gathered("oak_logs"), Some("oak_logs"));
        assert_eq!((book().gathered("planks"), book().gathered("boat"), book().gathered("stick")), (None, None, None));
    }

    /// [`Book::fits`] and the inventory rely on it: no item can stand for two ingredients of one recipe.
    #[test]
    fn no_recipe_has_an_item_beside_a_tag_of_it() {
        for recipe in &book().recipes {
            for (index, ingredient) in recipe.ingredients.iter().enumerate() {
                let others = recipe.ingredients.iter().enumerate().filter(|(other, _)| *other != index);
                assert!(others.into_iter().all(|(_, tag)| !book().fits(ingredient.name, tag)), "{recipe:?}");
            }
        }
    }
}
