//! Which names a Lua program uses: a reader of statements and expressions that follows scopes.
//!
//! It knows what a local stands for where that is plain to see (`local t = require "affine.tensor"`, `t = affine.tensor`)
//! and forgets it as soon as something is assigned to the local. The code has been compiled before, so the reader need
//! not find mistakes in its form.

mod expressions;
mod statements;

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
