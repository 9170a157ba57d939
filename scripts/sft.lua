-- Stage 2: supervised fine-tuning on the demonstrations.
--
--   affine scripts/sft.lua [--preset NAME] [--set key=value] [--force] [--help]
--
-- Without model.base_model_path a small Qwen3 is made first: a tokenizer trained on random play, a new model, trained
-- on every token of it, kept in models/base. Then the base learns the assistant's turns of the demonstrations,
-- through an adapter (checkpoints/sft) that is merged at the end into models/sft_final. Over a base in few bits
-- (model.quantize) models/sft_final is that adapter.

local model = require("affine.model")
local pipeline = require("affine.pipeline")
local tokenizer = require("affine.tokenizer")
local trainer = require("affine.trainer")

--- Runs a trainer to its end, with every step in metrics.jsonl; the trainer itself logs every `logging_steps`.
local function train(stage, m, sft)
  for step in sft:steps() do
    stage:log(step)
    stage:count(sft:state(), step)
  end
  stage:note_training(m, sft:state())
end

local function make_base(settings, stage)
  local records = pipeline.read_records(pipeline.folder(settings, "data_cache/base.jsonl"))
  local texts = {}
  for index, record in ipairs(records) do
    local parts = {}
    for _, message in ipairs(record.messages) do
      parts[#parts + 1] = message.role .. "\n" .. message.content
    end
    texts[index] = table.concat(parts, "\n")
  end

  local create = pipeline.create_options(settings)
  create.tokenizer = tokenizer.train(texts, { vocab_size = settings.model.create.vocab_size })
  local m <close> = model.create(create)
  local parameters, tokens = m:info().parameters, create.tokenizer:size()
  stage:say("a new Qwen3: %d parameters, %d tokens in its vocabulary", parameters, tokens)

  local base = pipeline.base_options(settings)
  base.data, base.output_dir, base.samples = records, stage.checkpoints, stage:samples()
  base.resume_from_checkpoint = stage:resume_from("")
  train(stage, m, trainer.sft(m, base))
  m:save(stage.output)
end

local function fine_tune(settings, stage)
  local training = settings.training
  local m <close> = pipeline.load_model(settings, pipeline.base_path(settings))
  pipeline.add_adapter(settings, m)
  local info = m:info()
  stage:say("training %d of %d parameters", info.trainable_parameters, info.parameters)

  local validation = pipeline.read_records(pipeline.folder(settings, "data_cache/validation.jsonl"))
  local sft_options = pipeline.sft_options(settings)
  sft_options.data = pipeline.folder(settings, "data_cache/sft.jsonl")
  sft_options.output_dir, sft_options.samples = stage.checkpoints, stage:samples()
  sft_options.resume_from_checkpoint = stage:resume_from(training.resume_from_checkpoint)
  local sft = trainer.sft(m, sft_options)

  if #validation > 0 then
    stage:say("what is trained on, in one record:\n%s", m:tokenizer():preview(validation[1].messages))
    local before = stage:once("validation_loss_before", function()
      return sft:evaluate(validation)
    end)
    stage:say("validation loss before: %.4f per token", before)
  end
  train(stage, m, sft)
  if #validation > 0 then
    local after = stage:once("validation_loss_after", function()
      return sft:evaluate(validation)
    end)
    stage:say("validation loss after: %.4f per token", after)
  end

  pipeline.save_trained(settings, m, stage.output)
end

local base = pipeline.stage {
  name = "base",
  ignores = "data training rl evaluation huggingface",
  except = "training.base training.max_length training.max_grad_norm",
  needs = function(settings)
    return { { pipeline.folder(settings, "data_cache"), "base.jsonl" } }
  end,
  output = function(settings)
    return pipeline.folder(settings, "models/base")
  end,
  checkpoints = "checkpoints/base",
  wanted = function(settings)
    return settings.model.base_model_path == ""
  end,
  run = make_base,
}

local sft = pipeline.stage {
  name = "sft",
  ignores = "data rl evaluation huggingface model.create training.base",
  reads = pipeline.read_base,
  needs = function(settings)
    local is_new = settings.model.base_model_path == ""
    local made = is_new and pipeline.folder(settings, "models/base") or nil
    return { { pipeline.folder(settings, "data_cache"), "sft.jsonl", "validation.jsonl" }, made }
  end,
  output = function(settings)
    return pipeline.folder(settings, "models/sft_final")
  end,
  checkpoints = "checkpoints/sft",
  before = base,
  run = fine_tune,
}

pipeline.main(sft, ...)
return sft
