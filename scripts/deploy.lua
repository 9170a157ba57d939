-- Stage 5: a folder that could be uploaded, checked by loading it again.
--
--   affine scripts/deploy.lua [--model models/rl_final] [--adapter] [--preset NAME] [--set key=value] [--force]
--
-- Writes the merged model (or with --adapter its last adapter alone), tokenizer, config and a model card with the
-- measured scores into huggingface.output_dir; of a card that is there already what was measured is replaced. Then loads
-- what it wrote and compares log-probabilities with the model in memory; a difference above 1e-4 is an error. What was
-- trained over a base in few bits (model.quantize) is merged into that base's rounded weights, and how far that is from
-- the adapter beside them is said.

local card = require("affine.card")
local fs = require("affine.fs")
local json = require("affine.json")
local path = require("affine.path")
local pipeline = require("affine.pipeline")
local report = require("affine.report")

local TOLERANCE = 1e-4

--- Where the stages of this experiment leave what deploy reads.
local function places(settings)
  return {
    sft = pipeline.folder(settings, "models/sft_final"),
    rl = pipeline.folder(settings, "models/rl_final"),
    evaluation = pipeline.folder(settings, "models/evaluation"),
  }
end

--- Where deployed models go, in the experiment unless the path says where.
local function output_of(settings)
  local folder = settings.huggingface.output_dir
  return folder:find("^/") and folder or pipeline.folder(settings, folder)
end

--- Where this one goes.
local function folder_of(settings)
  return path.join(output_of(settings), path.name(settings.huggingface.repo_name))
end

--- The model to deploy: the one asked for, in the experiment where it has one of that name, else the last that was
--- trained.
local function source_of(settings, flags)
  local place, asked = places(settings), flags.model
  if asked then
    local here = not asked:find("^/") and pipeline.folder(settings, asked)
    return here and fs.exists(here) and here or asked
  end
  return pipeline.done(place.rl) and place.rl or place.sft
end

--- Whether a folder holds an adapter alone, as the stages leave it over a quantised base.
local function is_adapter(folder)
  return fs.exists(folder .. "/adapter_config.json") and not fs.exists(folder .. "/config.json")
end

--- For a model that a stage made: the adapter that was trained last, and the model below that adapter.
local function adapter_of(source, settings)
  if is_adapter(source) then
    return { folder = source, base = pipeline.base_path(settings) }
  end
  local place, base = places(settings), pipeline.base_path(settings)
  local known = {
    [place.sft] = { folder = pipeline.folder(settings, "checkpoints/sft"), base = base },
    [place.rl] = { folder = pipeline.folder(settings, "checkpoints/rl"), base = place.sft },
  }
  return known[source]
    or pipeline.fail("--adapter: %s was not made by a stage, so its adapter is not known", source)
end

