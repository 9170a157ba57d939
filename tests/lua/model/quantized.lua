-- Quantised bases, and several adapters on one base.
local fs = require("affine.fs")
local json = require("affine.json")
local model = require("affine.model")
local path = require("affine.path")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()
local base = path.join(folder, "base")
tiny.model():save(base)
local ids = tiny.tokenizer:encode("red blue green one two three")

local function near(got, wanted, tolerance)
  expect(#got):equals(#wanted)
  for i, number in ipairs(wanted) do
    expect(got[i]):near(number, tolerance)
  end
end

local function train(m, steps)
  local losses = {}
  local sft = trainer.sft(m, {
    data = tiny.records(),
    output_dir = path.join(folder, "sft"),
    max_steps = steps,
    learning_rate = 1e-2,
  })
  for step in sft:steps() do
    losses[#losses + 1] = step.loss
  end
  fs.remove(path.join(folder, "sft"), { recursive = true })
  return losses
end

describe("a quantised base", function()
  it("is told about by info and learns through an adapter", function()
    local m <close> = model.load(base, { quantize = "nf4", double_quantize = true, device = "cpu" })
    local q = m:info().quantization
    expect(q.quantize):equals("nf4")
    expect(q.double_quantize):equals(true)
    expect(q.errors["model.layers.0.self_attn.q_proj"] < 0.15):equals(true)
    expect(m:info().trainable_parameters):equals(0)
    m:add_lora { lora_r = 8, lora_alpha = 16 }
    local losses = train(m, 30)
    expect(losses[#losses] < losses[1] - 0.3):equals(true)
  end)

  it("refuses what it cannot do exactly, and does it once it is dequantised", function()
    local m <close> = model.load(base, { quantize = "int8", device = "cpu" })
    expect(function()
      train(m, 1)
    end):raises("cannot be trained in full")
    expect(function()
      m:save(path.join(folder, "none"))
    end):raises("call dequantize() first")
    m:add_lora { lora_r = 2 }
    train(m, 3)
    local trained = m:logprobs(ids)
    expect(function()
      m:merge_lora()
    end):raises("cannot be merged into a base in int8")
    m:dequantize()
    m:merge_lora()
    near(m:logprobs(ids), trained, 1e-5)
    m:save(path.join(folder, "rounded"))
    near(model.load(path.join(folder, "rounded")):logprobs(ids), trained, 1e-5)
  end)
end)

describe("adapters on one base", function()
  it("are switched, turned off and deleted by name", function()
    local m <close> = model.load(base, { device = "cpu" })
    local plain = m:logprobs(ids)
    m:add_lora { lora_r = 2, adapter_name = "one" }
    train(m, 3)
    local one = m:logprobs(ids)
    m:add_lora { lora_r = 4, adapter_name = "two", seed = 1 }
    near(m:logprobs(ids), plain, 1e-5)
    train(m, 5)
    local two = m:logprobs(ids)
    expect(m:info().adapters):equals { "one", "two" }
    expect(m:info().active_adapter):equals("two")
    m:set_adapter("one")
    expect(m:logprobs(ids)):equals(one)
    m:disable_adapter()
    expect(m:logprobs(ids)):equals(plain)
    expect(function()
      train(m, 1)
    end):raises("all adapters of this model are off")
    m:set_adapter("two")
    expect(m:logprobs(ids)):equals(two)
    m:save_adapter(path.join(folder, "two"))
    expect(function()
      m:merge_lora()
    end):raises('the adapter "one" was made for')
    m:delete_adapter("two")
    expect(m:logprobs(ids)):equals(plain)
    expect(function()
      m:set_adapter("two")
    end):raises('adapter_name: expected "one", got "two"')
    m:load_adapter(path.join(folder, "two"), { adapter_name = "again" })
    near(m:logprobs(ids), two, 1e-6)
  end)

  it("made for another base are refused with the names of both", function()
    local m = tiny.model { hidden_size = 48 }
    expect(function()
      m:load_adapter(path.join(folder, "two"))
    end):raises("the adapter was made for " .. base)
  end)

  it("of another rank than their files say are refused with both ranks", function()
    local m <close> = model.load(base, { device = "cpu" })
    local file = path.join(folder, "two", "adapter_config.json")
    local config = json.decode(fs.read(file))
    config.r = 3
    fs.write(file, json.encode(config))
    expect(function()
      m:load_adapter(path.join(folder, "two"))
    end):raises("so rank 4; adapter_config.json says rank 3")
    expect(m:info().adapters):equals {}
  end)
end)

fs.remove(folder, { recursive = true })
