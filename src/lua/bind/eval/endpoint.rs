//! `eval.endpoint`: a model behind an OpenAI-compatible endpoint, to be judged.

use mlua::{AnyUserData, Lua, MultiValue, UserData, UserDataMethods, Value};
use serde_json::json;

use crate::engine::eval::results::Row;
use crate::engine::rollout::endpoint::{Client, Endpoint, Usage};
use crate::lua::call::Call;
use crate::lua::convert;
use crate::lua::strict::handle;

pub struct EndpointHandle(pub Client);

/// Asks the server whether it has the model.
pub fn endpoint(lua: &Lua, values: MultiValue) -> mlua::Result<AnyUserData> {
    let mut call = Call::new("eval.endpoint", values);
    let endpoint: Endpoint = call.required_options(lua)?.read()?;
    call.finish()?;
    endpoint.validate().map_err(|error| call.reject(error))?;
    let client = call.run(|| Client::open(&endpoint))?;
    handle(lua, "an endpoint", EndpointHandle(client))
}

impl UserData for EndpointHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("options", |lua, this, values: MultiValue| {
            Call::new("endpoint:options", values).finish()?;
            told(lua, &json!(this.0.endpoint()))
        });
    }
}

/// What is absent is nil.
fn told(lua: &Lua, value: &serde_json::Value) -> mlua::Result<Value> {
    let present = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    convert::to_lua(lua, &present.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// What the server counted of some episodes, and what that costs; nothing where it did not count one of them.
pub fn usage(client: &Client, rows: &[Row]) -> Option<serde_json::Value> {
    let sum = rows.iter().map(|row| row.usage).try_fold(Usage::default(), |sum, usage| Some(sum.plus(usage?)))?;
    let mut told = json!(sum);
    if let Some(cost) = client.endpoint().cost(&sum) {
        told["cost"] = json!(cost);
    }
    Some(told)
}
