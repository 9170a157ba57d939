//! Every combination of given values once, in the order in which Optuna's `GridSampler` of the same seed takes them.

use serde_json::{Map, Value, json};

use super::mersenne::Mersenne;
use super::{Draw, Marks, Sampler};
use crate::engine::sweep::abandoned;
use crate::engine::sweep::distribution::{Distribution, is_same};
use crate::engine::sweep::history::History;
use crate::engine::sweep::record::State;
use crate::engine::{Error, Result};

/// Optuna's names of the attributes that say which combination a trial has, and of which grid.
const GRID_ID: &str = "grid_id";
const SEARCH_SPACE: &str = "search_space";

/// More combinations than this are taken for a mistake.
const MOST: usize = 1_000_000;

#[derive(Debug, Clone)]
pub struct GridOptions {
    /// The values of each parameter.
    pub space: Vec<(String, Vec<Value>)>,
}

pub struct Grid {
    /// By name.
    space: Vec<(String, Vec<Value>)>,
    /// For each combination the position of every parameter's value.
    points: Vec<Vec<usize>>,
}

impl Grid {
    /// `seed` decides the order.
    pub fn new(options: GridOptions, seed: u64) -> Result<Self> {
        let mut space = options.space;
        if space.is_empty() {
            return Err(Error::option("sampler.space", "the values of at least one parameter", "none"));
        }
        if let Some((name, _)) = space.iter().find(|(_, values)| values.is_empty()) {
            return Err(Error::option(format!("sampler.space.{name}"), "at least one value", "none"));
        }
        for (name, values) in &space {
            check_differ(name, values)?;
        }
        space.sort_by(|a, b| a.0.cmp(&b.0));
        let count = space.iter().try_fold(1usize, |count, (_, values)| count.checked_mul(values.len()));
        if count.is_none_or(|count| count > MOST) {
            return Err(Error::option("sampler.space", format!("at most {MOST} combinations"), "more"));
        }
        let mut points = vec![Vec::new()];
        for (_, values) in &space {
            let longer = |point: &Vec<usize>| {
                let point = point.clone();
                (0..values.len()).map(move |place| [point.as_slice(), &[place]].concat())
            };
            points = points.iter().flat_map(longer).collect();
        }
        Mersenne::new(seed as u32).shuffle(&mut points);
        Ok(Grid { space, points })
    }

    fn search_space(&self) -> Value {
        Value::Object(self.space.iter().map(|(name, values)| (name.clone(), json!(values))).collect())
    }

    /// The first combination that no trial has or had.
    fn unvisited(&self, history: &History) -> Option<u64> {
        let mut visited = vec![false; self.points.len()];
        for trial in &history.trials {
            let record = &trial.record;
            let counts = record.state != State::Waiting && !abandoned::is_abandoned(record);
            let same = record.system_attrs.get(SEARCH_SPACE).is_some_and(|space| self.is_own(space));
            if let (true, Some(id)) = (counts && same, grid_id(&record.system_attrs))
                && let Some(visited) = visited.get_mut(id)
            {
                *visited = true;
            }
        }
        visited.iter().position(|visited| !visited).map(|id| id as u64)
    }

    fn is_own(&self, space: &Value) -> bool {
        let Some(space) = space.as_object() else { return false };
        let is_own = |(name, values): &(String, Vec<Value>)| {
            let theirs = space.get(name).and_then(Value::as_array);
            theirs.is_some_and(|theirs| {
                theirs.len() == values.len() && theirs.iter().zip(values).all(|(a, b)| is_same(a, b))
            })
        };
        space.len() == self.space.len() && self.space.iter().all(is_own)
    }
}

fn check_differ(name: &str, values: &[Value]) -> Result<()> {
    let twice = |place: &usize| values[..*place].iter().any(|before| is_same(before, &values[*place]));
    match (0..values.len()).find(twice) {
        Some(place) => {
            let path = format!("sampler.space.{name}[{}]", place + 1);
            Err(Error::option(path, "values that differ", format!("{} twice", values[place])))
        }
        None => Ok(()),
    }
}

fn grid_id(marks: &Map<String, Value>) -> Option<usize> {
    marks.get(GRID_ID)?.as_u64().map(|id| id as usize)
}

impl Sampler for Grid {
    fn is_finite(&self) -> bool {
        true
    }

    fn begin(&self, draw: &Draw) -> Result<Option<Marks>> {
        let own = (draw.place as usize) < self.points.len();
        let taken = own
            && draw.history.trials.iter().any(|trial| grid_id(&trial.record.system_attrs) == Some(draw.place as usize));
        let id = match own && !taken {
            true => Some(draw.place),
            false => self.unvisited(draw.history),
        };
        let marks = |id: u64| {
            Marks::from_iter([(SEARCH_SPACE.to_string(), self.search_space()), (GRID_ID.to_string(), id.into())])
        };
        Ok(id.map(marks))
    }

    fn suggest(&self, _: &Draw, marks: &Marks, _: &[&str], name: &str, distribution: &Distribution) -> Result<f64> {
        let names = || self.space.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(column) = self.space.iter().position(|(known, _)| known == name) else {
            return Err(Error::option(name, "a parameter of the grid", format!("another; it has {}", names())));
        };
        let point = grid_id(marks).and_then(|id| self.points.get(id));
        let Some(point) = point else {
            let message = format!("{name}: this trial was given some parameters and not this one of the grid");
            return Err(Error::hinted(message, "give a trial of a grid all its parameters, or none"));
        };
        let value = &self.space[column].1[point[column]];
        distribution.taken(value).ok_or_else(|| {
            Error::option(name, format!("{distribution}, as the trial asks for"), format!("{value} of the grid"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_in_a_grid_once() {
        let space = vec![("x".to_string(), vec![json!(1), json!("a"), json!(1.0)])];
        let error = Grid::new(GridOptions { space }, 0).err().unwrap().to_string();
        assert_eq!(error, "sampler.space.x[3]: expected values that differ, got 1.0 twice");
    }

    #[test]
    fn combinations_come_in_optunas_order() {
        // Python: optuna.samplers.GridSampler({"r": [4, 16, 64], "a": [1, 2]}, seed=3)._all_grids, as (a, r).
        let space =
            vec![("r".to_string(), vec![json!(4), json!(16), json!(64)]), ("a".to_string(), vec![json!(1), json!(2)])];
        let grid = Grid::new(GridOptions { space }, 3).unwrap();
        let values = |point: &Vec<usize>| (grid.space[0].1[point[0]].clone(), grid.space[1].1[point[1]].clone());
        let points: Vec<(Value, Value)> = grid.points.iter().map(values).collect();
        assert_eq!(points, [(2, 4), (2, 64), (2, 16), (1, 16), (1, 4), (1, 64)].map(|(a, r)| (json!(a), json!(r))));
    }
}
