//! What a page shows, and what can be clicked on it.
//!
//! The original renders HTML and reads it back with BeautifulSoup. Here a page is the list of text nodes that come out
//! of that, so the rules of the way back are applied at once: an empty text is no node, a blank one is a single blank,
//! or nothing if it holds a line break.

use super::product::Product;
use super::python;

/// How pages become text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservationMode {
    /// All texts in a row, with ` [SEP] ` between them; AgentGym's.
    Text,
    /// A line each, buttons marked, chosen options and visited products too.
    TextRich,
}

/// What a click on a text means.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Button,
    /// A product by its place in the catalogue.
    Product(usize),
    /// A value of the option of this name.
    Option(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Button,
    OptionValue,
    ProductLink,
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    kind: Kind,
    text: String,
}

/// What is on a product's page besides the product.
pub enum SubPage {
    Description,
    Features,
    Reviews,
    Attributes,
}

impl SubPage {
    /// The button's text.
    pub fn title(&self) -> &'static str {
        match self {
            SubPage::Description => "Description",
            SubPage::Features => "Features",
            SubPage::Reviews => "Reviews",
            SubPage::Attributes => "Attributes",
        }
    }

    /// The sub-page behind a text in small letters.
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "description" => Some(SubPage::Description),
            "features" => Some(SubPage::Features),
            "reviews" => Some(SubPage::Reviews),
            "attributes" => Some(SubPage::Attributes),
            _ => None,
        }
    }
}

/// One page.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    nodes: Vec<Node>,
    pub has_search_bar: bool,
    /// In the order of the page, buttons first, each text once.
    clickables: Vec<(String, Target)>,
}

impl Page {
    /// Where one searches.
    pub fn search(instruction: &str) -> Self {
        let mut page = Page { has_search_bar: true, ..Page::default() };
        page.plain("WebShop");
        page.plain("Instruction: ");
        page.plain(instruction);
        page.button("Search");
        page
    }

    /// A page of results; `products` are those on it, with their places in the catalogue.
    pub fn results(instruction: &str, number: usize, total: usize, products: &[(usize, Product)]) -> Self {
        let mut page = Self::below_instruction(instruction);
        page.plain(&format!("Page {number} (Total results: {total})"));
        if number > 1 {
            page.button("< Prev");
        }
        page.button("Next >");
        for (place, product) in products {
            page.node(Kind::ProductLink, &product.asin);
            page.plain(&product.name);
            page.plain(&product.pricing.tag());
            page.clickable(product.asin.to_lowercase(), Target::Product(*place));
        }
        page
    }

    /// A product's own page.
    pub fn item(instruction: &str, product: &Product, show_attrs: bool) -> Self {
        let mut page = Self::below_instruction(instruction);
        page.button("< Prev");
        for (name, values) in &product.options {
            page.plain(name);
            values.iter().for_each(|value| page.node(Kind::OptionValue, value));
        }
        page.plain(&product.name);
        page.plain(&format!("Price: {}", product.pricing.tag()));
        page.plain("Rating: N.A.");
        for button in ["Description", "Features", "Reviews"] {
            page.button(button);
        }
        if show_attrs {
            page.button("Attributes");
        }
        page.button("Buy Now");
        for (name, values) in &product.options {
            values.iter().for_each(|value| page.clickable(value.clone(), Target::Option(name.clone())));
        }
        page
    }

    /// A page behind one of the product page's buttons.
    pub fn sub_page(instruction: &str, product: &Product, which: &SubPage) -> Self {
        let mut page = Self::below_instruction(instruction);
        page.button("< Prev");
        match which {
            SubPage::Description => page.plain(&product.description),
            // The template puts a blank before each.
            SubPage::Features => product.bullets.iter().for_each(|bullet| page.plain(&format!(" {bullet}"))),
            // The files have no reviews.
            SubPage::Reviews => {}
            SubPage::Attributes => {
                product.attributes.iter().for_each(|attribute| page.plain(&format!(" {attribute}")));
                let about = [&product.category, &product.query, &product.product_category];
                about.into_iter().for_each(|text| page.plain(text));
            }
        }
        page
    }

