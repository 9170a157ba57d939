//! What fits together: positions that count from 1, shapes that broadcast, shapes that multiply.
//!
//! libtorch checks all of this itself. These functions say it again in the words of a script's author, who counts from
//! 1 and wants to see both shapes.

use tch::{Kind, Tensor};

use crate::engine::{Error, Result};

/// The offset from 0 of a position that counts from 1, or from the end where it is negative (-1 is the last).
/// `name` is the argument's, for the error.
pub fn offset(name: &str, position: i64, length: i64) -> Result<i64> {
    match position {
        _ if length == 0 => Err(Error::option(name, "no position, as there is nothing to choose from", position)),
        _ if (1..=length).contains(&position) => Ok(position - 1),
        _ if (-length..=-1).contains(&position) => Ok(position + length),
        _ => Err(Error::option(name, format!("1 to {length} or -{length} to -1"), position)),
    }
}

/// The shape that two shapes broadcast to, by NumPy's rule: aligned at the last dimension, 1 stretches.
pub fn broadcast(a: &[i64], b: &[i64]) -> Result<Vec<i64>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[i64], dim: usize| (dim + shape.len()).checked_sub(rank).map_or(1, |dim| shape[dim]);
    let stretch = |dim| match (size(a, dim), size(b, dim)) {
        (a, b) if a == b => Some(a),
        (1, other) | (other, 1) => Some(other),
        _ => None,
    };
    (0..rank).map(stretch).collect::<Option<_>>().ok_or_else(|| misfit(a, b))
}

/// Whether `matmul` takes these shapes: [.., n, k] by [.., k, m] with the dimensions before broadcast, [k] on either
/// side being one row or one column.
pub fn multiply(a: &[i64], b: &[i64]) -> Result<()> {
    let (columns, rows) = (a.last(), b.len().checked_sub(2).map_or(b.first(), |dim| b.get(dim)));
    let batch = |shape: &[i64]| shape[..shape.len().saturating_sub(2)].to_vec();
    match columns.is_some() && columns == rows && broadcast(&batch(a), &batch(b)).is_ok() {
        true => Ok(()),
        false => Err(misfit(a, b)),
    }
}

/// Whether `index` may be gathered along `dim` (an offset): of the same rank, and nowhere else longer.
pub fn gather_fits(shape: &[i64], index: &[i64], dim: i64) -> Result<()> {
    let fits = |(at, (size, wanted)): (usize, (&i64, &i64))| at as i64 == dim || wanted <= size;
    match shape.len() == index.len() && shape.iter().zip(index).enumerate().all(fits) {
        true => Ok(()),
        false => Err(misfit(shape, index)),
    }
}

/// The error for shapes that do not fit together.
pub fn misfit(a: &[i64], b: &[i64]) -> Error {
    Error::message(format!("shapes {a:?} and {b:?} do not fit"))
}

/// Refuses an int64 `index` that holds a value outside `0..length`. libtorch would name the wrong dimension, and on a
/// GPU end the process's use of it.
pub fn check_index(index: &Tensor, length: i64) -> Result<()> {
    if index.numel() == 0 || index.f_kind()? != Kind::Int64 {
        return Ok(());
    }
    for value in [index.f_min()?.f_int64_value(&[])?, index.f_max()?.f_int64_value(&[])?] {
        if !(0..length).contains(&value) {
            let expected = format!("values from 0 to {} (values inside tensors count from 0)", length - 1);
            return Err(Error::option("index", expected, value));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_one_and_from_the_end() {
        let offsets: Vec<_> = [1, 3, -1, -3].iter().map(|&p| offset("dim", p, 3).unwrap()).collect();
        assert_eq!(offsets, [0, 2, 2, 0]);
        for position in [0, 4, -4, i64::MIN, i64::MAX] {
            let error = offset("dim", position, 3).unwrap_err().to_string();
            assert_eq!(error, format!("dim: expected 1 to 3 or -3 to -1, got {position}"));
        }
        assert!(offset("dim", 1, 0).is_err());
    }

    #[test]
    fn shapes_broadcast_from_the_last_dimension() {
        let shape = |a: &[i64], b: &[i64]| broadcast(a, b).ok();
        assert_eq!(shape(&[2, 3], &[3]), Some(vec![2, 3]));
        assert_eq!(shape(&[2, 1], &[1, 5]), Some(vec![2, 5]));
        assert_eq!(shape(&[], &[4]), Some(vec![4]));
        assert_eq!(shape(&[0], &[1]), Some(vec![0]));
        assert_eq!(shape(&[0], &[2]), None);
        assert_eq!(broadcast(&[2, 3], &[2]).unwrap_err().to_string(), "shapes [2, 3] and [2] do not fit");
    }

    #[test]
    fn inner_sizes_of_a_product_agree() {
        let fit = |a: &[i64], b: &[i64]| multiply(a, b).is_ok();
        assert!(fit(&[2, 3], &[3, 4]) && fit(&[3], &[3]) && fit(&[5, 1, 2, 3], &[7, 3, 4]));
        assert!(fit(&[3], &[5, 3, 4]) && fit(&[5, 2, 3], &[3]));
        assert!(!fit(&[2, 3], &[4, 5]) && !fit(&[5, 2, 3], &[4, 3, 2]));
        assert!(!fit(&[], &[]) && !fit(&[], &[3]) && !fit(&[3], &[]));
    }

    #[test]
    fn an_index_is_as_long_as_it_likes_only_along_its_dimension() {
        let fit = |shape: &[i64], index: &[i64]| gather_fits(shape, index, 1).is_ok();
        assert!(fit(&[2, 3], &[2, 9]) && fit(&[2, 3], &[1, 1]));
        assert!(!fit(&[2, 3], &[3, 1]) && !fit(&[2, 3], &[2]));
    }
}
