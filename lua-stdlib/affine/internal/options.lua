-- The settings as the options of what they are for, in one place: what trains and judges, and what asks beforehand
-- whether the settings are possible, call the same.

local options = {}

local ADAPTER = "lora_r lora_alpha lora_dropout target_modules use_rslora"
local LOAD = "torch_dtype device use_flash_attention use_cuda_graph"
local SFT = [[
  num_epochs batch_size gradient_accumulation_steps learning_rate lr_scheduler_type warmup_ratio min_lr_ratio
  weight_decay max_grad_norm max_length gradient_checkpointing save_steps save_total_limit logging_steps
]]
local SHARED_WITH_BASE = "max_length max_grad_norm save_steps save_total_limit logging_steps"
local ARCHITECTURE = [[
  hidden_size num_hidden_layers num_attention_heads num_key_value_heads head_dim intermediate_size
  tie_word_embeddings rope_theta max_position_embeddings
]]
local JUDGING = "num_eval_samples first_task_id top_p max_new_tokens confidence"

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

--- Of model.load: a model in full.
function options.load(settings)
  return options.pick(settings.model, LOAD)
end

--- Of model.create, without its tokenizer.
function options.create(settings)
  local create = options.pick(settings.model.create, ARCHITECTURE)
  create.seed = settings.seed
  return create
end

--- Of model:add_lora.
function options.adapter(settings)
  local adapter = options.pick(settings.training, ADAPTER)
  adapter.seed = settings.seed
  return adapter
end

--- Of trainer.sft, as the section `training` holds them; its files and folders are the caller's.
function options.sft(settings)
  local sft = options.pick(settings.training, SFT)
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
  local ppo = options.pick(settings.rl)
  ppo.resume_from_checkpoint = nil
  ppo.gradient_checkpointing = settings.training.gradient_checkpointing
  ppo.seed = settings.seed
  return ppo
end

--- Of eval.run, without its environments and sampled.
function options.judging(settings)
  local judging = options.pick(settings.evaluation, JUDGING)
  judging.batch_size = settings.evaluation.batch_size
  judging.temperature, judging.seed = settings.evaluation.temperature, settings.seed
  return judging
end

return options
