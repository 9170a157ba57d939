//! What fits together: positions that count from 1, shapes that broadcast, shapes that multiply.
//!
//! libtorch checks all of this itself. These functions say it again in the words of a script's author, who counts from
//! 1 and wants to see both shapes.

use tch::{Kind, Tensor};

use crate::engine::tensor::dtype;
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

/// The shape of `matmul`'s result: [.., n, k] by [.., k, m] with the dimensions before broadcast, [k] on either side
/// being one row or one column.
pub fn multiply(a: &[i64], b: &[i64]) -> Result<Vec<i64>> {
    let ((a_batch, a_matrix), (b_batch, b_matrix)) = (matrices(a), matrices(b));
    match (a_matrix.split_last(), b_matrix.split_first(), broadcast(a_batch, b_batch)) {
        (Some((k, rows)), Some((b_k, columns)), Ok(batch)) if k == b_k => Ok([&batch, rows, columns].concat()),
        _ => Err(misfit(a, b)),
    }
}

/// The batch dimensions, and the last two or what there is of them.
fn matrices(shape: &[i64]) -> (&[i64], &[i64]) {
    shape.split_at(shape.len().saturating_sub(2))
}

/// The shape of `bmm`'s result: [b, n, k] by [b, k, m].
pub fn multiply_batches(a: &[i64], b: &[i64]) -> Result<Vec<i64>> {
    match (a, b) {
        ([batch, n, k], [b_batch, b_k, m]) if batch == b_batch && k == b_k => Ok(vec![*batch, *n, *m]),
        _ => Err(misfit(a, b)),
    }
}

/// The shape of every pair of values of two vectors.
pub fn outer(a: &[i64], b: &[i64]) -> Result<Vec<i64>> {
    match (a, b) {
        (&[n], &[m]) => Ok(vec![n, m]),
        _ => Err(misfit(a, b)),
    }
}

/// One number of two vectors of one length.
pub fn dot(a: &[i64], b: &[i64]) -> Result<Vec<i64>> {
    outer(a, b).and_then(|_| same(a, b)).map(|()| Vec::new())
}

