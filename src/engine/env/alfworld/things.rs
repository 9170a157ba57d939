//! The things of a problem: their numbers and their names.
//!
//! Things are numbered by the order of their ids, because the original lists them in that order.

use std::collections::{BTreeMap, HashMap};

use super::problem::{Kind, Problem};

/// The number of an object, a receptacle, a location or a type among its like.
pub type Index = u16;

/// A hundred times what a large room has; tables of receptacles by objects stay small below it.
const MOST_OF_A_KIND: usize = 4096;

/// The things of a problem by kind, in the order of their ids. Objects, receptacles and locations without a fact take
/// part in nothing and get no number; upstream declares one of each class.
pub struct Things<'a> {
    ids: BTreeMap<Kind, Vec<&'a str>>,
    numbers: HashMap<&'a str, (Kind, Index)>,
    names: HashMap<&'a str, String>,
}

impl<'a> Things<'a> {
    pub fn of(problem: &'a Problem) -> Result<Self, String> {
        let mut with_fact: Vec<&str> = problem.facts.iter().flat_map(|fact| &fact.things).map(String::as_str).collect();
        with_fact.sort_unstable();
        with_fact.dedup();
        let mut things = Things { ids: BTreeMap::new(), numbers: HashMap::new(), names: display_names(&with_fact) };
        for (id, kind) in &problem.things {
            let takes_part = match kind {
                Kind::ReceptacleType | Kind::ObjectType | Kind::Agent => true,
                _ => with_fact.binary_search(&id.as_str()).is_ok(),
            };
            if takes_part {
                let ids = things.ids.entry(*kind).or_default();
                if ids.len() == MOST_OF_A_KIND {
                    return Err(format!("more than {MOST_OF_A_KIND} of the type {}", kind.name()));
                }
                let number = ids.len() as Index;
                ids.push(id);
                things.numbers.insert(id, (*kind, number));
            }
        }
        Ok(things)
    }

    pub fn find(&self, id: &str) -> Option<(Kind, Index)> {
        self.numbers.get(id).copied()
    }

    pub fn number(&self, id: &str) -> Result<Index, String> {
        self.find(id).map(|(_, number)| number).ok_or_else(|| format!("{id} is not declared"))
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.ids.get(&kind).map_or(0, Vec::len)
    }

    pub fn id(&self, kind: Kind, number: Index) -> &str {
        self.ids.get(&kind).and_then(|ids| ids.get(usize::from(number))).copied().unwrap_or_default()
    }

    pub fn named(&self, kind: Kind) -> impl Iterator<Item = String> {
        let ids = self.ids.get(&kind).into_iter().flatten();
        ids.map(|id| self.names.get(id).cloned().unwrap_or_default())
    }
}

/// `drawer_bar__minus_01_dot_20_bar_…` is shown as `drawer 3`: the class before the first `_bar_` (with `basin` behind it
/// where the id has that word) and a number. Numbers are handed out from the highest down, in the order of the ids.
fn display_names<'a>(sorted_ids: &[&'a str]) -> HashMap<&'a str, String> {
    let class = |id: &str| {
        let (class, _) = id.split_once("_bar_")?;
        Some(format!("{class}{}", if id.contains("basin") { "basin" } else { "" }))
    };
    let mut left: HashMap<String, usize> = HashMap::new();
    for class in sorted_ids.iter().filter_map(|id| class(id)) {
        *left.entry(class).or_default() += 1;
    }
    let mut name = |id: &str| match class(id) {
        // The blank at the end is upstream's.
        None => format!("{} ", readable(id)),
        Some(class) => {
            let number = left.entry(class.clone()).or_default();
            let name = format!("{} {number}", readable(&class));
            *number = number.saturating_sub(1);
            name
        }
    };
    sorted_ids.iter().map(|id| (*id, name(id))).collect()
}

/// Ids spell out the characters that PDDL does not allow.
fn readable(id: &str) -> String {
    id.replace("_minus_", "-").replace("_plus_", "+").replace("_dot_", ".").replace("_comma_", ",")
}
