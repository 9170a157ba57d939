//! `affine.eval`: models and baselines on the same numbered tasks, intervals, dominance.

mod endpoint;
mod results;

use std::collections::BTreeMap;

use mlua::{Lua, MultiValue, Table, Value};
use serde::Deserialize;
use serde_json::{Map, json};

use crate::engine::eval::candidate::Candidate;
use crate::engine::eval::profiles::epsilon_pareto::{self, EpsilonParetoOptions};
use crate::engine::eval::run::{EvalOptions, Evaluation, Keeping, baseline, best_constant, run};
use crate::engine::eval::served::ServedSummary;
use crate::engine::eval::{
    Contender, DEFAULT_LEVEL, EnvironmentScore, RankOptions, false_alarms, interval, rank, verdict,
};
use crate::engine::rollout::players::Player;
use crate::engine::{Error, Result};
use crate::lua::bind::env::{EnvironmentHandle, environments};
use crate::lua::bind::eval::endpoint::EndpointHandle;
use crate::lua::bind::model::ModelHandle;
use crate::lua::call::Call;
use crate::lua::{convert, report};

/// The options that are [`Keeping`]'s.
const KEEPING: [&str; 3] = ["results", "again", "also"];

pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("run", lua.create_function(eval_run)?)?;
    table.set("endpoint", lua.create_function(endpoint::endpoint)?)?;
    table.set("baseline", lua.create_function(eval_baseline)?)?;
    table.set("interval", lua.create_function(eval_interval)?)?;
    table.set("rank", lua.create_function(eval_rank)?)?;
    table.set("verdict", lua.create_function(eval_verdict)?)?;
    table.set("results", results::module(lua)?)?;
    table.set("compare", lua.create_function(results::compare)?)?;
    table.set("metrics", lua.create_function(results::metrics_of)?)?;
    table.set("overlap", lua.create_function(results::overlap)?)?;
    table.set("window_2026", lua.create_function(results::window)?)?;
    Ok(table)
}

fn eval_run(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("eval.run", values);
    let who = call.any_userdata("model")?;
    if !who.is::<ModelHandle>() && !who.is::<EndpointHandle>() {
        return Err(call.reject(Error::option("model", "a model or an endpoint", "another handle")));
    }
    let mut table = call.required_options(lua)?;
    call.finish()?;
    let envs = table.take("envs")?;
    let keeping: Keeping = table.take_struct(&KEEPING)?;
    let mut options: EvalOptions = table.read()?;
    options.validate().map_err(|error| call.reject(error))?;
    let environments = environments(&call.function_name(), envs)?;
    let names: Vec<String> = environments.iter().map(|environment| environment.label()).collect();
    options.cut_in_plan("eval", &names);
    let judge = |candidate: Candidate| report::guard(|| run(candidate, &environments, &options, &keeping));
    let (judged, evaluations, usages) = if who.is::<EndpointHandle>() {
        let endpoint = who.borrow::<EndpointHandle>()?;
        let (judged, evaluations) = judge(Candidate::Endpoint(&endpoint.0))?;
        let usages = evaluations.iter().map(|evaluation| endpoint::usage(&endpoint.0, &evaluation.rows)).collect();
        (judged, evaluations, usages)
    } else {
        let model = who.borrow::<ModelHandle>()?.clone();
        let (judged, evaluations) = judge(Candidate::Model(&*model.borrow()?))?;
        (judged, evaluations, Vec::new())
    };
    let mut rows: Map<String, serde_json::Value> = evaluations.iter().map(row).collect();
    for (evaluation, usage) in evaluations.iter().zip(usages) {
        if let (Some(row), Some(usage)) = (rows.get_mut(&evaluation.environment), usage) {
            row["usage"] = usage;
        }
    }
    convert::to_lua(lua, &json!({ "envs": rows, "sampling": options, "model": judged }))
}

/// The score by its environment's label, and which instructions led to it.
fn row(evaluation: &Evaluation) -> (String, serde_json::Value) {
    let mut row = json!(evaluation.score);
    if let Some(instructions) = &evaluation.instructions {
        row["instructions"] = json!(instructions);
    }
    if let Some(served) = ServedSummary::of(&evaluation.rows) {
        row["served"] = json!(served);
    }
    row["protocol"] = json!(evaluation.protocols.first());
    row["protocols"] = json!(evaluation.protocols);
    (evaluation.environment.clone(), row)
}

