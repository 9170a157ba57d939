//! The signs: which number each looks at, when it is out of bounds, and what that probably means.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::number;

/// How many of a run's first rows tell what is normal in it.
const FIRST: usize = 3;

/// Steps of which the running median is taken, and how many there must be.
const RECENT: usize = 50;
const FEWEST: usize = 20;

/// An alarm ends when its number is so far within its limit again.
const WELL_WITHIN: f64 = 0.8;

pub struct Sign {
    pub name: &'static str,
    /// The number in words.
    pub what: &'static str,
    /// Out of a row; `None` where it does not tell.
    pub value: fn(&Map<String, Value>) -> Option<f64>,
    /// *Own* is the mean of a run's first three rows.
    pub rule: Rule,
    pub advice: &'static str,
}

/// Where a number is out of bounds.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Above 0 at all.
    Any,
    Above(f64),
    /// Above both this and `times` its own and `more`.
    AboveOwn {
        least: f64,
        times: f64,
        more: f64,
    },
    /// Below a part of its own.
    BelowOwn(f64),
    /// Above a multiple of the running median.
    AboveMedian(f64),
}

pub const SIGNS: [Sign; 10] = [
    Sign {
        name: "not_finite",
        what: "number of losses and norms that are not finite",
        value: not_finite,
        rule: Rule::Any,
        advice: "the weights are about to be lost; lower learning_rate, or train in bfloat16 or float32, from the \
                 last checkpoint on",
    },
    Sign {
        name: "loss",
        what: "loss",
        value: |row| get(row, "loss"),
        rule: Rule::AboveMedian(3.0),
        advice: "training diverges, or came to records of another kind; lower learning_rate or look at the records \
                 of this step",
    },
    Sign {
        name: "kl",
        what: "KL to the reference",
        value: |row| get(row, "kl"),
        // In nats per token: here a reply of 20 tokens is e¹⁰ times less likely under the reference.
        rule: Rule::Above(0.5),
        advice: "the policy leaves what it had learnt before, as one that exploits a reward does; read the last \
                 episodes, and raise kl_coef or lower learning_rate",
    },
    Sign {
        name: "approx_kl",
        what: "KL of one update",
        value: |row| get(row, "approx_kl"),
        // PPO is meant to stay near 0.01, and its clipping gives no pull back from beyond 0.1.
        rule: Rule::Above(0.1),
        advice: "single updates are too large to be trusted; lower learning_rate or ppo_epochs, or play more \
                 episodes per iteration",
    },
    Sign {
        name: "sampler_gap",
        what: "gap between sampler and trainer",
        value: |row| get(row, "sampler_gap"),
        // Below 1e-4 it is rounding in any format.
        rule: Rule::AboveOwn { least: 1e-4, times: 3.0, more: 0.0 },
        advice: "the policy that trains is drifting from the one that samples; see whether kernels or the number \
                 format changed, and try kernels = \"libtorch\" or float32",
    },
    Sign {
        name: "entropy",
        what: "entropy",
        value: |row| get(row, "entropy"),
        rule: Rule::BelowOwn(0.2),
        advice: "the policy hardly tries anything else any more, which is fine only where its scores are near their \
                 best; raise entropy_coef or kl_coef, or lower learning_rate",
    },
    Sign {
        name: "long_episodes",
        what: "trained tokens per episode",
        value: |row| get(row, "tokens_mean"),
        // What is short may well double.
        rule: Rule::AboveOwn { least: 50.0, times: 2.0, more: 0.0 },
        advice: "the policy talks longer without need, as it does where length is never punished; read the last \
                 episodes, and lower max_new_tokens or raise kl_coef",
    },
    Sign {
        name: "repeated_actions",
        what: "share of turns that repeat the action before",
        value: |row| get(row, "repeated_actions"),
        // Some tasks are won by repeating.
        rule: Rule::AboveOwn { least: 0.5, times: 2.0, more: 0.0 },
        advice: "the policy goes round in circles; read the last episodes, and raise kl_coef or entropy_coef, or \
                 let the environment end such episodes",
    },
    Sign {
        name: "truncated",
        what: "share of episodes that were cut",
        value: |row| share(row, "truncated"),
        // Tasks may be longer than the context from the start.
        rule: Rule::AboveOwn { least: 0.25, times: 1.0, more: 0.1 },
        advice: "episodes outgrow the context or the limit of turns; lower max_new_tokens, or give them more room",
    },
    Sign {
        name: "failed",
        what: "share of episodes that failed",
        value: |row| share(row, "failed"),
        // Above 0.05 the stage stops; this comes before.
        rule: Rule::Above(0.02),
        advice: "an environment breaks, and above 0.05 the stage stops; the log has each reason",
    },
];

