//! A search that can be told: unit propagation, decisions by the most frequent literal, backtracking. Every step leaves
//! one sentence, so that a model that reads them sees how the answer comes about.

use super::Literal;

/// Sentences of a search that is still worth reading; a longer one is given up.
const MOST_SENTENCES: usize = 120;

pub struct Found {
    /// x1 first.
    pub values: Vec<bool>,
    /// The search, a sentence a line.
    pub told: String,
}

/// A solution with the way to it, or `None` where that takes too many steps or there is none.
pub fn solve(clauses: &[Vec<Literal>], num_vars: usize) -> Option<Found> {
    let mut search = Search { clauses, values: vec![None; num_vars], told: Vec::new() };
    if !search.go_on() {
        return None;
    }
    let free: Vec<String> =
        (1..=num_vars).filter(|v| search.values[v - 1].is_none()).map(|v| format!("x{v}")).collect();
    search.told.push(match free.is_empty() {
        true => "Every clause is true.".to_string(),
        false => format!("Every clause is true, whatever {} may be; I take True.", free.join(", ")),
    });
    let values = search.values.iter().map(|value| value.unwrap_or(true)).collect();
    Some(Found { values, told: search.told.join("\n") })
}

struct Search<'a> {
    clauses: &'a [Vec<Literal>],
    values: Vec<Option<bool>>,
    told: Vec<String>,
}

impl Search<'_> {
    /// Whether the values so far lead to a solution, which is then in place; else they are as they were.
    fn go_on(&mut self) -> bool {
        let before = self.values.clone();
        if self.propagate() {
            let Some(literal) = self.most_frequent() else { return true };
            let opposite = Literal { positive: !literal.positive, ..literal };
            let open = self.open().count();
            let made_true = self.open().filter(|(_, clause)| clause.contains(&literal)).count();
            let known = self.values.clone();
            self.told.push(format!("Try {}: of {open} open clauses it makes {made_true} true.", shown(literal)));
            self.set(literal);
            if self.go_on() {
                return true;
            }
            self.values = known;
            if self.told.len() < MOST_SENTENCES {
                self.told.push(format!("So {} leads nowhere, and it must be {}.", shown(literal), shown(opposite)));
                self.set(opposite);
                if self.go_on() {
                    return true;
                }
            }
        }
        self.values = before;
        false
    }

    /// Sets what clauses with one literal left demand; false when a clause has none left, or when it gets long.
    fn propagate(&mut self) -> bool {
        loop {
            if self.told.len() >= MOST_SENTENCES {
                return false;
            }
            let shortest = self.open().min_by_key(|(_, clause)| clause.len());
            match shortest {
                Some((number, clause)) if clause.is_empty() => {
                    self.told.push(format!("Then no literal of clause {} can be true.", number + 1));
                    return false;
                }
                Some((number, clause)) if clause.len() == 1 => {
                    self.told.push(format!("Clause {} leaves only {}.", number + 1, shown(clause[0])));
                    self.set(clause[0]);
                }
                _ => return true,
            }
        }
    }

    /// The clauses that are not true yet, by number, with their literals that may still become true.
    fn open(&self) -> impl Iterator<Item = (usize, Vec<Literal>)> {
        self.clauses.iter().enumerate().filter_map(|(number, clause)| {
            let value = |literal: &Literal| self.values[literal.variable - 1];
            let is_true = clause.iter().any(|literal| value(literal) == Some(literal.positive));
            let undecided = || clause.iter().filter(|literal| value(literal).is_none()).copied().collect();
            (!is_true).then(|| (number, undecided()))
        })
    }

    /// Of the open clauses; the first by variable, True before False, of several. `None` when no clause is open.
    fn most_frequent(&self) -> Option<Literal> {
        let mut counts = vec![[0usize; 2]; self.values.len()];
        for (_, clause) in self.open() {
            clause.iter().for_each(|literal| counts[literal.variable - 1][usize::from(!literal.positive)] += 1);
        }
        let mut best: Option<(usize, Literal)> = None;
        for (index, signs) in counts.iter().enumerate() {
            for (sign, &count) in signs.iter().enumerate() {
                if count > best.map_or(0, |(most, _)| most) {
                    best = Some((count, Literal { variable: index + 1, positive: sign == 0 }));
                }
            }
        }
        best.map(|(_, literal)| literal)
    }

    fn set(&mut self, literal: Literal) {
        self.values[literal.variable - 1] = Some(literal.positive);
    }
}

/// As the answer has it.
fn shown(literal: Literal) -> String {
    format!("x{}={}", literal.variable, if literal.positive { "True" } else { "False" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clauses(numbers: &[&[i64]]) -> Vec<Vec<Literal>> {
        let literal = |&n: &i64| Literal { variable: n.unsigned_abs() as usize, positive: n > 0 };
        numbers.iter().map(|clause| clause.iter().map(literal).collect()).collect()
    }

    #[test]
    fn a_search_tells_decisions_units_and_the_way_back() {
        let found = solve(&clauses(&[&[1, 2], &[1, -2], &[1, 3], &[-1, 4], &[-1, -4, 3], &[-1, -3]]), 4);
        assert!(found.is_none(), "x1 must be True, then x4, x3 and not x3");
        let found = solve(&clauses(&[&[1, 2], &[1, 3], &[1, 4], &[-1, 5], &[-1, -5]]), 5).unwrap();
        assert_eq!(
            found.told,
            "Try x1=True: of 5 open clauses it makes 3 true.\n\
             Clause 4 leaves only x5=True.\n\
             Then no literal of clause 5 can be true.\n\
             So x1=True leads nowhere, and it must be x1=False.\n\
             Clause 1 leaves only x2=True.\n\
             Clause 2 leaves only x3=True.\n\
             Clause 3 leaves only x4=True.\n\
             Every clause is true, whatever x5 may be; I take True."
        );
        assert_eq!(found.values, [false, true, true, true, true]);
    }
}
