-- Random calls of every Lua function, for fuzz.py: `calls.lua SEED FIRST COUNT JOURNAL`, in an empty folder.
--
-- A call is a function of (seed, number) alone. Its number and text go into the journal before it is made, so that whoever
-- reads the journal after the process died knows what it died of.
local affine = require("affine")
local fs = require("affine.fs")
local random = require("affine.random")
local tensor = require("affine.tensor")

-- Its arguments are numbers, its cases are there, and what it passes on is wrong on purpose.
---@diagnostic disable: need-check-nil, param-type-mismatch, generic-constraint-mismatch, assign-type-mismatch, redefined-local, call-non-callable

local seed, first, count, journal =
  math.tointeger(arg[1]), math.tointeger(arg[2]), math.tointeger(arg[3]), arg[4]
local stubs = arg[0]:gsub("[^/]*$", "") .. "../../../lua-stdlib/affine/_meta"

-- Functions that wait for somebody, reach the network, end the process or leave the folder.
local LEFT_OUT = {
  ["time.sleep"] = true,
  ["env.serve"] = true,
  ["env.generated"] = true, -- takes as long as the number of programs is large
  ["fs.tempdir"] = true,
  ["fs.symlink"] = true,
  ["log.file"] = true,
  ["log.level"] = true,
  ["test.run"] = true,
  ["pipeline.main"] = true,
}

