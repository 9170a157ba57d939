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
---@field folder string Where everything goes.
---@field output string The run's own folder in there.
---@field steps integer
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

--- Runs one job. `text` is the job as JSON, `...` the command line's settings.
function verify.run(text, ...)
  ---@type affine.internal.VerifyJob
  local job = json.decode(text)
  local settings = config.load { [0] = "affine verify resume", ... }
  local path = job.model or settings.model.base_model_path
  if path == "" then
    path = small_model(settings, job.folder)
  end
  local m <close> = pipeline.load_model(settings, path)
  pipeline.add_adapter(settings, m)

  local options = pipeline.sft_options(settings)
  options.data = job.data or sums()
  options.output_dir = job.folder .. "/" .. job.output
  options.max_steps = job.steps
  options.save_steps = job.half
  options.save_total_limit = 0
  options.logging_steps = 1
  options.resume_from_checkpoint = true
  if job.wait then
    function options.on_step(step)
      if step.step == job.half + 1 then
        print("waiting")
        io.flush()
        time.sleep(3600)
      end
    end
  end
  trainer.sft(m, options):run()
  local info = m:info()
  print(json.encode { model = path, device = info.device, dtype = info.torch_dtype })
end

return verify