/// Rows write what is no number as null.
const NUMBERS: [&str; 8] =
    ["loss", "policy_loss", "value_loss", "grad_norm", "value_grad_norm", "entropy", "kl", "approx_kl"];

/// How many of them are none; nothing of a row that has none of them.
fn not_finite(row: &Map<String, Value>) -> Option<f64> {
    let told = || NUMBERS.iter().filter_map(|key| row.get(*key));
    told().next()?;
    Some(told().filter(|value| value.is_null()).count() as f64)
}

fn get(row: &Map<String, Value>, key: &str) -> Option<f64> {
    row.get(key)?.as_f64()
}

/// Of the iteration's episodes. One of a few is bad luck.
fn share(row: &Map<String, Value>, key: &str) -> Option<f64> {
    let (count, episodes) = (get(row, key)?, get(row, "episodes")?);
    (episodes > 0.0).then_some(if count > 1.0 { count / episodes } else { 0.0 })
}

/// What a sign's number was.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    first: Vec<(u64, f64)>,
    recent: VecDeque<(u64, f64)>,
}

impl Trace {
    pub fn add(&mut self, step: u64, value: f64) {
        if self.first.len() < FIRST {
            self.first.push((step, value));
        }
        self.recent.push_back((step, value));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    pub fn forget(&mut self, from: u64) {
        self.first.retain(|(step, _)| *step < from);
        self.recent.retain(|(step, _)| *step < from);
    }

    /// Where the rule draws the line here; `None` while too little is known.
    pub fn limit(&self, rule: Rule) -> Option<Limit> {
        let above = |at: f64, of: &'static str| Some(Limit { at, is_above: true, of });
        match rule {
            Rule::Any => above(0.0, ""),
            Rule::Above(at) => above(at, ""),
            Rule::AboveOwn { least, times, more } => {
                let own = self.own()? * times + more;
                if own > least { above(own, " (by its own beginning)") } else { above(least, "") }
            }
            Rule::BelowOwn(part) => {
                Some(Limit { at: self.own()? * part, is_above: false, of: " (by its own beginning)" })
            }
            Rule::AboveMedian(times) => above(self.median()? * times, " (by the last steps)"),
        }
    }

    fn own(&self) -> Option<f64> {
        let sum: f64 = self.first.iter().map(|(_, value)| value).sum();
        (self.first.len() == FIRST).then_some(sum / FIRST as f64)
    }

    fn median(&self) -> Option<f64> {
        let mut values: Vec<f64> = self.recent.iter().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        (values.len() >= FEWEST).then(|| values[values.len() / 2])
    }
}

/// A line that a number may not pass.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    at: f64,
    is_above: bool,
    /// Where it comes from.
    of: &'static str,
}

impl Limit {
    pub fn at(&self) -> f64 {
        self.at
    }

    pub fn is_passed(&self, value: f64) -> bool {
        if self.is_above { value > self.at } else { value < self.at }
    }

    pub fn is_well(&self, value: f64) -> bool {
        if self.is_above { value <= self.at * WELL_WITHIN } else { value >= self.at / WELL_WITHIN }
    }

    /// `entropy 0.02 is below 0.06 (by its own beginning)`.
    pub fn seen(&self, what: &str, value: f64) -> String {
        // What should not be at all is told by how much of it there is.
        if self.at == 0.0 {
            return format!("{what} is {}", number(value));
        }
        let side = if self.is_above { "above" } else { "below" };
        format!("{what} {} is {side} {}{}", number(value), number(self.at), self.of)
    }
}
