-- What the stages share: when one is done already, where its log and its notes are, which folder feeds which.
--
-- A stage's output folder holds `stage.json` (see fingerprint.lua). A stage whose fingerprint is there and done is
-- skipped; one whose fingerprint is there but not done was interrupted and goes on from its last checkpoint; one whose
-- fingerprint differs says what changed and runs again.

local config = require("affine.config")
local env = require("affine.env")
local fingerprint = require("affine.internal.fingerprint")
local fs = require("affine.fs")
local json = require("affine.json")
local log = require("affine.log")
local model = require("affine.model")
local plan = require("affine.internal.plan")
local suggest = require("affine.internal.suggest")
local time = require("affine.time")
local track = require("affine.track")

local pipeline = {}

local ADAPTER = "lora_r lora_alpha lora_dropout target_modules use_rslora"
local LOAD = "torch_dtype device use_flash_attention use_cuda_graph"
local QUANTIZE = { none = true, int8 = true, nf4 = true }
local SFT = [[
  num_epochs batch_size gradient_accumulation_steps learning_rate lr_scheduler_type warmup_ratio min_lr_ratio
  weight_decay max_grad_norm max_length gradient_checkpointing save_steps save_total_limit logging_steps
]]

-- Reading settings ------------------------------------------------------------------------------------------------

--- Stops with one sentence.
function pipeline.fail(text, ...)
  error(text:format(...), 0)
end

--- Settings of a section as an options table: those named in `names`, words with spaces between, or all.
function pipeline.pick(section, names)
  local options = {}
  if not names then
    for name, value in pairs(section) do
      options[name] = value
    end
  end
  for name in (names or ""):gmatch("%S+") do
    options[name] = section[name]
  end
  return options
end

--- The value of a setting for one environment: the number itself, or its entry in a table by environment.
function pipeline.by_environment(settings, path, name, otherwise)
  local value = config.get(settings, path)
  if type(value) ~= "table" then
    return value
  end
  return value[name] or otherwise or pipeline.fail("%s has no number for the environment `%s`", path, name)
end

--- Finds a mistyped name in the tables by environment. One for an environment that is not used now is no mistake.
local function check_names(settings, names)
  for path in pairs(config.by_environment) do
    local value = config.get(settings, path)
    for name in pairs(type(value) == "table" and value or {}) do
      local nearest = suggest.nearest(name, names)
      if nearest and nearest ~= name then
        local text = "%s: no environment `%s` in data.environments, did you mean `%s`?"
        pipeline.fail(text, path, name, nearest)
      end
    end
  end
end

--- The options of an entry of data.environments; nil where it sets none.
function pipeline.options_of(entry)
  local options = {}
  for key, value in pairs(type(entry) == "table" and entry or {}) do
    if key ~= "name" then
      options[key] = value
    end
  end
  return next(options) and options
end

--- The environments of data.environments as handles, and their labels, in that order.
function pipeline.environments(settings)
  local handles = {}
  for index, entry in ipairs(settings.data.environments) do
    local name = type(entry) == "table" and entry.name or entry
    handles[index] = env.make(name, pipeline.options_of(entry))
  end
  local names = env.labels(handles)
  check_names(settings, names)
  return handles, names
end

--- Where the base model is: the given one, or the one that the sft stage makes.
function pipeline.base_path(settings)
  local path = settings.model.base_model_path
  return path ~= "" and path or "models/base"
end

--- Loads a model in the configured number format, onto the configured device, its projections in full.
function pipeline.load_plain(settings, path)
  return model.load(path, pipeline.pick(settings.model, LOAD))
end

--- Loads a model as the stages train and judge it: as `load_plain`, its projections quantised where that is configured.
function pipeline.load_model(settings, path)
  if not pipeline.is_quantized(settings) then
    return pipeline.load_plain(settings, path)
  end
  return model.load(path, pipeline.pick(settings.model, LOAD .. " quantize double_quantize"))
end

--- Whether the stages train over a quantised base.
function pipeline.is_quantized(settings)
  return settings.model.quantize ~= "none"
end

--- What a quantised base asks of the other settings, said before any work is done.
local function check_quantized(settings)
  local quantize, double = settings.model.quantize, settings.model.double_quantize
  if not QUANTIZE[quantize] then
    pipeline.fail('model.quantize: expected "none", "int8" or "nf4", got %s', config.literal(quantize))
  elseif double and quantize ~= "nf4" then
    pipeline.fail('model.double_quantize: expected true only with model.quantize = "nf4", got "%s"', quantize)
  elseif pipeline.is_quantized(settings) and not settings.training.use_lora then
    pipeline.fail('model.quantize = "%s" freezes the weights: training.use_lora must be true', quantize)
  end
end

--- Gives a model the adapter that the section `training` asks for, if it asks for one; a model that came with an adapter
--- goes on with that one.
function pipeline.add_adapter(settings, m)
  local training = settings.training
  if training.use_lora and not m:info().active_adapter then
    local adapter = pipeline.pick(training, ADAPTER)
    adapter.seed = settings.seed
    m:add_lora(adapter)
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
function pipeline.sft_options(settings)
  local options = pipeline.pick(settings.training, SFT)
  options.max_steps = settings.training.max_steps > 0 and settings.training.max_steps or nil
  options.train_on = "assistant"
  options.seed = settings.seed
  return options
