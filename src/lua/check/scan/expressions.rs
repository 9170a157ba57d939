//! Expressions: operands, fields, calls, and what is known of their values.

use super::super::lexer::Token;
use super::{Kind, Place, Scanner, Value};

impl Scanner<'_> {
    pub(super) fn expressions(&mut self) -> Vec<Value> {
        let mut values = vec![self.expression()];
        while self.symbol(",") {
            values.push(self.expression());
        }
        values
    }

    /// Operands with operators between them. Their precedence matters to nobody here.
    pub(super) fn expression(&mut self) -> Value {
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
    pub(super) fn function_body(&mut self, method: bool) {
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
    pub(super) fn primary(&mut self) -> (Value, Place) {
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
    pub(super) fn suffixed(&mut self, assignable: bool) -> (Value, Place) {
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
    pub(super) fn field(&mut self, value: &Value, name: String, line: usize, written: bool) -> (Value, Place) {
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
