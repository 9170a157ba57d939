-- A sweep over settings of the pipeline: trials that run its stages, each in an experiment of its own.
--
--   affine scripts/sweep.lua --space space.lua [--trials 20] [--until sft] [--preset NAME] [--set key=value] [--help]
--   affine scripts/sweep.lua one.lua two.lua [--until sft] [--set key=value]
--
-- space.lua returns what is searched, by setting: { ["training.learning_rate"] = sweep.log(1e-5, 1e-2) }. A trial's value is the
-- mean score of its last model on the evaluation's tasks, or with --until sft the loss on the validation records. A stage
-- that does not depend on a searched setting is taken from the trial before and not run again. The study is kept in
-- runs/NAME.log in Optuna's form: the same command goes on where it was left, other processes may work on it at the same
-- time, and optuna-dashboard shows it. At the end a table, what mattered, the best settings as a file that --config takes, and
-- a figure. With files of settings instead each is one experiment of its name, and a table compares them.

local config = require("affine.config")
local fs = require("affine.fs")
local json = require("affine.json")
local log = require("affine.log")
local path = require("affine.path")
local pipeline = require("affine.pipeline")
local sweep = require("affine.sweep")
local time = require("affine.time")

local FLAGS = {
  space = { value = "FILE", doc = "what is searched, by setting" },
  trials = { value = "N", doc = "trials of the study in all (20)" },
  study = { value = "NAME", doc = "of the study, its file runs/NAME.log and its experiments (sweep)" },
  sampler = { value = "NAME", doc = "tpe, random, quasi or grid (tpe)" },
  ["until"] = { value = "STAGE", doc = "sft or evaluate, the last stage of a trial (evaluate)" },
  keep = { value = "WHAT", doc = "best or all: whose models stay on the disk (best)" },
}

local STAGES = { sft = { "collect", "sft" }, evaluate = { "collect", "sft", "rl", "evaluate" } }

--- What a trial may take from the one before; each stage looks whether it is what it would make.
local SHARED = { "data_cache", "models/base", "models/sft_final" }

local function fail(text, ...)
  error(text:format(...), 0)
end

