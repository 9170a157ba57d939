//! Which names a Lua program uses: a reader of statements and expressions that follows scopes.
//!
//! It knows what a local stands for where that is plain to see (`local t = require "affine.tensor"`, `t = affine.tensor`)
//! and forgets it as soon as something is assigned to the local. The code has been compiled before, so the reader need
//! not find mistakes in its form.

use std::collections::{HashMap, HashSet};

use super::lexer::{Token, tokens};

/// A use of a name that somebody else can judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A global is read, which this file does not assign.
    Read(String),
    /// A global is assigned for the first time in this file.
    Assigned(String),
    /// `require "name"`.
    Required(String),
    /// A field of a table that is known by its path: (`affine.tensor`, `zeros`), (`string`, `format`).
    Field(String, String),
}

/// The uses of `code`, in its order. `tables` says whether a path such as `string` or `affine.tensor` is a table whose
/// fields are known.
pub fn uses(code: &str, tables: &dyn Fn(&str) -> bool) -> Vec<Use> {
    let mut scanner = Scanner {
        tokens: tokens(code),
        at: 0,
        tables,
        locals: Vec::new(),
        scopes: vec![0],
        found: Vec::new(),
        reassigned: HashSet::new(),
        extended: HashSet::new(),
        assigned: HashMap::new(),
        foreign_environment: false,
    };
    scanner.block();
    scanner.result()
}

/// A local and what it stands for. Locals are never removed from the list, so that an index names one for ever.
struct Local {
    name: String,
    value: Value,
    visible: bool,
}

/// What is known of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Unknown,
    /// The function `require`.
    Require,
    Text(String),
    /// A table known by its path, and the local through which it was reached.
    Table(String, Option<usize>),
}

/// A place that an assignment could write to.
enum Place {
    None,
    Local(usize),
    Global(String, usize),
    Field(String, String),
}

struct Scanner<'a> {
    tokens: Vec<(Token, usize)>,
    at: usize,
    tables: &'a dyn Fn(&str) -> bool,
    locals: Vec<Local>,
    /// Where each open scope's locals begin.
    scopes: Vec<usize>,
    /// Uses, and the local on whose meaning each rests.
    found: Vec<(Use, Option<usize>)>,
    reassigned: HashSet<usize>,
    /// Fields that the file itself adds to known tables.
    extended: HashSet<(String, String)>,
    /// Globals that the file assigns, with the first line.
    assigned: HashMap<String, usize>,
    foreign_environment: bool,
}

