-- The examples, run as they are, beside the same programs in PyTorch: scripts/dev/peer/tensor_examples.py, recorded in
-- tests/golden/tensor/examples.json. On one machine they agree to 1e-6; another CPU may round differently, and a
-- difference grows with every step, so losses may differ by 1e-3 of their size.
local fs = require("affine.fs")
local json = require("affine.json")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local recorded = json.decode(fs.read("tests/golden/tensor/examples.json"))

-- Runs an example without its lines on the screen.
local function run(name)
  local shown = print
  print = function() end
  local result = dofile("scripts/examples/" .. name .. ".lua")
  print = shown
  return result
end

local function near(got, wanted, count)
  for i = 1, count or #wanted do
    expect(got[i]):near(wanted[i], 1e-3 * math.max(math.abs(wanted[i]), 0.01))
  end
end

describe("scripts/examples/two_layer_net.lua", function()
  local net, wanted = run("two_layer_net"), recorded.two_layer_net

  it("has PyTorch's losses at every step", function()
    near(net.losses, wanted.losses)
    expect(#net.losses):equals(#wanted.losses)
  end)

  it("tells the points apart", function()
    expect(net.accuracy):near(wanted.accuracy, 0.006)
    expect(net.accuracy > 0.95):equals(true)
  end)
end)

describe("scripts/examples/char_lm.lua", function()
  local lm, wanted = run("char_lm"), recorded.char_lm

  it("has PyTorch's losses at every step", function()
    near(lm.losses, wanted.losses)
    expect(#lm.losses):equals(#wanted.losses)
  end)

  it("begins as one that knows nothing and ends below one bit per character", function()
    -- The weights are random, so the first loss is near that of equally likely characters, log(n), and above it.
    local nothing = math.log(wanted.characters)
    assert(lm.losses[1] > nothing and lm.losses[1] < nothing + 1, lm.losses[1])
    assert(lm.losses[#lm.losses] < math.log(2), lm.losses[#lm.losses])
  end)

  it("writes words of the text", function()
    expect(#lm.written):equals(9 + 120)
    local words, known = 0, 0
    for word in lm.written:sub(10, -2):gmatch("%f[%a]%a%a%a+%f[%A]") do
      words = words + 1
      known = known + (lm.text:find("%f[%a]" .. word .. "%f[%A]") and 1 or 0)
    end
    assert(words >= 8 and known >= words / 2, ("%d of %d words are known"):format(known, words))
  end)
end)

describe("scripts/examples/policy_gradient.lua", function()
  local history, wanted = run("policy_gradient"), recorded.policy_gradient

  local function column(rows, name)
    local values = {}
    for i, row in ipairs(rows) do
      values[i] = row[name]
    end
    return values
  end

  it("has PyTorch's episodes and losses while a rounding cannot yet have turned an action", function()
    local count = 10
    near(column(history, "loss"), column(wanted, "loss"), count)
    near(column(history, "right"), column(wanted, "right"), count)
    for i = 1, count do
      expect(history[i].steps):equals(wanted[i].steps)
    end
  end)

  it("learns to keep the pole upright", function()
    local function mean_steps(rows, from, to)
      local sum = 0
      for i = from, to do
        sum = sum + rows[i].steps
      end
      return sum / (to - from + 1)
    end
    assert(mean_steps(history, 1, 3) < 60, mean_steps(history, 1, 3))
    assert(mean_steps(history, 31, 40) > 150, mean_steps(history, 31, 40))
    assert(mean_steps(wanted, 31, 40) > 150, mean_steps(wanted, 31, 40))
  end)
end)
