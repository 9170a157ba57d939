//! One shopper's way through the pages: the original's simulated server and browser.
//!
//! Which page `< Prev` and `Next >` lead to, the original decides by looking for page names in the address, and the
//! address holds the search words. The addresses are kept here for that reason: a search for `item_page` gets lost in
//! the same way.

use std::sync::Arc;

use super::goals::Goal;
use super::page::{ObservationMode, Page, SubPage, Target};
use super::product::Product;
use super::python;
use super::reward::Reward;
use super::shop::Shop;
use crate::engine::Result;

/// Where the original's simulated server claims to be.
const BASE_URL: &str = "http://127.0.0.1:3000";

const PRODUCTS_PER_PAGE: usize = 10;

/// A session in progress.
#[derive(Clone)]
pub struct Session {
    shop: Arc<Shop>,
    show_attrs: bool,
    id: u64,
    pub goal: Goal,
    pub page: Page,
    pub url: String,
    search: Search,
    /// The product on show: its id in capitals, and its place.
    item: Option<(String, usize)>,
    /// The ids of the products looked at since the last visit to the search page.
    visited: Vec<String>,
    /// What was chosen of the product's options, in the order of the first choice.
    options: Vec<(String, String)>,
    pub purchase: Option<Purchase>,
}

/// The search whose results are on show.
#[derive(Clone, Default)]
struct Search {
    keywords: String,
    /// The products found, by place.
    found: Arc<[usize]>,
    page: usize,
}

/// What was bought and what it was worth.
#[derive(Debug, Clone)]
pub struct Purchase {
    pub asin: String,
    pub reward: Reward,
}

impl Session {
    pub fn begin(shop: Arc<Shop>, id: u64, goal: Goal, show_attrs: bool) -> Self {
        let mut session = Session {
            shop,
            show_attrs,
            id,
            goal,
            page: Page::default(),
            url: String::new(),
            search: Search::default(),
            item: None,
            visited: Vec::new(),
            options: Vec::new(),
            purchase: None,
        };
        session.show_search_page();
        session
    }

    pub fn observation(&self, mode: ObservationMode) -> String {
        match mode {
            ObservationMode::Text => self.page.text(),
            ObservationMode::TextRich => self.page.rich_text(&self.url, &self.visited),
        }
    }

    /// Takes an action like `search[red shoes]` or `click[buy now]`; any other changes nothing. True when it bought
    /// something.
    pub fn act(&mut self, action: &str) -> Result<bool> {
        let Some((name, argument)) = split_action(action) else {
            return Ok(false);
        };
        let argument = argument.to_lowercase();
        match name {
            "search" => self.search_for(argument)?,
            "click" if argument != "search" => return self.click(&argument),
            _ => {}
        }
        Ok(false)
    }

    fn search_for(&mut self, keywords: String) -> Result<()> {
        let found = self.shop.find(&keywords, self.id)?.into();
        self.search = Search { keywords, found, page: 1 };
        self.show_results()
    }

    fn click(&mut self, text: &str) -> Result<bool> {
        let Some(target) = self.page.target(text).cloned() else {
            return Ok(false);
        };
        match (text, self.page_name()) {
            ("buy now", _) => {
                self.buy()?;
                return Ok(true);
            }
            ("back to search", _) => self.show_search_page(),
            ("next >", "search_results") => {
                self.search.page += 1;
                self.show_results()?;
            }
            ("< prev", "search_results") => {
                self.search.page = self.search.page.saturating_sub(1);
                self.show_results()?;
            }
            ("< prev", "item_page") => self.show_results()?,
            ("< prev", "item_sub_page") => self.show_item(text, target)?,
            _ => match SubPage::named(text) {
                Some(which) => self.show_sub_page(&which)?,
                None => self.show_item(text, target)?,
            },
        }
        Ok(false)
    }

