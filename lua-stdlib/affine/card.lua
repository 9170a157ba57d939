-- The model card: front matter for the Hub, then what was measured, what that does not say, how to use the model and how it
-- was made. The facts are those that the stages recorded.
--
-- Boundary: writes the Markdown. Front matter, YAML and what is kept of a card that is there are the native module's.

local fs = require("affine.fs")
local history = require("affine.internal.history")
local json = require("affine.json")
---@diagnostic disable-next-line: unresolved-require
local native = require("affine.native.card")
local provenance = require("affine.internal.provenance")
local report = require("affine.report")
local secrets = require("affine.internal.secrets")

local card = {}

--- The name on the Hub of a model or a data set, as opposed to a path; a folder in the cache of the Hub has one, too.
local function hub_id(path)
  local owner, name = path:match("s%-%-([%w][%w._-]-)%-%-([^/]+)/snapshots/[^/]+")
  if owner then
    return owner .. "/" .. name
  end
  return path:match("^[%w][%w._-]*/[%w._-]+$") and not fs.exists(path) and path or nil
end

local function plural(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or "s")
end

-- What the card is about ----------------------------------------------------------------------------------------------

--- What every section asks for: the caller's facts and what the records add.
local function facts_of(settings, about)
  local name = about.name
  local summary = name and about.summary and about.summary.models[name] and about.summary or nil
  local steps = history.of(settings, name, summary ~= nil)
  local facts = {
    name = name,
    adapter = about.adapter,
    summary = summary,
    repo = about.repo or settings.huggingface.repo_name,
    huggingface = settings.huggingface,
    base = name and settings.model.base_model_path or nil,
    quantize = settings.model.quantize,
    steps = steps,
    by_name = {},
  }
  for _, step in ipairs(steps) do
    facts.by_name[step.name] = step.record
  end
  facts.base_id = facts.base and hub_id(facts.base)
  return facts
end

--- The numbers of this model in one environment; nil where it was not judged there.
local function row_of(facts, environment)
  local row = facts.summary and facts.summary.models[facts.name][environment]
  return row and type(row.mean) == "number" and row or nil
end

-- Front matter --------------------------------------------------------------------------------------------------------

local function rounded(number)
  return tonumber(("%.4f"):format(number))
end

local function results(facts)
  local list, s = {}, facts.summary.sampling
  for _, environment in ipairs(facts.summary.environments) do
    local row = row_of(facts, environment)
    if row then
      local label = "mean score, %g %% interval %.3f to %.3f, n = %d, temperature %g"
      list[#list + 1] = {
        task = { type = "text-generation" },
        dataset = { type = environment, name = environment },
        metrics = {
          {
            type = "mean_score",
            name = label:format(100 * s.confidence, row.lower, row.upper, row.n, s.temperature),
            value = rounded(row.mean),
            args = {
              n = row.n,
              temperature = s.temperature,
              seed = s.seed,
              confidence = s.confidence,
              lower = rounded(row.lower),
              upper = rounded(row.upper),
            },
          },
        },
      }
    end
  end
  return list
end

--- What an adapter belongs on, and whether that is on the Hub.
local function below_adapter(facts)
  local named = facts.huggingface.adapter_base
  if named ~= "" then
    return named, true
  end
  local is_base = facts.adapter.base == facts.base
  return is_base and facts.base_id or facts.adapter.base, is_base and facts.base_id ~= nil
end

--- What the model is to the base that the card names. An adapter on top of a model that is not on the Hub names none.
local function base_of(facts)
  if facts.adapter then
    local base, is_on_hub = below_adapter(facts)
    return is_on_hub and base or nil, is_on_hub and "adapter" or nil
  end
  return facts.base_id, facts.base_id and facts.name ~= "base" and "finetune" or nil
end

