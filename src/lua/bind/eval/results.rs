//! `eval.results`, and what several models' results say: `eval.compare`, `eval.metrics`, `eval.window_2026`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mlua::{Lua, MultiValue, Table, Value};
use serde::Deserialize;
use serde_json::json;

use crate::engine::data::RecordFile;
use crate::engine::eval::compare::{CompareOptions, Judged, compare_all};
use crate::engine::eval::metrics::{EpisodeNumbers, MetricOptions, metrics};
use crate::engine::eval::overlap::Prompts;
use crate::engine::eval::profiles::window_2026::{self, EnvironmentRule, MIN_DOMINANT};
use crate::engine::eval::results::{Results, Row, protocol_differences};
use crate::lua::call::Call;
use crate::lua::convert;

/// `eval.results`.
pub fn module(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("read", lua.create_function(read)?)?;
    table.set("add", lua.create_function(add)?)?;
    Ok(table)
}

/// The rows of a file of results, of each task the last.
fn read(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("eval.results.read", values);
    let path = call.string("path")?;
    call.finish()?;
    let rows = call.run(|| Results::at(path).read())?;
    told(lua, json!(rows))
}

/// Adds rows to a file of results.
fn add(_: &Lua, values: MultiValue) -> mlua::Result<()> {
    let mut call = Call::new("eval.results.add", values);
    let path = call.string("path")?;
    let rows: Vec<Row> = call.list("rows")?;
    call.finish()?;
    call.run(|| Results::at(path).add(&rows))
}

/// Values for a script, in which what is absent is nil.
fn told(lua: &Lua, mut value: serde_json::Value) -> mlua::Result<Value> {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.retain(|_, field| !field.is_null());
                fields.values_mut().for_each(strip);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    convert::to_lua(lua, &value)
}

/// What the rows of an environment are to a computation, failed episodes left out where `of` gives nothing.
fn by_environment<T>(rows: &[Row], of: impl Fn(&Row) -> Option<T>) -> BTreeMap<String, Vec<T>> {
    let mut environments: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for row in rows {
        environments.entry(row.env.clone()).or_default().extend(of(row));
    }
    environments
}

fn judged(row: &Row) -> Option<Judged> {
    let Row { task_id, score, success, .. } = *row;
    (!row.failed()).then_some(Judged { task_id, seed: row.protocol.seed(), score, success })
}

/// Two models on the same tasks.
pub fn compare(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("eval.compare", values);
    let candidate: Vec<Row> = call.list("candidate")?;
    let baseline: Vec<Row> = call.list("baseline")?;
    let options: CompareOptions = call.options()?;
    call.finish()?;
    let (a, b) = (by_environment(&candidate, judged), by_environment(&baseline, judged));
    let found = call.run(|| compare_all(&a, &b, &options))?;
    let differs = protocol_differences(&candidate, &baseline);
    for (env, names) in &differs {
        tracing::warn!("eval.compare: {env} was played under other protocols: {} differ", names.join(", "));
    }
    let holm = json!({ "wilcoxon": found.wilcoxon_holm, "mcnemar": found.mcnemar_holm });
    let found = json!({ "envs": found.environments, "unshared": found.unshared, "holm": holm, "differs": differs });
    told(lua, found)
}

/// One model's tasks in numbers.
pub fn metrics_of(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("eval.metrics", values);
    let rows: Vec<Row> = call.list("rows")?;
    let options: MetricOptions = call.options()?;
    call.finish()?;
    let numbers = |row: &Row| {
        Some(EpisodeNumbers {
            task_id: row.task_id,
            score: row.score,
            success: row.success,
            failed: row.failed(),
            turns: row.turns as u64,
            invalid_actions: Some(row.invalid_actions as u64),
            tokens: row.tokens.map(|tokens| tokens as u64),
            seconds: Some(row.seconds),
        })
    };
    let (environments, overall) = call.run(|| metrics(&by_environment(&rows, numbers), &options))?;
    told(lua, json!({ "envs": environments, "overall": overall }))
}

/// Which judged prompts stand, in parts, in files of records.
pub fn overlap(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("eval.overlap", values);
    let rows: Vec<Row> = call.list("rows")?;
    let files: Vec<PathBuf> = call.list("files")?;
    call.finish()?;
    let found = call.run(|| {
        let mut prompts = Prompts::new();
        for row in &rows {
            let asked = row.messages.iter().take_while(|message| message.role != "assistant");
            prompts.add(
                &row.env,
                row.task_id,
                &asked.map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n"),
            );
        }
        let mut index = prompts.index();
        for file in &files {
            for (number, record) in RecordFile::read(file)?.records.iter().enumerate() {
                let text: String = record.pieces().into_iter().map(|(text, _)| text + "\n").collect();
                index.record(&record.place(number), &text);
            }
        }
        Ok(index.finish())
    })?;
    told(lua, json!(found))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WindowOptions {
    min_dominant: u64,
    /// By environment, in place of upstream's own.
    rules: BTreeMap<String, EnvironmentRule>,
}

impl Default for WindowOptions {
    fn default() -> Self {
        WindowOptions { min_dominant: MIN_DOMINANT, rules: BTreeMap::new() }
    }
}

/// A challenger against a champion, on the tasks that both have scores for.
pub fn window(lua: &Lua, values: MultiValue) -> mlua::Result<Value> {
    let mut call = Call::new("eval.window_2026", values);
    let challenger: Vec<Row> = call.list("challenger")?;
    let champion: Vec<Row> = call.list("champion")?;
    let options: WindowOptions = call.options()?;
    call.finish()?;
    let score = |row: &Row| (!row.failed()).then_some((row.task_id, row.own_score));
    let (challenger, champion) = (by_environment(&challenger, score), by_environment(&champion, score));
    let environments: Vec<window_2026::Environment> = champion
        .iter()
        .map(|(name, scores)| {
            let theirs: BTreeMap<u64, f64> = challenger.get(name).into_iter().flatten().copied().collect();
            let shared = scores.iter().filter_map(|(task, score)| Some((*score, *theirs.get(task)?)));
            let (champion, challenger) = shared.unzip();
            let rule = options.rules.get(name).copied().unwrap_or_else(|| EnvironmentRule::of(name));
            window_2026::Environment { name: name.clone(), rule, champion, challenger }
        })
        .collect();
    let verdict = call.run(|| window_2026::compare(&environments, options.min_dominant))?;
    told(lua, json!(verdict))
}
