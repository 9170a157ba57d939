-- Whether settings are possible, asked before any work is done and before a plan makes them small.
--
-- What takes a setting judges it (see src/lua/bind/pipeline.rs). Here are only the ranges of what the stages themselves
-- take, and what settings and environments ask of each other.

local collect = require("affine.collect")
local config = require("affine.config")
local env = require("affine.env")
local fs = require("affine.fs")
---@diagnostic disable-next-line: unresolved-require
local native = require("affine.native.pipeline")
local options = require("affine.internal.options")
local suggest = require("affine.internal.suggest")

local check = {}

-- Numbers that the stages take themselves: from, to, and whether `from` itself is possible.
---@type table<string, { from: number, to: number?, above: boolean? }>
local RANGES = {
  ["data.num_samples"] = { from = 1 },
  ["data.base.num_samples"] = { from = 1 },
  ["data.expert_noise"] = { from = 0, to = 1 },
  ["data.min_score"] = { from = 0, to = 1 },
  ["data.train_split"] = { from = 0, to = 1, above = true },
  ["evaluation.min_score_threshold"] = { from = 0, to = 1 },
  ["rl.num_rollouts"] = { from = 1 },
}

local CHOICES = {
  ["data.split_by"] = { "task", "order" },
  ["model.quantize"] = { "none", "int8", "nf4" },
  ["tracking.wandb_mode"] = { "offline", "online" },
}

local function fail(text, ...)
  error(text:format(...), 0)
end

--- Asks what takes the options of a section; its answer names `section.key`.
local function judge(what, section, taken)
  local ok, problem = pcall(native.check, what, section, taken)
  if not ok then
    ---@cast problem affine.Error
    local here = problem.position and #problem.position + 2 or 0 -- ours, which is not where the setting is
    fail("%s%s", problem.message:sub(here + 1), problem.hint and "; " .. problem.hint or "")
  end
end

local function check_number(path, value, range, is_whole)
  local from, to = range.from, range.to
  if value > from and (not to or value <= to) or value == from and not range.above then
    return
  end
  local kind = is_whole and "an integer" or "a number"
  local expected = range.above and ("%s above %g, up to %g"):format(kind, from, to)
    or to and ("%s from %g to %g"):format(kind, from, to)
    or ("%s of at least %d"):format(kind, from)
  fail("%s: expected %s, got %s", path, expected, config.literal(value))
end

local function check_ranges(settings)
  for path, range in pairs(RANGES) do
    local value = config.get(settings, path)
    local is_whole = not range.to
    if type(value) ~= "table" then
      check_number(path, value, range, is_whole)
    end
    for name, number in pairs(type(value) == "table" and value or {}) do
      check_number(path .. "." .. name, number, range, is_whole)
    end
  end
end

local function check_choices(settings)
  for path, choices in pairs(CHOICES) do
    local value, known = config.get(settings, path), {}
    for _, choice in ipairs(choices) do
      known[choice] = true
    end
    if not known[value] then
      local words = {}
      for index, choice in ipairs(choices) do
        words[index] = ('"%s"'):format(choice)
      end
      local last = table.remove(words)
      fail("%s: expected %s or %s, got %s", path, table.concat(words, ", "), last, config.literal(value))
    end
  end
end

--- What a quantised base asks of the other settings.
local function check_quantized(settings)
  local quantize, double = settings.model.quantize, settings.model.double_quantize
  if double and quantize ~= "nf4" then
    fail('model.double_quantize: expected true only with model.quantize = "nf4", got "%s"', quantize)
  elseif quantize ~= "none" and not settings.training.use_lora then
    fail('model.quantize = "%s" freezes the weights: training.use_lora must be true', quantize)
  end
end

-- Folders of a user's own; no owner of models on the Hub is meant by these.
local OUR_FOLDERS = { data_cache = true, checkpoints = true, models = true, experiments = true, runs = true }

--- A model is a folder, or has the form of a Hub id.
local function check_model(path, value)
  if value == "" then
    return
  elseif fs.exists(value) then
    if not fs.exists(value .. "/config.json") and not fs.exists(value .. "/adapter_config.json") then
      fail("%s: expected a model's folder, got %s, which has no config.json", path, config.literal(value))
    end
    return
  end
  local owner = value:match("^([%w_-][%w._-]*)/[%w_-][%w._-]*$")
  if not owner or OUR_FOLDERS[owner] or fs.is_dir(owner) then
    fail("%s: expected a model's folder or a Hub id, got %s, which is not there", path, config.literal(value))
  end
end

local function check_files(settings)
  for index, path in ipairs(settings.data.files) do
    if not fs.exists(path) then
      fail("data.files[%d]: expected a file, got %s, which is not there", index, config.literal(path))
    end
  end
end

local function check_texts(settings)
  local about = settings.huggingface
  if not about.repo_name:find("^%w[%w._-]*/%w[%w._-]*$") then
    local text = 'huggingface.repo_name: expected a name such as "owner/model", got %s'
    fail(text, config.literal(about.repo_name))
  end
  for _, name in ipairs { "license", "output_dir" } do
    if about[name] == "" or about[name]:find("\n") then
      fail("huggingface.%s: expected one line of text, got %s", name, config.literal(about[name]))
    end
  end
end

--- A key in the settings would stand in run folders, records and reports.
local function check_keys(settings)
  for _, entry in ipairs(settings.data.environments) do
    if type(entry) == "table" and entry.api_key ~= nil then
      fail(
        "data.environments: api_key would be written to every run's folder: set AFFINE_API_KEY in its place"
      )
    end
  end
