//! Statements: what declares a local, what assigns, what opens a scope.

use super::super::lexer::Token;
use super::{Kind, Place, Scanner, Value};

impl Scanner<'_> {
    /// Statements up to the word that ends them, which stays.
    pub(super) fn block(&mut self) {
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
    pub(super) fn read(&mut self, place: &Place) {
        if let Place::Global(name, line) = place {
            self.record(*line, Kind::Read(name.clone()), None);
        }
    }
}
