-- Mutated files in front of their loaders, for fuzz.py: `files.lua SEED FIRST COUNT JOURNAL`, in an empty folder.
--
-- Every file that a loader takes from the Hub or a disk, written well first; number by number one of them is damaged, loaded
-- and put right again. What a number does follows from the seed.
local affine = require("affine")
local fs = require("affine.fs")
local random = require("affine.random")

-- Its arguments are numbers, its cases are there, and what it passes on is wrong on purpose.
---@diagnostic disable: need-check-nil, param-type-mismatch, generic-constraint-mismatch, assign-type-mismatch, redefined-local, call-non-callable

local seed, first, count, journal =
  math.tointeger(arg[1]), math.tointeger(arg[2]), math.tointeger(arg[3]), arg[4]
local golden = arg[0]:gsub("[^/]*$", "") .. "../../../tests/golden/"

-- Good files -------------------------------------------------------------------------------------------------------

local tokenizer = affine.tokenizer.train({ "red blue one two yes no three green" }, { vocab_size = 290 })
local model = affine.model.create {
  tokenizer = tokenizer,
  hidden_size = 16,
  intermediate_size = 16,
  num_hidden_layers = 2,
  num_attention_heads = 2,
  num_key_value_heads = 1,
  head_dim = 8,
  max_position_embeddings = 64,
}
local rows = {}
for index = 1, 8 do
  rows[index] = { prompt = "red " .. index, completion = "blue " .. index }
end
model:save("model")
fs.write(
  "model/chat_template.jinja",
  [[
{%- for message in messages %}{%- if message.role == 'user' and loop.index0 >= 0 %}{{- '<|im_start|>' + message.role + '\n' +
message.content + '<|im_end|>' + '\n' }}{%- elif message.role is string %}{%- set x = message.content.split('</think>')[-1] %}
{{- '<|im_start|>' ~ message.role ~ '\n' ~ x | trim ~ '<|im_end|>' ~ '\n' }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}]]
)
model:save("sharded", { max_shard_size = 20000 })
model:add_lora { lora_r = 2 }
model:save_adapter("adapter")

local function train(resume)
  return affine.trainer.sft(model, {
    data = rows,
    output_dir = "run",
    max_steps = 2,
    batch_size = 2,
    save_steps = 1,
    logging_steps = 0,
    resume = resume,
  })
end
train(false):run()
collectgarbage()

local chat = {
  messages = { { role = "user", content = "red" }, { role = "assistant", content = "blue" } },
}
local traj =
  { conversations = { { from = "human", value = "go" }, { from = "gpt", value = "ok", loss = true } } }
affine.data.write("rows.jsonl", { chat, chat, rows[1] })
affine.data.write("rows.jsonl.zst", { chat, chat, rows[1] })
fs.write("rows.json", affine.json.encode { chat, rows[2] })
fs.write("traj.json", affine.json.encode { traj, traj })
fs.write("config.lua", "return { training = { learning_rate = 1e-3, lora_r = 4 }, rl = { gamma = 0.5 } }\n")
for _, name in ipairs { "records/pairs.parquet", "records/mixed.parquet", "affine/rows_zstd.parquet" } do
  fs.copy(golden .. name, (name:gsub(".*/", "")))
end
fs.mkdir("webshop")
for _, name in ipairs { "items_human_ins.json", "items_ins_v2_1000.json", "items_shuffle_1000.json" } do
  fs.copy(golden .. "webshop/" .. name, "webshop/" .. name)
end
fs.write(
  "play.lua",
  'local env = require "affine.env" return env.define { name = "p", prompt = "?", reset = function() return "" end, step = function() return "", 1, true end }'
)

-- Loaders ----------------------------------------------------------------------------------------------------------

local function load_model(folder)
  return function()
    local m <close> = affine.model.load(folder)
    m:logprobs { 1, 2, 3 }
    m:chat({ { role = "user", content = "red" } }, { max_new_tokens = 2 })
  end
end

local function load_tokenizer()
  local t = affine.tokenizer.load("model")
  t:decode(t:encode("red blue é 😀 one"))
  t:chat(
    { { role = "user", content = "red" }, { role = "assistant", content = "x" } },
    { add_generation_prompt = true }
  )
  t:preview { { role = "user", content = "red" }, { role = "assistant", content = "x" } }
end

local function read(path)
  return function()
    affine.data.read(path)
  end
end

local function resume()
  local sft = train(true)
  for _ in sft:steps() do
  end
end

local function webshop()
  local e <close> = affine.env.make("webshop", { data = "webshop", cache = false })
  e:reset(0)
  e:step("search[red]")
end

