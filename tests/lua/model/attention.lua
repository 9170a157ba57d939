-- use_flash_attention: which kernel computes attention, and that it decides nothing but rounding.

local affine = require("affine")
local test = require("affine.test")
local tiny = dofile("tests/lua/tiny.lua")
local fs, model, trainer = affine.fs, affine.model, affine.trainer
local describe, it, expect = test.describe, test.it, test.expect

local work <close> = setmetatable({ path = fs.tempdir() }, {
  __close = function(self)
    fs.remove(self.path, { recursive = true })
  end,
})
local base = work.path .. "/base"
do
  local m <close> = tiny.model()
  m:save(base)
end

local function load(flash, dtype)
  return model.load(base, { use_flash_attention = flash, device = "cpu", dtype = dtype })
end

describe("use_flash_attention", function()
  it("chooses the kernel, which m:info() names", function()
    expect(load(nil):info().attention):equals("flash")
    expect(load("auto"):info().attention):equals("flash")
    expect(load(true):info().attention):equals("flash")
    expect(load(false):info().attention):equals("math")
  end)

  it("changes log-probabilities and replies by rounding alone", function()
    local with <close> = load(true)
    local without <close> = load(false)
    local ids = tiny.tokenizer:encode("red blue green yes no one two three")
    local a, b = with:logprobs(ids), without:logprobs(ids)
    for i = 1, #ids - 1 do
      expect(a[i]):near(b[i], 1e-5)
    end
    local options = { max_new_tokens = 8, temperature = 0 }
    expect(with:generate({ "red", "blue green" }, options)[2].tokens):equals(
      without:generate({ "red", "blue green" }, options)[2].tokens
    )
  end)

  it("changes a training step by rounding alone, packed or not", function()
    local function steps(flash, packing)
      local m <close> = load(flash)
      local sft = trainer.sft(m, {
        data = tiny.records(),
        output_dir = work.path .. "/sft",
        max_steps = 3,
        batch_size = 4,
        learning_rate = 1e-2,
        packing = packing,
        max_length = 64,
        logging_steps = 0,
        save_steps = 0,
      })
      local numbers = {}
      for step in sft:steps() do
        numbers[#numbers + 1] = step.loss
        numbers[#numbers + 1] = step.grad_norm
      end
      return numbers
    end
    for _, packing in ipairs { false, true } do
      local a, b = steps(true, packing), steps(false, packing)
      expect(#a):equals(6)
      for i = 1, #a do
        expect(a[i]):near(b[i], 1e-4)
      end
    end
  end)

  it("is auto, true or false", function()
    expect(function()
      load("yes")
    end):raises('use_flash_attention: expected "auto", true or false')
  end)
end)
