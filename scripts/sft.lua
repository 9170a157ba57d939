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

local ARCHITECTURE = [[
  hidden_size num_hidden_layers num_attention_heads num_key_value_heads head_dim intermediate_size
  tie_word_embeddings rope_theta max_position_embeddings
]]

--- Runs a trainer to its end, with every step in metrics.jsonl; the trainer itself logs every `logging_steps`.
local function train(stage, sft)
  for step in sft:steps() do
    stage:log(step)
  end
end

local function make_base(settings, stage)
  local records = pipeline.read_records("data_cache/base.jsonl")
  local texts = {}
  for index, record in ipairs(records) do
    local parts = {}
    for _, message in ipairs(record.messages) do
      parts[#parts + 1] = message.role .. "\n" .. message.content
    end
    texts[index] = table.concat(parts, "\n")
  end

  local create = pipeline.pick(settings.model.create, ARCHITECTURE)
  create.tokenizer = tokenizer.train(texts, { vocab_size = settings.model.create.vocab_size })
  create.seed = settings.seed
  local m <close> = model.create(create)
  local parameters, tokens = m:info().parameters, create.tokenizer:size()
  stage:say("a new Qwen3: %d parameters, %d tokens in its vocabulary", parameters, tokens)

  local base = settings.training.base
  local sft = trainer.sft(m, {
    data = records,
    output_dir = "checkpoints/base",
    train_on = "all",
    max_steps = base.max_steps,
    batch_size = base.batch_size,
    learning_rate = base.learning_rate,
    warmup_ratio = base.warmup_ratio,
    lr_scheduler_type = "cosine",
    min_lr_ratio = 0.1,
    max_length = settings.training.max_length,
    max_grad_norm = settings.training.max_grad_norm,
    save_steps = settings.training.save_steps,
    save_total_limit = settings.training.save_total_limit,
    logging_steps = settings.training.logging_steps,
    resume_from_checkpoint = stage:resume_from(""),
    seed = settings.seed,
  })
  train(stage, sft)
  m:save("models/base")
end

local function fine_tune(settings, stage)
  local training = settings.training
  local m <close> = pipeline.load_model(settings, pipeline.base_path(settings))
  pipeline.add_adapter(settings, m)
  local info = m:info()
  stage:say("training %d of %d parameters", info.trainable_parameters, info.parameters)

  local validation = pipeline.read_records("data_cache/validation.jsonl")
  local options = pipeline.sft_options(settings)
  options.data = "data_cache/sft.jsonl"
  options.output_dir = stage.checkpoints
  options.resume_from_checkpoint = stage:resume_from(training.resume_from_checkpoint)
  local sft = trainer.sft(m, options)

  if #validation > 0 then
    stage:say("what is trained on, in one record:\n%s", m:tokenizer():preview(validation[1].messages))
    local before = stage:once("validation_loss_before", function()
      return sft:evaluate(validation)
    end)
    stage:say("validation loss before: %.4f per token", before)
  end
  train(stage, sft)
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
  settings = { "model", "training.base", "training.max_length", "training.max_grad_norm" },
  needs = function()
    return { "data_cache" }
  end,
  output = function()
    return "models/base"
  end,
  checkpoints = "checkpoints/base",
  wanted = function(settings)
    return settings.model.base_model_path == ""
  end,
  run = make_base,
}

local sft = pipeline.stage {
  name = "sft",
  settings = { "model", "training" },
  needs = function(settings)
    local is_new = settings.model.base_model_path == ""
    return is_new and { "data_cache", "models/base" } or { "data_cache" }
  end,
  output = function()
    return "models/sft_final"
  end,
  checkpoints = "checkpoints/sft",
  before = base,
  run = fine_tune,
}

pipeline.main(sft, ...)
return sft
