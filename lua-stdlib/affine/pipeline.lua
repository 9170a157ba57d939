-- What the stages share: settings as the options of what they call, environments, models, records, folders. What makes a
-- stage of a function is in internal/stage.lua.

local check = require("affine.internal.check")
local config = require("affine.config")
local env = require("affine.env")
local fingerprint = require("affine.internal.fingerprint")
local fs = require("affine.fs")
local held_out = require("affine.internal.held_out")
local inputs = require("affine.internal.inputs")
local json = require("affine.json")
local kept_apart = require("affine.internal.kept_apart")
local log = require("affine.log")
local model = require("affine.model")
local options = require("affine.internal.options")
local plan = require("affine.internal.plan")
local stage = require("affine.internal.stage")
local track = require("affine.track")

local pipeline = {}

-- Reading settings ------------------------------------------------------------------------------------------------

--- Stops with one sentence.
function pipeline.fail(text, ...)
  error(text:format(...), 0)
end

--- Settings of a section as an options table: those named in `names`, words with spaces between, or all.
pipeline.pick = options.pick

--- The value of a setting for one environment: the number itself, or its entry in a table by environment.
function pipeline.by_environment(settings, path, name, otherwise)
  local value = config.get(settings, path)
  if type(value) ~= "table" then
    return value
  end
  return value[name] or otherwise or pipeline.fail("%s has no number for the environment `%s`", path, name)
end

--- The options of an entry of data.environments; nil where it sets none.
function pipeline.options_of(entry)
  local own = {}
  for key, value in pairs(type(entry) == "table" and entry or {}) do
    if key ~= "name" then
      own[key] = value
    end
  end
  return next(own) and own
end

--- The environments of data.environments as handles, and their labels, in that order.
function pipeline.environments(settings)
  local handles = {}
  for index, entry in ipairs(settings.data.environments) do
    local name = type(entry) == "table" and entry.name or entry
    handles[index] = inputs.make(name, pipeline.options_of(entry))
  end
  local names = env.labels(handles)
  return handles, names
end

--- Where something of this experiment is: `path` itself, or below the folder of the experiment that was named.
pipeline.folder = stage.folder

--- Where the base model is: the given one, or the one that the sft stage makes.
function pipeline.base_path(settings)
  local path = settings.model.base_model_path
  return path ~= "" and path or pipeline.folder(settings, "models/base")
end

--- Loads a model in the configured number format, onto the configured device, its projections in full.
function pipeline.load_plain(settings, path)
  return model.load(path, options.load(settings))
end

--- Loads a model as the stages train and judge it: as `load_plain`, its projections quantised where that is configured.
function pipeline.load_model(settings, path)
  if not pipeline.is_quantized(settings) then
    return pipeline.load_plain(settings, path)
  end
  local load = options.load(settings)
  load.quantize, load.double_quantize = settings.model.quantize, settings.model.double_quantize
  return model.load(path, load)
end

--- Whether the stages train over a quantised base.
function pipeline.is_quantized(settings)
  return settings.model.quantize ~= "none"
end

--- Gives a model the adapter that the section `training` asks for, if it asks for one; a model that came with an adapter
--- goes on with that one.
function pipeline.add_adapter(settings, m)
  local training = settings.training
  if training.use_lora and not m:info().active_adapter then
    m:add_lora(options.adapter(settings))
  end
end

--- Writes what a stage trained: a model folder, or over a quantised base, which none can hold, the adapter alone.
function pipeline.save_trained(settings, m, folder)
  if pipeline.is_quantized(settings) then
    m:save_adapter(folder)
    m:tokenizer():save(folder)
    return
  end
  if settings.training.use_lora then
    m:merge_lora()
  end
  m:save(folder)
end

--- The options of trainer.sft that the section `training` holds; its files and folders are the caller's.
pipeline.sft_options = options.sft

--- The options of trainer.ppo that the settings hold; its files and folders are the caller's.
pipeline.ppo_options = options.ppo

--- The settings that make the adapter, for a stage that else ignores the section `training`.
pipeline.adapter_settings = options.ADAPTER_SETTINGS

--- The options of model.create that the settings hold.
pipeline.create_options = options.create

--- The options of trainer.sft where it makes a new base, as `pipeline.sft_options` leaves them.
pipeline.base_options = options.base

--- The options of eval.run that the settings hold; its environments are the caller's.
pipeline.eval_options = options.judging

