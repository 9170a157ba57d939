-- Stage 3: PPO on the environments, from the fine-tuned model on.
--
--   affine scripts/rl.lua [--preset NAME] [--set key=value] [--force] [--help]
--
-- The fine-tuned model gets a fresh adapter (checkpoints/rl); with it switched off the model is the reference that
-- the KL penalty holds on to. Merged at the end into models/rl_final. Tasks whose prompt the evaluation uses are
-- left out of the rollouts.

local fs = require "affine.fs"
local json = require "affine.json"
local model = require "affine.model"
local pipeline = require "affine.pipeline"
local trainer = require "affine.trainer"

local function print_iteration(stage, names, it, iterations)
  local rewards = {}
  for index, name in ipairs(names) do
    rewards[index] = ("%s %.3f"):format(name, it.reward_mean[name] or 0 / 0)
  end
  local line = "iteration %d/%d  reward %s  kl %.4f  clipped %.3f  entropy %.3f  value explains %.2f  %d failed  %.1f s"
  local reward = table.concat(rewards, "  ")
  local of = it.iteration
  stage:say(line, of, iterations, reward, it.kl, it.clip_fraction, it.entropy, it.explained_variance, it.failed, it.seconds)
end

local function train(settings, stage)
  local environments, names = pipeline.environments(settings)
  local m <close> = model.load("models/sft_final", pipeline.pick(settings.model, { "torch_dtype", "device" }))
  local adapter = pipeline.pick(settings.training, {
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "use_rslora",
  })
  adapter.seed = settings.seed
  m:add_lora(adapter)

  local options = pipeline.pick(settings.rl, {
    "iterations",
    "num_rollouts",
    "ppo_epochs",
    "minibatch_size",
    "batch_size",
    "learning_rate",
    "value_learning_rate",
    "lr_scheduler_type",
    "min_lr_ratio",
    "clip_range",
    "value_clip_range",
    "vf_coef",
    "kl_coef",
    "entropy_coef",
    "gamma",
    "gae_lambda",
    "discount_unit",
    "whiten_advantages",
    "temperature",
    "max_new_tokens",
    "max_grad_norm",
    "first_task_id",
    "last_task_id",
    "save_steps",
    "save_total_limit",
  })
  options.output_dir = stage.checkpoints
  options.exclude_prompts = json.decode(fs.read "data_cache/held_out.json")
  options.seed = settings.seed
  options.resume_from_checkpoint = stage:resume_from(settings.rl.resume_from_checkpoint)

  local ppo = trainer.ppo(m, options)
  for it in ppo:iterations(environments) do
    stage:log(it)
    print_iteration(stage, names, it, settings.rl.iterations)
  end
  m:merge_lora()
  m:save(stage.output)
end

local rl = pipeline.stage {
  name = "rl",
  settings = {
    "rl",
    "data.environments",
    "training.lora_r",
    "training.lora_alpha",
    "training.lora_dropout",
    "training.target_modules",
    "training.use_rslora",
  },
  needs = function()
    return { "data_cache", "models/sft_final" }
  end,
  output = function()
    return "models/rl_final"
  end,
  checkpoints = "checkpoints/rl",
  run = train,
}

pipeline.main(rl, ...)
return rl
