//! Dtypes by name, what their values can be, and tensors that agree in dtype and device.

use std::ops::RangeInclusive;

use tch::{Kind, Tensor};

use crate::engine::{Error, Result, device};

#[rustfmt::skip]
const NAMES: [(&str, Kind); 10] = [
    ("float32", Kind::Float),  ("bfloat16", Kind::BFloat16), ("float16", Kind::Half),  ("float64", Kind::Double),
    ("int64",   Kind::Int64),  ("int32",    Kind::Int),      ("int16",   Kind::Int16), ("int8",    Kind::Int8),
    ("uint8",   Kind::Uint8),  ("bool",     Kind::Bool),
];

/// The dtype of a name, as PyTorch names them.
pub fn parse(name: &str) -> Result<Kind> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or_else(|| {
        let known: Vec<String> = NAMES.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let (last, others) = known.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
        Error::option("dtype", format!("{} or {last}", others.join(", ")), format!("\"{name}\""))
    })
}

/// The name that [`parse`] reads.
pub fn name(kind: Kind) -> &'static str {
    device::dtype_name(kind)
}

/// The values of an integer dtype; nothing for the others.
pub fn range(kind: Kind) -> Option<RangeInclusive<i64>> {
    match kind {
        Kind::Int64 => Some(i64::MIN..=i64::MAX),
        Kind::Int => Some(i32::MIN.into()..=i32::MAX.into()),
        Kind::Int16 => Some(i16::MIN.into()..=i16::MAX.into()),
        Kind::Int8 => Some(i8::MIN.into()..=i8::MAX.into()),
        Kind::Uint8 => Some(0..=u8::MAX.into()),
        _ => None,
    }
}

/// A dtype whose values are steps apart, not approximations: integers and booleans.
pub fn is_whole(kind: Kind) -> bool {
    kind == Kind::Bool || range(kind).is_some()
}

/// Refuses two tensors on different devices.
pub fn same_device(a: &Tensor, b: &Tensor) -> Result<()> {
    match (a.device(), b.device()) {
        (a, b) if a == b => Ok(()),
        (a, b) => Err(differ("devices", "device", &device::name(a), &device::name(b))),
    }
}

/// Refuses two tensors of different dtypes or on different devices.
pub fn same(a: &Tensor, b: &Tensor) -> Result<()> {
    match (a.f_kind()?, b.f_kind()?) {
        (a_kind, b_kind) if a_kind == b_kind => same_device(a, b),
        (a, b) => Err(differ("dtypes", "dtype", name(a), name(b))),
    }
}

/// Refuses a tensor that is not of this dtype; `place` is its name, for the error.
pub fn require(place: &str, tensor: &Tensor, kind: Kind) -> Result<()> {
    match tensor.f_kind()? {
        found if found == kind => Ok(()),
        found => {
            let message = format!("{place}: expected dtype {}, got {}", name(kind), name(found));
            Err(Error::hinted(message, format!("{place}:to {{ dtype = \"{}\" }}", name(kind))))
        }
    }
}

/// Refuses a tensor whose dtype is not a floating-point one.
pub fn require_float(place: &str, tensor: &Tensor) -> Result<()> {
    match tensor.f_is_floating_point()? {
        true => Ok(()),
        false => {
            let message = format!("{place}: expected a floating-point dtype, got {}", name(tensor.f_kind()?));
            Err(Error::hinted(message, format!("{place}:to {{ dtype = \"float32\" }}")))
        }
    }
}

fn differ(what: &str, key: &str, a: &str, b: &str) -> Error {
    Error::hinted(format!("{what} {a} and {b} do not fit"), format!("move one of them: t:to {{ {key} = \"{a}\" }}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_is_read_by_the_name_it_is_given() {
        for (text, kind) in NAMES {
            assert_eq!((parse(text).unwrap(), name(kind)), (kind, text));
        }
        let error = parse("int63").unwrap_err().to_string();
        assert!(error.starts_with("dtype: expected \"float32\", ") && error.ends_with(" or \"bool\", got \"int63\""));
    }

    #[test]
    fn a_difference_names_both_sides_and_the_way_out() {
        let of = |kind| Tensor::zeros([1], (kind, tch::Device::Cpu));
        assert!(same(&of(Kind::Float), &of(Kind::Float)).is_ok());
        let error = same(&of(Kind::Float), &of(Kind::Double)).unwrap_err();
        assert_eq!(error.to_string(), "dtypes float32 and float64 do not fit");
        assert_eq!(error.hint(), Some("move one of them: t:to { dtype = \"float32\" }"));
        let error = differ("devices", "device", "cpu", "cuda:0").to_string();
        assert_eq!(error, "devices cpu and cuda:0 do not fit");
        let error = require("index", &of(Kind::Float), Kind::Int64).unwrap_err();
        assert_eq!(error.to_string(), "index: expected dtype int64, got float32");
    }
}
