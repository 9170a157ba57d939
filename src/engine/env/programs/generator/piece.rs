//! The parts that programs are composed of: what a part takes and gives, its Python, and the sentence that says the same.

use super::draw::Draw;

/// What a variable holds between two parts of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A whole number from 1 to 10 000.
    Count,
    /// Any whole number.
    Num,
    /// A number that is printed with decimals.
    Real,
    /// Yes or no.
    Flag,
    /// A list of whole numbers.
    Nums,
    /// A list of at least one whole number, and a number `k` from 1 to its length.
    Query,
    /// A line of words.
    Text,
    /// Two words, as a pair of names.
    Texts,
    /// A list of words.
    Words,
    /// A list of (name, number).
    Records,
    /// A rectangle of numbers, as a list of lists.
    Grid,
    /// A rectangle of `.` and `#`, as a list of texts.
    Map,
    /// `n` nodes, numbered from 1, and a list of (a, b).
    Graph,
    /// `n` nodes, numbered from 1, and a list of (a, b, length).
    Roads,
    /// One line of a form that the family defines.
    Line,
    /// Lines of a form that the family defines.
    Lines,
}

impl Kind {
    /// The variables that hold it, where `name` is the main one.
    pub fn variables(self, name: &str) -> String {
        match self {
            Kind::Graph | Kind::Roads => format!("n, {name}"),
            Kind::Query => format!("{name}, k"),
            Kind::Texts => format!("{name}, other"),
            _ => name.to_string(),
        }
    }

    /// Names that a person would give the main variable.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Kind::Count => &["number", "value", "limit"],
            Kind::Num | Kind::Real => &["result", "answer", "outcome"],
            Kind::Flag => &["ok", "found", "valid"],
            Kind::Nums | Kind::Query => &["numbers", "values", "data", "nums"],
            Kind::Text => &["text", "sentence", "message"],
            Kind::Texts => &["first", "one"],
            Kind::Words => &["words", "tokens", "terms"],
            Kind::Records => &["records", "entries", "rows"],
            Kind::Grid => &["grid", "matrix", "table"],
            Kind::Map => &["board", "field", "area"],
            Kind::Graph => &["edges", "links", "pairs"],
            Kind::Roads => &["roads", "edges"],
            Kind::Line => &["line", "source", "raw"],
            Kind::Lines => &["lines", "commands", "log"],
        }
    }

    /// Can it be empty, so that `if not x` asks for it?
    pub fn is_collection(self) -> bool {
        matches!(self, Kind::Nums | Kind::Words | Kind::Records | Kind::Text)
    }
}

/// Lines of input of a family's own form; the number is the size asked for, from 2 on.
pub type Input = fn(&mut Draw, i64) -> Vec<String>;

/// One part of a program, with its constants filled in. In the code `$x` is the variable that it takes and `$r` the one
/// that it gives; names in the code are never among [`Kind::names`].
#[derive(Debug, Clone, Default)]
pub struct Piece {
    pub code: String,
    pub text: String,
    pub imports: Vec<&'static str>,
    /// A function that the code calls.
    pub helper: Option<String>,
    /// Fails on an empty collection.
    pub needs_items: bool,
    /// May give an empty collection.
    pub may_empty: bool,
    pub input: Option<Input>,
}

impl Piece {
    /// A piece in one of several wordings in Python, all of which do what `text` says.
    pub fn new(draw: &mut Draw, text: &str, codes: &[&str]) -> Self {
        Piece { code: draw.pick(codes).trim_matches('\n').to_string(), text: text.to_string(), ..Piece::default() }
    }

    /// Fills a placeholder, `$` and one letter, in.
    pub fn set(mut self, letter: char, value: impl ToString) -> Self {
        let (placeholder, value) = (format!("${letter}"), value.to_string());
        for text in [&mut self.code, &mut self.text].into_iter().chain(self.helper.as_mut()) {
            *text = text.replace(&placeholder, &value);
        }
        self
    }

    /// An import of one name, where the chosen wording uses it.
    pub fn import(mut self, statement: &'static str) -> Self {
        let name = statement.rsplit(' ').next().unwrap_or_default();
        if self.code.contains(name) {
            self.imports.push(statement);
        }
        self
    }

    /// A function, where the chosen wording calls it.
    pub fn helper(mut self, code: &str) -> Self {
        let code = code.trim_matches('\n');
        let name = code.strip_prefix("def ").and_then(|rest| rest.split_once('(')).map_or("", |(name, _)| name);
        if self.code.contains(&format!("{name}(")) {
            self.helper = Some(code.to_string());
        }
        self
    }

    pub fn needs_items(mut self) -> Self {
        self.needs_items = true;
        self
    }

    pub fn may_empty(mut self) -> Self {
        self.may_empty = true;
        self
    }

    pub fn input(mut self, input: Input) -> Self {
        self.input = Some(input);
        self
    }
}

/// A family of programs, or a step between two of them.
pub struct Family {
    pub name: &'static str,
    /// From 1 to 5: what it asks of the reader of the program, alone.
    pub level: u8,
    pub takes: Kind,
    pub gives: Kind,
    pub build: fn(&mut Draw) -> Piece,
}

pub const fn family(name: &'static str, level: u8, takes: Kind, gives: Kind, build: fn(&mut Draw) -> Piece) -> Family {
    Family { name, level, takes, gives, build }
}
