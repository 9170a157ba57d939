//! A tensor as text: `print(t)`.

use mlua::{Lua, Value};
use tch::Device;

use super::{Tensor, TensorCall};
use crate::engine::device;
use crate::engine::tensor::{dtype, show};

/// `tensor [2, 3] float32` and the values on the lines below; large tensors are shown by their edges.
pub fn text(lua: &Lua, this: Value) -> mlua::Result<String> {
    let closed = |handle: &mlua::AnyUserData| handle.borrow::<Tensor>().is_ok_and(|tensor| tensor.get().is_none());
    if this.as_userdata().is_some_and(closed) {
        return Ok("tensor (closed)".to_string());
    }
    let call = TensorCall::new(lua, "tostring", Some(this))?;
    let tensor = &call.this;
    let (kind, values) = call.check(|| Ok((tensor.f_kind()?, show::values(tensor)?)))?;
    let mut head = format!("tensor {:?} {}", tensor.size(), dtype::name(kind));
    if tensor.device() != Device::Cpu {
        head += &format!(" on {}", device::name(tensor.device()));
    }
    if tensor.requires_grad() {
        head += ", requires grad";
    }
    match tensor.dim() {
        0 => Ok(format!("{head}: {values}")),
        _ => Ok(format!("{head}\n{values}")),
    }
}
