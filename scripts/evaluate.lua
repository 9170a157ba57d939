-- Stage 4: the base, the fine-tuned and the RL model on held-out tasks, beside players that learned nothing.
--
--   affine scripts/evaluate.lua [--preset NAME] [--set key=value] [--force] [--help]
--
-- Sampled at one temperature fixed beforehand, with greedy decoding shown beside it; random play, the best constant
-- answer (chosen on other tasks), a one-line rule where there is one, and the expert play the same tasks. With
-- evaluation.as_served the last model plays them as in training, too. Leaves summary.json in models/evaluation and in the
-- run folder, every task with its conversation in models/results.jsonl.zst, where what was played is found again, and
-- prints one table. A last model below evaluation.min_score_threshold ends it with an error.

local collect = require("affine.collect")
local eval = require("affine.eval")
local fs = require("affine.fs")
local json = require("affine.json")
local pipeline = require("affine.pipeline")
local report = require("affine.report")

local SAMPLING = "num_eval_samples first_task_id samples_per_task as_served top_p max_new_tokens confidence"
local BASELINE = "num_eval_samples first_task_id choose_first_task_id confidence"
local BASELINES = { "random", "constant", "rule", "expert" }

--- The folders to judge by name, and their order: the base, and what the stages have finished; and those that they have
--- not, or from inputs that have changed since.
local function judged(settings)
  local folders, order, stale = { base = pipeline.base_path(settings) }, { "base" }, {}
  for _, name in ipairs { "sft", "rl" } do
    local folder = pipeline.folder(settings, ("models/%s_final"):format(name))
    if pipeline.done(folder) then
      folders[name] = folder
      order[#order + 1] = name
    elseif fs.exists(folder) then
      stale[#stale + 1] = folder
    end
  end
  return folders, order, stale
end

--- The ids that are judged; of an environment with few tasks some spread evenly over them, which the second
--- result says.
local function tasks_of(e, evaluation)
  return collect.task_ids(e:describe(), evaluation.first_task_id, evaluation.num_eval_samples, 0)
end

local function play_baselines(environments, names, evaluation, seed, kept)
  local baselines = {}
  for _, kind in ipairs(BASELINES) do
    for index, e in ipairs(environments) do
      local options = pipeline.pick(evaluation, BASELINE)
      options.kind, options.seed = kind, seed
      options.results, options.again, options.also = kept.results, kept.again, kept.also
      local ids, is_spread = tasks_of(e, evaluation)
      if is_spread then
        local first, count = evaluation.choose_first_task_id, evaluation.num_eval_samples
        options.task_ids, options.choose_task_ids = ids, collect.task_ids(e:describe(), first, count, 1)
      end
      local row = eval.baseline(e, options)
      if row then
        baselines[kind] = baselines[kind] or {}
        baselines[kind][names[index]] = row
      end
    end
  end
  return baselines
end

--- Where every task's result is kept, whatever becomes of the stage's folder; and what of files decides a score.
local function keeping(settings, stage)
  local found = {}
  pipeline.read_environments(settings, found, {})
  return {
    results = pipeline.folder(settings, "models/results.jsonl.zst"),
    again = stage.flags.force == true,
    also = { files = pipeline.digest(found) },
  }
end

--- Rows by environment of one model, and who that is. `changed`: options other than the configured ones.
local function judge(m, environments, settings, changed, kept)
  local evaluation, options = settings.evaluation, pipeline.eval_options(settings)
  for name, value in pairs(changed) do
    options[name] = value
  end
  options.results, options.again, options.also = kept.results, kept.again, kept.also
  local together, rows, who = {}, {}, nil
  local function play(list, task_ids)
    options.envs, options.task_ids = list, task_ids
    local result = eval.run(m, options)
    who = result.model
    for name, row in pairs(result.envs) do
      rows[name] = row
    end
  end
  for _, e in ipairs(environments) do
    local ids, is_spread = tasks_of(e, evaluation)
    if is_spread then
      play({ e }, ids)
    else
      together[#together + 1] = e
    end
  end
  if #together > 0 then
    play(together)
  end
  return rows, who
end

--- Whether there is a row for every environment of the other rows.
local function covers(rows, others)
  for name in pairs(others) do
    if not rows[name] then
      return false
    end
  end
  return true
end

--- Every trained model against the one before it, random play and the best constant answer.
local function compare(models, baselines, order)
  local verdicts = json.array {}
  local function add(candidate, against, rows)
    if rows and covers(rows, models[candidate]) then
      local result = eval.verdict(models[candidate], rows)
      verdicts[#verdicts + 1] = { candidate = candidate, against = against, result = result }
    end
  end
  for index = 2, #order do
    add(order[index], order[index - 1], models[order[index - 1]])
    add(order[index], "random", baselines.random)
    add(order[index], "constant", baselines.constant)
  end
  return verdicts
end

-- A prompt of which a record holds so much is named.
local NEAR = 0.5

-- So many of them.
local NAMED = 10

--- The rows behind a model's scores: of its weights, under the protocols of these scores, of the tasks that are judged.
local function rows_behind(all, fingerprint, scores, tasks)
  local rows = {}
  for _, row in ipairs(all) do
    local score = row.model.fingerprint == fingerprint and scores[row.env]
    for _, protocol in ipairs(score and tasks[row.env][row.task_id] and score.protocols or {}) do
      if protocol == row.protocol_hash then
        rows[#rows + 1] = row
      end
    end
  end
  return rows
end

--- By environment which tasks are judged.
local function judged_tasks(environments, names, evaluation)
  local tasks = {}
  for index, e in ipairs(environments) do
    local ids = tasks_of(e, evaluation)
    local set = {}
    for _, id in ipairs(ids) do
      set[id] = true
    end
    tasks[names[index]] = set
  end
  return tasks
end

--- What the episodes come to beside their mean score, by model.
local function all_metrics(order, behind, evaluation)
  local metrics = {}
  local samples = evaluation.samples_per_task
  local options =
    { k = samples > 1 and { 1, samples } or { 1 }, bootstrap = { level = evaluation.confidence } }
  for _, name in ipairs(order) do
    metrics[name] = eval.metrics(behind[name], options)
  end
  return metrics
end

--- Judged prompts that stand in good part in a record that was trained on, although they are in none as they are.
local function near_duplicates(judged_rows, folder)
  local prompts = {}
  for _, row in ipairs(judged_rows) do
    prompts[row.env .. " " .. row.task_id] = row
  end
  local rows, files, near = {}, {}, json.array {}
  for _, row in pairs(prompts) do
    rows[#rows + 1] = row
  end
  for _, name in ipairs { "sft.jsonl", "base.jsonl" } do
    local path = folder .. "/" .. name
    files[#files + 1] = fs.exists(path) and path or nil
  end
  for _, found in ipairs(eval.overlap(rows, files)) do
    if found.record and found.record.seen >= NEAR then
      local seen, record = found.record.seen, found.record.name
      near[#near + 1] = { env = found.environment, task_id = found.task_id, seen = seen, record = record }
    end
  end
  table.sort(near, function(a, b)
    return a.seen ~= b.seen and a.seen > b.seen or a.seen == b.seen and a.task_id < b.task_id
  end)
  return { count = #near, tasks = #rows, found = json.array(table.move(near, 1, NAMED, 1, {})) }
end

local function evaluate(settings, stage)
  local evaluation = settings.evaluation
  local environments, names = pipeline.environments(settings)
  local folders, order, stale = judged(settings)
  for _, folder in ipairs(stale) do
    stage:say(
      "warning: %s is unfinished or out of date and is not judged: run full.lua, or its stage",
      folder
    )
  end
  local tasks = pipeline.held_out(settings, environments, names)
  local apart = pipeline.kept_apart(tasks, names, pipeline.folder(settings, "data_cache"))

  local models, greedy, kept = {}, {}, keeping(settings, stage)
  local sources, as_trained = {}, nil
  for index, name in ipairs(order) do
    local m <close> = pipeline.load_model(settings, assert(folders[name]))
    stage:say("judging %s (%s)", name, folders[name])
    models[name], sources[name] = judge(m, environments, settings, {}, kept)
    greedy[name] = judge(m, environments, settings, { temperature = 0, samples_per_task = 1 }, kept)
    if evaluation.as_served and index == #order then
      as_trained = judge(m, environments, settings, { as_served = false }, kept)
    end
  end

  local baselines = play_baselines(environments, names, evaluation, settings.seed, kept)
  local all, tasks_judged, behind =
    eval.results.read(kept.results), judged_tasks(environments, names, evaluation), {}
  for _, name in ipairs(order) do
    behind[name] = rows_behind(all, sources[name].fingerprint, models[name], tasks_judged)
  end
  local sampling = pipeline.pick(evaluation, SAMPLING)
  sampling.temperature, sampling.seed = evaluation.temperature, settings.seed
  local summary = {
    order = order,
    environments = names,
    models = models,
    as_trained = as_trained,
    sources = sources,
    results = kept.results,
    baselines = baselines,
    greedy = { models = greedy },
    verdicts = compare(models, baselines, order),
    sampling = sampling,
    not_held_out = apart.not_held_out,
    held_out = apart,
    metrics = all_metrics(order, behind, evaluation),
    near = near_duplicates(behind[order[#order]], pipeline.folder(settings, "data_cache")),
  }
  if apart.not_held_out > 0 then
    stage:say("%s", report.held_out(summary))
  end
  for _, found in ipairs(apart.found) do
    local text = "%s: line %d is task %d of %s (by its %s)"
    stage:say(text, found.file, found.line, found.task_id, found.env, found.by)
  end
  fs.write(stage.output .. "/summary.json", json.encode(summary, { indent = 2 }))
end

--- Shows the table and keeps the summary with the run, also when the numbers were there already.
local function present(settings, stage)
  local summary = json.decode(fs.read(stage.output .. "/summary.json"))
  stage.run:summary(summary)
  print("\n" .. report.table(summary))
  local last, threshold = summary.order[#summary.order], settings.evaluation.min_score_threshold
  local below = report.below(summary, last, threshold)
  if #below > 0 then
    local text = "the score of %s in %s is below evaluation.min_score_threshold = %g"
    pipeline.fail(text, last, table.concat(below, ", "), threshold)
  end
end

local stage = pipeline.stage {
  name = "evaluate",
  ignores = "data training rl huggingface model.create evaluation.min_score_threshold",
  except = "data.environments",
  plays = true,
  reads = function(settings, found, known)
    pipeline.read_environments(settings, found, known)
    pipeline.read_base(settings, found, known)
  end,
  needs = function(settings)
    local folders, order = judged(settings)
    local data = pipeline.folder(settings, "data_cache")
    local needed = { { data, "held_out.json", "held_out_tasks.json", "base.jsonl", "sft.jsonl" } }
    for _, name in ipairs(order) do
      if name ~= "base" or settings.model.base_model_path == "" then
        needed[#needed + 1] = folders[name]
      end
    end
    return needed
  end,
  output = function(settings)
    return pipeline.folder(settings, "models/evaluation")
  end,
  run = evaluate,
  present = present,
}

pipeline.main(stage, ...)
return stage
