//! The goal of a problem: compiled once, asked after every action.

use super::household::Household;
use super::lisp::Expression;
use super::problem::{self, Kind, Predicate};
use super::reach::Reach;
use super::state::{Flag, State};
use super::things::{Index, Things};

/// A condition over bound variables, with every `not` moved down to the facts.
#[derive(Debug, Clone, PartialEq)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Exists(Variable, Box<Condition>),
    ForAll(Variable, Box<Condition>),
    Fact { predicate: Predicate, terms: [Term; 2], wanted: bool },
    Equal { terms: [Term; 2], wanted: bool },
}

/// The place of a variable's value, and how many values it can have.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Variable {
    slot: usize,
    values: Index,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Term {
    Variable(usize),
    Constant(Index),
    /// The second argument of a predicate with one.
    Unused,
}

/// Answers whether facts are so, in a state or at best.
pub trait View {
    fn is(&self, predicate: Predicate, first: Index, second: Index, wanted: bool) -> bool;
}

#[derive(Debug)]
pub struct Goal {
    condition: Condition,
    slots: usize,
}

impl Goal {
    pub fn compile(goal: &Expression, things: &Things) -> Result<Self, String> {
        let mut compiler = Compiler { things, scope: Vec::new(), slots: 0 };
        let condition = compiler.condition(goal, true).map_err(|problem| format!("(:goal …): {problem}"))?;
        Ok(Goal { condition, slots: compiler.slots })
    }

    pub fn is_reached(&self, household: &Household, state: &State) -> bool {
        self.holds(&World { household, state })
    }

    /// Whether every fact that the goal asks for can be brought about. A necessary condition: it does not look at
    /// whether facts exclude each other.
    pub fn is_reachable(&self, household: &Household) -> bool {
        self.holds(&Reach::of(household))
    }

    fn holds(&self, view: &dyn View) -> bool {
        holds(&self.condition, &mut vec![0; self.slots], view)
    }
}

fn holds(condition: &Condition, values: &mut [Index], view: &dyn View) -> bool {
    let value = |term: Term, values: &[Index]| match term {
        Term::Variable(slot) => values[slot],
        Term::Constant(index) => index,
        Term::Unused => 0,
    };
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, values, view)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, values, view)),
        Condition::Exists(variable, body) => (0..variable.values).any(|index| {
            values[variable.slot] = index;
            holds(body, values, view)
        }),
        Condition::ForAll(variable, body) => (0..variable.values).all(|index| {
            values[variable.slot] = index;
            holds(body, values, view)
        }),
        Condition::Fact { predicate, terms: [first, second], wanted } => {
            view.is(*predicate, value(*first, values), value(*second, values), *wanted)
        }
        Condition::Equal { terms: [first, second], wanted } => {
            (value(*first, values) == value(*second, values)) == *wanted
        }
    }
}

/// Facts as they are.
struct World<'a> {
    household: &'a Household,
    state: &'a State,
}

impl View for World<'_> {
    fn is(&self, predicate: Predicate, first: Index, second: Index, wanted: bool) -> bool {
        let (household, state) = (self.household, self.state);
        let among = |list: &[Index], thing: Index| list.binary_search(&thing).is_ok();
        let is = match predicate {
            Predicate::AtLocation => state.at == second,
            Predicate::ObjectAtLocation => among(&state.lying[usize::from(second)], first),
            Predicate::Opened => state.is_open(first),
            Predicate::InReceptacle => among(state.content(second), first),
            Predicate::Holds => among(&state.held, second),
            Predicate::HoldsAny => state.hands_full,
            _ => match Flag::of(predicate) {
                Some(flag) => state.has(first, flag),
                None => household.is(predicate, first, second),
            },
        };
        is == wanted
    }
}

/// Turns the lists of a goal into a [`Condition`].
struct Compiler<'a> {
    things: &'a Things<'a>,
    /// The variables in force, the innermost last.
    scope: Vec<(String, Kind, usize)>,
    slots: usize,
}

