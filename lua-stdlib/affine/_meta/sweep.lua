---@meta affine.sweep

--- Sweeps: a study tries parameters, trial by trial, in a file that other processes, Optuna and optuna-dashboard can work on at the
--- same time.
---@class affine.sweep
local sweep = {}

--- Opens a study, or makes it.
---
--- Its file is a journal of Optuna 5 (`JournalFileBackend`). Several processes and machines may run trials of one study; each trial
--- is run by one.
---@param options affine.sweep.Options
---@return affine.sweep.Study
function sweep.open(options) end

---@class affine.sweep.Options
---@field name string
---@field storage string The file, no link to it; several studies may be in one.
---@field direction? affine.sweep.Direction Whether less or more is better. Required, or `directions`.
---@field directions? affine.sweep.Direction[] Of several objectives.
---@field sampler? affine.sweep.Sampler What chooses parameters ("tpe").
---@field pruner? affine.sweep.Pruner What ends trials that are not worth going on with ("none").
---@field seed? integer Decides what is tried (the study's own, or 0).
---@field load_if_exists? boolean Go on with a study of that name; otherwise it is an error that there is one (true).
---@field on_error? "continue"|"stop" What an error in a trial's function does besides failing the trial, which an error behind the trial's end does not ("continue").
---@field timeout_seconds? number `run` begins no trial after so long.
---@field max_trials? integer The study has so many trials at most, whoever runs them.
---@field max_tokens? integer `run` begins no trial once the study's trials have counted so many.
---@field max_bytes? integer What the trials' folders may hold: those of the worst are removed, and no trial is begun where that is not enough. By itself it ends no run.
---@field keep? "all"|"best" Whose folders stay when a trial is over; those of failed ones always do ("all").

---@alias affine.sweep.Direction "minimize"|"maximize"

--- A name, a name with options, or a function.
---
--- What is tried depends on the seed, the trial's place and, with "tpe", on the trials before it; not on a crash, as what left no
--- checkpoint is begun anew in its place, once. Of trials that run side by side each sees what is there when it begins: with "tpe" what
--- they try then depends on who is faster.
---
--- - "tpe": Optuna's multivariate TPE. `n_startup_trials` random ones first (10), `n_ei_candidates` (24), `multivariate` (of one
---   objective), `group`: parameters of one branch of the script are chosen together, too (true).
--- - "random": evenly at random.
--- - "quasi": Sobol's sequence, which fills the space more evenly. `scramble` (true).
--- - "grid": every combination of `space` once, a table of lists (or of spaces that have few values) by name.
--- - a function that is given the parameter's name, its space, the trials so far and a random stream of its own, and returns a value, or
---   nil for a random one.
---@alias affine.sweep.Sampler "tpe"|"random"|"quasi"|"grid"|table|fun(name: string, space: affine.sweep.Space, trials: affine.sweep.TrialInfo[], random: affine.random.Random): any

--- A name, a name with options, or a function. Each but "pbt" decides as Optuna's does.
---
--- - "none".
--- - "median": ends what is worse than half of the complete trials at the same step. `n_startup_trials` (5), `n_warmup_steps` (0),
---   `interval_steps` (1), `n_min_trials` (1).
--- - "percentile": the same; the best `percentile` of a hundred go on.
--- - "asha": successive halving: at steps ever farther apart one of `reduction_factor` goes on (4). `min_resource`: the first of these
---   steps (a hundredth of a whole trial), `min_early_stopping_rate` (0), `bootstrap_count` (0).
--- - "hyperband": several of these side by side. `min_resource` (1), `max_resource` (the last step of the first complete trials),
---   `reduction_factor` (3), `bootstrap_count` (0).
--- - "wilcoxon": ends what is worse than the best trial on the same tasks by Wilcoxon's signed-rank test (see `trial:report_tasks`).
---   `p_threshold` (0.1), `n_startup_steps` (2).
--- - "pbt": population-based training, for `study:population`: every `interval` steps (required) the worst `share` of the trials (0.25) ends,
---   and clones of the best ones take their place, from their checkpoints, with rates times or divided by `factor` (1.2). Only what
---   `trial:uniform` gives is changed. Such a pair counts as one trial.
--- - a function that is given the trial and all trials and returns whether it ends.
---@alias affine.sweep.Pruner "none"|"median"|"percentile"|"asha"|"hyperband"|"wilcoxon"|"pbt"|table|fun(trial: affine.sweep.TrialInfo, trials: affine.sweep.TrialInfo[]): boolean?