/// What `eval.baseline` takes beside [`EvalOptions`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineOptions {
    kind: Kind,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    choose_task_ids: Option<Vec<u64>>,
    #[serde(default)]
    choose_first_task_id: Option<u64>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Random,
    Constant,
    Rule,
    Expert,
}

fn eval_baseline(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("eval.baseline", values);
    let environment = call.userdata::<EnvironmentHandle>("environment")?.fresh()?;
    let mut table = call.required_options(lua)?;
    call.finish()?;
    let what: BaselineOptions = table.take_struct(&["kind", "action", "choose_task_ids", "choose_first_task_id"])?;
    let keeping: Keeping = table.take_struct(&KEEPING)?;
    let mut options: EvalOptions = table.read()?;
    options.validate().map_err(|error| call.reject(error))?;
    options.cut_in_plan("baseline", &[environment.label()]);
    let played = report::guard(|| {
        let player = match what.kind {
            Kind::Random => Some(Player::Random),
            Kind::Rule => Some(Player::Rule),
            Kind::Expert => Some(Player::Expert),
            Kind::Constant => constant(environment.as_ref(), &what, &options)?.map(Player::Constant),
        };
        match player {
            Some(player) => baseline(environment.as_ref(), &player, &options, &keeping),
            None => Ok(None),
        }
    })?;
    match played {
        Some(played) => convert::to_lua(lua, &row(&played).1),
        None => Ok(Value::Nil),
    }
}

/// The constant answer to judge: the one given, or the best on other tasks.
fn constant(
    environment: &dyn crate::engine::env::Environment,
    what: &BaselineOptions,
    options: &EvalOptions,
) -> Result<Option<String>> {
    if what.action.is_some() {
        return Ok(what.action.clone());
    }
    if what.choose_task_ids.is_some() {
        let task_ids = what.choose_task_ids.clone();
        return best_constant(environment, &EvalOptions { task_ids, ..options.clone() });
    }
    let first_task_id = what.choose_first_task_id.ok_or_else(|| {
        Error::option("choose_first_task_id", "the first of the tasks to choose the constant answer on", "nothing")
    })?;
    best_constant(environment, &EvalOptions { first_task_id, task_ids: None, ..options.clone() })
}

fn eval_interval(_: &Lua, values: MultiValue) -> mlua::Result<(f64, f64)> {
    let mut call = Call::new("eval.interval", values);
    let sum = call.number("sum")?;
    let n = call.integer("n")?;
    let level = call.optional_number("level")?.unwrap_or(DEFAULT_LEVEL);
    call.finish()?;
    let n = u64::try_from(n).map_err(|_| call.reject(Error::option("n", "an integer of at least 0", n)))?;
    if !(level > 0.0 && level < 1.0) {
        return Err(call.reject(Error::option("level", "a number between 0 and 1", level)));
    }
    Ok(interval(sum, n, level))
}

fn eval_rank(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("eval.rank", values);
    let contenders: Vec<Contender> = call.list("results")?;
    let mut table = call.optional_options(lua)?;
    call.finish()?;
    let profile = table.take("profile")?;
    // Its cells have no interval, so it has options and a result of its own.
    if profile == Value::String(lua.create_string("epsilon_pareto")?) {
        let options: EpsilonParetoOptions = table.read()?;
        let ranking = epsilon_pareto::rank(&contenders, &options).map_err(|error| call.reject(error))?;
        return convert::to_lua(lua, &json!(ranking));
    }
    let given = lua.create_table()?;
    given.set("profile", profile)?;
    table.with_defaults(given)?;
    let options: RankOptions = table.read()?;
    let ranking = rank(&contenders, &options).map_err(|error| call.reject(error))?;
    convert::to_lua(lua, &json!(ranking))
}

fn eval_verdict(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("eval.verdict", values);
    let candidate: BTreeMap<String, EnvironmentScore> = call.list("candidate")?;
    let baseline: BTreeMap<String, EnvironmentScore> = call.list("baseline")?;
    call.finish()?;
    let verdict = verdict(&candidate, &baseline).map_err(|error| call.reject(error))?;
    let false_alarms = false_alarms(&candidate, &baseline);
    convert::to_lua(
        lua,
        &json!({
            "verdict": verdict.symmetric,
            "envs": verdict.environments,
            "strict": verdict.strict,
            "false_alarms": false_alarms,
        }),
    )
}