end

--- The options of trainer.ppo that the settings hold; its files and folders are the caller's.
function pipeline.ppo_options(settings)
  local options = pipeline.pick(settings.rl)
  options.gradient_checkpointing = settings.training.gradient_checkpointing
  options.seed = settings.seed
  return options
end

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

-- Stages ----------------------------------------------------------------------------------------------------------

local Stage = {}
Stage.__index = Stage

--- A line for the person who watches and for the stage's log.
function Stage:say(text, ...)
  log.info(select("#", ...) > 0 and text:format(...) or text)
end

--- Adds a line of numbers to the run's metrics.jsonl.
function Stage:log(numbers)
  local line = { stage = self.name }
  for key, value in pairs(numbers) do
    line[key] = value
  end
  self.run:log(line)
end

function Stage:write_record()
  fs.mkdir(self.output)
  fs.write(self.output .. "/stage.json", json.encode(self.record, { indent = 2 }))
end

--- A value measured once and kept in stage.json, so that it outlives an interruption.
function Stage:once(key, measure)
  local notes = self.record.notes
  if notes[key] == nil then
    notes[key] = measure()
    self:write_record()
  end
  return notes[key]
end

--- What `resume_from_checkpoint` should be: the configured folder, or whether to look for the newest.
function Stage:resume_from(configured)
  return configured ~= "" and configured or self.resuming
end

--- Sends log lines to the stage's own file; closed by an error, the file ends with it.
local function open_log(name)
  local path = ("logs/%s_%s.log"):format(name, time.stamp())
  log.file(path)
  return setmetatable({}, {
    __close = function(_, problem)
      local file = problem and io.open(path, "a")
      if file then
        file:write("stopped: ", tostring(problem), "\n")
        file:close()
      end
    end,
  })
end

local function run_stage(self, spec)
  local _ <close> = open_log(self.name)
  plan.stage(self.name)
  self:say("%s: begins", self.name)
  self:write_record()
  local started = time.clock()
  spec.run(self.config, self)
  self.record.seconds = time.clock() - started
  self.record.done = true
  self:write_record()
  self:say("%s: done in %.0f s, in %s", self.name, self.record.seconds, self.output)
end

local function call_stage(spec, settings, run, flags)
  if spec.before and (not spec.before.wanted or spec.before.wanted(settings)) then
    spec.before(settings, run, {})
  end
  local record = fingerprint.record(spec, settings, flags)
  local output = spec.output(settings)
  local before = fingerprint.read(output)
  local same = before and before.fingerprint == record.fingerprint and not flags.force

  local stage = setmetatable({
    name = spec.name,
    output = output,
    checkpoints = spec.checkpoints,
    config = settings,
    flags = flags,
    run = run,
    resuming = same and not before.done and spec.checkpoints ~= nil,
    record = same and before or record,
  }, Stage)

  if same and before.done then
    stage:say("%s: done already, in %s; skipped", spec.name, stage.output)
  else
    if stage.resuming then
      stage:say("%s: was interrupted, goes on", spec.name)
    elseif before then
      local why = flags.force and "--force" or fingerprint.difference(before, record)
      stage:say("%s: runs again (%s)", spec.name, why)
    end
    if not stage.resuming and spec.checkpoints and fs.exists(spec.checkpoints) then
      fs.remove(spec.checkpoints, { recursive = true }) -- they belong to other settings
    end
    run_stage(stage, spec)
  end
  if spec.present then
    spec.present(settings, stage)
  end
end

--- A stage, called as `stage(settings, run, flags)`. `spec` holds: name; output(settings) → its folder;
--- needs(settings, flags) → the folders of earlier stages; settings = the sections or keys that decide its result;
--- run(settings, stage), which does the work; and perhaps present(settings, stage), which shows the result also when
--- the work was skipped; checkpoints, a folder that is emptied when the settings changed; flags, as `config.load`
--- takes them; before, a stage that runs first where its wanted(settings) says so.
function pipeline.stage(spec)
  return setmetatable({ name = spec.name, flags = spec.flags or {}, wanted = spec.wanted }, {
    __call = function(_, settings, run, flags)
      call_stage(spec, settings, run, flags or {})
    end,
  })
end

--- The stage record of a folder when that stage is done, from inputs as they are now; else nil.
pipeline.done = fingerprint.done

--- Opens the run folder of a script, whose models all use the configured kernels.
function pipeline.open(settings, script)
  check_quantized(settings)
  model.kernels(settings.model.kernels)
  local name = settings.tracking.run_name
  local run = track.run(name ~= "" and name or ("%s-%s"):format(script, settings.preset), settings)
  log.info(("preset %s, seed %d, run folder %s"):format(settings.preset, settings.seed, run:path()))
  return run
end

--- Ends a stage's file: `pipeline.main(stage, ...)`. Runs the stage when that file is the script that was started;
--- `require` (from full.lua) instead calls it with the module's name and path.
function pipeline.main(stage, name, path)
  if type(path) == "string" and path:find(name .. ".lua", 1, true) then
    return
  end
  local extra = { force = { doc = "run the stage even when it is done already" } }
  for flag, about in pairs(stage.flags) do
    extra[flag] = about
  end
  local settings, flags = config.load(arg, extra)
  stage(settings, pipeline.open(settings, stage.name), flags)
end

return pipeline
