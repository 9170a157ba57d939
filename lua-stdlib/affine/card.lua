-- The model card: YAML front matter for the Hub, then what was measured and how the model was made.

local fs = require("affine.fs")
local report = require("affine.report")
local stages = require("affine.internal.stages")

local card = {}

--- The stages that a model went through, by the name of the last; of another model it is the first that is told.
local function stages_of(name)
  local passed = {}
  for i, stage in ipairs(stages) do
    passed[i] = stage
    if stage.name == name then
      return passed
    end
  end
  return { stages[1] }
end

local function quoted(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

--- The name of a model on the Hub, as opposed to a folder; a folder in the cache of the Hub has one, too.
local function hub_id(path)
  local owner, name = path:match("models%-%-([%w][%w._-]-)%-%-([^/]+)/snapshots/[^/]+/*$")
  if owner then
    return owner .. "/" .. name
  end
  return path:match("^[%w][%w._-]*/[%w._-]+$") and not fs.exists(path) and path or nil
end

local function metrics(lines, summary, name, repo_name)
  local s = summary.sampling
  lines[#lines + 1] = "model-index:"
  lines[#lines + 1] = "- name: " .. quoted(repo_name)
  lines[#lines + 1] = "  results:"
  for _, environment in ipairs(summary.environments) do
    local row = summary.models[name][environment]
    local label = "mean score, %g %% interval %.3f to %.3f, n = %d, temperature %g"
    local text = label:format(100 * s.confidence, row.lower, row.upper, row.n, s.temperature)
    lines[#lines + 1] = "  - task:"
    lines[#lines + 1] = "      type: text-generation"
    lines[#lines + 1] = "    dataset:"
    lines[#lines + 1] = "      name: " .. quoted(environment)
    lines[#lines + 1] = "      type: " .. quoted(environment)
    lines[#lines + 1] = "    metrics:"
    lines[#lines + 1] = "    - type: mean_score"
    lines[#lines + 1] = "      name: " .. quoted(text)
    lines[#lines + 1] = ("      value: %.4f"):format(row.mean)
  end
end

local function front_matter(settings, about)
  local base = hub_id(settings.model.base_model_path)
  local lines = { "---", "license: " .. settings.huggingface.license }
  if base then
    lines[#lines + 1] = "base_model: " .. base
  end
  lines[#lines + 1] = "library_name: " .. (about.adapter and "peft" or "transformers")
  lines[#lines + 1] = "pipeline_tag: text-generation"
  lines[#lines + 1] = "tags:"
  lines[#lines + 1] = "- affine"
  lines[#lines + 1] = "- qwen3"
  for _, stage in ipairs(stages_of(about.name)) do
    lines[#lines + 1] = "- " .. stage.tag
  end
  if about.summary then
    metrics(lines, about.summary, about.name, settings.huggingface.repo_name)
  end
  lines[#lines + 1] = "---"
  return table.concat(lines, "\n")
end

local function how_it_was_made(settings, about)
  local base = settings.model.base_model_path
  local lines = {
    base == "" and "- Base: a new small Qwen3, trained on random play in the environments below."
      or ("- Base: `%s`."):format(base),
  }
  for _, stage in ipairs(stages_of(about.name)) do
    lines[#lines + 1] = stage.made(settings)
  end
  lines[#lines + 1] = ("- Seed %d, preset `%s`, weights in %s."):format(
    settings.seed,
    settings.preset,
    settings.model.torch_dtype
  )
  if settings.model.quantize ~= "none" then
    local text = "- Trained and measured over the base's projections in %s; %s."
    local here = about.adapter and "the adapter belongs beside those"
      or "this folder holds those rounded weights with the adapter merged into them"
    lines[#lines + 1] = text:format(settings.model.quantize, here)
  end
  if about.adapter then
    lines[#lines + 1] = ("- This folder holds the adapter alone; it belongs on top of `%s`."):format(
      about.adapter.base
    )
  end
  return table.concat(lines, "\n")
end

local RESULTS = [[
%s.
%s Behind each score is its interval; `+` says
that it lies above that of the row before, `-` below, `=` that they overlap.

%s]]

--- The card's text. `about` holds name (what the evaluation calls the model: base, sft, rl; nil for another one),
--- adapter ({ folder, base }, or nil for a merged model) and summary (of the evaluation, or nil without one).
function card.text(settings, about)
  local results = "Not evaluated."
  local summary = about.summary
  if summary then
    results = RESULTS:format(report.conditions(summary), report.held_out(summary), report.markdown(summary))
    local rates = report.false_alarms(summary)
    if rates then
      local verdicts = report.verdicts(summary):gsub("[^\n]+", "- %0")
      results = ("%s\n\n%s\n\n%s."):format(results, verdicts, rates)
    end
  end
  return table.concat({
    front_matter(settings, about),
    "",
    "# " .. settings.huggingface.repo_name:match("[^/]+$"),
    "",
    "A Qwen3 model trained with affine.",
    "",
    "## Measured",
    "",
    results,
    "",
    "## How it was made",
    "",
    how_it_was_made(settings, about),
    "",
  }, "\n")
end

return card
