-- What `affine verify resume` runs in processes of its own: a training run by the user's settings, straight through, or
-- up to where it waits to be killed, or on from there. The command compares what they leave.

local config = require("affine.config")
local fs = require("affine.fs")
local json = require("affine.json")
local model = require("affine.model")
local pipeline = require("affine.pipeline")
local time = require("affine.time")
local tokenizer = require("affine.tokenizer")
local trainer = require("affine.trainer")

local verify = {}

---@class affine.internal.VerifyJob
---@field stage "sft"|"rl"
---@field folder string Where everything goes.
---@field output string The run's own folder in there.
---@field steps integer Optimizer steps, or iterations.
---@field half integer The step after which a checkpoint is saved.
---@field wait boolean? Whether to wait behind the step after that one, to be killed.
---@field data string? A file of records; without one, sums.
---@field model string? A model's folder; without one that of the settings, and without that a new small model.

local function sums()
  local records = {}
  for a = 0, 15 do
    for b = 0, 15 do
      records[#records + 1] = {
        messages = {
          { role = "user", content = ("%d + %d ="):format(a, b) },
          { role = "assistant", content = tostring(a + b) },
        },
      }
    end
  end
  return records
end

--- A new small model by the section `model.create`, saved once, so that all runs begin with the same.
local function small_model(settings, folder)
  local path = folder .. "/model"
  if not fs.exists(path .. "/config.json") then
    ---@type any
    local create = pipeline.pick(settings.model.create)
    local texts = {}
    for _, record in ipairs(sums()) do
      texts[#texts + 1] = record.messages[1].content .. " " .. record.messages[2].content
    end
    create.tokenizer = tokenizer.train(texts, { vocab_size = create.vocab_size })
    create.vocab_size = nil
    create.seed = settings.seed
    local m <close> = model.create(create)
    m:save(path)
  end
  return path
end

--- What a job asks of the trainer's options, whichever it is.
local function as_asked(options, job)
  options.output_dir = job.folder .. "/" .. job.output
  options.save_steps = job.half
  options.save_total_limit = 0
  options.resume_from_checkpoint = true
  return options
end

--- Called behind every step: where the job is to be killed, waits for that.
local function wait_behind(job, step)
  if job.wait and step == job.half + 1 then
    print("waiting")
    io.flush()
    time.sleep(3600)
  end
end

--- Each trains by the settings and says how, of which model (%s) and on what.
---@type table<string, fun(settings: table, job: affine.internal.VerifyJob, m: affine.model.Model): string>
local stages = {}

function stages.sft(settings, job, m)
  local options = as_asked(pipeline.sft_options(settings), job)
  options.data = job.data or sums()
  options.max_steps = job.steps
  options.logging_steps = 1
  function options.on_step(step)
    wait_behind(job, step.step)
  end
  trainer.sft(m, options):run()
  return "SFT of %s on " .. (job.data or "sums")
end

function stages.rl(settings, job, m)
  local environments, names = pipeline.environments(settings)
  local options = as_asked(pipeline.ppo_options(settings), job)
  options.iterations = job.steps
  for iteration in trainer.ppo(m, options):iterations(environments) do
    wait_behind(job, iteration.iteration)
  end
  return "PPO of %s on " .. table.concat(names, ", ")
end

--- Runs one job. `text` is the job as JSON, `...` the command line's settings.
function verify.run(text, ...)
  ---@type affine.internal.VerifyJob
  local job = json.decode(text)
  local settings = config.load { [0] = "affine verify resume", ... }
  local path = job.model or settings.model.base_model_path ---@type string
  if path == "" then
    path = small_model(settings, job.folder)
  end
  local m <close> = pipeline.load_model(settings, path)
  pipeline.add_adapter(settings, m)
  local work = stages[job.stage](settings, job, m)
  local info = m:info()
  print(json.encode { work = work:format(path), device = info.device, dtype = info.torch_dtype })
end

return verify