    /// The first of the original's page names that the address holds.
    fn page_name(&self) -> &'static str {
        const NAMES: [&str; 4] = ["search_results", "item_page", "item_sub_page", "done"];
        NAMES.into_iter().find(|name| self.url.contains(name)).unwrap_or("")
    }

    fn show_search_page(&mut self) {
        self.search = Search::default();
        self.item = None;
        self.visited.clear();
        self.options.clear();
        self.page = Page::search(&self.goal.instruction_text);
        self.url = format!("{BASE_URL}/{}", self.id);
    }

    fn show_results(&mut self) -> Result<()> {
        self.item = None;
        self.options.clear();
        let Search { found, page, .. } = &self.search;
        // There is a page 0, and nothing on it.
        let first = page.checked_sub(1).map_or(found.len(), |page| page.saturating_mul(PRODUCTS_PER_PAGE));
        let places = found.iter().skip(first).take(PRODUCTS_PER_PAGE);
        let products: Vec<(usize, Product)> =
            places.map(|&place| Ok((place, self.shop.store.product(place)?))).collect::<Result<_>>()?;
        self.page = Page::results(&self.goal.instruction_text, *page, found.len(), &products);
        self.url = format!("{BASE_URL}/search_results/{}/{}/{page}", self.id, self.keywords());
        Ok(())
    }

    fn show_item(&mut self, text: &str, target: Target) -> Result<()> {
        match target {
            Target::Product(place) => {
                // The original looks the product up by its id in capitals.
                let asin = text.to_uppercase();
                let place = self.shop.store.find(&asin)?.unwrap_or(place);
                self.visited.push(asin.clone());
                self.item = Some((asin, place));
            }
            Target::Option(name) => match self.options.iter_mut().find(|(known, _)| *known == name) {
                Some((_, chosen)) => *chosen = text.to_string(),
                None => self.options.push((name, text.to_string())),
            },
            Target::Button => {}
        }
        let Some((asin, product)) = self.product()? else {
            return Ok(());
        };
        let options = python::json_dumps(&self.options);
        self.url =
            format!("{BASE_URL}/item_page/{}/{asin}/{}/{}/{options}", self.id, self.keywords(), self.search.page);
        self.page = Page::item(&self.goal.instruction_text, &product, self.show_attrs);
        Ok(())
    }

    fn show_sub_page(&mut self, which: &SubPage) -> Result<()> {
        let Some((asin, product)) = self.product()? else {
            return Ok(());
        };
        let (keywords, number) = (self.keywords(), self.search.page);
        let (title, options) = (which.title(), python::dict_repr(&self.options));
        self.url = format!("{BASE_URL}/item_sub_page/{}/{asin}/{keywords}/{number}/{title}/{options}", self.id);
        self.page = Page::sub_page(&self.goal.instruction_text, &product, which);
        Ok(())
    }

    fn buy(&mut self) -> Result<()> {
        let Some((asin, product)) = self.product()? else {
            return Ok(());
        };
        let place = self.item.as_ref().map_or(0, |(_, place)| *place);
        let price = self.shop.goals.charged_price(place, &product);
        let reward = Reward::of(&product, &self.goal, price, &self.options, self.shop.noun_rule);
        self.url = format!("{BASE_URL}/done/{}/{asin}/{}", self.id, python::dict_repr(&self.options));
        self.page = Page::done(&asin, &self.options, reward.total);
        self.purchase = Some(Purchase { asin, reward });
        Ok(())
    }

    /// The product on show.
    fn product(&self) -> Result<Option<(String, Product)>> {
        match &self.item {
            Some((asin, place)) => Ok(Some((asin.clone(), self.shop.store.product(*place)?))),
            None => Ok(None),
        }
    }

    /// The search words as the address has them.
    fn keywords(&self) -> String {
        self.search.keywords.replace(' ', "+")
    }

    /// The value chosen for an option.
    pub fn chosen(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All products that the search on show found, by place.
    pub fn found(&self) -> &[usize] {
        &self.search.found
    }

    /// The page of results on show, from 1.
    pub fn page_number(&self) -> usize {
        self.search.page
    }

    /// The place of the product on show.
    pub fn item(&self) -> Option<usize> {
        self.item.as_ref().map(|(_, place)| *place)
    }
}

/// The name before the last `[` that a `]` follows on the same line, and what stands between it and the last `]`:
/// Python's `(.+)\[(.+)\]` at the start of the action. Both parts have at least one character; what follows is ignored.
fn split_action(action: &str) -> Option<(&str, &str)> {
    let line = action.split('\n').next().unwrap_or_default();
    let end = line.rfind(']')?;
    // At least one character between the brackets.
    let last = line[..end].char_indices().next_back()?.0;
    let open = line[..last].rfind('[')?;
    (open > 0).then(|| (&line[..open], &line[open + 1..end]))
}

#[cfg(test)]
mod tests {
    use super::split_action;

    #[test]
    fn actions_are_split_as_the_originals_pattern_splits_them() {
        // re.match(r'(.+)\[(.+)\]', action).groups() of CPython 3.11.
        for (action, parts) in [
            ("search[red shoes]", Some(("search", "red shoes"))),
            ("click[a] and more", Some(("click", "a"))),
            ("click[a[b]]", Some(("click[a", "b]"))),
            ("click[a]b]", Some(("click", "a]b"))),
            ("click[a] click[b]", Some(("click[a] click", "b"))),
            ("search[[]", Some(("search", "["))),
            ("search[é]", Some(("search", "é"))),
            ("search[]]", Some(("search", "]"))),
            ("[[a]", Some(("[", "a"))),
            ("search[]", None),
            ("[a]", None),
            ("search[a\n]", None),
            ("search[a]\nclick[b]", Some(("search", "a"))),
            ("", None),
            ("]", None),
            ("search", None),
        ] {
            assert_eq!(split_action(action), parts, "{action:?}");
        }
    }
}
