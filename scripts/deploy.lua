-- Stage 5: a folder that others can load, checked by loading it again; with --upload a repository of the Hub.
--
--   affine scripts/deploy.lua [--model models/rl_final] [--adapter | --both] [--upload] [--dry-run] [--verify]
--                             [--preset NAME] [--set key=value] [--force]
--
-- Writes the merged model (with --adapter its last adapter alone, with --both each into a folder of its own), tokenizer,
-- config and a model card with the measured scores into huggingface.output_dir; of a card that is there already what was
-- measured is replaced. Then loads what it wrote and compares log-probabilities with the model in memory; a difference
-- above 1e-4 is an error. What was trained over a base in few bits (model.quantize) is merged into that base's rounded
-- weights, and how far that is from the adapter beside them is said.
--
-- --upload (or huggingface.upload) sends that to huggingface.repo_name, an adapter to a repository of that name with
-- -adapter behind it; --dry-run tells what would be sent; --verify downloads what was sent into a new cache and compares
-- once more.

local card = require("affine.card")
local fs = require("affine.fs")
local json = require("affine.json")
local path = require("affine.path")
local pipeline = require("affine.pipeline")
local publish = require("affine.publish")
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

--- What is deployed: the merged model, the adapter, or both. Each has a repository, and a folder of its name.
local function parts_of(settings, flags)
  local source, parts = source_of(settings, flags), {}
  local function add(repo, adapter)
    local folder = path.join(output_of(settings), path.name(repo))
    parts[#parts + 1] = { source = source, repo = repo, folder = folder, adapter = adapter }
  end
  local repo = settings.huggingface.repo_name
  if flags.both or not flags.adapter then
    add(repo)
  end
  if flags.both or flags.adapter then
    add(repo .. "-adapter", adapter_of(source, settings))
  end
  return parts
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

--- Loads what a part is made of, as it was trained.
local function load_trained(settings, part)
  if part.adapter then
    local m = pipeline.load_model(settings, part.adapter.base)
    m:load_adapter(part.adapter.folder)
    return m
  end
  local load = is_adapter(part.source) and pipeline.load_model or pipeline.load_plain
  return load(settings, part.source)
end

--- Loads a part from a folder where others would find it.
local function load_written(settings, part, folder)
  if part.adapter then
    local m = pipeline.load_model(settings, part.adapter.base)
    m:load_adapter(folder)
    return m
  end
  return pipeline.load_plain(settings, folder)
end

--- Compares a part that was written with the model it was made of; a difference is an error.
local function check_written(settings, stage, part, folder, live, ids)
  local again <close> = load_written(settings, part, folder)
  local difference = largest_difference(logprobs(live, ids), logprobs(again, ids))
  if not (difference <= TOLERANCE) then
    local text = "%s computes other log-probabilities than %s: they differ by %g"
    pipeline.fail(text, folder, part.source, difference)
  end
  local text = "loaded again: log-probabilities on %d conversations differ by %.1e at most (allowed %.0e)"
  stage:say(text, #ids, difference, TOLERANCE)
end

--- What the card of a part is made of.
local function about_of(settings, part)
  local name = measured_name(part.source, settings)
  return { name = name, adapter = part.adapter, summary = measured(settings, name), repo = part.repo }
end

--- Writes a part into its folder, in place of what was there once it is whole.
local function deploy_part(settings, stage, part)
  local about = about_of(settings, part)
  local unfinished = part.folder .. ".unfinished"
  fs.remove(unfinished, { recursive = true })

  local live <close> = load_trained(settings, part)
  local ids = probes(settings, live)
  if part.adapter then
    live:save_adapter(unfinished)
    live:tokenizer():save(unfinished)
    publish.name_base(settings, unfinished)
  else
    if is_adapter(part.source) then
      make_plain(live, stage, ids)
    end
    live:save(unfinished)
  end
  about.existing = part.folder .. "/README.md"
  write_card(settings, stage, about, unfinished)
  check_written(settings, stage, part, unfinished, live, ids)
  fs.remove(part.folder, { recursive = true })
  fs.rename(unfinished, part.folder)
  stage:say("%s written to %s from %s", part.adapter and "adapter" or "model", part.folder, part.source)
end

local function deploy(settings, stage)
  for _, part in ipairs(parts_of(settings, stage.flags)) do
    deploy_part(settings, stage, part)
  end
  stage.has_deployed = true
end

--- Compares a part in a folder with what was trained, which is loaded for it.
local function check_again(settings, stage, part, folder)
  local live <close> = load_trained(settings, part)
  local ids = probes(settings, live)
  if not part.adapter and is_adapter(part.source) then
    make_plain(live, stage, ids)
  end
  check_written(settings, stage, part, folder, live, ids)
end

--- Sends the parts to the Hub where that is wanted.
local function upload(settings, stage)
  if not publish.is_wanted(settings, stage.flags) then
    return
  end
  for _, part in ipairs(parts_of(settings, stage.flags)) do
    if not stage.has_deployed then
      check_again(settings, stage, part, part.folder)
    end
    publish.upload(settings, stage, part, about_of(settings, part), function(folder)
      check_again(settings, stage, part, folder)
    end)
  end
end

local stage = pipeline.stage {
  name = "deploy",
  -- The model card tells how the stages before were set.
  ignores = "data evaluation model.create training.base huggingface.upload huggingface.private huggingface.create_pr "
    .. "huggingface.revision",
  except = "evaluation.min_score_threshold",
  in_place = true,
  holds = function(settings, flags)
    local parts = parts_of(settings, flags)
    return #parts == 1 and parts[1].folder or output_of(settings)
  end,
  reads = function(settings, found, known, flags)
    pipeline.read_base(settings, found, known)
    if flags.model then
      pipeline.read_weights(found, source_of(settings, flags), known)
    end
  end,
  flags = {
    model = { value = "PATH", doc = "the model folder to deploy; without it the last one trained" },
    adapter = { doc = "deploy the adapter alone, without the model below it" },
    both = { doc = "deploy the merged model, and the adapter beside it" },
    upload = { doc = "upload it to huggingface.repo_name", decides = false },
    ["dry-run"] = { doc = "tell what --upload would send, and send nothing", decides = false },
    verify = { doc = "download what was uploaded, and compare it once more", decides = false },
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
  present = upload,
}

pipeline.main(stage, ...)
return stage
