//! SAT: find an assignment that satisfies a planted k-SAT formula. One turn.
//!
//! The generator, the prompt and the reading of a reply are those of the Affine subnet (affinetes,
//! `environments/affine/sat.py` at 345b7bc), byte for byte, so that a score here is a score there. Its generator is
//! CPython's, see [`mersenne`](super::python::mersenne).
//!
//! At the default size a random assignment passes with (1 − 2⁻¹⁰)⁶³ = 0.94, so there the score mostly measures the
//! answer's format; read it beside the constant-answer baseline.

mod solver;

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::one_turn::{self, OneTurn};
use super::python::mersenne::Mersenne;
use super::python::text::decimal;
use super::{Baselines, Demonstrator, Description, Environment, Explained, Identity, Step};
use crate::engine::text::Message;
use crate::engine::{Error, Result};

const NAME: &str = "sat";

/// Up to this many variables every assignment is a candidate for the best constant answer.
const MAX_ENUMERATED: usize = 6;

/// A formula with more literals is a slip of the pen: its prompt would have millions of tokens.
const MAX_LITERALS: usize = 1_000_000;

/// The size of the formula. The defaults are the validators'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SatOptions {
    /// Variables, at least 1.
    pub n: usize,
    /// Literals in a clause, from 1 to `n`.
    pub k: usize,
    /// Clauses, at least 1; by default ⌊4.26·n⌋. `k·m` is at most a million.
    pub m: Option<usize>,
}

impl Default for SatOptions {
    fn default() -> Self {
        SatOptions { n: 15, k: 10, m: None }
    }
}

impl SatOptions {
    pub fn validate(&self) -> Result<()> {
        if self.n < 1 || self.n > MAX_LITERALS {
            return Err(Error::option("n", format!("from 1 to {MAX_LITERALS} variables"), self.n));
        }
        if self.k < 1 || self.k > self.n {
            return Err(Error::option("k", format!("from 1 to n = {} literals in a clause", self.n), self.k));
        }
        let (m, most) = (self.num_clauses(), MAX_LITERALS / self.k);
        if m < 1 || m > most {
            return Err(Error::option("m", format!("from 1 to {most} clauses of {} literals", self.k), m));
        }
        Ok(())
    }

    fn num_clauses(&self) -> usize {
        self.m.unwrap_or((4.26 * self.n as f64) as usize)
    }
}

/// The environment; `task_id` is the seed of CPython's `random.Random`.
#[derive(Debug, Clone)]
pub struct Sat {
    num_vars: usize,
    clause_size: usize,
    num_clauses: usize,
    turn: OneTurn<Formula>,
}

impl Sat {
    pub fn new(options: &SatOptions) -> Result<Self> {
        options.validate()?;
        let num_clauses = options.num_clauses();
        Ok(Sat { num_vars: options.n, clause_size: options.k, num_clauses, turn: OneTurn::new(NAME) })
    }
}

impl Environment for Sat {
    fn describe(&self) -> Description {
        self.turn.describe(None)
    }

    fn identity(&self) -> Identity {
        Identity {
            settings: json!({ "n": self.num_vars, "k": self.clause_size, "m": self.num_clauses }),
            ..Identity::default()
        }
    }

    fn reset(&mut self, task_id: u64) -> Result<String> {
        let formula = Formula::planted(task_id, self.num_vars, self.clause_size, self.num_clauses);
        let prompt = formula.prompt();
        Ok(self.turn.begin(formula, prompt))
    }

    fn messages(&self) -> Result<Vec<Message>> {
        self.turn.messages()
    }

    fn step(&mut self, action: &str) -> Result<Step> {
        let formula = self.turn.waiting()?;
        let assignment = read_assignment(action);
        let total = formula.clauses.len();
        let satisfied = formula.clauses.iter().filter(|clause| holds(clause, &assignment)).count();
        let score = if satisfied == total { 1.0 } else { 0.0 };
        let observation = if assignment.is_empty() {
            "No assignment like x1=True was found in the answer.".to_string()
        } else if satisfied == total {
            format!("Satisfied: all {total} clauses are true.")
        } else {
            format!("Not satisfied: {satisfied} of {total} clauses are true.")
        };
        Ok(self.turn.end(score, observation, json!({ "satisfied": satisfied, "clauses": total })))
    }

    /// Of the assignments in a reply the last of each variable counts, so a thought before the answer does no harm.
    fn reply(&self, action: &str, thought: Option<&str>) -> Result<String> {
        Ok(one_turn::reply(action, thought))
    }

    fn fresh(&self) -> Result<Box<dyn Environment>> {
        Ok(Box::new(Sat { turn: OneTurn::new(NAME), ..self.clone() }))
    }

    fn demonstrator(&mut self) -> Option<&mut dyn Demonstrator> {
        Some(self)
    }

    fn baselines(&self) -> Option<&dyn Baselines> {
        Some(self)
    }
}

impl Demonstrator for Sat {
    /// The planted solution.
    fn expert(&mut self) -> Result<Option<String>> {
        Ok(Some(answer(&self.turn.task()?.plant)))
    }

    /// The solution that a search finds, with the search told; where that gets long, the planted solution alone.
    fn explain(&mut self) -> Result<Option<Explained>> {
        let formula = self.turn.task()?;
        Ok(Some(match solver::solve(&formula.clauses, self.num_vars) {
            Some(found) => Explained { action: answer(&found.values), thought: Some(found.told) },
            None => Explained { action: answer(&formula.plant), thought: None },
        }))
    }
}

