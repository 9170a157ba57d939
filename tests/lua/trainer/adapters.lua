-- Several trainers on one base, an adapter each, by turns.
local fs = require("affine.fs")
local path = require("affine.path")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()

local function make(m, name, rate)
  m:add_lora { lora_r = 4, lora_alpha = 8, seed = 3, adapter_name = name }
  return trainer.sft(m, {
    data = tiny.records(),
    output_dir = path.join(folder, name),
    max_steps = 6,
    learning_rate = rate,
    logging_steps = 0,
    seed = 1,
  })
end

describe("several trainers on one base", function()
  it("learn each what it would learn alone", function()
    local rates, alone, together, turns = { 1e-2, 1e-3, 3e-2 }, {}, {}, {}
    for index, rate in ipairs(rates) do
      local m <close> = tiny.model()
      for step in make(m, "alone" .. index, rate):steps() do
        alone[index] = step.loss
      end
    end

    local m <close> = tiny.model()
    for index, rate in ipairs(rates) do
      local name = "turns" .. index
      local next_step = make(m, name, rate):steps()
      turns[index] = function()
        m:set_adapter(name)
        return next_step()
      end
    end
    for _ = 1, 6 do
      for index, take in ipairs(turns) do
        together[index] = take().loss
      end
    end
    expect(together):equals(alone)
    expect(alone[1] ~= alone[2]):equals(true)
  end)

  it("are not saved in each other's name", function()
    local m <close> = tiny.model()
    local first = make(m, "first", 1e-2)
    local next_step = first:steps()
    next_step()
    make(m, "second", 1e-2)
    expect(function()
      first:save()
    end):raises("another one is on")
    m:set_adapter("first")
    expect(fs.exists(first:save())):equals(true)
  end)
end)