--- What a parameter can be.
---@class affine.sweep.Space

--- A number from `low` to `high`, both included.
---@param low number
---@param high number
---@param options? { log?: boolean, step?: number }
---@return affine.sweep.Space
function sweep.uniform(low, high, options) end

--- A number on a logarithmic scale.
---@param low number
---@param high number
---@return affine.sweep.Space
function sweep.log(low, high) end

--- An integer from `low` to `high`, both included.
---@param low integer
---@param high integer
---@param options? { log?: boolean, step?: integer }
---@return affine.sweep.Space
function sweep.int(low, high, options) end

--- One of a list of numbers, strings and booleans.
---@param choices any[]
---@return affine.sweep.Space
function sweep.choice(choices) end

--- A trial as a table.
---@class affine.sweep.TrialInfo
---@field number integer From 0.
---@field state "running"|"complete"|"pruned"|"failed"|"waiting"
---@field params table<string, any>
---@field value? number Of the first objective; of a pruned trial its last report.
---@field values number[]
---@field reports table<integer, number> By step.
---@field attrs table<string, any> What `set_attr` set; `reason` of a failed trial, `tokens`.
---@field started? string
---@field finished? string
---@field retry_of? integer The number of the trial that it does again.
---@field cloned_from? integer The number of the trial that it began from.

---@class affine.sweep.Study
local Study = {}

--- Runs trials one after the other until the study has `n` of them, or its budget is used up; gives the reason. `n` may be left out
--- where there is a budget or a grid.
---
--- `f` is given each trial and returns its value, or one for each objective. An error, nothing and NaN fail the trial.
---
--- After Ctrl-C or a crash the same call goes on: a trial whose process ended is failed, and done again with the same parameters where
--- it left a checkpoint; otherwise the next trial begins anew in its place. What dies twice at one point is given up. A trial that
--- another process ended or took over (`stop`, or silence for five minutes) is left with a warning.
---@param n? integer
---@param f fun(trial: affine.sweep.Trial): number?, ...
---@return string reason
---@overload fun(self: affine.sweep.Study, f: fun(trial: affine.sweep.Trial): number?, ...): string
function Study:run(n, f) end

--- Trials until the study has `options.n`, on one loaded model, an adapter and an optimizer each, by turns: each trial's function
--- runs until it reports, then the next one's does. `trial:adapter()` names its adapter, which is on whenever its function runs:
--- `m:add_lora { adapter_name = trial:adapter(), … }`. Each trial comes to what it comes to by itself. Otherwise it is as `run`: Ctrl-C
--- saves the last step of every trainer whose loop runs, and the same call goes on.
---@param options { model: affine.model.Model, n?: integer, size?: integer } `size`: trials at a time (8).
---@param f fun(trial: affine.sweep.Trial): number?, ...
---@return string reason
function Study:population(options, f) end

--- A new trial, or one that waits, for a script that runs it by itself and ends it with `complete`, `prune` or `fail`.
---@return affine.sweep.Trial
function Study:ask() end

--- Makes a trial with these parameters, which is run next; the sampler chooses the others. What a complete trial never asked for is said.
---@param params table<string, any>
function Study:enqueue(params) end

--- Makes a trial that begins from the checkpoint of one that runs or is complete, with its parameters but for `params`; its number. A
--- checkpoint that is a folder is the clone's own from now on.
---@param number integer
---@param params? table<string, any>
---@return integer
function Study:clone(number, params) end