local function front_matter(facts)
  local base, relation = base_of(facts)
  local tags = { "affine", "qwen3" }
  for _, step in ipairs(facts.steps) do
    tags[#tags + 1] = step.stage and step.stage.tag or nil
  end
  local listed = facts.summary and results(facts) or {}
  return {
    license = facts.huggingface.license,
    language = facts.huggingface.language,
    base_model = base,
    base_model_relation = relation,
    library_name = facts.adapter and "peft" or "transformers",
    pipeline_tag = "text-generation",
    tags = tags,
    datasets = provenance.datasets(facts.by_name.collect, hub_id),
    model_index = #listed > 0 and { { name = facts.repo, results = listed } } or {},
  }
end

-- What was measured ---------------------------------------------------------------------------------------------------

local RESULTS = [[
%s.
%s Behind each score is its interval; `+` says
that it lies above that of the row before, `-` below, `=` that they overlap.

%s]]

local function measured(facts)
  local summary = facts.summary
  if not summary then
    return "Not evaluated."
  end
  local text = RESULTS:format(report.conditions(summary), report.held_out(summary), report.markdown(summary))
  local rates = report.false_alarms(summary)
  if rates then
    local verdicts = report.verdicts(summary):gsub("[^\n]+", "- %0")
    text = ("%s\n\n%s\n\n%s."):format(text, verdicts, rates)
  end
  return text
end

-- Below so many tasks luck alone moves a score by more than most training does.
local FEW_TASKS = 100

--- The widest interval of this model's scores, and its environment.
local function widest(facts)
  local width, where = 0, nil ---@type number, string?
  for _, environment in ipairs(facts.summary.environments) do
    local row = row_of(facts, environment)
    if row and row.upper - row.lower > width then
      width, where = row.upper - row.lower, environment
    end
  end
  return width, where
end

-- Environments that affine has rooms, shops or worlds of its own for, under the name of another's.
local STANDS_IN = { alfworld = "ALFWorld", webshop = "WebShop", ["sciworld-mini"] = "ScienceWorld" }

--- Environments that were played without the data of the one that they are named after.
local function stand_ins(facts)
  local names, collect = {}, facts.by_name.collect
  for _, source in ipairs(collect and collect.notes.sources or {}) do
    local original = STANDS_IN[source.env]
    if original and source.kind ~= "random" and not provenance.has_data(source) then
      names[#names + 1] = ("`%s` is a world of affine's own: its score is none on %s."):format(
        report.cell(source.label),
        original
      )
    end
  end
  return names
end

-- Whose words the instructions of an environment are, where there is more than one text.
local AUTHORS = {
  affine = "affine's own",
  agentgym = "AgentGym's",
  upstream = "the Affine subnet's",
  custom = "of who trained it",
}

--- Which instructions the models were shown, in one sentence; nil where no environment has more than one.
local function instructions(facts)
  local parts = {}
  for _, environment in ipairs(facts.summary.environments) do
    local row = row_of(facts, environment)
    local author = row and row.instructions and AUTHORS[row.instructions.source]
    parts[#parts + 1] = author and ("%s in `%s`"):format(author, report.cell(environment))
  end
  return #parts > 0 and ("The instructions in the prompt are %s."):format(table.concat(parts, ", ")) or nil
end

local function limits_of_scores(facts)
  local s = facts.summary.sampling
  local lines = {
    ("Every task was played once, at temperature %g with seed %d. Another temperature, longer replies or another sampler "):format(
      s.temperature,
      s.seed
    ) .. "may score otherwise; greedy scores stand beside the sampled ones.",
    "An interval says how far these tasks may mislead by luck. It says nothing of training again with another seed.",
    "Scores hold for these environments as this version of affine plays them, with its prompts and its limits on turns; "
      .. "they compare with those of other programs only where the tasks and the judging are the same.",
  }
  lines[#lines + 1] =
    "Nothing was measured outside these environments: other tasks, other languages, facts, safety."
  local width, where = widest(facts)
  if s.num_eval_samples < FEW_TASKS and where then
    local text = "With %s per environment the numbers are rough: the interval in `%s` is %.2f wide."
    lines[#lines + 1] = text:format(plural(s.num_eval_samples, "task"), report.cell(where), width)
  end
  lines[#lines + 1] = instructions(facts)
  for _, line in ipairs(stand_ins(facts)) do
    lines[#lines + 1] = line
  end
  return lines
end

local function limits(facts)
  local lines = facts.summary and limits_of_scores(facts)
    or { "Nothing was measured of this model: no score says what it can do." }
  if facts.quantize ~= "none" and facts.name ~= "base" then
    local here = facts.adapter and "the adapter belongs beside those"
      or "this folder holds those rounded weights with the adapter merged into them"
    local text = "Trained and measured over the base's projections in %s; %s."
    lines[#lines + 1] = text:format(facts.quantize, here)
  end
  return "- " .. table.concat(lines, "\n- ")
end

-- How to use it -------------------------------------------------------------------------------------------------------

local TRANSFORMERS = [[
With transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

name = "%s"
tokenizer = AutoTokenizer.from_pretrained(name)
model = AutoModelForCausalLM.from_pretrained(name, dtype="auto")
messages = [{"role": "user", "content": "Hello."}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
reply = model.generate(**inputs, max_new_tokens=64)
print(tokenizer.decode(reply[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
```]]

local PEFT = [[
With PEFT, on top of the model that it was trained over:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base, name = "%s", "%s"
tokenizer = AutoTokenizer.from_pretrained(name)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="auto"), name)
messages = [{"role": "user", "content": "Hello."}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
reply = model.generate(**inputs, max_new_tokens=64)
print(tokenizer.decode(reply[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
```]]

local AFFINE = [[
With affine:

```lua
local model = require "affine.model"

local m <close> = model.load("%s")
print(m:chat({ { role = "user", content = "Hello." } }, { max_new_tokens = 64 }))
```]]

local VLLM = [[
With vLLM, as its documentation has it; this was not tested:

```sh
%s
```]]

local function vllm_command(facts)
  if not facts.adapter then
    return "vllm serve " .. facts.repo
  end
  local about = json.decode(fs.read(facts.adapter.folder .. "/adapter_config.json"))
  local rank = native.vllm_rank(about.r) or about.r
  local text = "vllm serve %s --enable-lora --lora-modules %s=%s --max-lora-rank %d"
  local base = below_adapter(facts)
  return text:format(base, facts.repo:match("[^/]+$"), facts.repo, rank)
end

local function use(facts)
  local parts = {
    TRANSFORMERS:format(facts.repo),
    AFFINE:format(facts.repo),
    VLLM:format(vllm_command(facts)),
  }
  if facts.adapter then
    local base, is_on_hub = below_adapter(facts)
    local text = ("This folder holds the adapter alone; it belongs on top of `%s`."):format(base)
    if not is_on_hub then
      text = text
        .. " That is a folder of who trained it, and has to be published or copied beside the adapter."
    end
    parts[1] = text .. "\n\n" .. PEFT:format(base, facts.repo)
  end
  return table.concat(parts, "\n\n")
end

-- How it was made -----------------------------------------------------------------------------------------------------

local function base_line(facts)
  if facts.base == "" then
    return "- Base: a new small Qwen3, trained on random play in the environments below."
  elseif not facts.base_id then
    return ("- Base: `%s`."):format(facts.base)
  end
  local sft = facts.by_name.sft
  local digest = sft and sft.files[facts.base]
  local commit = digest and digest.sha256 ~= "" and (" at commit `%s`"):format(digest.sha256) or ""
  return ("- Base: `%s`%s."):format(facts.base_id, commit)
end

--- What a stage ran on and with, in words; nil where an older affine made it.
local function machine(record)
  local v = record.versions
  if not v then
    return nil
  end
  local device = record.notes.model and record.notes.model.device or nil
  local gpus = v.gpu_models or {}
  local parts = {
    ("affine %s (%s)"):format(v.affine, v.git_revision),
    "libtorch " .. tostring(v.libtorch),
    v.target,
    ("%s with %s"):format(v.cpu_model, plural(v.cpu_count, "core")),
    "kernels " .. v.kernels,
  }
  if device and device ~= "cpu" then
    parts[#parts + 1] = #gpus > 0 and ("%s (%s)"):format(device, table.concat(gpus, ", ")) or device
  end
  return table.concat(parts, ", ")
end

--- The machines, and which steps ran on each.
local function machine_lines(facts)
  local lines, places = {}, {}
  for _, step in ipairs(facts.steps) do
    local text = machine(step.record)
      or ("affine %s; the machine was not recorded"):format(step.record.affine)
    local place = places[text] or #lines + 1
    places[text] = place
    lines[place] = lines[place] and ("%s, %s"):format(lines[place], step.title)
      or ("- %s: %s"):format(text, step.title)
  end
  return table.concat(lines, "\n")
end

local function count(number)
  return number and ("%d"):format(number) or ""
end

--- A row of the table of work.
local function work_row(step)
  local work, model = step.record.notes.work or {}, step.record.notes.model or {}
  local seconds = work.seconds or step.record.seconds
  local cells = {
    step.title,
    count(work.steps),
    count(work.tokens),
    count(work.episodes),
    model.parameters and ("%d of %d"):format(model.trainable_parameters, model.parameters) or "",
    seconds and ("%.1f"):format(seconds) or "",
    model.device or "",
  }
  return "|" .. table.concat(cells, "|") .. "|"
end

local WORK = [[
|stage|steps|tokens trained on|episodes|parameters trained|seconds|device|
|---|---|---|---|---|---|---|
%s

Steps are the optimizer's, of RL its iterations; tokens are counted once per pass over them.]]

local function how_it_was_made(facts)
  local lines, rows = { base_line(facts) }, {}
  for _, step in ipairs(facts.steps) do
    if step.stage then
      local made = step.stage.made(function(path)
        return history.setting(step.record, path)
      end)
      lines[#lines + 1] = ("- %s: %s."):format(step.title, made)
    end
    rows[#rows + 1] = work_row(step)
  end
  local last = facts.steps[#facts.steps]
  if last then
    local dtype = history.setting(last.record, "model.torch_dtype")
    lines[#lines + 1] = ("- Seed %s, weights in %s."):format(history.setting(last.record, "seed"), dtype)
  end
  local text = table.concat(lines, "\n")
  if #rows > 0 then
    text = ("%s\n\n%s\n\n%s"):format(text, WORK:format(table.concat(rows, "\n")), machine_lines(facts))
  end
  return text
end

--- The commands that made the model, each once.
local function commands(facts)
  local lines, seen = {}, {}
  for _, step in ipairs(facts.steps) do
    local line = step.record.command
    if line and not seen[line] then
      seen[line] = true
      lines[#lines + 1] = line
    end
  end
  return #lines > 0 and ("```sh\n%s\n```"):format(table.concat(lines, "\n"))
    or "The command was not recorded."
end

--- Every setting that decided a stage's result; where two stages had another value, which had which.
local function resolved_settings(facts)
  local values, paths = {}, {}
  for _, step in ipairs(facts.steps) do
    for path, literal in pairs(step.record.settings) do
      if not values[path] then
        values[path] = {}
        paths[#paths + 1] = path
      end
      local names = values[path][literal]
      values[path][literal] = names and names .. ", " .. step.name or step.name
    end
  end
  table.sort(paths)
  local lines = {}
  for _, path in ipairs(paths) do
    local is_one = next(values[path], (next(values[path]))) == nil
    local own = {}
    for literal, names in pairs(values[path]) do
      local line = secrets.hidden(("%s = %s"):format(path, literal))
      own[#own + 1] = is_one and line or ("%s -- %s"):format(line, names)
    end
    table.sort(own)
    table.move(own, 1, #own, #lines + 1, lines)
  end
  return table.concat(lines, "\n")
end

local SETTINGS = [[
%s

<details>
<summary>Settings</summary>

```text
%s
```

</details>]]

-- The whole -----------------------------------------------------------------------------------------------------------

local OPENING = "# %s\n\nA Qwen3 model trained with affine."

local function body(facts)
  local parts = {
    "## Measured",
    measured(facts),
    "## Limits",
    limits(facts),
    "## How to use it",
    use(facts),
    "## How it was made",
  }
  local function add(...)
    table.move({ ... }, 1, select("#", ...), #parts + 1, parts)
  end
  if #facts.steps == 0 then
    add("No record of affine's stages tells how it was made.")
  else
    add(how_it_was_made(facts), "### Data", provenance.text(facts.by_name))
    add("### Command and settings", SETTINGS:format(commands(facts), resolved_settings(facts)))
  end
  return table.concat(parts, "\n\n")
end

function card.text(settings, about)
  local facts = facts_of(settings, about)
  return native.text({
    front_matter = front_matter(facts),
    opening = OPENING:format(facts.repo:match("[^/]+$")),
    measured = body(facts),
  }, about.existing)
end

return card