impl Baselines for Sat {
    fn random_action(&self, random: &mut dyn FnMut(u64) -> u64) -> Result<Option<String>> {
        let values: Vec<bool> = (0..self.num_vars).map(|_| random(2) == 1).collect();
        Ok(Some(answer(&values)))
    }

    /// All 2ⁿ assignments of a small formula, else all True and all False.
    fn constant_actions(&self) -> Vec<String> {
        let n = self.num_vars;
        if n > MAX_ENUMERATED {
            return vec![answer(&vec![true; n]), answer(&vec![false; n])];
        }
        (0..1u32 << n).map(|bits| answer(&(0..n).map(|i| bits >> i & 1 == 0).collect::<Vec<_>>())).collect()
    }

    /// The majority-sign rule: each variable gets the sign in which it occurs more often; True when both are equal.
    fn rule(&self) -> Result<Option<String>> {
        let formula = self.turn.task()?;
        let mut surplus = vec![0i64; self.num_vars];
        for literal in formula.clauses.iter().flatten() {
            surplus[literal.variable - 1] += if literal.positive { 1 } else { -1 };
        }
        let values: Vec<bool> = surplus.iter().map(|&surplus| surplus >= 0).collect();
        Ok(Some(answer(&values)))
    }
}

/// A variable, counted from 1, or its negation.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Literal {
    variable: usize,
    positive: bool,
}

#[derive(Debug, Clone)]
struct Formula {
    clauses: Vec<Vec<Literal>>,
    /// The solution that the clauses were drawn around, x1 first.
    plant: Vec<bool>,
}

impl Formula {
    /// Every clause holds one pivot literal that agrees with the plant, so the formula is always satisfiable. The
    /// order of the draws is upstream's; changing it changes every task.
    fn planted(task_id: u64, num_vars: usize, clause_size: usize, num_clauses: usize) -> Self {
        let mut random = Mersenne::new(task_id);
        let plant: Vec<bool> = (0..num_vars).map(|_| random.choice(&[true, false])).collect();
        let clauses = (0..num_clauses)
            .map(|_| {
                let variables = random.sample(num_vars, clause_size);
                let pivot = random.choice(&variables);
                let mut sign = |variable: usize| match variable == pivot {
                    true => plant[variable - 1],
                    false => random.choice(&[true, false]),
                };
                variables.iter().map(|&variable| Literal { variable, positive: sign(variable) }).collect()
            })
            .collect();
        Formula { clauses, plant }
    }

    fn prompt(&self) -> String {
        let clauses: Vec<String> = self.clauses.iter().map(|clause| clause_text(clause)).collect();
        format!(
            "Find a satisfying assignment for the following {k}-SAT formula over variables x1..x{n}:\n\
             {formula}\n\
             Provide your answer as comma-separated assignments like `x1=True, x2=False, ...`, \
             or respond `UNSAT` if it has no solution.",
            k = self.clauses.first().map_or(0, Vec::len),
            n = self.plant.len(),
            formula = clauses.join(" ∧ "),
        )
    }
}

fn clause_text(clause: &[Literal]) -> String {
    let literals: Vec<String> =
        clause.iter().map(|l| format!("{}x{}", if l.positive { "" } else { "¬" }, l.variable)).collect();
    format!("({})", literals.join(" ∨ "))
}

/// `x1=True, x2=False, …`, the form that the prompt asks for.
fn answer(values: &[bool]) -> String {
    let parts: Vec<String> =
        values.iter().enumerate().map(|(i, &v)| format!("x{}={}", i + 1, if v { "True" } else { "False" })).collect();
    parts.join(", ")
}

/// A literal counts only if its variable was assigned, so a partial assignment may satisfy a formula.
fn holds(clause: &[Literal], assignment: &HashMap<usize, bool>) -> bool {
    clause.iter().any(|literal| assignment.get(&literal.variable) == Some(&literal.positive))
}

/// Every `x<number>=<True|False|1|0>` anywhere in the reply, reasoning included, case-sensitive, without spaces or
/// word boundaries; the last one of a variable counts.
fn read_assignment(reply: &str) -> HashMap<usize, bool> {
    static ASSIGNMENT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"x(\d+)=(True|False|1|0)").expect("the pattern is valid"));
    ASSIGNMENT
        .captures_iter(reply)
        .filter_map(|found| Some((decimal(&found[1])?, matches!(&found[2], "True" | "1"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused_by_name() {
        let refusal = |n, k, m| Sat::new(&SatOptions { n, k, m }).unwrap_err().to_string();
        assert_eq!(refusal(0, 1, None), "n: expected from 1 to 1000000 variables, got 0");
        assert_eq!(refusal(4, 5, None), "k: expected from 1 to n = 4 literals in a clause, got 5");
        assert_eq!(refusal(4, 0, None), "k: expected from 1 to n = 4 literals in a clause, got 0");
        assert_eq!(refusal(4, 2, Some(0)), "m: expected from 1 to 500000 clauses of 2 literals, got 0");
        assert!(refusal(1_000_000, 5, None).starts_with("m: expected from 1 to 200000 clauses"));
        assert!(serde_json::from_str::<SatOptions>(r#"{"vars": 4}"#).is_err());
        assert_eq!(serde_json::from_str::<SatOptions>("{}").unwrap(), SatOptions::default());
    }

    #[test]
    fn every_assignment_of_a_small_formula_is_a_constant_answer() {
        let constants = |n| Sat::new(&SatOptions { n, k: 1, m: None }).unwrap().constant_actions();
        assert_eq!(constants(2), ["x1=True, x2=True", "x1=False, x2=True", "x1=True, x2=False", "x1=False, x2=False"]);
        assert_eq!(constants(6).len(), 64);
        assert_eq!(constants(7).len(), 2);
    }
}
