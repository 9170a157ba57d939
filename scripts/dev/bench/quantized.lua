-- What a base in few bits costs and saves, by affine alone: affine scripts/dev/bench/quantized.lua MODEL [ROUNDS]
-- MODEL is a folder (scripts/dev/bench/make_model.py --preset mid --dtype bf16). Prints a table: plain, int8 and NF4, each row the median
-- of ROUNDS (5) processes of their own, which take turns. A training step is LoRA r = 8 on 2 records of 128 tokens; decoding is what
-- each further token of a batch costs.
local fs = require("affine.fs")
local json = require("affine.json")
local measure = require("measure")
local model = require("affine.model")
local path = require("affine.path")
local random = require("affine.random")
local trainer = require("affine.trainer")

local FORMATS = {
  { name = "plain" },
  { name = "int8", quantize = "int8" },
  { name = "nf4", quantize = "nf4" },
  { name = "nf4, double", quantize = "nf4", double_quantize = true },
}
local TOKENS = 24

local stream = random.new(1, "quantized")

local function ids(count)
  local list = {}
  for i = 1, count do
    list[i] = stream:int(0, 7999)
  end
  return list
end

--- CPU seconds of each further token of `rows` replies.
local function decoding(m, rows)
  local prompts = {}
  for row = 1, rows do
    prompts[row] = ids(64)
  end
  local function seconds(count)
    local _, cpu = measure.time(function()
      return m:generate(prompts, { max_new_tokens = count, temperature = 1, batch_size = rows })
    end)
    return cpu
  end
  seconds(4)
  return (seconds(TOKENS + 1) - seconds(1)) / TOKENS
end

--- CPU seconds of a training step.
local function training(m)
  m:add_lora { lora_r = 8, lora_alpha = 16 }
  local text = m:tokenizer():decode(ids(256))
  local sft = trainer.sft(m, {
    data = { { text = text }, { text = text } },
    output_dir = path.join(fs.tempdir(), "quantized"),
    train_on = "all",
    batch_size = 2,
    max_length = 128,
    max_steps = 4,
    save_steps = 0,
    logging_steps = 0,
  })
  local cpus, cpu = {}, os.clock()
  for step in sft:steps() do
    if step.step > 1 then
      cpus[#cpus + 1] = os.clock() - cpu
    end
    cpu = os.clock()
  end
  return measure.median(cpus)
end

--- Measures one format in this process.
local function work(folder, format)
  local before = measure.megabytes("VmRSS")
  local m = model.load(folder, {
    dtype = "bfloat16",
    device = "cpu",
    quantize = format.quantize,
    double_quantize = format.double_quantize,
  })
  local quantization = m:info().quantization
  local error_sum, errors = 0, 0
  for _, number in pairs(quantization and quantization.errors or {}) do
    error_sum, errors = error_sum + number, errors + 1
  end
  local result = { mb = measure.megabytes("VmRSS") - before, error = error_sum / math.max(1, errors) }
  result.step = training(m)
  m:delete_adapter("default")
  result.one, result.eight = decoding(m, 1), decoding(m, 8)
  result.peak = measure.megabytes("VmHWM") - before
  print(json.encode(result))
end

--- The medians of all formats; they take turns.
local function measured(folder, rounds)
  local all = {}
  for _ = 1, rounds do
    for i in ipairs(FORMATS) do
      all[i] = all[i] or {}
      for key, number in pairs(measure.apart(("'%s' --row %d"):format(folder, i))) do
        all[i][key] = all[i][key] or {}
        table.insert(all[i][key], number)
      end
    end
  end
  return all
end

local function spread(list, times, digits)
  local form = "%." .. digits .. "f"
  local function show(number)
    return form:format(times * number)
  end
  return ("%s (%s to %s)"):format(
    show(measure.median(list)),
    show(math.min(table.unpack(list))),
    show(math.max(table.unpack(list)))
  )
end

local function show(all)
  print("| base | loaded MB | peak MB | mean error | CPU s per step | ms per token, batch 1 | batch 8 |")
  print("|" .. ("---|"):rep(7))
  for i, format in ipairs(FORMATS) do
    local got = all[i]
    local cells = {
      format.name,
      ("%.0f"):format(measure.median(got.mb)),
      ("%.0f"):format(measure.median(got.peak)),
      format.quantize and ("%.4f"):format(measure.median(got.error)) or "",
      spread(got.step, 1, 3),
      spread(got.one, 1e3, 1),
      spread(got.eight, 1e3, 1),
    }
    print("| " .. table.concat(cells, " | ") .. " |")
  end
end

local folder = arg[1] or error("which model? affine scripts/dev/bench/quantized.lua MODEL [ROUNDS]", 0)
if arg[2] == "--row" then
  work(folder, FORMATS[math.tointeger(arg[3])])
else
  show(measured(folder, math.tointeger(arg[2] or 5)))
end