    /// Where one is thanked. Most of its texts have no content: the template asks for what it is not given.
    pub fn done(asin: &str, options: &[(String, String)], reward: f64) -> Self {
        let mut page = Page::default();
        let (options, reward) = (python::json_for_html(options), python::float(reward));
        #[rustfmt::skip]
        let texts = [
            "Thank you for shopping with us!", "Your code: ", "None", " (Paste it in your MTurk interface.)",
            "Purchased", "asin", asin, "options", &options, "attrs", "None", "category", "None", "query", "None",
            "product category", "None",
            "Target", "asin", "options", "attrs", "price upper", "instuction text", "category", "product category",
            "query", "Goal ", "None",
            "Reward", "Your score (min 0.0, max 1.0)", &reward, "Reward Details ", "None",
        ];
        texts.into_iter().for_each(|text| page.plain(text));
        page
    }

    fn below_instruction(instruction: &str) -> Self {
        let mut page = Page::default();
        page.plain("Instruction:");
        page.plain(instruction);
        page.button("Back to Search");
        page
    }

    fn plain(&mut self, text: &str) {
        self.node(Kind::Plain, text);
    }

    fn button(&mut self, text: &str) {
        self.node(Kind::Button, text);
        self.clickable(text.to_lowercase(), Target::Button);
    }

    fn node(&mut self, kind: Kind, text: &str) {
        let is_blank = text.bytes().all(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\x0c' | b'\r'));
        if is_blank && (text.is_empty() || text.contains('\n')) {
            return;
        }
        self.nodes.push(Node { kind, text: if is_blank { " ".to_string() } else { text.to_string() } });
    }

    /// As in a Python dict: a text that comes again keeps its place and gets the new target.
    fn clickable(&mut self, text: String, target: Target) {
        match self.clickables.iter_mut().find(|(known, _)| *known == text) {
            Some((_, known)) => *known = target,
            None => self.clickables.push((text, target)),
        }
    }

    /// What a text in small letters does when it is clicked; `None` where the page has no such text.
    pub fn target(&self, text: &str) -> Option<&Target> {
        self.clickables.iter().find(|(known, _)| known == text).map(|(_, target)| target)
    }

    pub fn clickables(&self) -> impl Iterator<Item = &str> {
        self.clickables.iter().map(|(text, _)| text.as_str())
    }

    /// The products that the page links to.
    pub fn products(&self) -> impl Iterator<Item = (&str, usize)> {
        self.clickables.iter().filter_map(|(text, target)| match target {
            Target::Product(place) => Some((text.as_str(), *place)),
            _ => None,
        })
    }

    /// The page in `text` mode.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.nodes.iter().map(|node| python::strip(&node.text)).collect();
        texts.join(" [SEP] ")
    }

    /// The page's texts in their order as HTML of our own, each in an element that says what it is.
    pub fn html(&self) -> String {
        let element = |Node { kind, text }: &Node| {
            let tag = match kind {
                Kind::Plain => "p",
                Kind::Button => "button",
                Kind::OptionValue => "label",
                Kind::ProductLink => "a",
            };
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            format!("<{tag}>{text}</{tag}>\n")
        };
        let search_bar = if self.has_search_bar { "<input type=\"text\" name=\"search_query\">\n" } else { "" };
        let elements: String = self.nodes.iter().map(element).collect();
        format!("<html>\n<body>\n{search_bar}{elements}</body>\n</html>\n")
    }

    /// The page in `text_rich` mode. As in the original, an option counts as chosen when the page's address holds its
    /// value in quotes.
    pub fn rich_text(&self, url: &str, visited: &[String]) -> String {
        let (mut clicked, mut lines) = (Vec::new(), String::new());
        for Node { kind, text } in &self.nodes {
            let line = match kind {
                Kind::Plain => text.clone(),
                Kind::Button => format!("[button] {text} [button_]"),
                Kind::OptionValue if url.contains(&format!("\"{text}\"")) => {
                    clicked.push(format!("You have clicked {text}.\n"));
                    format!("  [clicked button] {text} [clicked button_]")
                }
                Kind::OptionValue => format!("  [button] {text} [button_]"),
                Kind::ProductLink if visited.contains(text) => format!("\n[clicked button] {text} [clicked button_]"),
                Kind::ProductLink => format!("\n[button] {text} [button_]"),
            };
            lines.push_str(&line);
            lines.push('\n');
        }
        // The last one clicked is put on top.
        clicked.reverse();
        clicked.concat() + &lines
    }
}
