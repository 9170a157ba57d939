//! What a purchase is worth, from 0 to 1.
//!
//! total = type · (attributes matched + options matched + [price ≤ limit]) / (attributes + options + 1). The type is 1
//! for the right kind of product and 0.5, 0.1 or 0 for another. The comparisons are the original's, quirks included:
//! a goal's named option is compared as the pair that Python prints, a goal's bare value as itself, and names that
//! share most of their letters count as equal.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::fuzzy::{normalise_colour, normalise_colour_pair, token_set_ratio};
use super::goals::{Goal, GoalOptions};
use super::nouns::NounRule;
use super::product::Product;
use super::python;

/// Two names are the same above this likeness.
const SAME: u32 = 85;

/// A reward and what it is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Reward {
    pub total: f64,
    pub r_type: f64,
    pub query_match: bool,
    pub category_match: bool,
    /// The share of the goal's nouns that the product's name has.
    pub title_score: f64,
    pub attributes: Share,
    pub options: Share,
    pub price_is_right: bool,
}

/// So many out of so many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub matched: usize,
    pub wanted: usize,
}

impl Share {
    fn ratio(self) -> f64 {
        self.matched as f64 / self.wanted as f64
    }
}

impl Reward {
    pub fn of(product: &Product, goal: &Goal, price: f64, options: &[(String, String)], rule: NounRule) -> Self {
        let query_match = product.query == goal.query;
        let category_match = share_two_categories(&product.product_category, &goal.product_category);
        let title_score = rule.title_score(&product.name, &goal.name);
        let r_type = type_reward(query_match || category_match, title_score);
        let attributes = Share { matched: matched_attributes(product, goal), wanted: goal.attributes.len() };
        let options = Share { matched: matched_options(options, &goal.options), wanted: goal.options.len() };
        let price_is_right = price <= goal.price_upper;
        let matched = attributes.matched + options.matched + usize::from(price_is_right);
        let total = matched as f64 / (attributes.wanted + options.wanted + 1) as f64 * r_type;
        Reward { total, r_type, query_match, category_match, title_score, attributes, options, price_is_right }
    }

    /// The parts under the original's names: r_ the rewards, w_ their weights.
    pub fn parts(&self) -> Map<String, Value> {
        let wanted = (self.attributes.wanted + self.options.wanted + 1) as f64;
        let mut parts = Map::new();
        let mut put = |key: &str, value: Value| parts.insert(key.to_string(), value);
        put("r_type", json!(self.r_type));
        put("r_att", json!(self.attributes.ratio()));
        put("w_att", json!(self.attributes.wanted as f64 / wanted));
        put("query_match", json!(self.query_match));
        put("category_match", json!(self.category_match));
        put("title_score", json!(self.title_score));
        if self.options.wanted > 0 {
            put("r_option", json!(self.options.ratio()));
            put("w_option", json!(self.options.wanted as f64 / wanted));
        }
        put("r_price", json!(self.price_is_right));
        put("w_price", json!(1.0 / wanted));
        parts
    }
}

fn type_reward(same_shelf: bool, title_score: f64) -> f64 {
    if title_score == 0.0 {
        0.0
    } else if title_score < 0.1 {
        0.1
    } else if same_shelf || title_score > 0.2 {
        1.0
    } else {
        0.5
    }
}

fn share_two_categories(a: &str, b: &str) -> bool {
    let categories = |path: &str| path.split('›').map(|part| python::strip(part).to_string()).collect::<HashSet<_>>();
    categories(a).intersection(&categories(b)).count() >= 2
}

/// An attribute is there if the product lists one much like it, or if its name, bullets or description mention it.
fn matched_attributes(product: &Product, goal: &Goal) -> usize {
    let texts = [&product.name, &product.bullets.join(" "), &product.description].map(|text| text.to_lowercase());
    let is_there = |wanted: &&String| {
        product.attributes.iter().any(|attribute| token_set_ratio(attribute, wanted) > SAME)
            || texts.iter().any(|text| text.contains(wanted.as_str()))
    };
    goal.attributes.iter().filter(is_there).count()
}

/// An option is there if any chosen value is much like it, whatever option that value belongs to.
pub fn matched_options(chosen: &[(String, String)], wanted: &GoalOptions) -> usize {
    let chosen: Vec<&str> = chosen.iter().map(|(_, value)| normalise_colour(value)).collect();
    let wanted: Vec<String> = match wanted {
        GoalOptions::Named(pairs) => pairs.iter().map(|(name, value)| normalise_colour_pair(name, value)).collect(),
        GoalOptions::Values(values) => values.iter().map(|value| normalise_colour(value).to_string()).collect(),
    };
    let is_there = |wanted: &&String| chosen.iter().any(|value| token_set_ratio(value, wanted) > SAME);
    wanted.iter().filter(is_there).count()
}
