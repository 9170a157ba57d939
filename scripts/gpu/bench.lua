-- How fast a GPU decodes: `affine bench.lua MODEL [DEVICE]`; train.lua trains. MODEL is a folder of a Qwen3 model in bfloat16,
-- of random weights for all that speed knows (scripts/bench/make_model.py --preset 4b). Prints one JSON object per
-- measurement: tokens per second, seconds, and the most memory that tensors held.
local affine = require("affine")
local json = require("affine.json")
local model = require("affine.model")
local random = require("affine.random")
local time = require("affine.time")

local source = arg[1] or error("which model? affine bench.lua MODEL [DEVICE]", 0)
local device = arg[2] or "cuda"
local m = model.load(source, { device = device, dtype = "bfloat16" })
local vocabulary = math.min(m:info().config.vocab_size, 8000)
local stream = random.new(1, "gpu-bench")

local function median(list)
  table.sort(list)
  return list[#list // 2 + 1]
end

local function ids(count)
  local list = {}
  for i = 1, count do
    list[i] = stream:int(0, vocabulary - 1)
  end
  return list
end

local function peak()
  local gpu = affine.memory().gpus[1]
  return gpu and gpu.peak_bytes or nil
end

-- Decoding, before an adapter is there: the time of many tokens less that of one.
for _, rows in ipairs { 1, 32, 128 } do
  local prompts = {}
  for row = 1, rows do
    prompts[row] = ids(128)
  end
  local function seconds(count)
    local begun = time.clock()
    m:generate(prompts, { max_new_tokens = count, temperature = 1, batch_size = rows })
    return time.clock() - begun
  end
  seconds(4)
  local steps = {}
  for round = 1, 5 do
    steps[round] = (seconds(33) - seconds(1)) / 32
  end
  local step = median(steps)
  print(json.encode {
    decode_batch = rows,
    step_ms = 1e3 * step,
    tokens_per_second = rows / step,
    peak_bytes = peak(),
  })
end
