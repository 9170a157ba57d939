//! The operators of Lua: arithmetic, bits, and those that a tensor does not have.

use mlua::{Lua, MetaMethod, MultiValue, UserDataMethods, Value};
use tch::{Scalar, TchError};

use super::pairs::number_beside;
use super::{Operand, Tensor, TensorCall, new_value};
use crate::engine::tensor::{dtype, elementwise};
use crate::engine::{Error, Result};
use crate::lua::kind::kind;
use crate::lua::report;

type T = tch::Tensor;
type Outcome = Result<T, TchError>;

/// An operator's three cases: two tensors, a number on the right, a number on the left.
type Operator = (MetaMethod, &'static str, fn(&T, &T) -> Outcome, fn(&T, Scalar) -> Outcome, fn(Scalar, &T) -> Outcome);

#[rustfmt::skip]
const OPERATORS: [Operator; 10] = [
    (MetaMethod::Add,  "+",  T::f_add,                T::f_add_scalar,          |a, b| b.f_add_scalar(a)),
    (MetaMethod::Sub,  "-",  T::f_sub,                T::f_sub_scalar,          |a, b| b.f_rsub_scalar(a)),
    (MetaMethod::Mul,  "*",  T::f_mul,                T::f_mul_scalar,          |a, b| b.f_mul_scalar(a)),
    (MetaMethod::Div,  "/",  T::f_div,                T::f_div_scalar,          divided_by),
    (MetaMethod::IDiv, "//", T::f_floor_divide,       T::f_floor_divide_scalar, floor_divided_by),
    (MetaMethod::Mod,  "%",  T::f_remainder_tensor,   T::f_remainder,           remainder_by),
    (MetaMethod::Pow,  "^",  T::f_pow,                T::f_pow_tensor_scalar,   |a, b| T::f_pow_scalar(a, b)),
    (MetaMethod::BAnd, "&",  T::f_bitwise_and_tensor, T::f_bitwise_and,         |a, b| b.f_bitwise_and(a)),
    (MetaMethod::BOr,  "|",  T::f_bitwise_or_tensor,  T::f_bitwise_or,          |a, b| b.f_bitwise_or(a)),
    (MetaMethod::BXor, "~",  T::f_bitwise_xor_tensor, T::f_bitwise_xor,         |a, b| b.f_bitwise_xor(a)),
];

/// PyTorch multiplies by the reciprocal here, which rounds twice.
fn divided_by(number: Scalar, tensor: &T) -> Outcome {
    let kind = if tensor.f_is_floating_point()? { tensor.f_kind()? } else { tch::Kind::Float };
    T::f_scalar_tensor(number, (kind, tensor.device()))?.f_div(tensor)
}

fn floor_divided_by(number: Scalar, tensor: &T) -> Outcome {
    number_beside(number, tensor)?.f_floor_divide(tensor)
}

/// Unlike libtorch's own function of a number and a tensor, this one has a gradient.
fn remainder_by(number: Scalar, tensor: &T) -> Outcome {
    number_beside(number, tensor)?.f_remainder_tensor(tensor)
}

pub fn add<M: UserDataMethods<Tensor>>(methods: &mut M) {
    for (meta, sign, tensors, right, left) in OPERATORS {
        methods.add_meta_function(meta, move |lua, (a, b): (Value, Value)| {
            let name = format!("{} {sign} {}", kind(&a), kind(&b));
            new_value(lua, &name, || match (Operand::new(&a, "left")?, Operand::new(&b, "right")?) {
                (Operand::Tensor(a), Operand::Tensor(b)) => {
                    elementwise(&a, &b)?;
                    fits(sign, &a)?;
                    fits(sign, &b)?;
                    Ok(tensors(&a, &b)?)
                }
                (Operand::Tensor(a), Operand::Number(b)) => {
                    fits(sign, &a)?;
                    Ok(right(&a, b.into())?)
                }
                (Operand::Number(a), Operand::Tensor(b)) => {
                    fits(sign, &b)?;
                    Ok(left(a.into(), &b)?)
                }
                (Operand::Number(_), Operand::Number(_)) => unreachable!("Lua adds numbers itself"),
            })
        });
    }
    methods.add_meta_function(MetaMethod::Unm, |lua, (this, _): (Value, Value)| {
        let call = TensorCall::new(lua, "-tensor", Some(this))?;
        call.tensor(|| call.this.f_neg())
    });
    methods.add_meta_function(MetaMethod::BNot, |lua, (this, _): (Value, Value)| {
        let call = TensorCall::new(lua, "~tensor", Some(this))?;
        call.make(|| {
            fits("~", &call.this)?;
            Ok(call.this.f_bitwise_not()?)
        })
    });
    let by_element = "a:lt(b), a:le(b), a:gt(b) and a:ge(b) compare by element";
    refuse(methods, MetaMethod::Lt, "Lua makes one boolean of <", by_element);
    refuse(methods, MetaMethod::Le, "Lua makes one boolean of <=", by_element);
    refuse(methods, MetaMethod::Concat, "a tensor is not text", "tostring(t) gives its values as text");
}

/// Bits are those of integers and booleans.
fn fits(sign: &str, tensor: &T) -> Result<()> {
    let kind = tensor.f_kind()?;
    match matches!(sign, "&" | "|" | "~") && !dtype::is_whole(kind) {
        true => Err(Error::message(format!("expected integers or booleans, got {}", dtype::name(kind)))),
        false => Ok(()),
    }
}

/// An operator of which nothing sensible would come.
fn refuse<M: UserDataMethods<Tensor>>(methods: &mut M, meta: MetaMethod, why: &'static str, instead: &'static str) {
    let sign = match meta {
        MetaMethod::Lt => "<",
        MetaMethod::Le => "<=",
        _ => "..",
    };
    methods.add_meta_function(meta, move |_: &Lua, values: MultiValue| -> mlua::Result<()> {
        let kinds: Vec<String> = values.iter().map(kind).collect();
        Err(report::raise(Error::hinted(format!("{}: {why}", kinds.join(&format!(" {sign} "))), instead)))
    });
}