--- Token ids of a few validation conversations of all environments, as far as they fit, to compare models on.
local function probes(settings, m)
  local records = pipeline.read_records(pipeline.folder(settings, "data_cache/validation.jsonl"))
  local tokenizer, context = m:tokenizer(), m:info().config.max_position_embeddings
  local ids = {}
  for index = 1, #records, math.max(1, #records // 4) do
    local whole = tokenizer:encode(tokenizer:chat(records[index].messages))
    ids[#ids + 1] = table.move(whole, 1, math.min(#whole, context), 1, {})
  end
  return ids
end

local function logprobs(m, ids)
  local all = {}
  for _, sequence in ipairs(ids) do
    table.move(m:logprobs(sequence), 1, #sequence - 1, #all + 1, all)
  end
  return all
end

local function largest_difference(p, q)
  local largest = 0 ---@type number
  for t = 1, #p do
    local difference = math.abs(p[t] - q[t])
    if not (difference <= largest) then -- a comparison that is also true for NaN
      largest = difference
    end
  end
  return largest
end

--- Brings an adapter and the quantised base below it to one plain model.
local function make_plain(m, stage, ids)
  local before = logprobs(m, ids)
  local quantize = m:info().quantization.quantize
  m:dequantize()
  m:merge_lora()
  local difference = largest_difference(before, logprobs(m, ids))
  local text = "adapter merged into the weights as %s rounded them: log-probabilities move by %.1e at most"
  stage:say(text, quantize, difference)
end

--- What the evaluation calls a model folder.
local function measured_name(source, settings)
  local names = {
    [pipeline.base_path(settings)] = "base",
    [places(settings).sft] = "sft",
    [places(settings).rl] = "rl",
  }
  return names[source]
end

--- The evaluation's summary, when there is one and it judged this model; a model below the threshold is an error.
local function measured(settings, name)
  local evaluation = places(settings).evaluation
  if not name or not pipeline.done(evaluation) then
    return nil
  end
  local summary = json.decode(fs.read(evaluation .. "/summary.json"))
  local threshold = settings.evaluation.min_score_threshold
  local below = summary.models[name] and report.below(summary, name, threshold) or {}
  if #below > 0 then
    local text = "not deployed: the score in %s is below evaluation.min_score_threshold = %g"
    pipeline.fail(text, table.concat(below, ", "), threshold)
  end
  return summary.models[name] and summary
end

--- Writes the card of a model into its new folder: with what was measured, or as it is there where none is to be made.
local function write_card(settings, stage, about, folder)
  local file = folder .. "/README.md"
  if settings.huggingface.create_model_card then
    local text, warnings = card.text(settings, about)
    fs.write(file, text)
    for _, warning in ipairs(warnings) do
      stage:say("warning: %s", warning)
    end
  elseif fs.exists(about.existing) then
    fs.write(file, fs.read(about.existing))
  end
end

local function deploy(settings, stage)
  local source = source_of(settings, stage.flags)
  local name = measured_name(source, settings)
  local summary = measured(settings, name)
  local adapter = stage.flags.adapter and adapter_of(source, settings)
  local below = adapter and adapter.base or source
  local load = (adapter or is_adapter(source)) and pipeline.load_model or pipeline.load_plain
  local folder = folder_of(settings)
  local unfinished = folder .. ".unfinished"
  fs.remove(unfinished, { recursive = true })

  local live <close> = load(settings, below)
  local ids = probes(settings, live)
  if adapter then
    live:load_adapter(adapter.folder)
    live:save_adapter(unfinished)
    live:tokenizer():save(unfinished)
  else
    if is_adapter(source) then
      make_plain(live, stage, ids)
    end
    live:save(unfinished)
  end
  local about =
    { name = name, adapter = adapter or nil, summary = summary, existing = folder .. "/README.md" }
  write_card(settings, stage, about, unfinished)

  local again <close> = adapter and load(settings, below) or pipeline.load_plain(settings, unfinished)
  if adapter then
    again:load_adapter(unfinished)
  end
  local difference = largest_difference(logprobs(live, ids), logprobs(again, ids))
  if not (difference <= TOLERANCE) then
    local text = "%s computes other log-probabilities than %s: they differ by %g"
    pipeline.fail(text, unfinished, source, difference)
  end
  fs.remove(folder, { recursive = true })
  fs.rename(unfinished, folder)
  local kind = adapter and "adapter" or "model"
  stage:say("%s written to %s from %s", kind, folder, source)
  local text = "loaded again: log-probabilities on %d conversations differ by %.1e at most (allowed %.0e)"
  stage:say(text, #ids, difference, TOLERANCE)
end

local stage = pipeline.stage {
  name = "deploy",
  -- The model card tells how the stages before were set.
  ignores = "data evaluation model.create training.base",
  except = "evaluation.min_score_threshold",
  in_place = true,
  holds = folder_of,
  reads = function(settings, found, known, flags)
    pipeline.read_base(settings, found, known)
    if flags.model then
      pipeline.read_weights(found, source_of(settings, flags), known)
    end
  end,
  flags = {
    model = { value = "PATH", doc = "the model folder to deploy; without it the last one trained" },
    adapter = { doc = "deploy the adapter alone, without the model below it" },
  },
  needs = function(settings, flags)
    ---@type (string|string[])[]
    local needed = { { pipeline.folder(settings, "data_cache"), "validation.jsonl" } }
    local source = source_of(settings, flags)
    if not flags.model or pipeline.done(source) then
      needed[#needed + 1] = source
    end
    local evaluation = places(settings).evaluation
    if pipeline.done(evaluation) then
      needed[#needed + 1] = evaluation
    end
    return needed
  end,
  output = output_of,
  run = deploy,
}

pipeline.main(stage, ...)
return stage