--- Ends a trial by hand: it is pruned, and hears of it at its next report.
---@param number integer
function Study:stop(number) end

--- The best complete trial of one objective.
---@return affine.sweep.TrialInfo
function Study:best() end

--- The complete trials that no other beats in every objective.
---@return affine.sweep.TrialInfo[]
function Study:best_trials() end

--- Every trial, by number.
---@return affine.sweep.TrialInfo[]
function Study:trials() end

--- Writes the best trial's parameters as a file that `--config` takes: `training.learning_rate` becomes a key of the table `training`.
---@param path string
function Study:write_config(path) end

--- How much each parameter decides whether a trial is among the best tenth, the most important first; together 1. And by which method.
---@return { name: string, share: number }[] shares
---@return string method
function Study:importance() end

--- The best trials as a table for a terminal.
---@param rows? integer (10)
---@return string
function Study:table(rows) end

--- Writes one SVG file that needs nothing beside it: history, importance, parallel coordinates, slices.
---@param path string
function Study:figure(path) end

---@return string
function Study:name() end

--- Nothing is lost without it: each change is on the disk as it is made.
function Study:close() end

--- A parameter is named and asked for; asked for again, it is the same. Parameters may depend on others by plain `if`.
---@class affine.sweep.Trial
local Trial = {}

--- A number from `low` to `high`, both included.
---@param name string
---@param low number
---@param high number
---@param options? { log?: boolean, step?: number }
---@return number
function Trial:uniform(name, low, high, options) end

--- An integer from `low` to `high`, both included.
---@param name string
---@param low integer
---@param high integer
---@param options? { log?: boolean, step?: integer }
---@return integer
function Trial:int(name, low, high, options) end

--- One of a list of numbers, strings and booleans.
---@generic T
---@param name string
---@param choices T[]
---@return T
function Trial:choice(name, choices) end

--- A value for each parameter of a space.
---@param space table<string, affine.sweep.Space>
---@return table<string, any>
function Trial:suggest(space) end

--- Tells what the trial has come to at a step. What is told of one step again takes the place of what was told before (Optuna keeps the
--- first). In `study:run` this ends a trial that the pruner gives up: nothing behind it runs, and
--- no `pcall` keeps it. With `prune = false`, and in a trial of `study:ask`, it is left to `should_prune`.
---@param step integer
---@param value number
---@param options? { prune?: boolean }
function Trial:report(step, value, options) end

--- Tells the scores of some tasks at a step, by the tasks' ids, and their mean as `report` does. The pruner "wilcoxon" pairs them with
--- those of the best trial at the same step.
---@param step integer
---@param scores table<integer, number>
---@param options? { prune?: boolean }
function Trial:report_tasks(step, scores, options) end

--- Whether the pruner gives the trial up.
---@return boolean
function Trial:should_prune() end

--- Keeps something with the trial that Optuna's dashboard shows, too.
---@param name string
---@param value any
function Trial:set_attr(name, value) end

--- Counts tokens that the trial used.
---@param count integer
function Trial:count_tokens(count) end

--- Tells from where the trial can go on, should this process end: any text, such as the folder of a checkpoint.
---@param place string
function Trial:set_checkpoint(place) end

--- What was told last, by this trial or by the one that it goes on from.
---@return string?
function Trial:checkpoint() end

--- A folder of the trial's own, beside the study's file: `output_dir` of its trainer. What goes on after a crash or Ctrl-C has the same,
--- so that `resume = true` is all it takes.
---@return string
function Trial:folder() end

--- The name of the adapter that is the trial's, in `study:population`.
---@return string
function Trial:adapter() end

--- From 0.
---@return integer
function Trial:number() end

--- What it has been given so far.
---@return table<string, any>
function Trial:params() end

--- Ends it, with a value for each objective.
---@param ... number
function Trial:complete(...) end

--- Ends it early.
function Trial:prune() end

---@param reason string
function Trial:fail(reason) end

return sweep
