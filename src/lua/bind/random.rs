//! `affine.random`: random numbers that a seed, a purpose and an index decide (see `engine::random`).

use mlua::{Lua, MultiValue, Table, UserData, UserDataMethods, Value};
use rand_chacha::ChaCha8Rng;

use crate::engine::{Error, random};
use crate::lua::call::Call;
use crate::lua::strict::handle;

/// A stream of random numbers, as a script holds it.
pub struct Random(ChaCha8Rng);

impl Random {
    pub fn of(stream: ChaCha8Rng) -> Self {
        Random(stream)
    }

    /// `index` and `seed` may be negative: their 64 bits count.
    pub fn new(seed: i64, purpose: &str, index: i64) -> Self {
        Random(random::stream(seed as u64, purpose, index as u64))
    }
}

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let new = lua.create_function(|lua, values: MultiValue| {
        let mut call = Call::new("random.new", values);
        let seed = call.integer("seed")?;
        let purpose = call.optional_string("purpose")?.unwrap_or_default();
        let index = call.optional_integer("index")?.unwrap_or(0);
        call.finish()?;
        handle(lua, "a random stream", Random::new(seed, &purpose, index))
    })?;
    table.set("new", new)?;
    Ok(table)
}

impl UserData for Random {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("int", |_, this, values: MultiValue| this.int(values));
        methods.add_method_mut("float", |_, this, values: MultiValue| {
            Call::new("random:float", values).finish()?;
            Ok(random::unit(&mut this.0))
        });
        methods.add_method_mut("shuffle", |_, this, values: MultiValue| this.shuffle(values));
        methods.add_method_mut("choice", |_, this, values: MultiValue| this.choice(values));
        methods.add_method_mut("sample", |_, this, values: MultiValue| this.sample(values));
    }
}

impl Random {
    /// A uniform integer from `low` to `high`, both included.
    fn int(&mut self, values: MultiValue) -> mlua::Result<i64> {
        let mut call = Call::new("random:int", values);
        let (low, high) = (call.integer("low")?, call.integer("high")?);
        call.finish()?;
        if low > high {
            return Err(call.reject(Error::option("high", format!("at least {low}"), high)));
        }
        // All of i64 is 2^64 values, which `below` calls 0.
        let span = (high as u64).wrapping_sub(low as u64).wrapping_add(1);
        Ok((low as u64).wrapping_add(random::below(&mut self.0, span)) as i64)
    }

    /// Puts a list into a random order, in place, and returns it.
    fn shuffle(&mut self, values: MultiValue) -> mlua::Result<Table> {
        let mut call = Call::new("random:shuffle", values);
        let list = call.table("list")?;
        call.finish()?;
        let mut items: Vec<Value> = list.sequence_values().collect::<mlua::Result<_>>()?;
        random::shuffle(&mut self.0, &mut items);
        for (index, item) in items.into_iter().enumerate() {
            list.raw_set(index + 1, item)?;
        }
        Ok(list)
    }

    fn choice(&mut self, values: MultiValue) -> mlua::Result<Value> {
        let mut call = Call::new("random:choice", values);
        let list = call.table("list")?;
        call.finish()?;
        match list.raw_len() as u64 {
            0 => Err(call.reject(Error::message("the list is empty"))),
            length => list.raw_get(random::below(&mut self.0, length) + 1),
        }
    }

    /// `count` different items in random order.
    fn sample(&mut self, values: MultiValue) -> mlua::Result<Vec<Value>> {
        let mut call = Call::new("random:sample", values);
        let (list, count) = (call.table("list")?, call.integer("count")?);
        call.finish()?;
        let mut items: Vec<Value> = list.sequence_values().collect::<mlua::Result<_>>()?;
        match usize::try_from(count) {
            Ok(count) if count <= items.len() => {
                random::shuffle(&mut self.0, &mut items);
                items.truncate(count);
                Ok(items)
            }
            _ => {
                let expected = format!("0 to {}, the length of the list", items.len());
                Err(call.reject(Error::option("count", expected, count)))
            }
        }
    }
}
