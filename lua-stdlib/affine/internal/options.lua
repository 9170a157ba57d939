-- The settings as the options of what they are for, in one place: what trains and judges, and what asks beforehand
-- whether the settings are possible, call the same.

local options = {}

-- A section's keys are the options of what it is for, under the same names: all of them but those that the stages take
-- themselves or that are another thing's. So a new key counts by default, and what takes the options refuses what it does
-- not know.
local ADAPTER = "lora_r lora_alpha lora_dropout target_modules use_rslora"
local NOT_OF_SFT = ADAPTER .. " use_lora max_steps resume_from_checkpoint base"
local NOT_OF_PPO = "resume_from_checkpoint"
local NOT_OF_LOAD = "base_model_path quantize double_quantize create"
local NOT_OF_CREATE = "vocab_size"
local NOT_OF_JUDGING = "choose_first_task_id min_score_threshold"
local SHARED_WITH_BASE = "max_length max_grad_norm save_steps save_total_limit logging_steps"

--- Settings of a section as an options table: those named in `names`, words with spaces between, or all.
function options.pick(section, names)
  local picked = {}
  if not names then
    for name, value in pairs(section) do
      picked[name] = value
    end
  end
  for name in (names or ""):gmatch("%S+") do
    picked[name] = section[name]
  end
  return picked
end

local function all_but(section, names)
  local rest = options.pick(section)
  for name in names:gmatch("%S+") do
    rest[name] = nil
  end
  return rest
end

--- Of model.load: a model in full.
function options.load(settings)
  return all_but(settings.model, NOT_OF_LOAD)
end

--- Of model.create, without its tokenizer.
function options.create(settings)
  local create = all_but(settings.model.create, NOT_OF_CREATE)
  create.seed, create.kernels = settings.seed, settings.model.kernels
  return create
end

--- The settings that make the adapter, words with spaces between.
options.ADAPTER_SETTINGS = "training.use_lora " .. ADAPTER:gsub("%S+", "training.%0")

--- Of model:add_lora.
function options.adapter(settings)
  local adapter = options.pick(settings.training, ADAPTER)
  adapter.seed = settings.seed
  return adapter
end

--- Of trainer.sft, as the section `training` holds them; its files and folders are the caller's.
function options.sft(settings)
  local sft = all_but(settings.training, NOT_OF_SFT)
  sft.max_steps = settings.training.max_steps > 0 and settings.training.max_steps or nil
  sft.train_on = "assistant"
  sft.seed = settings.seed
  return sft
end

--- Of trainer.sft where it makes a new base.
function options.base(settings)
  local base = options.pick(settings.training, SHARED_WITH_BASE)
  for name, value in pairs(settings.training.base) do
    base[name] = value
  end
  base.train_on = "all"
  base.lr_scheduler_type = "cosine"
  base.min_lr_ratio = 0.1
  base.seed = settings.seed
  return base
end

--- Of trainer.ppo; its files and folders are the caller's.
function options.ppo(settings)
  local ppo = all_but(settings.rl, NOT_OF_PPO)
  ppo.gradient_checkpointing = settings.training.gradient_checkpointing
  ppo.seed = settings.seed
  return ppo
end

--- Of eval.run, without its environments and sampled.
function options.judging(settings)
  local judging = all_but(settings.evaluation, NOT_OF_JUDGING)
  judging.seed = settings.seed
  return judging
end

return options