local LOADERS = {
  { "model/config.json", load_model("model") },
  { "model/tokenizer.json", load_tokenizer },
  { "model/tokenizer_config.json", load_tokenizer },
  { "model/generation_config.json", load_tokenizer },
  { "model/chat_template.jinja", load_tokenizer },
  { "model/model.safetensors", load_model("model") },
  { "sharded/model.safetensors.index.json", load_model("sharded") },
  {
    "adapter/adapter_config.json",
    function()
      model:load_adapter("adapter")
    end,
  },
  {
    "adapter/adapter_model.safetensors",
    function()
      model:load_adapter("adapter")
    end,
  },
  { "run/checkpoint-2/trainer_state.json", resume },
  { "run/checkpoint-2/optimizer.safetensors", resume },
  { "run/checkpoint-2/adapter_model.safetensors", resume },
  { "rows.jsonl", read("rows.jsonl") },
  { "rows.jsonl.zst", read("rows.jsonl.zst") },
  { "rows.json", read("rows.json") },
  { "traj.json", read("traj.json") },
  { "pairs.parquet", read("pairs.parquet") },
  { "mixed.parquet", read("mixed.parquet") },
  { "rows_zstd.parquet", read("rows_zstd.parquet") },
  {
    "config.lua",
    function()
      affine.config.load { "--config", "config.lua" }
    end,
  },
  { "webshop/items_shuffle_1000.json", webshop },
  { "webshop/items_human_ins.json", webshop },
  {
    "play.lua",
    function()
      local e <close> = affine.env.make("play.lua")
      e:reset(0)
      e:step("x")
    end,
  },
}

-- Damage -----------------------------------------------------------------------------------------------------------

local VALUES = {
  "0",
  "-1",
  "1e400",
  "4294967296",
  "9223372036854775807",
  "-9223372036854775808",
  "1.5",
  "null",
  "true",
  '""',
  "[]",
  "{}",
  '"\\ud800"',
  "99999999999999999999999",
  "NaN",
  '"../../x"',
  '"(a+)+$"',
  "[[[]]]",
} -- stylua: ignore
local PIECES = { "\0", "\xff", "[", "{", "(", '"', "-", "{%", "{{", "%}", "not ", "\n", "\\" }

local function damage(text, rng)
  local function place()
    return rng:int(1, #text)
  end
  local kind = rng:int(1, 8)
  if kind == 1 then -- a bit
    local at = place()
    local byte = text:byte(at) ~ (1 << rng:int(0, 7))
    return text:sub(1, at - 1) .. string.char(byte) .. text:sub(at + 1)
  elseif kind == 2 then -- cut off
    return text:sub(1, place() - 1)
  elseif kind == 3 then -- a piece missing
    local a, b = place(), place()
    return text:sub(1, math.min(a, b) - 1) .. text:sub(math.max(a, b))
  elseif kind == 4 then -- a piece twice
    local a, b = place(), place()
    a, b = math.min(a, b), math.max(a, b)
    return text:sub(1, b) .. text:sub(a)
  elseif kind == 5 then -- a piece very often
    local at, piece = place(), PIECES[rng:int(1, #PIECES)]
    return text:sub(1, at) .. piece:rep(rng:int(1, 40000)) .. text:sub(at + 1)
  elseif kind <= 7 and text:find("%d") then -- another value for a number
    local places = {}
    for at, finish in text:gmatch("()%d+%.?%d*()") do
      places[#places + 1] = { at, finish }
    end
    local chosen = places[rng:int(1, #places)]
    return text:sub(1, chosen[1] - 1) .. VALUES[rng:int(1, #VALUES)] .. text:sub(chosen[2])
  end
  local places = {} -- another value for what follows a colon
  for at, finish in text:gmatch(':%s*()[%w"%[{][^,}%]]*()') do
    places[#places + 1] = { at, finish }
  end
  if #places == 0 then
    return text:reverse()
  end
  local chosen = places[rng:int(1, #places)]
  return text:sub(1, chosen[1] - 1) .. VALUES[rng:int(1, #VALUES)] .. text:sub(chosen[2])
end

local file = assert(io.open(journal, "w"))
file:setvbuf("line")
for number = first, first + count - 1 do
  local rng = random.new(seed, "fuzz files", number)
  local path, loader = table.unpack(LOADERS[number % #LOADERS + 1])
  local folder = path:match("^run/") and "run"
  if folder then
    os.execute("rm -rf run.good; cp -r run run.good")
  end
  local good = fs.read(path)
  fs.write(path, damage(good, rng))
  file:write(("%d\t%s\n"):format(number, path))
  local loaded, problem = pcall(loader)
  if os.getenv("FUZZ_TELL") then
    file:write(("%d\t%s\t%s\n"):format(number, path, loaded and "taken" or tostring(problem):sub(1, 200)))
  end
  if folder then
    os.execute("rm -rf run; mv run.good run")
  else
    fs.write(path, good)
  end
  if number % 20 == 0 then
    collectgarbage()
  end
end
file:write("done\n")