impl Compiler<'_> {
    /// `wanted` is false below an odd number of `not`.
    fn condition(&mut self, expression: &Expression, wanted: bool) -> Result<Condition, String> {
        let (head, rest) = expression.headed().ok_or_else(|| format!("expected a condition, got {expression}"))?;
        match (head, rest) {
            ("and" | "or", parts) => {
                let parts = parts.iter().map(|part| self.condition(part, wanted)).collect::<Result<Vec<_>, _>>()?;
                Ok(if (head == "and") == wanted { all(parts) } else { Condition::Any(parts) })
            }
            ("not", [inner]) => self.condition(inner, !wanted),
            ("imply", [premise, conclusion]) => {
                let parts = vec![self.condition(premise, !wanted)?, self.condition(conclusion, wanted)?];
                Ok(if wanted { Condition::Any(parts) } else { all(parts) })
            }
            ("exists" | "forall", [Expression::List(variables), body]) => {
                self.quantified((head == "exists") == wanted, variables, body, wanted)
            }
            ("=", [first, second]) => {
                let ((first, one), (second, other)) = (self.term(first)?, self.term(second)?);
                // Things of different types are never the same.
                match one == other {
                    true => Ok(Condition::Equal { terms: [first, second], wanted }),
                    false => Ok(if wanted { Condition::Any(Vec::new()) } else { all(Vec::new()) }),
                }
            }
            ("not" | "imply" | "exists" | "forall" | "=", _) => Err(format!("{expression} has the wrong form")),
            _ => self.fact(expression, head, rest, wanted),
        }
    }

    fn quantified(
        &mut self,
        exists: bool,
        variables: &[Expression],
        body: &Expression,
        wanted: bool,
    ) -> Result<Condition, String> {
        let outer = self.scope.len();
        let mut bound = Vec::new();
        for (name, kind) in problem::declarations(variables)? {
            bound.push(Variable { slot: self.slots, values: self.things.count(kind) as Index });
            self.scope.push((name.to_string(), kind, self.slots));
            self.slots += 1;
        }
        let body = self.condition(body, wanted)?;
        self.scope.truncate(outer);
        let bound = bound.into_iter().rev();
        Ok(match exists {
            true => bound.fold(body, exists_as_far_in_as_possible),
            false => bound.fold(body, |body, variable| Condition::ForAll(variable, Box::new(body))),
        })
    }

    fn fact(
        &self,
        expression: &Expression,
        name: &str,
        arguments: &[Expression],
        wanted: bool,
    ) -> Result<Condition, String> {
        let (predicate, expected) = Predicate::named(name)
            .ok_or_else(|| format!("({name} …) is a PDDL construct or a predicate not known here: {expression}"))?;
        let terms = arguments.iter().map(|argument| self.term(argument)).collect::<Result<Vec<_>, _>>()?;
        let kinds: Vec<Kind> = terms.iter().map(|(_, kind)| *kind).collect();
        if kinds != expected {
            let expected: Vec<&str> = expected.iter().map(|kind| kind.name()).collect();
            return Err(format!("{expression}: expected {}", expected.join(" and ")));
        }
        let term = |place: usize| terms.get(place).map_or(Term::Unused, |(term, _)| *term);
        Ok(Condition::Fact { predicate, terms: [term(0), term(1)], wanted })
    }

    fn term(&self, expression: &Expression) -> Result<(Term, Kind), String> {
        let name = expression.word().ok_or_else(|| format!("expected a name, got {expression}"))?;
        if let Some((_, kind, slot)) = self.scope.iter().rev().find(|(bound, _, _)| bound == name) {
            return Ok((Term::Variable(*slot), *kind));
        }
        match self.things.find(name) {
            Some((kind, index)) => Ok((Term::Constant(index), kind)),
            None => Err(format!("{name} is not declared, or no fact speaks of it")),
        }
    }
}

/// Nested lists of conditions in one.
fn all(parts: Vec<Condition>) -> Condition {
    let flat = parts.into_iter().flat_map(|part| match part {
        Condition::All(parts) => parts,
        other => vec![other],
    });
    Condition::All(flat.collect())
}

/// `∃v (a ∧ b(v))` is `a ∧ ∃v b(v)`: what does not speak of the variable is asked once, before its values are tried.
fn exists_as_far_in_as_possible(body: Condition, variable: Variable) -> Condition {
    let parts = match body {
        Condition::All(parts) => parts,
        other => vec![other],
    };
    let (within, mut outside): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| mentions(part, variable.slot));
    outside.push(Condition::Exists(variable, Box::new(all(within))));
    all(outside)
}

fn mentions(condition: &Condition, slot: usize) -> bool {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().any(|part| mentions(part, slot)),
        Condition::Exists(_, body) | Condition::ForAll(_, body) => mentions(body, slot),
        Condition::Fact { terms, .. } | Condition::Equal { terms, .. } => terms.contains(&Term::Variable(slot)),
    }
}
