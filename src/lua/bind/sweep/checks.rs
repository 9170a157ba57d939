//! `affine.native.sweep_checks`: what the checks against Optuna ask and no script needs.

use mlua::{Lua, MultiValue, Table};

use super::space;
use super::study::StudyHandle;
use crate::engine::sweep::sampler::tpe;
use crate::lua::call::Call;

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("densities", lua.create_function(densities)?)?;
    table.set("judge", lua.create_function(judge)?)?;
    Ok(table)
}

/// `densities(study, space, points)`: the logarithms of TPE's two densities at points of a space.
fn densities(lua: &Lua, values: MultiValue) -> mlua::Result<Table> {
    let mut call = Call::new("sweep_checks.densities", values);
    let study = call.userdata::<StudyHandle>("study")?.study.clone();
    let (space, points): (Table, Vec<Vec<f64>>) = (call.table("space")?, call.list("points")?);
    call.finish()?;
    let (good, others) = call.run(|| {
        let [good, others] = tpe::densities(&study.history()?, &space::named(&space)?);
        let of = |mixture: &tpe::Mixture| points.iter().map(|point| mixture.log_density(point)).collect::<Vec<f64>>();
        Ok((of(&good), of(&others)))
    })?;
    lua.create_table_from([("good", good), ("others", others)])
}

/// `judge(study, number)`: whether the study's pruner would end a trial that runs, whoever runs it.
fn judge(_: &Lua, values: MultiValue) -> mlua::Result<bool> {
    let mut call = Call::new("sweep_checks.judge", values);
    let study = call.userdata::<StudyHandle>("study")?.study.clone();
    let number = call.integer("number")? as u64;
    call.finish()?;
    call.run(|| study.judge(number).map(|verdict| verdict.prune))
}