-- What the stubs say: the types of every function's parameters, and the fields of every class. A call of other names and
-- types than these is refused at the first of them.
local names, methods, parameters, fields = {}, {}, {}, {}
for _, file in ipairs(fs.list(stubs)) do
  local types, class = {}, nil
  for line in fs.lines(stubs .. "/" .. file) do
    local field, of = line:match("^%-%-%-@field ([%w_]+)%?? (.*)")
    local kind = line:match("^%-%-%-@param [%w_.]+%?? (.*)")
    local name = line:match("^function ([%w_.:]+)%(")
    class = line:match("^%-%-%-@class ([%w_.]+)") or class
    if field then
      names[#names + 1] = field
      fields[class] = fields[class] or {}
      table.insert(fields[class], { field, of })
    elseif kind then
      types[#types + 1] = kind
    elseif name then
      local method = name:match(":([%w_]+)$")
      methods[method or ""] = true
      parameters[method or name] = types
      types = {}
    end
  end
end
methods[""] = nil

-- What calls are made of ------------------------------------------------------------------------------------------

local tokenizer = affine.tokenizer.train({ "red blue one two yes no" }, { vocab_size = 270 })
local model = affine.model.create {
  tokenizer = tokenizer,
  hidden_size = 16,
  intermediate_size = 16,
  num_hidden_layers = 1,
  num_attention_heads = 1,
  num_key_value_heads = 1,
  head_dim = 16,
  max_position_embeddings = 64,
}
local rows = { { prompt = "red", completion = "blue" }, { prompt = "one", completion = "two" } }
local letters = affine.env.define {
  name = "letters",
  prompt = "Say a letter.",
  reset = function()
    return ""
  end,
  step = function(_, action)
    return "", #action, true
  end,
}

local HANDLES = {
  function()
    return tensor.randn({ 2, 3 }, { seed = 1 })
  end,
  function()
    return tensor.new { 1, 2, 3 }
  end,
  function()
    return tensor.zeros({ 0, 4 }, { dtype = "int64" })
  end,
  function()
    return tensor.ones({ 2, 2 }, { dtype = "bool" })
  end,
  function()
    return tensor.ones { 3 } * 1e30
  end,
  function()
    return tensor.ones({ 4, 4 }, { dtype = "bfloat16" })
  end,
  function()
    return tokenizer
  end,
  function()
    return model
  end,
  function()
    return random.new(1, "fuzz", 0)
  end,
  function()
    return affine.env.make("sat", { n = 3, k = 2 })
  end,
  function()
    return affine.env.make("textcraft")
  end,
  function()
    return affine.env.make(letters)
  end,
  function()
    return affine.trainer.sft(model, { data = rows, output_dir = "sft", max_steps = 1, logging_steps = 0 })
  end,
  function()
    return affine.trainer.ppo(
      model,
      { output_dir = "ppo", iterations = 1, num_rollouts = 2, max_new_tokens = 2 }
    )
  end,
  function()
    return affine.track.run("fuzz", {})
  end,
  function()
    return fs.lock("locked")
  end,
}

-- The first so many of them are tensors.
local TENSORS = 6

local NUMBERS = {
  0,
  1,
  2,
  3,
  -1,
  -2,
  5,
  16,
  64,
  1000,
  65536,
  1 << 31,
  1 << 32,
  1 << 40,
  1 << 53,
  math.maxinteger,
  math.mininteger,
  0.5,
  1.5,
  -0.5,
  1e-9,
  1e12,
  1e30,
  1e308,
  1 / 0,
  -1 / 0,
  0 / 0,
} -- stylua: ignore
local STRINGS = {
  "",
  "a",
  "float32",
  "int64",
  "bool",
  "cpu",
  "cuda",
  "textcraft",
  "sat",
  "letters",
  "tiny",
  "mean",
  "sum",
  "assistant",
  "linear",
  "x.jsonl",
  "x.json",
  "x.parquet",
  "folder",
  "red blue",
  "\0",
  "\xff\xfe",
  "é漢😀",
  "%d%s%n",
  "{{ x }}",
  ("x"):rep(5000),
  ("("):rep(5000),
  ("["):rep(5000),
  "[1, 2]",
  '{"a": 1}',
  "a = 1",
  "return {}",
  "2026-01-01",
} -- stylua: ignore

local function generator(number)
  local rng = random.new(seed, "fuzz calls", number)
  local function pick(list)
    return list[rng:int(1, #list)]
  end
  local value

  local function list(depth)
    local items = {}
    for index = 1, rng:int(0, 4) do
      items[index] = value(depth + 1)
    end
    return items
  end

  local function options(depth)
    local fields = {}
    for _ = 1, rng:int(0, 4) do
      fields[pick(names)] = value(depth + 1)
    end
    return fields
  end

  function value(depth)
    local kind = rng:int(1, 12)
    if kind <= 3 then
      return pick(NUMBERS)
    elseif kind <= 5 then
      return pick(STRINGS)
    elseif kind == 6 then
      return rng:int(0, 1) == 1
    elseif kind == 7 and depth < 3 then
      return list(depth)
    elseif kind <= 9 and depth < 3 then
      return options(depth)
    elseif kind == 10 then
      return function(...)
        return ...
      end
    elseif kind == 11 then
      local made, handle = pcall(pick(HANDLES))
      return made and handle or nil
    elseif kind == 12 then
      return rows
    end
    return nil
  end

  --- A value of the type that a stub names, or something near it.
  local function typed(kind, depth)
    if depth > 3 or rng:int(1, 6) == 1 then
      return value(depth)
    elseif kind:find("^fun") then
      return function(...)
        return ...
      end
    elseif kind:find("%[%]") then
      local items, of = {}, kind:match("^(.-)%[%]")
      for index = 1, rng:int(0, 4) do
        items[index] = typed(of, depth + 1)
      end
      return items
    elseif kind:find("Tensor") then
      return HANDLES[rng:int(1, TENSORS)]()
    elseif kind:find("integer") or kind:find("number") then
      return pick(NUMBERS)
    elseif kind:find("boolean") then
      return rng:int(0, 1) == 1
    elseif kind:find("string") then
      return pick(STRINGS)
    elseif kind:find("Record") then
      return rows
    end
    local class = fields[kind:match("affine[%w_.]+") or ""]
    if not class then
      local made, handle = pcall(pick(HANDLES))
      return made and handle or nil
    end
    local options = {}
    for _ = 1, rng:int(0, 4) do
      local field = pick(class)
      options[field[1]] = typed(field[2], depth + 1)
    end
    return options
  end
  return rng, pick, value, typed
end

-- Every function of every module, and every method of every handle -------------------------------------------------

local MODULES = {
  "card",
  "collect",
  "config",
  "data",
  "env",
  "eval",
  "fs",
  "grid",
  "json",
  "log",
  "model",
  "path",
  "pipeline",
  "random",
  "report",
  "sandbox",
  "tensor",
  "time",
  "tokenizer",
  "track",
  "trainer",
  "worker",
} -- stylua: ignore

local functions = {}
for _, module in ipairs(MODULES) do
  local content = require("affine." .. module)
  for name, value in pairs(content) do
    local whole = module .. "." .. tostring(name)
    if type(value) == "function" and not LEFT_OUT[whole] then
      functions[#functions + 1] = { name = whole, key = whole, call = value, group = module }
    end
  end
end
for index, make in ipairs(HANDLES) do
  local handle = make()
  for name in pairs(methods) do
    local has, method = pcall(function()
      return handle[name]
    end)
    if has and type(method) == "function" then
      functions[#functions + 1] = {
        name = ("handle %d:%s"):format(index, name),
        key = name,
        call = method,
        of = make,
        group = "handle " .. index,
      }
    end
  end
end
table.sort(functions, function(a, b)
  return a.name < b.name
end)
-- By module and by handle, so that tensors, which have most, are not most of the calls.
local groups, order = {}, {}
for _, f in ipairs(functions) do
  if not groups[f.group] then
    groups[f.group] = {}
    order[#order + 1] = f.group
  end
  table.insert(groups[f.group], f)
end
if arg[5] == "list" then
  for _, f in ipairs(functions) do
    print(f.name)
  end
  return
end

-- The calls --------------------------------------------------------------------------------------------------------

local function show(value, depth)
  if type(value) == "table" then
    local parts = {}
    for key, item in pairs(value) do
      parts[#parts + 1] = ("[%s]=%s"):format(show(key, depth + 1), show(item, depth + 1))
    end
    return depth > 3 and "{…}" or "{" .. table.concat(parts, ", ") .. "}"
  elseif type(value) == "string" then
    return ("%q"):format(#value > 60 and value:sub(1, 60) .. "…" or value):gsub("\n", "n")
  end
  return tostring(value)
end

local file = assert(io.open(journal, "w"))
file:setvbuf("line")
for number = first, first + count - 1 do
  local rng, pick, value, typed = generator(number)
  local f = pick(groups[pick(order)])
  local types, arguments = parameters[f.key] or {}, {}
  local n = math.max(#types - rng:int(0, 1), rng:int(0, 2))
  for index = 1, n do
    arguments[index] = types[index] and typed(types[index], 0) or value(0)
  end
  if f.of then
    local made, handle = pcall(f.of)
    table.insert(arguments, 1, made and handle or false)
    n = n + 1
  end
  local shown = {}
  for index = 1, n do
    shown[index] = show(arguments[index], 0)
  end
  file:write(("%d\t%s(%s)\n"):format(number, f.name, table.concat(shown, ", "):gsub("\n", " ")))
  pcall(f.call, table.unpack(arguments, 1, n))
  arguments = nil
  if number % 50 == 0 then
    collectgarbage()
  end
end
file:write("done\n")
