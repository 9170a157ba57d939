//! Parts of a tensor by position, range, mask and index tensor: what `t[...]` reads and writes.
//!
//! As in PyTorch, numbers and ranges are views and are applied first; masks and index tensors then gather copies out of
//! that view.

use tch::{Kind, Tensor};

use super::dtype;
use super::shape::{broadcast, check_index, misfit, offset, stretches_to};
use crate::engine::{Error, Result};

/// What is taken of one dimension, or of several by a mask. Numbers count from 1, -1 is the last.
#[derive(Debug)]
pub enum Part {
    /// One position: the dimension goes.
    At(i64),
    /// From one position to another, both included, every `step`-th.
    Range {
        from: i64,
        to: i64,
        step: i64,
    },
    All,
    /// A mask of bool over as many dimensions as it has, or positions as int64 that count from 0.
    Tensor(Tensor),
}

/// A part of a tensor: a view, and what is gathered from the view where there are masks or index tensors.
pub struct Selection {
    view: Tensor,
    gather: Vec<Option<Tensor>>,
}

impl Selection {
    /// `parts` are for the first dimensions, the others stay whole.
    pub fn new(tensor: &Tensor, parts: &[Part]) -> Result<Self> {
        let shape = tensor.size();
        let wanted: usize = parts.iter().map(Part::dims).sum();
        if wanted > shape.len() {
            let message = format!("expected at most {} dimensions, got {wanted}", shape.len());
            return Err(Error::message(message));
        }
        let mut selection = Selection { view: tensor.shallow_clone(), gather: Vec::new() };
        let mut dim = 0;
        for (position, part) in parts.iter().enumerate() {
            let name = if parts.len() == 1 { "index".to_string() } else { format!("index[{}]", position + 1) };
            dim += selection.take(&name, part, dim)?;
        }
        selection.gathers_together()?;
        Ok(selection)
    }

    /// Takes a part at a dimension of the view; how many dimensions of the view it leaves behind itself.
    fn take(&mut self, name: &str, part: &Part, dim: usize) -> Result<usize> {
        let sizes = self.view.size();
        let (at, length) = (dim as i64, sizes.get(dim).copied().unwrap_or(0));
        match part {
            Part::At(position) => {
                self.view = self.view.f_select(at, offset(name, *position, length)?)?;
                return Ok(0);
            }
            Part::Range { from, to, step } => {
                let (start, end) = bounds(name, *from, *to, length)?;
                if *step < 1 {
                    return Err(Error::hinted(format!("{name}: expected a step of at least 1, got {step}"), "t:flip"));
                }
                self.view = self.view.f_slice(at, start, end, *step)?;
                self.gather.push(None);
            }
            Part::All => self.gather.push(None),
            Part::Tensor(tensor) => {
                dtype::same_device(&self.view, tensor)?;
                match tensor.f_kind()? {
                    Kind::Bool => {
                        let covered = &sizes[dim..dim + part.dims()];
                        if tensor.size() != covered {
                            return Err(Error::message(format!("{name}: {}", misfit(covered, &tensor.size()))));
                        }
                    }
                    Kind::Int64 => check_index(name, tensor, length)?,
                    other => {
                        let expected = "a mask of dtype bool or an index of dtype int64";
                        return Err(Error::option(name, expected, dtype::name(other)));
                    }
                }
                self.gather.push(Some(tensor.shallow_clone()));
            }
        }
        Ok(part.dims())
    }

    /// Index tensors go side by side, so they have to broadcast.
    fn gathers_together(&self) -> Result<()> {
        let indices = self.gather.iter().flatten().filter(|index| index.kind() == Kind::Int64);
        indices.map(Tensor::size).try_fold(Vec::new(), |shape, size| broadcast(&shape, &size)).map(drop)
    }

    fn is_view(&self) -> bool {
        self.gather.iter().all(Option::is_none)
    }

    /// The part: a view of the tensor where only numbers and ranges took it, else a copy.
    pub fn read(self) -> Result<Tensor> {
        match self.is_view() {
            true => Ok(self.view),
            false => Ok(self.view.f_index(&self.gather)?),
        }
    }

    /// Writes `value`, of the same dtype and device, over the part, broadcast to its shape.
    pub fn write(mut self, value: &Tensor) -> Result<()> {
        dtype::same(&self.view, value)?;
        if self.is_view() {
            let shape = self.view.size();
            stretches_to(&value.size(), &shape).map_err(|_| misfit(&shape, &value.size()))?;
            self.view.f_copy_(value)?;
        } else {
            let _ = self.view.f_index_put_(&self.gather, value, false)?;
        }
        Ok(())
    }
}

impl Part {
    /// How many dimensions of the tensor this is about.
    fn dims(&self) -> usize {
        match self {
            Part::Tensor(tensor) if tensor.kind() == Kind::Bool => tensor.dim(),
            _ => 1,
        }
    }
}

/// The half-open offsets of a range. It may be empty by ending right before it begins (`{ 1, 0 }`), but not run
/// backwards.
fn bounds(name: &str, from: i64, to: i64, length: i64) -> Result<(i64, i64)> {
    let place = |position: i64| if position < 0 { position.saturating_add(length + 1) } else { position };
    let (first, last) = (place(from), place(to));
    let fits = (1..=length + 1).contains(&first) && (0..=length).contains(&last) && last >= first - 1;
    match fits {
        true => Ok((first - 1, last)),
        false => {
            let expected = format!("a range within 1 to {length} or -{length} to -1, not running backwards");
            Err(Error::option(name, expected, format!("{{ {from}, {to} }}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_includes_both_ends_and_may_be_empty() {
        let range = |from, to| bounds("index", from, to, 3).ok();
        assert_eq!(range(1, 3), Some((0, 3)));
        assert_eq!(range(2, -1), Some((1, 3)));
        assert_eq!(range(-2, -2), Some((1, 2)));
        assert_eq!((range(1, 0), range(4, 3)), (Some((0, 0)), Some((3, 3))));
        assert!([(0, 1), (1, 4), (3, 1), (-4, 2), (5, 4), (i64::MIN, 1)].iter().all(|&(a, b)| range(a, b).is_none()));
    }

    #[test]
    fn views_are_taken_before_gathers() {
        let t = Tensor::arange(24, (Kind::Int64, tch::Device::Cpu)).reshape([2, 3, 4]);
        let index = Tensor::from_slice(&[2i64, 0]);
        // torch.arange(24).reshape(2, 3, 4)[1, torch.tensor([2, 0]), 1:3]
        let parts = [Part::At(2), Part::Tensor(index), Part::Range { from: 2, to: 3, step: 1 }];
        let part = Selection::new(&t, &parts).unwrap().read().unwrap();
        assert_eq!(part.size(), [2, 2]);
        assert_eq!(Vec::<i64>::try_from(part.reshape([-1])).unwrap(), [21, 22, 13, 14]);
    }
}
