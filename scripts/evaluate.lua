-- Stage 4: the base, the fine-tuned and the RL model on held-out tasks, beside players that learned nothing.
--
--   affine scripts/evaluate.lua [--preset NAME] [--set key=value] [--force] [--help]
--
-- Sampled at one temperature fixed beforehand, with greedy decoding shown beside it; random play, the best constant
-- answer (chosen on other tasks), a one-line rule where there is one, and the expert play the same tasks. Leaves
-- summary.json in models/evaluation and in the run folder, and prints one table.

local eval = require "affine.eval"
local fs = require "affine.fs"
local json = require "affine.json"
local model = require "affine.model"
local pipeline = require "affine.pipeline"
local report = require "affine.report"

local OUTPUT = "models/evaluation"
local BASELINES = { "random", "constant", "rule", "expert" }

--- The folders to judge by name, and their order: the base, and what the stages have finished.
local function judged(settings)
  local folders, order = { base = pipeline.base_path(settings) }, { "base" }
  for _, name in ipairs { "sft", "rl" } do
    if pipeline.done("models/" .. name .. "_final") then
      folders[name] = "models/" .. name .. "_final"
      order[#order + 1] = name
    end
  end
  return folders, order
end

local function play_baselines(environments, names, evaluation, seed)
  local baselines = {}
  for _, kind in ipairs(BASELINES) do
    for index, e in ipairs(environments) do
      local row = eval.baseline(e, {
        kind = kind,
        num_eval_samples = evaluation.num_eval_samples,
        first_task_id = evaluation.first_task_id,
        choose_first_task_id = evaluation.choose_first_task_id,
        confidence_level = evaluation.confidence_level,
        seed = seed,
      })
      if row then
        baselines[kind] = baselines[kind] or {}
        baselines[kind][names[index]] = row
      end
    end
  end
  return baselines
end

--- Rows by environment of one model at one temperature.
local function judge(m, environments, evaluation, temperature, seed)
  local options = pipeline.pick(evaluation, {
    "num_eval_samples",
    "first_task_id",
    "top_p",
    "max_new_tokens",
    "batch_size",
    "confidence_level",
  })
  options.envs, options.temperature, options.seed = environments, temperature, seed
  return eval.run(m, options).envs
end

local function evaluate(settings, stage)
  local evaluation = settings.evaluation
  local environments, names = pipeline.environments(settings)
  local folders, order = judged(settings)

  local models, greedy, verdicts = {}, {}, {}
  for index, name in ipairs(order) do
    local m <close> = model.load(folders[name], pipeline.pick(settings.model, { "torch_dtype", "device" }))
    stage:say("judging %s (%s)", name, folders[name])
    models[name] = judge(m, environments, evaluation, evaluation.temperature, settings.seed)
    greedy[name] = judge(m, environments, evaluation, 0, settings.seed)
    local before = order[index - 1]
    if before then
      verdicts[#verdicts + 1] = { candidate = name, baseline = before, result = eval.verdict(models[name], models[before]) }
    end
  end

  local sampling = pipeline.pick(evaluation, {
    "temperature",
    "top_p",
    "max_new_tokens",
    "num_eval_samples",
    "first_task_id",
    "confidence_level",
  })
  sampling.seed = settings.seed
  local summary = {
    order = order,
    environments = names,
    models = models,
    baselines = play_baselines(environments, names, evaluation, settings.seed),
    greedy = { models = greedy },
    verdicts = json.array(verdicts),
    sampling = sampling,
  }
  fs.write(OUTPUT .. "/summary.json", json.encode(summary, { indent = 2 }))
end

--- Shows the table and keeps the summary with the run, also when the numbers were there already.
local function present(settings, stage)
  local summary = json.decode(fs.read(OUTPUT .. "/summary.json"))
  stage.run:summary(summary)
  print("\n" .. report.table(summary))
  local threshold = settings.evaluation.min_score_threshold
  for _, name in ipairs(report.below(summary, threshold)) do
    print(("the score in %s is below evaluation.min_score_threshold = %g"):format(name, threshold))
  end
end

local stage = pipeline.stage {
  name = "evaluate",
  settings = { "evaluation", "data.environments", "model" },
  needs = function(settings)
    local folders, order = judged(settings)
    local needed = { "data_cache" }
    for _, name in ipairs(order) do
      if name ~= "base" or settings.model.base_model_path == "" then
        needed[#needed + 1] = folders[name]
      end
    end
    return needed
  end,
  output = function()
    return OUTPUT
  end,
  run = evaluate,
  present = present,
}

pipeline.main(stage, ...)
return stage