-- Records ---------------------------------------------------------------------------------------------------------

--- The records of a JSON-lines file.
function pipeline.read_records(path)
  local records = {}
  for line in fs.lines(path) do
    records[#records + 1] = json.decode(line)
  end
  return records
end

--- Writes records as a JSON-lines file.
function pipeline.write_records(path, records)
  local lines = {}
  for index, record in ipairs(records) do
    lines[index] = json.encode(record) .. "\n"
  end
  fs.write(path, table.concat(lines))
end

--- The tasks that the evaluation judges, as internal/held_out.lua describes them.
function pipeline.held_out(settings, environments, names)
  local entry_options = {}
  for index, entry in ipairs(settings.data.environments) do
    entry_options[index] = pipeline.options_of(entry) or {}
  end
  return held_out.tasks(environments, names, entry_options, settings.evaluation)
end

--- An index of judged tasks, and whether they are in data that was trained on.
pipeline.index_of = held_out.index
pipeline.kept_apart = kept_apart.check

-- What a stage reads ------------------------------------------------------------------------------------------------

pipeline.read_files = inputs.add_files
pipeline.read_weights = inputs.add_weights
pipeline.read_environment = inputs.add_environment
pipeline.digest = inputs.digest

--- Notes all that decides what the environments do, for a stage that plays them.
function pipeline.read_environments(settings, found, known)
  for _, entry in ipairs(settings.data.environments) do
    local name = type(entry) == "table" and entry.name or entry
    pipeline.read_environment(found, name, pipeline.options_of(entry), known)
  end
end

--- Notes the weights of the base model where one is given.
function pipeline.read_base(settings, found, known)
  pipeline.read_weights(found, settings.model.base_model_path, known)
end

-- Stages ----------------------------------------------------------------------------------------------------------

--- A stage, called as `stage(settings, run, flags)`; internal/stage.lua says what `spec` holds.
pipeline.stage = stage.callable

--- The stage record of a folder when that stage is done, from inputs as they are now; else nil.
pipeline.done = fingerprint.done

--- Settings that name environments, checked with them. A server is not asked before a stage plays on it.
local function check_environments(settings)
  for _, entry in ipairs(settings.data.environments) do
    local name = type(entry) == "table" and entry.name or entry
    if name:find("^https?://") then
      return
    end
  end
  local environments, names = pipeline.environments(settings)
  check.environments(settings, environments, names)
  for _, e in ipairs(environments) do
    e:close()
  end
end

--- The W&B run that the settings ask for, if they do. `script`: the kind of run that it is.
local function wandb(settings, script)
  local tracking = settings.tracking
  if not tracking.use_wandb or plan.active() then
    return nil
  end
  return {
    project = tracking.wandb_project,
    entity = tracking.wandb_entity,
    name = tracking.run_name,
    group = settings.experiment,
    job_type = script,
    tags = { settings.preset },
    mode = tracking.wandb_mode,
  }
end

--- Opens the run folder of a script: a new one, or that of the same settings which was left before its end. Impossible
--- settings are refused here, before a plan makes them small.
function pipeline.open(settings, script, how)
  local plays, force = not how or how.plays ~= false, how and how.force
  check.settings(settings)
  if plays then
    check_environments(settings)
  end
  plan.cut(settings, config.literal)
  local name = settings.tracking.run_name
  name = name ~= "" and name or ("%s-%s"):format(script, settings.preset)
  local run = track.run(name, settings, {
    resume = not force,
    kernels = settings.model.kernels,
    wandb = wandb(settings, script),
    tensorboard = settings.tracking.use_tensorboard,
  })
  log.info(("preset %s, seed %d, run folder %s"):format(settings.preset, settings.seed, run:path()))
  return run
end

--- Ends a stage's file: `pipeline.main(stage, ...)`. Runs the stage when that file is the script that was started;
--- `require` (from full.lua) instead calls it with the module's name and path.
function pipeline.main(main, name, path)
  if type(path) == "string" and path:find(name .. ".lua", 1, true) then
    return
  end
  local extra = { force = { doc = "run the stage even when it is done already" } }
  for flag, about in pairs(main.flags) do
    extra[flag] = about
  end
  local settings, flags = config.load(arg, extra)
  local run = pipeline.open(settings, main.name, { plays = main.plays == true, force = flags.force })
  main(settings, run, flags)
  run:finish()
end

return pipeline
