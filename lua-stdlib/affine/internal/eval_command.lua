-- `affine eval compare`: several models on the same tasks, each against the first.

local env = require("affine.env")
local eval = require("affine.eval")
local fs = require("affine.fs")
local json = require("affine.json")
local log = require("affine.log")
local model = require("affine.model")
local time = require("affine.time")

local command = {}

--- What an option of the command line is; one that was not given is nil.
local function given(value)
  return value ~= json.null and value or nil
end

--- Where every task is kept: the file that was named, or one of this comparison's own.
local function results_file(options)
  return given(options.results) or ("runs/comparison-%s.jsonl.zst"):format(time.stamp())
end

--- A loaded base and its name: adapters over one base share it.
---@class affine.internal.Loader
---@field options table
---@field base? string
---@field model? affine.model.Model
local Loader = {}
Loader.__index = Loader

--- The model of a word of the command line, ready to be judged.
function Loader:open(word)
  local name, url = word:match("^(.-)@(https?://.*)$")
  if name then
    local options = self.options
    return eval.endpoint {
      base_url = url,
      model = name,
      parallel = options.batch_size,
      api_key_variable = given(options.api_key_variable),
      prompt_price = given(options.prompt_price),
      completion_price = given(options.completion_price),
    }
  end
  local base, adapter = word:match("^(.-)%+(.+)$")
  base = base or word
  if self.base ~= base then
    self:close()
    self.model = model.load(base, { torch_dtype = given(self.options.torch_dtype) })
    self.base = base
  end
  local m = assert(self.model)
  if adapter then
    m:load_adapter(adapter, { adapter_name = "compared" })
  elseif m:info().active_adapter == "compared" then
    m:delete_adapter("compared")
  end
  return m
end

function Loader:close()
  if self.model then
    self.model:close()
    self.model, self.base = nil, nil
  end
end

Loader.__close = Loader.close

--- Plays all tasks with every model: by word the scores, and the tasks' rows by environment and task.
local function play(options, environments, file)
  local judging = {
    envs = environments,
    num_eval_samples = options.samples,
    samples_per_task = options.samples_per_task,
    first_task_id = options.first_task_id,
    temperature = options.temperature,
    max_new_tokens = options.max_new_tokens,
    seed = options.seed,
    confidence = options.confidence,
    as_served = options.as_served,
    batch_size = options.batch_size,
    results = file,
    again = options.again,
  }
  local played = {}
  local loader <close> = setmetatable({ options = options }, Loader)
  for index, word in ipairs(options.models) do
    log.info(("judging %s"):format(word))
    local result = eval.run(loader:open(word), judging)
    played[index] = { name = word, scores = result.envs, fingerprint = result.model.fingerprint }
  end
  for _, one in ipairs(played) do
    one.rows = {}
  end
  for _, row in ipairs(eval.results.read(file)) do
    for _, one in ipairs(played) do
      local score = one.scores[row.env]
      if row.model.fingerprint == one.fingerprint and score and command.is_of(row, score, options) then
        table.insert(one.rows, row)
      end
    end
  end
  return played
end

--- Whether a row of the file is one of this comparison's: of its protocols and tasks.
function command.is_of(row, score, options)
  local first, is_one = options.first_task_id, false
  for _, protocol in ipairs(score.protocols) do
    is_one = is_one or protocol == row.protocol_hash
  end
  return is_one and row.task_id >= first and row.task_id < first + options.samples
end

local function signed(value)
  return ("%+.3f"):format(value)
end

local function p_value(p, corrected)
  return p and ("p %.3g (Holm %.3g)"):format(p, corrected or p) or "-"
end

local function needed(row)
  local scores = row.needed_scores
  return scores and row.difference ~= 0 and ("; %d tasks would show it"):format(scores.mean) or ""
end

--- How a model stands to the first in an environment, in one line.
local function difference_line(name, row, holm)
  local interval = row.interval
      and (" [%s, %s]"):format(signed(row.interval.lower), signed(row.interval.upper))
    or ""
  local tests = ("scores %s, successes %s"):format(
    p_value(row.wilcoxon.p, holm.wilcoxon[name]),
    p_value(row.mcnemar and row.mcnemar.p, holm.mcnemar[name])
  )
  return ("%s%s over %d tasks; %s%s"):format(signed(row.difference), interval, row.tasks, tests, needed(row))
