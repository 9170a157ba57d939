-- Whether a device computes what the CPU does: `affine check.lua MODELS [DEVICE]`. MODELS is a folder with model-tiny, model-odd
-- and what PyTorch said of them (tests/golden/parity); the CPU's own numbers are tested against it where affine is built.
-- Prints a line per check and ends with 1 where one failed.
local fs = require("affine.fs")
local json = require("affine.json")
local model = require("affine.model")
local path = require("affine.path")
local random = require("affine.random")
local trainer = require("affine.trainer")

local models = arg[1]
  or error("which folder holds model-tiny and reference-tiny? affine check.lua MODELS [DEVICE]", 0)
local device = arg[2] or "cuda"
local folder = fs.tempdir()
local failed = 0

local function check(name, right, detail)
  if not right then
    failed = failed + 1
  end
  print(("%s  %-58s %s"):format(right and "ok  " or "FAIL", name, detail or ""))
end

-- Reference and device side by side, as the largest difference over the largest number.
local function near(name, wanted, got, tolerance)
  local apart, size = 0.0, 1e-12
  for i, number in ipairs(wanted) do
    apart = math.max(apart, math.abs(number - got[i]))
    size = math.max(size, math.abs(number))
  end
  local off = apart / size
  -- Written so that what is not a number fails.
  check(name, #wanted == #got and off <= tolerance, ("%.1e apart, %.0e allowed"):format(off, tolerance))
end

local stream = random.new(7, "gpu-check")
local function ids(count)
  local list = {}
  for i = 1, count do
    list[i] = stream:int(0, 400)
  end
  return list
end

local function records(tokenizer)
  local list = {}
  for i = 1, 12 do
    local question, answer = tokenizer:decode(ids(4 + 5 * i)), tokenizer:decode(ids(30 - 2 * i))
    list[i] =
      { messages = { { role = "user", content = question }, { role = "assistant", content = answer } } }
  end
  return list
end

-- Models ------------------------------------------------------------------------------------------------------------

for _, name in ipairs { "tiny", "odd" } do
  local source = path.join(models, "model-" .. name)
  local reference = json.decode(fs.read(path.join(models, "reference-" .. name, "reference.json")))
  local on_cpu <close> = model.load(source, { device = "cpu" })
  local there <close> = model.load(source, { device = device })
  local prompt = reference.greedy.prompt
  local greedy =
    there:generate({ prompt }, { max_new_tokens = #reference.greedy.base.ids, temperature = 0 })[1].tokens
  local same = #greedy == #reference.greedy.base.ids
  for i, id in ipairs(greedy) do
    same = same and id == reference.greedy.base.ids[i]
  end
  check(name .. ": greedy continuation is PyTorch's", same)

  local long = ids(200)
  near(name .. ": log-probs in float32", on_cpu:logprobs(long), there:logprobs(long), 1e-4)
  for _, dtype in ipairs { "bfloat16", "float16" } do
    local small <close> = model.load(source, { device = device, dtype = dtype })
    near(name .. ": log-probs in " .. dtype, on_cpu:logprobs(long), small:logprobs(long), 3e-2)
  end

  there:load_adapter(path.join(models, "reference-" .. name, "adapter"))
  on_cpu:load_adapter(path.join(models, "reference-" .. name, "adapter"))
  near(name .. ": log-probs with an adapter of PEFT's", on_cpu:logprobs(long), there:logprobs(long), 1e-4)
  local sampled = there:generate({ prompt, long, { 5 } }, { max_new_tokens = 24, seed = 3 })
  local alone = there:generate({ prompt }, { max_new_tokens = 24, seed = 3 })
  near(name .. ": a row's log-probs do not depend on the batch", alone[1].logprobs, sampled[1].logprobs, 1e-3)
end

-- Decoding as a CUDA graph ------------------------------------------------------------------------------------------

-- Long enough for the cache to grow, in rows of unequal length. A CPU has no graphs, so there both are the ordinary step.
for _, name in ipairs { "tiny", "odd" } do
  local source = path.join(models, "model-" .. name)
  local prompts = { ids(5), ids(90), ids(31) }
  for _, dtype in ipairs { "float32", "bfloat16" } do
    local function generate(graph)
      local m <close> = model.load(source, { device = device, dtype = dtype, use_cuda_graph = graph })
      return m:generate(prompts, { max_new_tokens = 80, temperature = 0 })
    end
    local plain = generate(false)
    local graph = generate(device ~= "cpu" and true or "auto")
    for row, wanted in ipairs(plain) do
      local label = ("%s: row %d by CUDA graph in %s"):format(name, row, dtype)
      -- In bfloat16 rounding may choose between two tokens that are as likely; what was said until then counts.
      local same = 0
      while same < #wanted.tokens and wanted.tokens[same + 1] == graph[row].tokens[same + 1] do
        same = same + 1
      end
      if dtype == "float32" then
        check(label .. ": the same tokens", same == #wanted.tokens and same == #graph[row].tokens)
      end
      near(
        label .. ": log-probs",
        table.move(wanted.logprobs, 1, same, 1, {}),
        table.move(graph[row].logprobs, 1, same, 1, {}),
        dtype == "float32" and 1e-4 or 3e-2
      )
    end
  end
end

-- Training ----------------------------------------------------------------------------------------------------------

local source = path.join(models, "model-tiny")

local function losses(where, lora, options)
  local m <close> = model.load(source, { device = where })
  if lora then
    m:add_lora(lora)
  end
  local run =
    { data = records(m:tokenizer()), max_steps = 4, batch_size = 4, learning_rate = 2e-3, logging_steps = 0 }
  run.output_dir, run.lr_scheduler_type = path.join(folder, "sft"), "constant"
  for key, value in pairs(options or {}) do
    run[key] = value
  end
  local list = {}
  for step in trainer.sft(m, run):steps() do
    list[#list + 1] = step.loss
    list[#list + 1] = step.grad_norm
  end
  fs.remove(run.output_dir, { recursive = true })
  return list
end

local lora = { lora_r = 4, lora_alpha = 8, seed = 1 }
local ways = {
  { "LoRA", lora },
  { "LoRA, gradient checkpointing", lora, { gradient_checkpointing = true } },
  { "LoRA, packing", lora, { packing = true, max_length = 128 } },
  { "LoRA, padding-free", lora, { padding_free = true } },
  { "DoRA", { lora_r = 4, use_dora = true, seed = 1 } },
  { "rsLoRA, 8-bit AdamW", { lora_r = 4, use_rslora = true, seed = 1 }, { optim = "adamw_8bit" } },
  { "every weight", nil },
}
for _, way in ipairs(ways) do
  stream = random.new(8, "gpu-check")
  local wanted = losses("cpu", way[2], way[3])
  stream = random.new(8, "gpu-check")
  near("SFT: " .. way[1], wanted, losses(device, way[2], way[3]), 2e-3)
end

do
  local m <close> = model.load(source, { device = device })
  m:add_lora(lora)
  local options =
    { data = records(m:tokenizer()), max_steps = 4, batch_size = 4, save_steps = 2, logging_steps = 0 }
  options.output_dir = path.join(folder, "resumed")
  local straight = trainer.sft(m, options):run().final_loss
  fs.remove(path.join(options.output_dir, "checkpoint-4"), { recursive = true })
  local again <close> = model.load(source, { device = device })
  again:add_lora(lora)
  options.resume_from_checkpoint = true
  near("SFT: resumed after half", { straight }, { trainer.sft(again, options):run().final_loss }, 1e-5)
  local need = trainer.sft(again, { data = options.data, output_dir = path.join(folder, "need") }):preflight()
  check(
    "preflight measures memory",
    (need.peak_memory or 0) > 0,
    ("%d MiB"):format((need.peak_memory or 0) // (1 << 20))
  )
end

do
  local m <close> = model.load(source, { device = device })
  m:add_lora(lora)
  local env = require("affine.env")
  local ppo = trainer.ppo(
    m,
    { num_rollouts = 8, iterations = 2, max_new_tokens = 8, minibatch_size = 4, output_dir = folder }
  )
  local stats = ppo:run { envs = { env.make("sat", { n = 4, k = 3, m = 6 }) } }
  check(
    "PPO: an iteration's numbers are finite",
    stats.policy_loss == stats.policy_loss and stats.grad_norm < math.huge
  )
  local gap = ("sampler and trainer %.1e apart"):format(stats.sampler_gap or 0)
  check("PPO: the trainer recomputes what the sampler recorded", (stats.sampler_gap or 0) < 1e-3, gap)
end

if failed > 0 then
  error(("%d checks failed on %s"):format(failed, device), 0)
end
print(("every check passed on %s"):format(device))
