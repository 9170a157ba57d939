//! A shopper who knows the goal: searches, turns pages to the product, chooses its options, buys.
//!
//! It searches with the words of the instruction where they lead to the product in the turns that are left, since that
//! is what a model can learn; else with the product's name.

use super::goals::{GoalOptions, PRICE_WISH};
use super::page::Target;
use super::session::Session;
use super::shop::Shop;
use crate::engine::Result;

const PRODUCTS_PER_PAGE: usize = 10;

/// The next action with `turns` left, or `None` when the goal's product is not in the catalogue.
pub fn next_action(session: &Session, shop: &Shop, turns: usize) -> Result<Option<String>> {
    let Some(wanted) = shop.store.find(&session.goal.asin)? else {
        return Ok(None);
    };
    if session.item() == Some(wanted) {
        return Ok(Some(on_product(session)));
    }
    if let Some((asin, _)) = session.page.products().find(|(_, place)| *place == wanted) {
        return Ok(Some(format!("click[{asin}]")));
    }
    let is_further_on = session.page.target("next >").is_some() && session.found().contains(&wanted);
    if is_further_on && position(session, wanted) >= session.page_number() * PRODUCTS_PER_PAGE {
        return Ok(Some("click[next >]".to_string()));
    }
    Ok(Some(format!("search[{}]", keywords(session, shop, wanted, turns)?)))
}

/// Why [`next_action`] gave an action, in a sentence.
pub fn reason(session: &Session, action: &str) -> String {
    let clicked = action.strip_prefix("click[").and_then(|rest| rest.strip_suffix(']'));
    let is_product = |text: &str| session.page.products().any(|(asin, _)| asin == text);
    match clicked {
        None => "I search for what the instruction asks for.".to_string(),
        Some("buy now") => "This is the product that I want, and no option is left to choose. I buy it.".to_string(),
        Some("next >") => "The product that I want is not on this page of results. I look at the next one.".to_string(),
        Some("< prev") => "Here I cannot buy the product. I go back to its page.".to_string(),
        Some(asin) if is_product(asin) => format!("Of the products on this page, {asin} is the one that I want."),
        Some(value) if session.goal.instruction_text.to_lowercase().contains(&value.to_lowercase()) => {
            format!("The instruction asks for {value}, so I choose it.")
        }
        Some(value) => format!("The product that I want is the one with {value}, so I choose it."),
    }
}

fn position(session: &Session, wanted: usize) -> usize {
    session.found().iter().position(|place| *place == wanted).unwrap_or(usize::MAX)
}

/// On the page of the right product: the first option that is not as wanted, then the till.
fn on_product(session: &Session) -> String {
    let back = || "click[< prev]".to_string();
    if session.page.target("buy now").is_none() {
        return back();
    }
    let is_open = |name: &str, value: &str| {
        session.page.target(value) == Some(&Target::Option(name.to_string())) && session.chosen(name) != Some(value)
    };
    let open = match &session.goal.options {
        GoalOptions::Named(pairs) => pairs.iter().find(|(name, value)| is_open(name, value)).map(|(_, value)| value),
        GoalOptions::Values(values) => values.iter().find(|value| match session.page.target(value) {
            Some(Target::Option(name)) => session.chosen(name).is_none(),
            _ => false,
        }),
    };
    match open {
        Some(value) => format!("click[{value}]"),
        None => "click[buy now]".to_string(),
    }
}

/// The search words that lead to the product soon enough; failing that, those that lead to it soonest.
fn keywords(session: &Session, shop: &Shop, wanted: usize, turns: usize) -> Result<String> {
    let goal = &session.goal;
    let asked = goal.instruction_text.split(PRICE_WISH).next().unwrap_or_default();
    // The search itself, the product, its options, the till.
    let spare_turns = turns.saturating_sub(3 + goal.options.len());
    let mut best: Option<(usize, &str)> = None;
    for words in [asked, goal.name.as_str()] {
        let found = shop.find(&words.to_lowercase(), 0)?;
        let page = found.iter().position(|place| *place == wanted).map_or(usize::MAX, |at| at / PRODUCTS_PER_PAGE);
        if page <= spare_turns {
            return Ok(words.to_string());
        }
        if best.is_none_or(|(known, _)| page < known) {
            best = Some((page, words));
        }
    }
    Ok(best.map_or(asked, |(_, words)| words).to_string())
}
