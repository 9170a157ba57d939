-- How fast a GPU trains: `affine train.lua MODEL DEVICE LENGTH [checkpointing]`. MODEL is a folder of a Qwen3 model in bfloat16.
-- One measurement a process, because the GPU's peak of memory counts from the start of one. peer.py does the same work.
-- Prints one JSON object: tokens per second, the tokens that a step trains, and the most memory that tensors held.
local affine = require("affine")
local fs = require("affine.fs")
local json = require("affine.json")
local model = require("affine.model")
local random = require("affine.random")
local trainer = require("affine.trainer")

local usage = "affine train.lua MODEL DEVICE LENGTH [checkpointing]"
local source = arg[1] or error("which model? " .. usage, 0)
local device = arg[2] or error("on which device? " .. usage, 0)
local length = math.tointeger(tonumber(arg[3])) or error("how many tokens has a row? " .. usage, 0)
local checkpointing = arg[4] == "checkpointing"
local steps, warm_up = 7, 2
-- 8192 tokens a step, in at most 8 rows.
local rows = math.max(1, math.min(8, 8192 // length))

local m = model.load(source, { device = device, dtype = "bfloat16" })
m:add_lora { lora_r = 16, lora_alpha = 32 }

-- Text of more tokens than are wanted: what is too much is cut.
local vocabulary = math.min(m:info().config.vocab_size, 8000)
local stream = random.new(1, "gpu-train")
local data = {}
for row = 1, rows do
  local ids = {}
  for i = 1, 2 * length do
    ids[i] = stream:int(0, vocabulary - 1)
  end
  data[row] = { text = m:tokenizer():decode(ids) }
end

local result = { train_length = length, gradient_checkpointing = checkpointing }
local ok, problem = pcall(function()
  local run = trainer.sft(m, {
    data = data,
    output_dir = fs.tempdir(),
    batch_size = rows,
    max_steps = steps,
    max_length = length,
    gradient_checkpointing = checkpointing,
    logging_steps = 0,
    train_on = "all",
  })
  local rates = {}
  for step in run:steps() do
    if step.step > warm_up then
      rates[#rates + 1] = step.tokens / step.seconds
    end
    result.tokens_per_step = step.tokens
  end
  table.sort(rates)
  result.tokens_per_second = rates[#rates // 2 + 1]
end)
if not ok then
  result.problem = tostring(problem)
end
local gpu = affine.memory().gpus[1]
result.peak_bytes = gpu and gpu.peak_bytes or nil
print(json.encode(result))
