-- How the cost of a LoRA SFT step grows with its size, by affine alone, on random models:
--   affine scripts/dev/bench/growth.lua [TABLE…]        sequence, batch, rank, parameters; all without a name
-- Every row is a process of its own, so that its memory is its own. Memory is what the steps added to the process at the
-- highest point. "Expected" is the law: time goes with the FLOPs that `flops` counts, memory with what `numbers` counts.
local fs = require("affine.fs")
local json = require("affine.json")
local measure = require("measure")
local model = require("affine.model")
local path = require("affine.path")
local random = require("affine.random")
local time = require("affine.time")
local tokenizer = require("affine.tokenizer")
local trainer = require("affine.trainer")

-- The shape of the model `tiny` of make_model.py, with a longer context.
local tiny = {
  hidden_size = 64,
  intermediate_size = 192,
  num_hidden_layers = 2,
  num_attention_heads = 4,
  num_key_value_heads = 2,
  head_dim = 16,
  max_position_embeddings = 32768,
}

--- The tiny model so many times as wide.
---@param times integer
local function wider(times)
  local shape = {} ---@type table<string, integer>
  for key, value in pairs(tiny) do
    shape[key] = value
  end
  for _, key in ipairs { "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads" } do
    shape[key] = shape[key] * times
  end
  return shape
end

local function row(label, changes)
  local default = { shape = tiny, sequence = 256, batch = 1, rank = 8 }
  for key, value in pairs(changes) do
    default[key] = value
  end
  default.label = label
  return default
end

---@type { name: string, title: string, rows: table[] }[]
local tables = {
  { name = "sequence", title = "Sequence length (tiny, one sequence)", rows = {} },
  { name = "batch", title = "Batch size (tiny, sequences of 256)", rows = {} },
  { name = "rank", title = "Adapter rank (tiny × 4 wide, 4 sequences of 256)", rows = {} },
  { name = "parameters", title = "Parameters (tiny × 1 to × 16 wide, 4 sequences of 64)", rows = {} },
}
for _, length in ipairs { 256, 512, 1024, 2048, 4096, 8192, 16384 } do
  table.insert(tables[1].rows, row(length, { sequence = length }))
end
for _, size in ipairs { 1, 2, 4, 8, 16, 32 } do
  table.insert(tables[2].rows, row(size, { batch = size }))
end
for _, rank in ipairs { 4, 8, 16, 32, 64, 128, 256 } do
  table.insert(tables[3].rows, row(rank, { shape = wider(4), batch = 4, rank = rank }))
end
for _, times in ipairs { 1, 2, 4, 8, 16 } do
  table.insert(tables[4].rows, row(nil, { shape = wider(times), batch = 4, sequence = 64 }))
end

local vocabulary = 512

--- Weights of the linear maps and of their adapters, in all layers.
---@param shape table<string, integer>
---@param rank integer
local function weights(shape, rank)
  local hidden, inner = shape.hidden_size, shape.intermediate_size
  local q = shape.num_attention_heads * shape.head_dim
  local kv = shape.num_key_value_heads * shape.head_dim
  local base, adapter = 0, 0
  for _, map in ipairs {
    { hidden, q },
    { hidden, kv },
    { hidden, kv },
    { q, hidden },
    { hidden, inner },
    { hidden, inner },
    { inner, hidden },
  } do
    base = base + map[1] * map[2]
    adapter = adapter + rank * (map[1] + map[2])
  end
  return base * shape.num_hidden_layers, adapter * shape.num_hidden_layers
end

--- Of one step. Per token and weight: 4 for the frozen base (forward, and back to its input), 6 for the adapter. Attention over
--- the past half of a sequence: 2 products forward, 5 back.
local function flops(r)
  local shape, tokens = r.shape, r.batch * r.sequence
  local base, adapter = weights(shape, r.rank)
  local head = vocabulary * shape.hidden_size
  local width = shape.num_attention_heads * shape.head_dim
  local attention = 7 * r.sequence * width * shape.num_hidden_layers
  return tokens * (4 * base + 6 * adapter + 4 * head + attention)
end