end

--- Settings by themselves: an error names the first that is impossible.
function check.settings(settings)
  local training = settings.training
  check_keys(settings)
  check_choices(settings)
  check_quantized(settings)
  judge("load", "model", options.load(settings))
  if training.max_steps == 0 or training.max_steps < -1 then
    fail("training.max_steps: expected an integer of at least 1, or -1, got %d", training.max_steps)
  end
  judge("sft", "training", options.sft(settings))
  if training.use_lora then
    judge("lora", "training", options.adapter(settings))
  end
  if settings.model.base_model_path == "" then
    judge("create", "model.create", options.create(settings))
    judge("tokenizer", "model.create", options.pick(settings.model.create, "vocab_size"))
    judge("sft", "training.base", options.base(settings))
  end
  judge("ppo", "rl", options.ppo(settings))
  judge("eval", "evaluation", options.judging(settings))
  check_ranges(settings)
  check_model("model.base_model_path", settings.model.base_model_path)
  check_model("data.model", settings.data.model)
  check_files(settings)
  check_texts(settings)
  if settings.huggingface.upload then
    judge("upload", "huggingface", { repo_name = settings.huggingface.repo_name })
  end
end

-- Settings and environments -----------------------------------------------------------------------------------------

--- The names that a table by environment may hold: those in use, and others that can be.
local function check_names(settings, names)
  local known = {}
  for _, name in ipairs(names) do
    known[name] = true
  end
  local candidates = { table.unpack(names) }
  for _, row in ipairs(env.built_in()) do
    candidates[#candidates + 1] = row.name
    known[row.name] = true
  end
  for path in pairs(config.by_environment) do
    local value = config.get(settings, path)
    for name in pairs(type(value) == "table" and value or {}) do
      local nearest = suggest.nearest(name, names) or suggest.nearest(name, candidates)
      if not known[name] and not package.searchpath(name, package.path) then
        local ending = nearest and (", did you mean `%s`?"):format(nearest) or ""
        fail("%s: no environment `%s` in data.environments%s", path, name, ending)
      end
    end
  end
end

--- The number that a setting gives an environment, or nil where a table has none.
local function number_for(settings, path, name)
  local value = config.get(settings, path)
  if type(value) == "table" then
    return value[name]
  end
  return value
end

local MUST_HAVE = { "data.num_samples", "rl.num_rollouts" }

local function check_numbers(settings, name)
  for _, path in ipairs(MUST_HAVE) do
    if not number_for(settings, path, name) then
      fail("%s has no number for the environment `%s`", path, name)
    end
  end
  if settings.model.base_model_path == "" and not number_for(settings, "data.base.num_samples", name) then
    fail("data.base.num_samples has no number for the environment `%s`", name)
  end
end

--- No range of ids to learn from, or to choose on, reaches into the ids that are judged. An environment that lacks the
--- ids of a range is drawn from otherwise.
local function check_apart(settings, name, tasks)
  local evaluation = settings.evaluation
  local first, count = evaluation.first_task_id, evaluation.num_eval_samples
  local function check_range(path, from, to)
    local exists = to >= from and (not tasks or math.max(to, first + count - 1) < tasks)
    if exists and from < first + count and to >= first then
      local text = "%s: expected ids apart from those judged, %d to %d, got %d to %d for the environment `%s`"
      fail(text, path, first, first + count - 1, from, to, name)
    end
  end
  local function check_count(path, from, number)
    check_range(path, from, from + number - 1)
  end
  local samples = number_for(settings, "data.num_samples", name)
  check_count("data.first_task_id", settings.data.first_task_id, samples)
  if settings.model.base_model_path == "" then
    local number = number_for(settings, "data.base.num_samples", name)
    check_count("data.base.first_task_id", settings.data.base.first_task_id, number)
  end
  check_range("rl.first_task_id", settings.rl.first_task_id, settings.rl.last_task_id)
  check_count("evaluation.choose_first_task_id", evaluation.choose_first_task_id, count)
end

--- The rollouts of an iteration are distinct tasks that are not judged.
local function check_rollouts(settings, name, about)
  local rl, wanted = settings.rl, number_for(settings, "rl.num_rollouts", name)
  local last = math.min(about.num_tasks and about.num_tasks - 1 or math.maxinteger, rl.last_task_id)
  local first = last < rl.first_task_id and 0 or rl.first_task_id
  local judged, evaluation = 0, settings.evaluation
  for _, id in ipairs((collect.task_ids(about, evaluation.first_task_id, evaluation.num_eval_samples, 0))) do
    judged = judged + (id >= first and id <= last and 1 or 0)
  end
  local there = last - first + 1 - judged
  if there < wanted then
    local text = "rl.num_rollouts: expected at most %d for the environment `%s`, "
      .. "whose tasks %d to %d hold so many%s, got %d"
    local but = judged > 0 and (" beside the %d that are judged"):format(judged) or ""
    fail(text, there, name, first, last, but, wanted)
  end
end

--- Settings that say something of environments, given as handles with their names.
function check.environments(settings, environments, names)
  check_names(settings, names)
  for index, e in ipairs(environments) do
    check_numbers(settings, names[index])
    check_apart(settings, names[index], e:describe().num_tasks)
    check_rollouts(settings, names[index], e:describe())
  end
end

return check