impl Scanner<'_> {
    fn result(self) -> Vec<Use> {
        let Scanner { found, reassigned, extended, assigned, foreign_environment, .. } = self;
        let mut uses: Vec<Use> = found
            .into_iter()
            .filter(|(_, through)| through.is_none_or(|local| !reassigned.contains(&local)))
            .map(|(found, _)| found)
            .filter(|found| match &found.kind {
                Kind::Read(name) => !foreign_environment && !assigned.contains_key(name),
                Kind::Field(table, name) => {
                    let root = table.split('.').next().unwrap_or_default();
                    !assigned.contains_key(root) && !extended.contains(&(table.clone(), name.clone()))
                }
                _ => true,
            })
            .collect();
        if !foreign_environment {
            uses.extend(assigned.into_iter().map(|(name, line)| Use { line, kind: Kind::Assigned(name) }));
        }
        uses.sort_by_key(|found| found.line);
        uses
    }

    // Tokens ---------------------------------------------------------------------------------------------------------

    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)].0
    }

    fn line(&self) -> usize {
        self.tokens[self.at.min(self.tokens.len() - 1)].1
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found == word)
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Token::Symbol(found) if *found == symbol)
    }

    /// Passes over a keyword when it is next.
    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// Passes over a symbol when it is next.
    fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    fn name(&mut self) -> String {
        match self.next() {
            Token::Word(name) => name,
            _ => String::new(),
        }
    }

    // Scopes ---------------------------------------------------------------------------------------------------------

    fn open(&mut self) {
        self.scopes.push(self.locals.len());
    }

    fn close(&mut self) {
        let start = self.scopes.pop().unwrap_or(0);
        self.locals[start..].iter_mut().for_each(|local| local.visible = false);
    }

    fn declare(&mut self, name: String, value: Value) {
        self.locals.push(Local { name, value, visible: true });
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.locals.iter().rposition(|local| local.visible && local.name == name)
    }

    fn record(&mut self, line: usize, kind: Kind, through: Option<usize>) {
        self.found.push((Use { line, kind }, through));
    }

    // Statements -----------------------------------------------------------------------------------------------------

    /// Statements up to the word that ends them, which stays.
    fn block(&mut self) {
        while *self.peek() != Token::End && !["end", "else", "elseif", "until"].iter().any(|word| self.is_word(word)) {
            let before = self.at;
            self.statement();
            // Whatever happens, the reading goes on.
            self.at = self.at.max(before + 1);
        }
    }

    fn scoped_block(&mut self) {
        self.open();
        self.block();
        self.close();
    }

    fn statement(&mut self) {
        let Token::Word(word) = self.peek().clone() else {
            return self.statement_of_symbols();
        };
        match word.as_str() {
            "do" => {
                self.next();
                self.scoped_block();
                self.word("end");
            }
            "while" => {
                self.next();
                self.expression();
                self.word("do");
                self.scoped_block();
                self.word("end");
            }
            "repeat" => {
                self.next();
                self.open();
                self.block();
                self.word("until");
                // The condition sees the block's locals.
                self.expression();
                self.close();
            }
            "if" => self.branches(),
            "for" => self.loops(),
            "function" => self.named_function(),
            "local" => self.local(),
            "return" => {
                self.next();
                let ends = ["end", "else", "elseif", "until"].iter().any(|word| self.is_word(word));
                if !ends && *self.peek() != Token::End && !self.is(";") {
                    self.expressions();
                }
            }
            "goto" if matches!(self.tokens.get(self.at + 1), Some((Token::Word(_), _))) => {
                self.next();
                self.next();
            }
            "break" => drop(self.next()),
            _ => self.assignment_or_call(),
        }
    }

    fn statement_of_symbols(&mut self) {
        if self.symbol("::") {
            self.next();
            self.symbol("::");
        } else if !self.symbol(";") {
            self.assignment_or_call();
        }
    }

    fn branches(&mut self) {
        while self.word("if") || self.word("elseif") {
            self.expression();
            self.word("then");
            self.scoped_block();
        }
        if self.word("else") {
            self.scoped_block();
        }
        self.word("end");
    }

    fn loops(&mut self) {
        self.next();
        let names = self.names();
        if !self.symbol("=") {
            self.word("in");
        }
        self.expressions();
        self.word("do");
        self.open();
        names.into_iter().for_each(|name| self.declare(name, Value::Unknown));
        self.block();
        self.close();
        self.word("end");
    }

    fn names(&mut self) -> Vec<String> {
        let mut names = vec![self.name()];
        while self.symbol(",") {
            names.push(self.name());
        }
        names
    }

    /// `function a.b.c:d() … end`.
    fn named_function(&mut self) {
        self.next();
        let line = self.line();
        let (mut value, mut place) = self.primary();
        let mut method = false;
        while self.is(".") || self.is(":") {
            method = self.is(":");
            self.next();
            let field = self.name();
            // Only the last name is assigned; those before it are read.
            self.read(&place);
            (value, place) = self.field(&value, field, line, !self.is(".") && !self.is(":"));
        }
        self.assign(&place);
        self.function_body(method);
    }

    fn local(&mut self) {
        self.next();
        if self.word("function") {
            let name = self.name();
            self.declare(name, Value::Unknown);
            return self.function_body(false);
        }
        let mut names = Vec::new();
        loop {
            names.push(self.name());
            if self.symbol("<") {
                self.next();
                self.symbol(">");
            }
            if !self.symbol(",") {
                break;
            }
        }
        let mut values = if self.symbol("=") { self.expressions() } else { Vec::new() };
        values.resize(names.len(), Value::Unknown);
        for (name, value) in names.into_iter().zip(values) {
            self.declare(name, value);
        }
    }

    fn assignment_or_call(&mut self) {
        let mut places = vec![self.suffixed(true).1];
        if !self.is("=") && !self.is(",") {
            return self.read(&places[0]);
        }
        while self.symbol(",") {
            places.push(self.suffixed(true).1);
        }
        self.symbol("=");
        self.expressions();
        places.iter().for_each(|place| self.assign(place));
    }

    fn assign(&mut self, place: &Place) {
        match place {
            Place::None => {}
            Place::Local(local) => {
                self.locals[*local].value = Value::Unknown;
                self.reassigned.insert(*local);
            }
            Place::Global(name, _) if name == "_ENV" => self.foreign_environment = true,
            Place::Global(name, line) => {
                self.assigned.entry(name.clone()).or_insert(*line);
            }
            Place::Field(table, name) => drop(self.extended.insert((table.clone(), name.clone()))),
        }
    }

    /// A place that turns out to be read.
    fn read(&mut self, place: &Place) {
        if let Place::Global(name, line) = place {
            self.record(*line, Kind::Read(name.clone()), None);
        }
    }

    // Expressions ----------------------------------------------------------------------------------------------------

    fn expressions(&mut self) -> Vec<Value> {
        let mut values = vec![self.expression()];
        while self.symbol(",") {
            values.push(self.expression());
        }
        values
    }

    /// Operands with operators between them. Their precedence matters to nobody here.
    fn expression(&mut self) -> Value {
        const BINARY: [&str; 21] = [
            "+", "-", "*", "/", "//", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", "&", "|", "~", "<<", ">>",
            "and", "or",
        ];
        let value = self.operand();
        let mut alone = true;
        while BINARY.iter().any(|operator| self.is(operator) || self.is_word(operator)) {
            self.next();
            self.operand();
            alone = false;
        }
        if alone { value } else { Value::Unknown }
    }

    fn operand(&mut self) -> Value {
        let mut plain = true;
        while self.is("-") || self.is("#") || self.is("~") || self.is_word("not") {
            self.next();
            plain = false;
        }
        let value = match self.peek().clone() {
            Token::Number | Token::Symbol("...") => {
                self.next();
                Value::Unknown
            }
            Token::Text(text) => {
                self.next();
                Value::Text(text)
            }
            Token::Symbol("{") => {
                self.table();
                Value::Unknown
            }
            Token::Word(word) if ["nil", "true", "false"].contains(&word.as_str()) => {
                self.next();
                Value::Unknown
            }
            Token::Word(word) if word == "function" => {
                self.next();
                self.function_body(false);
                Value::Unknown
            }
            _ => self.suffixed(false).0,
        };
        if plain { value } else { Value::Unknown }
    }

    fn table(&mut self) {
        self.symbol("{");
        while !self.is("}") && *self.peek() != Token::End {
            let before = self.at;
            if self.symbol("[") {
                self.expression();
                self.symbol("]");
                self.symbol("=");
            } else if matches!(self.tokens.get(self.at + 1), Some((Token::Symbol("="), _))) {
                self.next();
                self.next();
            }
            self.expression();
            let _ = self.symbol(",") || self.symbol(";");
            self.at = self.at.max(before + 1);
        }
        self.symbol("}");
    }

    /// Parameters and body, behind the word `function` and its name.
    fn function_body(&mut self, method: bool) {
        self.open();
        if method {
            self.declare("self".to_string(), Value::Unknown);
        }
        self.symbol("(");
        while !self.is(")") && *self.peek() != Token::End {
            if let Token::Word(name) = self.next() {
                self.declare(name, Value::Unknown);
            }
            self.symbol(",");
        }
        self.symbol(")");
        self.block();
        self.word("end");
        self.close();
    }

    /// A name, or an expression in parentheses.
    fn primary(&mut self) -> (Value, Place) {
        let line = self.line();
        if self.symbol("(") {
            let value = self.expression();
            self.symbol(")");
            return (value, Place::None);
        }
        let Token::Word(name) = self.next() else { return (Value::Unknown, Place::None) };
        if let Some(local) = self.find(&name) {
            let value = match &self.locals[local].value {
                Value::Table(path, _) => Value::Table(path.clone(), Some(local)),
                other => other.clone(),
            };
            return (value, Place::Local(local));
        }
        // A local _ENV is where its author says that globals are.
        if self.find("_ENV").is_some() {
            return (Value::Unknown, Place::None);
        }
        let value = match name.as_str() {
            "require" => Value::Require,
            // `affine` is the path of the module, not a global.
            _ if name != "affine" && (self.tables)(&name) => Value::Table(name.clone(), None),
            _ => Value::Unknown,
        };
        (value, Place::Global(name, line))
    }

    /// A primary expression with its fields, indices and calls. With `assignable` a global or a field at the very end
    /// is left to the caller to read or assign; without it, it is read.
    fn suffixed(&mut self, assignable: bool) -> (Value, Place) {
        let (mut value, mut place) = self.primary();
        loop {
            let line = self.line();
            let is_suffix = [".", "[", ":", "(", "{"].iter().any(|symbol| self.is(symbol));
            if !is_suffix && !matches!(self.peek(), Token::Text(_)) {
                break;
            }
            self.read(&place);
            (value, place) = if self.symbol(".") {
                let name = self.name();
                let last = assignable && (self.is("=") || self.is(","));
                self.field(&value, name, line, last)
            } else if self.symbol("[") {
                let index = self.expression();
                self.symbol("]");
                match index {
                    Value::Text(name) => {
                        let last = assignable && (self.is("=") || self.is(","));
                        self.field(&value, name, line, last)
                    }
                    _ => (Value::Unknown, Place::None),
                }
            } else if self.symbol(":") {
                let name = self.name();
                self.method(&value, name, line);
                self.arguments();
                (Value::Unknown, Place::None)
            } else {
                let argument = self.arguments();
                (self.call(&value, argument, line), Place::None)
            };
        }
        if !assignable {
            self.read(&place);
        }
        (value, place)
    }

    /// The field `name` of a value; `written` when it is about to be assigned.
    fn field(&mut self, value: &Value, name: String, line: usize, written: bool) -> (Value, Place) {
        let Value::Table(path, through) = value else { return (Value::Unknown, Place::None) };
        let (path, through) = (path.clone(), *through);
        if !written {
            self.record(line, Kind::Field(path.clone(), name.clone()), through);
        }
        let inner = format!("{path}.{name}");
        let field = match (self.tables)(&inner) {
            true => Value::Table(inner, through),
            false => Value::Unknown,
        };
        (field, Place::Field(path, name))
    }

    fn method(&mut self, value: &Value, name: String, line: usize) {
        match value {
            Value::Table(path, through) => self.record(line, Kind::Field(path.clone(), name), *through),
            Value::Text(_) => self.record(line, Kind::Field("string".to_string(), name), None),
            _ => {}
        }
    }

    /// A call's arguments; what is known of the only one.
    fn arguments(&mut self) -> Value {
        match self.peek().clone() {
            Token::Text(text) => {
                self.next();
                Value::Text(text)
            }
            Token::Symbol("{") => {
                self.table();
                Value::Unknown
            }
            _ => {
                self.symbol("(");
                let mut values = if self.is(")") { Vec::new() } else { self.expressions() };
                self.symbol(")");
                if values.len() == 1 { values.remove(0) } else { Value::Unknown }
            }
        }
    }

    /// What a call gives: `require "affine.tensor"` is the table of that name.
    fn call(&mut self, function: &Value, argument: Value, line: usize) -> Value {
        let (Value::Require, Value::Text(name)) = (function, argument) else { return Value::Unknown };
        self.record(line, Kind::Required(name.clone()), None);
        let is_own = name == "affine" || name.starts_with("affine.");
        if is_own && (self.tables)(&name) { Value::Table(name, None) } else { Value::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str) -> Vec<String> {
        let tables = |path: &str| ["string", "affine", "affine.tensor", "affine.env"].contains(&path);
        let show = |found: Use| match found.kind {
            Kind::Read(name) => format!("{}: {name}", found.line),
            Kind::Assigned(name) => format!("{}: {name} =", found.line),
            Kind::Required(name) => format!("{}: require {name}", found.line),
            Kind::Field(table, name) => format!("{}: {table}[{name}]", found.line),
        };
        uses(code, &tables).into_iter().map(show).collect()
    }

    #[test]
    fn a_name_is_global_where_no_scope_declares_it() {
        assert_eq!(found("local a <const> = a\nreturn a, b"), ["1: a", "2: b"]);
        assert_eq!(found("for i, v in f(i) do g(i, v) end return i"), ["1: f", "1: i", "1: g", "1: i"]);
        assert_eq!(found("repeat local done = true until done\nreturn done"), ["2: done"]);
        assert_eq!(found("local function f(x, ...) return f(x, y) end"), ["1: y"]);
        assert_eq!(
            found("local t = { a = b, [c] = d, e; function(f) return f end }"),
            ["1: b", "1: c", "1: d", "1: e"]
        );
        assert_eq!(found("do local x end if x then elseif y then else z() end"), ["1: x", "1: y", "1: z"]);
        assert_eq!(found("local o = {} function o.a:m() return self, this end"), ["1: this"]);
        assert_eq!(found("goto on ::on:: while w do break end"), ["1: w"]);
    }

    #[test]
    fn a_file_may_read_the_globals_that_it_assigns() {
        assert_eq!(found("x = 1\nfunction f() return x, f end\nx = 2"), ["1: x =", "2: f ="]);
        assert_eq!(found("a, b.c = 1, 2"), ["1: b", "1: a ="]);
        assert_eq!(found("local _ENV = {} x = y"), Vec::<String>::new());
    }

    #[test]
    fn fields_are_followed_through_locals_and_calls() {
        assert_eq!(
            found("local t = require 'affine.tensor'\nlocal function f() return t.zeross(1) end"),
            ["1: require", "1: require affine.tensor", "2: affine.tensor[zeross]"]
        );
        assert_eq!(
            found("local a = require('affine')\nlocal e, t = a.env, a.tensor\nt['x'](e:y(), ('%d'):foramt(1))")[2..],
            ["2: affine[env]", "2: affine[tensor]", "3: affine.tensor[x]", "3: affine.env[y]", "3: string[foramt]"]
        );
        assert_eq!(
            found("return require('affine.env').play"),
            ["1: require", "1: require affine.env", "1: affine.env[play]"]
        );
    }

    #[test]
    fn what_is_assigned_is_no_longer_known() {
        let tail = |code: &str| found(code).into_iter().filter(|line| line.contains('[')).collect::<Vec<_>>();
        assert!(tail("local t = require 'affine.tensor'\nfunction f() return t.x end\nt = {}").is_empty());
        assert!(tail("local t = require 'affine.env'\nfunction t.x() end\nt.y = t.x()").is_empty());
        assert!(tail("string = {}\nreturn string.x").is_empty());
        assert_eq!(tail("local t = require 'affine.env'\nt.x.y = 1"), ["2: affine.env[x]"]);
        assert!(tail("local require = print\nlocal t = require 'affine.tensor'\nreturn t.x").is_empty());
    }
}