--- The files of settings at the beginning of the command line, and the flags behind them.
---@return string[] files
---@return string[] flags
local function split(words)
  local files, flags = {}, {} ---@type string[], string[]
  flags[0] = words[0]
  for index, word in ipairs(words) do
    if word:find("%.ya?ml$") then
      fail("%s: settings are Lua here: return { training = { learning_rate = 1e-4 } } in a file .lua", word)
    elseif #flags == 0 and word:find("%.lua$") and words[index - 1] ~= "--config" then
      files[#files + 1] = word
    else
      flags[#flags + 1] = word
    end
  end
  return files, flags
end

--- The command line with more words behind it.
---@return string[]
local function with(words, more)
  local all = {} ---@type string[]
  all[0] = words[0]
  table.move(words, 1, #words, 1, all)
  return table.move(more, 1, #more, #all + 1, all)
end

local function stages_of(flags)
  local last = flags["until"] or "evaluate"
  return STAGES[last] or fail("--until: expected sft or evaluate, got `%s`", last)
end

local function read_json(file)
  return json.decode(fs.read(file))
end

--- What the trial came to: the validation loss, or the mean score of the last model over the environments.
local function value_of(settings, flags)
  if flags["until"] == "sft" then
    local record = read_json(pipeline.folder(settings, "models/sft_final/stage.json"))
    return record.notes.validation_loss_after or fail("there are no validation records (data.train_split)")
  end
  local summary = read_json(pipeline.folder(settings, "models/evaluation/summary.json"))
  local scores, sum = summary.models[summary.order[#summary.order]], 0
  for _, name in ipairs(summary.environments) do
    sum = sum + scores[name].mean
  end
  return sum / #summary.environments
end

--- Runs the stages of an experiment; what it came to.
local function run_stages(words)
  local settings, flags = config.load(words, FLAGS)
  local run = pipeline.open(settings, "sweep")
  for _, name in ipairs(stages_of(flags)) do
    require(name)(settings, run)
  end
  run:finish()
  return value_of(settings, flags)
end

--- Hard links: no bytes are copied, and what a stage makes anew takes the place of its link.
local function link(from, to)
  fs.mkdir(path.parent(to))
  local function quoted(word)
    return "'" .. word:gsub("'", "'\\''") .. "'"
  end
  if not os.execute(("cp -al -- %s %s"):format(quoted(from), quoted(to))) then
    log.warn(("%s cannot be taken from %s: it is made anew"):format(to, from))
  end
end

--- Gives an experiment what the one before has made.
local function take_over(from, to)
  for _, part in ipairs(SHARED) do
    local made, wanted = ("experiments/%s/%s"):format(from, part), ("experiments/%s/%s"):format(to, part)
    if fs.exists(made) and not fs.exists(wanted) then
      link(made, wanted)
    end
  end
end

--- The words that set a trial's parameters.
local function settings_words(params)
  local words, names = {}, {}
  for name in pairs(params) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    table.move({ "--set", ("%s=%s"):format(name, config.literal(params[name])) }, 1, 2, #words + 1, words)
  end
  return words
end

--- Removes the models of all finished trials but the best and the last.
local function make_room(study, last)
  local ok, best = pcall(study.best, study)
  for _, trial in ipairs(study:trials()) do
    local experiment = trial.attrs and trial.attrs.experiment
    local is_kept = experiment == last or ok and trial.number == best.number
    if experiment and not is_kept and fs.exists("experiments/" .. experiment) then
      fs.remove("experiments/" .. experiment, { recursive = true })
    end
  end
end

local function read_space(file)
  local chunk, problem = loadfile(file)
  local space = (chunk or fail("--space: %s", problem))()
  if type(space) ~= "table" or not next(space) then
    fail(
      '%s: expected it to return a table such as { ["training.learning_rate"] = sweep.log(1e-5, 1e-2) }',
      file
    )
  end
  return space
end

--- A name that is no setting is told before anything runs.
local function check_names(space, words, settings)
  for name in pairs(space) do
    local value = config.get(settings, name)
    local change = ("%s=%s"):format(name, config.literal(value == nil and 0 or value))
    config.load(with(words, { "--set", change }), FLAGS)
  end
end

local function search(words, flags)
  local space, name = read_space(flags.space), flags.study or "sweep"
  local settings = config.load(words, FLAGS)
  check_names(space, words, settings)
  local study <close> = sweep.open {
    name = name,
    direction = flags["until"] == "sft" and "minimize" or "maximize",
    storage = ("runs/%s.log"):format(name),
    sampler = flags.sampler or "tpe",
    seed = settings.seed,
  }
  local before ---@type string?
  local wanted = math.tointeger(tonumber(flags.trials or 20))
  if not wanted or wanted < 1 then
    fail("--trials: expected an integer of at least 1, got `%s`", flags.trials)
  end
  study:run(wanted, function(trial)
    local params = trial:suggest(space)
    local begun = trial:checkpoint()
    local experiment = begun and begun:match("^%S+") or ("%s-%04d"):format(name, trial:number())
    -- Never the same text: a trial that ends twice at one place is given up, and its stages go on by themselves.
    trial:set_checkpoint(("%s %s"):format(experiment, time.stamp()))
    trial:set_attr("experiment", experiment)
    if before then
      take_over(before, experiment)
    end
    local own = settings_words(params)
    log.info(("trial %d: %s"):format(trial:number(), table.concat(own, " ")))
    local value = run_stages(with(words, table.move(own, 1, #own, 3, { "--experiment", experiment })))
    before = experiment
    if flags.keep ~= "all" then
      make_room(study, experiment)
    end
    return value
  end)
  print("\n" .. study:table())
  local shares, method = study:importance()
  for _, share in ipairs(shares) do
    print(("%-40s %5.1f %% of the variance (%s)"):format(share.name, 100 * share.share, method))
  end
  study:write_config(("runs/%s-best.lua"):format(name))
  study:figure(("runs/%s.svg"):format(name))
  print(("\nBest settings: runs/%s-best.lua (--config takes it); figures: runs/%s.svg"):format(name, name))
end

--- Each file is an experiment of its name.
local function compare(files, words)
  local lines = {}
  for index, file in ipairs(files) do
    local name = path.stem(file)
    local value = run_stages(with(words, { "--config", file, "--experiment", name }))
    lines[index] = ("%-30s %.4f"):format(name, value)
  end
  local _, flags = config.load(words, FLAGS)
  print(flags["until"] == "sft" and "\nvalidation loss" or "\nmean score of the last model")
  print(table.concat(lines, "\n"))
end

local files, words = split(arg)
local _, flags = config.load(words, FLAGS)
if #files > 0 then
  compare(files, words)
elseif flags.space then
  search(words, flags)
else
  fail("give --space FILE, what is to be searched, or files of settings")
end