end

local function score_line(row, numbers, level)
  local bootstrap = numbers.bootstrap
  local text = ("%.3f [%.3f, %.3f]"):format(row.mean, row.lower, row.upper)
  if bootstrap then
    text = text .. (", bootstrap [%.3f, %.3f]"):format(bootstrap.lower, bootstrap.upper)
  end
  text = text .. (" at %.0f %%, n %d, success %.3f"):format(100 * level, row.n, row.success_rate)
  return row.failed > 0 and ("%s, %d failed"):format(text, row.failed) or text
end

local function usage_text(usage)
  local text = ("%d prompt and %d completion tokens"):format(usage.prompt, usage.completion)
  return usage.cost and ("%s, cost %.4g"):format(text, usage.cost) or text
end

local function print_scores(played, names, level)
  local width = 0
  for _, one in ipairs(played) do
    width = math.max(width, #one.name)
  end
  local metrics = {}
  for index, one in ipairs(played) do
    metrics[index] = eval.metrics(one.rows, { bootstrap = { level = level } }).envs
  end
  for _, name in ipairs(names) do
    print(name)
    for index, one in ipairs(played) do
      local row = one.scores[name]
      local line = ("  %-" .. width .. "s  %s"):format(one.name, score_line(row, metrics[index][name], level))
      print(row.usage and line .. "; " .. usage_text(row.usage) or line)
      if row.served and row.served.differing_turns > 0 then
        local text = "  %s  in %d of %d turns the served prompt had other ids (%.4f nats a token)"
        print(
          text:format(
            (" "):rep(width),
            row.served.differing_turns,
            row.served.turns,
            row.served.logprob_change or 0
          )
        )
      end
    end
  end
end

local WORDS = { dominates = "dominates", dominated = "is dominated", neither = "no dominance" }

local function print_differences(played, names, options)
  local first = played[1]
  for index = 2, #played do
    local one = played[index]
    local found = eval.compare(one.rows, first.rows, { level = options.confidence, seed = options.seed })
    print(("\n%s against %s, task by task"):format(one.name, first.name))
    for _, name in ipairs(names) do
      local row = found.envs[name]
      print(("  %s  %s"):format(name, row and difference_line(name, row, found.holm) or "no task in common"))
      if found.differs[name] then
        print(("  %s  not like for like: %s differ"):format(name, table.concat(found.differs[name], ", ")))
      end
    end
    local verdict = eval.verdict(one.scores, first.scores)
    print(("  by the validators' rule, of intervals that do not overlap: %s"):format(WORDS[verdict.verdict]))
  end
end

--- `sat, grid` or `sat { n = 4, k = 2 }, grid`: what env.make is given for each.
function command.environments(text)
  local list, place = {}, 1
  while place <= #text do
    local before, after, stop = text:match("^([^,{]*)([,{]?)()", place)
    local name = before:match("^%s*(.-)%s*$")
    local options ---@type table?
    if after == "{" then
      local braces, behind = text:match("^(%b{})%s*,?()", stop - 1)
      local chunk = braces and load("return " .. braces, "=--environments", "t", {})
      local ok, given_options = pcall(chunk or error)
      if not ok then
        error(('--environments: expected NAME { option = value }, got "%s"'):format(text:sub(place)), 0)
      end
      options, stop = given_options, behind
    end
    if name == "" then
      error(('--environments: expected a name before each comma, got "%s"'):format(text), 0)
    end
    list[#list + 1] = { name = name, options = options }
    place = stop
  end
  return list
end

--- The models of the options on the same tasks, printed.
function command.compare(options)
  local environments = {}
  for index, wanted in ipairs(command.environments(options.environments)) do
    environments[index] = env.make(wanted.name, wanted.options)
  end
  local names, file = env.labels(environments), results_file(options)
  local played = play(options, environments, file)
  print(
    ("%d tasks each, ids from %d, temperature %g, seed %d, replies of at most %d tokens%s"):format(
      options.samples,
      options.first_task_id,
      options.temperature,
      options.seed,
      options.max_new_tokens,
      options.as_served and ", as served" or ""
    )
  )
  print_scores(played, names, options.confidence)
  print_differences(played, names, options)
  print(("\nEvery task with its conversation: %s"):format(fs.exists(file) and file or "(none)"))
end

return command
