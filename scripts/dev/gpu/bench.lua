-- How fast a GPU decodes: `affine bench.lua MODEL [DEVICE]`; train.lua trains. MODEL is a folder of a Qwen3 model in bfloat16,
-- of random weights for all that speed knows (scripts/dev/bench/make_model.py --preset 4b). Prints one JSON object per
-- measurement: tokens per second, seconds, and the most memory that tensors held.
local affine = require("affine")
local fs = require("affine.fs")
local json = require("affine.json")
local model = require("affine.model")
local path = require("affine.path")
local random = require("affine.random")
local time = require("affine.time")

local source = arg[1] or error("which model? affine bench.lua MODEL [DEVICE]", 0)
local device = arg[2] or "cuda"
local vocabulary = math.min(json.decode(fs.read(path.join(source, "config.json"))).vocab_size, 8000)
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

-- The time of many tokens less that of one, with and without a CUDA graph; a CPU has none.
local function decoding(loaded, graph)
  for _, rows in ipairs { 1, 32, 128 } do
    local prompts = {}
    for row = 1, rows do
      prompts[row] = ids(128)
    end
    local function seconds(count)
      local begun = time.clock()
      loaded:generate(prompts, { max_new_tokens = count, temperature = 1, batch_size = rows })
      return time.clock() - begun
    end
    -- The capture itself is left out, too: it falls on the first step after the prompt.
    seconds(4)
    local steps = {}
    for round = 1, 5 do
      steps[round] = (seconds(34) - seconds(2)) / 32
    end
    local step = median(steps)
    print(json.encode {
      decode_batch = rows,
      cuda_graph = graph,
      step_ms = 1e3 * step,
      tokens_per_second = rows / step,
      peak_bytes = peak(),
    })
  end
end

for _, graph in ipairs(device == "cpu" and { false } or { false, true }) do
  local m <close> = model.load(source, { device = device, dtype = "bfloat16", use_cuda_graph = graph })
  decoding(m, graph)
end