--- Bytes that grow with a step: float32 activations of every layer (the inputs and results of the seven maps, of the norms and of
--- attention), the rank-r products, the logits; gradients and both of Adam's means of the adapter.
local function numbers(r)
  local shape, tokens = r.shape, r.batch * r.sequence
  local _, adapter = weights(shape, r.rank)
  local width = (shape.num_attention_heads + 2 * shape.num_key_value_heads) * shape.head_dim
  local layer = 8 * shape.hidden_size + 3 * width + 5 * shape.intermediate_size + 7 * 2 * r.rank
  return 4 * tokens * (layer * shape.num_hidden_layers + 3 * vocabulary) + 12 * adapter
end

--- A tokenizer of at most 512 ids of made-up words, since a model's vocabulary is its tokenizer's.
local function made_up()
  local draw, texts = random.new(0, "words"), {}
  for i = 1, 2000 do
    local word = {}
    for k = 1, draw:int(2, 8) do
      word[k] = string.char(draw:int(97, 122))
    end
    texts[i] = " " .. table.concat(word)
  end
  return tokenizer.train(texts, { vocab_size = vocabulary })
end

--- Texts of exactly so many tokens: of words that are one each, because each begins with a space.
local function records(r, tok)
  local words = {}
  for id = 0, tok:size() - 1 do
    local word = tok:decode { id }
    if word:find("^ %a+$") and #tok:encode(word) == 1 then
      words[#words + 1] = word
    end
  end
  local draw, list = random.new(r.sequence, "growth"), {}
  for i = 1, r.batch do
    local text = {}
    for t = 1, r.sequence do
      text[t] = draw:choice(words)
    end
    list[i] = { text = table.concat(text) }
    assert(#tok:encode(list[i].text) == r.sequence)
  end
  return list
end

--- Runs a row in this process.
local function work(r)
  local shape = r.shape
  local tok = made_up()
  shape.tokenizer = tok
  shape.seed = 1
  local m = model.create(shape)
  m:add_lora { lora_r = r.rank, lora_alpha = 2 * r.rank }
  local steps = r.batch * r.sequence < 4096 and 8 or 3
  local sft = trainer.sft(m, {
    data = records(r, tok),
    output_dir = path.join(fs.tempdir(), "growth"),
    max_steps = steps,
    batch_size = r.batch,
    lr_scheduler_type = "constant",
    save_steps = 0,
    logging_steps = 0,
  })
  local before = measure.megabytes("VmRSS")
  local walls, cpus, wall, cpu = {}, {}, time.clock(), os.clock()
  for step in sft:steps() do
    if step.step > 1 then
      walls[#walls + 1], cpus[#cpus + 1] = time.clock() - wall, os.clock() - cpu
    end
    wall, cpu = time.clock(), os.clock()
  end
  local info = m:info()
  print(json.encode {
    wall = measure.median(walls),
    cpu = measure.median(cpus),
    mb = measure.megabytes("VmHWM") - before,
    parameters = info.parameters,
    trainable = info.trainable_parameters,
  })
end

local function times(now, before)
  return before and ("%.2f"):format(now / before) or ""
end

local columns =
  { "", "CPU s/step", "wall", "× the row before", "FLOPs ×", "GFLOP/s", "MB", "× the row before" }
columns[#columns + 1] = "expected MB"
columns[#columns + 1] = "expected ×"

local function show(t)
  print(("\n**%s**\n\n| %s |"):format(t.title, table.concat(columns, " | ")))
  print("|" .. ("---|"):rep(#columns))
  local last, last_row
  for i, r in ipairs(t.rows) do
    local got = measure.apart(("--row %s %d"):format(t.name, i))
    local cells = {
      r.label or ("%.2f M"):format(got.parameters / 1e6),
      ("%.4f"):format(got.cpu),
      ("%.4f"):format(got.wall),
      times(got.cpu, last and last.cpu),
      times(flops(r), last_row and flops(last_row)),
      ("%.1f"):format(flops(r) / got.cpu / 1e9),
      ("%.0f"):format(got.mb),
      times(got.mb, last and last.mb),
      ("%.0f"):format(numbers(r) / 2 ^ 20),
      times(numbers(r), last_row and numbers(last_row)),
    }
    print("| " .. table.concat(cells, " | ") .. " |")
    last, last_row = got, r
  end
end

local wanted = table.concat(arg, " ")
for _, t in ipairs(tables) do
  if arg[1] == "--row" then
    for i, r in ipairs(t.rows) do
      if arg[2] == t.name and arg[3] == tostring(i) then
        work(r)
      end
    end
  elseif wanted == "" or wanted:find(t.name, 1, true) then
    show(t)
  end
end
