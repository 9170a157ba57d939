-- Stage 3: PPO on the environments, from the fine-tuned model on.
--
--   affine scripts/rl.lua [--preset NAME] [--set key=value] [--force] [--help]
--
-- The fine-tuned model gets a fresh adapter (checkpoints/rl); with it switched off the model is the reference that
-- the KL penalty holds on to. Merged at the end into models/rl_final. Over a base in few bits (model.quantize) the
-- adapter of models/sft_final is trained on, its state at the start is the reference, and models/rl_final is the
-- adapter. What the evaluation judges is left out of the rollouts.

local fs = require("affine.fs")
local json = require("affine.json")
local pipeline = require("affine.pipeline")
local trainer = require("affine.trainer")

--- Keeps the rollouts from the tasks that are judged: by their prompts, with and without instructions, and by their ids.
local function exclude_judged(settings, options)
  local function read(name)
    return json.decode(fs.read(pipeline.folder(settings, "data_cache/" .. name)))
  end
  options.exclude_prompts, options.exclude_tasks = read("held_out.json"), {}
  for name, own in pairs(read("held_out_tasks.json")) do
    local prompts = options.exclude_prompts
    table.move(own.observations, 1, #own.observations, #prompts + 1, prompts)
    options.exclude_tasks[name] = own.task_ids
  end
end

local function train(settings, stage)
  local environments = pipeline.environments(settings)
  local m <close> = pipeline.load_model(settings, pipeline.folder(settings, "models/sft_final"))
  pipeline.add_adapter(settings, m)

  local options = pipeline.ppo_options(settings)
  options.output_dir, options.samples = stage.checkpoints, stage:samples()
  exclude_judged(settings, options)
  options.resume_from_checkpoint = stage:resume_from(settings.rl.resume_from_checkpoint)

  local ppo = trainer.ppo(m, options)
  for it in ppo:iterations(environments) do
    stage:log(it)
    stage:count(ppo:state(), it)
    if it.iteration % math.max(settings.rl.save_steps, 1) == 0 or it.iteration == settings.rl.iterations then
      stage:show_episodes(it.iteration)
    end
  end
  stage:note_training(m, ppo:state())
  pipeline.save_trained(settings, m, stage.output)
end

local rl = pipeline.stage {
  name = "rl",
  -- What the evaluation judges comes by data_cache/held_out.json; of `training` the adapter counts.
  ignores = "data training evaluation huggingface model.create",
  except = "data.environments training.gradient_checkpointing " .. pipeline.adapter_settings,
  plays = true,
  reads = function(settings, found, known)
    pipeline.read_environments(settings, found, known)
    pipeline.read_base(settings, found, known)
  end,
  needs = function(settings)
    local data = { pipeline.folder(settings, "data_cache"), "held_out.json", "held_out_tasks.json" }
    return { data, pipeline.folder(settings, "models/sft_final") }
  end,
  output = function(settings)
    return pipeline.folder(settings, "models/rl_final")
  end,
  checkpoints = "checkpoints/rl",
  run = train,
}

pipeline.main(rl, ...)
return rl
