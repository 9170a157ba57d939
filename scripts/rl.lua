-- Stage 3: PPO on the environments, from the fine-tuned model on.
--
--   affine scripts/rl.lua [--preset NAME] [--set key=value] [--force] [--help]
--
-- The fine-tuned model gets a fresh adapter (checkpoints/rl); with it switched off the model is the reference that
-- the KL penalty holds on to. Merged at the end into models/rl_final. Over a base in few bits (model.quantize) the
-- adapter of models/sft_final is trained on, its state at the start is the reference, and models/rl_final is the
-- adapter. Tasks whose prompt the evaluation uses are left out of the rollouts.

local fs = require("affine.fs")
local json = require("affine.json")
local pipeline = require("affine.pipeline")
local trainer = require("affine.trainer")

local function train(settings, stage)
  local environments = pipeline.environments(settings)
  local m <close> = pipeline.load_model(settings, "models/sft_final")
  pipeline.add_adapter(settings, m)

  local options = pipeline.ppo_options(settings)
  options.output_dir = stage.checkpoints
  options.exclude_prompts = json.decode(fs.read("data_cache/held_out.json"))
  options.resume_from_checkpoint = stage:resume_from(settings.rl.resume_from_checkpoint)

  local ppo = trainer.ppo(m, options)
  for it in ppo:iterations(environments) do
    stage:log(it)
  end
  pipeline.save_trained(settings, m, stage.output)
end

local rl = pipeline.stage {
  name = "rl",
  settings = {
    "rl",
    "data.environments",
    "training.use_lora",
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
