//! A tensor's values as text, in columns, the way PyTorch chooses digits: four of them, without a fraction where no
//! value has one, with exponents where the values are too far apart.

use tch::{Device, Kind, Tensor};

use super::dtype::is_whole;
use crate::engine::Result;

/// Tensors of more values are shown by their edges.
const WHOLE: usize = 1000;
/// How much of a long dimension is shown at either end.
const EDGE: i64 = 3;
/// Rows are broken before this column.
const COLUMNS: usize = 80;

/// The values, in brackets as deep as the tensor has dimensions; one value without brackets.
pub fn values(tensor: &Tensor) -> Result<String> {
    if tensor.numel() == 0 {
        return Ok("[]".to_string());
    }
    let shape = tensor.size();
    let cut: Vec<bool> = shape.iter().map(|&size| tensor.numel() > WHOLE && size > 2 * EDGE).collect();
    let mut shown = tensor.f_detach()?;
    for (dim, _) in cut.iter().enumerate().filter(|(_, cut)| **cut) {
        let (dim, size) = (dim as i64, shape[dim]);
        let ends = [shown.f_narrow(dim, 0, EDGE)?, shown.f_narrow(dim, size - EDGE, EDGE)?];
        shown = Tensor::f_cat(&ends, dim)?;
    }
    let texts = aligned(elements(&shown)?);
    let rows = Rows { shape: shown.size(), cut };
    Ok(rows.block(0, &mut texts.iter()))
}

/// Where the values stand, and in which dimensions some are left out.
struct Rows {
    shape: Vec<i64>,
    cut: Vec<bool>,
}

impl Rows {
    fn block(&self, dim: usize, texts: &mut std::slice::Iter<String>) -> String {
        let Some(&size) = self.shape.get(dim) else {
            return texts.next().map_or(String::new(), |text| text.trim_start().to_string());
        };
        let last = dim + 1 == self.shape.len();
        let mut parts: Vec<String> = match last {
            true => texts.by_ref().take(size as usize).cloned().collect(),
            false => (0..size).map(|_| self.block(dim + 1, texts)).collect(),
        };
        let width = parts.first().map_or(0, String::len);
        if self.cut[dim] {
            parts.insert(EDGE as usize, "...".to_string());
        }
        let indent = " ".repeat(dim + 1);
        let inside = match last {
            true => {
                let in_a_line = ((COLUMNS - indent.len().min(COLUMNS)) / (width + 2)).max(1);
                let lines: Vec<String> = parts.chunks(in_a_line).map(|line| line.join(", ")).collect();
                lines.join(&format!(",\n{indent}"))
            }
            false => parts.join(&format!(",{}{indent}", "\n".repeat(self.shape.len() - dim - 1))),
        };
        format!("[{inside}]")
    }
}

/// Each value as text.
fn elements(tensor: &Tensor) -> Result<Vec<String>> {
    let flat = tensor.f_to_device(Device::Cpu)?.f_reshape([-1])?;
    let (kind, count) = (flat.f_kind()?, flat.numel());
    if !is_whole(kind) {
        let mut values = vec![0f64; count];
        flat.f_to_kind(Kind::Double)?.f_copy_data(&mut values, count)?;
        return Ok(floats(&values));
    }
    let mut values = vec![0i64; count];
    flat.f_to_kind(Kind::Int64)?.f_copy_data(&mut values, count)?;
    let text = |n: i64| if kind == Kind::Bool { (n != 0).to_string() } else { n.to_string() };
    Ok(values.into_iter().map(text).collect())
}

/// Floats in one notation for all of them, decided by the finite ones that are not zero.
fn floats(values: &[f64]) -> Vec<String> {
    let sizes = || values.iter().map(|x| x.abs()).filter(|x| x.is_finite() && *x > 0.0);
    let (least, most) = sizes().fold((f64::INFINITY, 0.0), |(least, most), x| (x.min(least), x.max(most)));
    let whole = sizes().all(|x| x.fract() == 0.0);
    let far_apart = most / least > 1000.0 || most > 1e8 || (!whole && least < 1e-4);
    let text = |x: f64| match x {
        _ if x.is_nan() => "nan".to_string(),
        _ if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.to_string(),
        _ if far_apart => scientific(x),
        _ if whole => format!("{x:.0}."),
        _ => format!("{x:.4}"),
    };
    values.iter().map(|&x| text(x)).collect()
}

/// `1.2500e-07`
fn scientific(x: f64) -> String {
    let text = format!("{x:.4e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// All texts as wide as the widest, which is what makes columns.
fn aligned(texts: Vec<String>) -> Vec<String> {
    let width = texts.iter().map(String::len).max().unwrap_or(0);
    texts.into_iter().map(|text| format!("{text:>width$}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[f64]) -> String {
        self::values(&Tensor::from_slice(values)).unwrap()
    }

    #[test]
    fn the_values_decide_their_notation() {
        // print(torch.tensor([...], dtype=torch.float64)), without `tensor(` and `, dtype=torch.float64)`
        assert_eq!(shown(&[1.0, -2.0, 30.0]), "[ 1., -2., 30.]");
        assert_eq!(shown(&[1.0, 2.5]), "[1.0000, 2.5000]");
        assert_eq!(shown(&[0.00001, 1.0]), "[1.0000e-05, 1.0000e+00]");
        assert_eq!(shown(&[1.0, 5000.0]), "[1.0000e+00, 5.0000e+03]");
        assert_eq!(shown(&[2e8, 3e8]), "[2.0000e+08, 3.0000e+08]");
        assert_eq!(shown(&[0.0, 0.0]), "[0., 0.]");
        assert_eq!(shown(&[f64::NAN, 1.5, f64::NEG_INFINITY]), "[   nan, 1.5000,   -inf]");
        assert_eq!(scientific(-1.25e-107), "-1.2500e-107");
    }

    #[test]
    fn long_rows_are_broken_and_blocks_stand_apart() {
        let count = |n: i64| Tensor::arange(n, (Kind::Int64, Device::Cpu));
        let text = values(&count(30)).unwrap();
        assert!(text.lines().all(|line| line.len() <= COLUMNS) && text.contains(",\n 19"), "{text}");
        assert_eq!(values(&count(8).reshape([2, 2, 2])).unwrap(), "[[[0, 1],\n  [2, 3]],\n\n [[4, 5],\n  [6, 7]]]");
        assert_eq!(values(&count(5000)).unwrap(), "[   0,    1,    2, ..., 4997, 4998, 4999]");
        let square = values(&count(10000).reshape([100, 100])).unwrap();
        assert_eq!(square.lines().count(), 7);
        assert_eq!(square.lines().nth(3), Some(" ...,"));
        assert_eq!(values(&Tensor::from_slice(&[true, false])).unwrap(), "[ true, false]");
        assert_eq!(values(&Tensor::from(7i64)).unwrap(), "7");
    }
}