/// Whether the terms of an `einsum` equation are as many as the shapes, each as long as its shape, and each letter
/// stands for one size. Terms with an ellipsis are left to libtorch.
pub fn einsum_fits(equation: &str, shapes: &[Vec<i64>]) -> Result<()> {
    let left = equation.split("->").next().unwrap_or_default();
    let terms: Vec<String> = left.split(',').map(|term| term.split_whitespace().collect()).collect();
    if terms.len() != shapes.len() {
        let message = format!("\"{equation}\" has {} terms, got {} tensors", terms.len(), shapes.len());
        return Err(Error::message(message));
    }
    let mut letters: Vec<(char, i64, &[i64])> = Vec::new();
    for (term, shape) in terms.iter().zip(shapes).filter(|(term, _)| !term.contains('.')) {
        if term.chars().count() != shape.len() {
            let message = format!("\"{term}\" names {} dimensions, got the shape {shape:?}", term.chars().count());
            return Err(Error::message(message));
        }
        for (letter, &size) in term.chars().zip(shape) {
            match letters
                .iter()
                .find(|(known, other, _)| *known == letter && *other != size && *other != 1 && size != 1)
            {
                Some((_, other, seen)) => {
                    return Err(Error::message(format!("{}: {letter} is {other} and {size}", misfit(seen, shape))));
                }
                None => letters.push((letter, size, shape)),
            }
        }
    }
    Ok(())
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

/// The size of every dimension but `dim` (an offset) agrees.
pub fn same_but(a: &[i64], b: &[i64], dim: i64) -> Result<()> {
    let fits = |(at, (a, b)): (usize, (&i64, &i64))| at as i64 == dim || a == b;
    match a.len() == b.len() && a.iter().zip(b).enumerate().all(fits) {
        true => Ok(()),
        false => Err(misfit(a, b)),
    }
}

/// Two shapes that are the same.
pub fn same(a: &[i64], b: &[i64]) -> Result<()> {
    if a == b { Ok(()) } else { Err(misfit(a, b)) }
}

/// Whether a tensor of `shape` may be broadcast to `wanted`; nothing of `wanted` stretches.
pub fn stretches_to(shape: &[i64], wanted: &[i64]) -> Result<()> {
    match broadcast(shape, wanted) {
        Ok(result) if result == wanted => Ok(()),
        _ => Err(misfit(shape, wanted)),
    }
}

/// The shape of `times` copies side by side, both aligned at the last dimension. What is too large to count stays
/// the largest number.
pub fn tiled(shape: &[i64], times: &[i64]) -> Vec<i64> {
    let rank = shape.len().max(times.len());
    let at = |list: &[i64], dim: usize| (dim + list.len()).checked_sub(rank).map_or(1, |dim| list[dim]);
    (0..rank).map(|dim| at(shape, dim).saturating_mul(at(times, dim))).collect()
}

/// Whether the values of `shape` fill `wanted`, in which one size may be -1.
pub fn holds_the_same(shape: &[i64], wanted: &[i64]) -> Result<()> {
    let count = |shape: &[i64]| shape.iter().try_fold(1i64, |count, &size| count.checked_mul(size));
    let free = wanted.iter().filter(|&&size| size == -1).count();
    let known: Vec<i64> = wanted.iter().copied().filter(|&size| size != -1).collect();
    let fits = match (free, count(shape), count(&known)) {
        (0, Some(have), Some(want)) => have == want,
        (1, Some(have), Some(want)) => want > 0 && have % want == 0,
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(Error::message(format!("the values of the shape {shape:?} do not fill the shape {wanted:?}"))),
    }
}

/// Dimensions as offsets, none of them twice.
pub fn dims(name: &str, positions: &[i64], rank: usize) -> Result<Vec<i64>> {
    let mut offsets = Vec::with_capacity(positions.len());
    for (at, &position) in positions.iter().enumerate() {
        let dim = offset(&format!("{name}[{}]", at + 1), position, rank as i64)?;
        if offsets.contains(&dim) {
            return Err(Error::option(format!("{name}[{}]", at + 1), "each dimension once", position));
        }
        offsets.push(dim);
    }
    Ok(offsets)
}

/// Refuses an index that is not of int64, or that holds a value outside `0..length`. libtorch would name the wrong
/// dimension, and on a GPU end the process's use of it.
pub fn check_index(name: &str, index: &Tensor, length: i64) -> Result<()> {
    dtype::require(name, index, Kind::Int64)?;
    if index.numel() == 0 {
        return Ok(());
    }
    for value in [index.f_min()?.f_int64_value(&[])?, index.f_max()?.f_int64_value(&[])?] {
        if !(0..length).contains(&value) {
            let expected = match length {
                0 => "no values, as there is nothing to choose from".to_string(),
                _ => format!("values from 0 to {} (values inside tensors count from 0)", length - 1),
            };
            return Err(Error::option(name, expected, value));
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
        assert_eq!(multiply(&[5, 1, 2, 3], &[7, 3, 4]).unwrap(), [5, 7, 2, 4]);
        assert_eq!((multiply(&[3], &[5, 3, 4]).unwrap(), multiply(&[2, 3], &[3]).unwrap()), (vec![5, 4], vec![2]));
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

    #[test]
    fn a_shape_is_refilled_only_with_as_many_values() {
        let fills = |shape: &[i64], wanted: &[i64]| holds_the_same(shape, wanted).is_ok();
        assert!(fills(&[2, 3], &[6]) && fills(&[2, 3], &[3, -1]) && fills(&[], &[1]) && fills(&[0], &[2, 0]));
        assert!(!fills(&[2, 3], &[4, 2]) && !fills(&[2, 3], &[4, -1]) && !fills(&[6], &[-1, -1]));
        // Nothing times anything is nothing, so that -1 could be any size.
        assert!(!fills(&[0], &[0, -1]) && !fills(&[1], &[i64::MAX, i64::MAX]));
    }

    #[test]
    fn a_list_of_dimensions_has_each_of_them_once() {
        assert_eq!(dims("dims", &[2, -3], 3).unwrap(), [1, 0]);
        let error = |positions: &[i64]| dims("dims", positions, 3).unwrap_err().to_string();
        assert_eq!(error(&[1, 4]), "dims[2]: expected 1 to 3 or -3 to -1, got 4");
        assert_eq!(error(&[1, -3]), "dims[2]: expected each dimension once, got -3");
    }

    #[test]
    fn an_index_holds_what_there_is() {
        let index = Tensor::from_slice(&[0i64, 2]);
        assert!(check_index("index", &index, 3).is_ok());
        let error = check_index("index", &index, 2).unwrap_err().to_string();
        assert_eq!(error, "index: expected values from 0 to 1 (values inside tensors count from 0), got 2");
        assert!(check_index("index", &index, 0).is_err());
        assert!(check_index("index", &Tensor::from_slice(&[0.0f32]), 3).is_err());
    }

    #[test]
    fn an_einsum_gives_each_letter_one_size() {
        let fit = |equation: &str, shapes: &[&[i64]]| {
            einsum_fits(equation, &shapes.iter().map(|shape| shape.to_vec()).collect::<Vec<_>>())
                .map_err(|error| error.to_string())
        };
        assert_eq!(fit("ij, jk -> ik", &[&[2, 3], &[3, 4]]), Ok(()));
        assert_eq!(fit("...ij,jk", &[&[7, 2, 3], &[3, 4]]), Ok(()));
        let error = fit("ij,jk->ik", &[&[2, 3], &[4, 5]]).unwrap_err();
        assert_eq!(error, "shapes [2, 3] and [4, 5] do not fit: j is 3 and 4");
        assert_eq!(fit("ij", &[&[2]]).unwrap_err(), "\"ij\" names 2 dimensions, got the shape [2]");
        assert_eq!(fit("ij", &[]).unwrap_err(), "\"ij\" has 1 terms, got 0 tensors");
    }
}
