//! The templates, and how numbers stand in them.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use crate::engine::report::words;
use crate::engine::{Error, Result};

const TEMPLATES: [(&str, &str); 2] =
    [("report.html", include_str!("report.html")), ("report.md", include_str!("report.md"))];

/// One of the templates with what it is to say. In HTML every text is escaped.
pub fn render(template: &str, context: &impl Serialize) -> Result<String> {
    let environment = environment();
    let rendered = environment.get_template(template).and_then(|found| found.render(Value::from(Serde(context))));
    rendered.map_err(|error| Error::message(format!("the report cannot be rendered: {error:#}")))
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("Jinja's own delimiters"));
    environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment.add_filter("brief", words::brief);
    environment.add_filter("score", words::score);
    environment.add_filter("signed", words::signed);
    environment.add_filter("p_value", words::p_value);
    environment.add_filter("thousands", words::thousands);
    environment.add_filter("cell", cell);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).expect("the templates are part of the program");
    }
    environment
}

/// A text as a cell of a Markdown table, which a bar or a new line would end, and in which HTML would be HTML.
fn cell(text: String) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").split_whitespace().collect::<Vec<_>>().join(" ")
}
