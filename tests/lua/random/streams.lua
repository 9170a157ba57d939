local random = require("affine.random")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function draws(stream, count)
  local list = {}
  for i = 1, count do
    list[i] = stream:int(1, 1000000)
  end
  return list
end

describe("random", function()
  it("repeats what a seed, a purpose and an index decide", function()
    expect(draws(random.new(1, "a", 2), 5)):equals(draws(random.new(1, "a", 2), 5))
    local first = draws(random.new(1, "a", 2), 1)[1]
    for _, other in ipairs {
      random.new(2, "a", 2),
      random.new(1, "b", 2),
      random.new(1, "a", 3),
      random.new(1),
    } do
      expect(other:int(1, 1000000) ~= first):equals(true)
    end
  end)

  it("includes both ends of a range", function()
    local seen, stream = {}, random.new(0)
    for _ = 1, 200 do
      seen[stream:int(-1, 2)] = true
    end
    expect(seen):equals { [-1] = true, [0] = true, [1] = true, [2] = true }
    expect(stream:int(7, 7)):equals(7)
    expect(math.type(stream:int(math.mininteger, math.maxinteger))):equals("integer")
  end)

  it("draws numbers in [0, 1)", function()
    local stream = random.new(3)
    local sum = 0 ---@type number
    for _ = 1, 1000 do
      local x = stream:float()
      assert(x >= 0 and x < 1)
      sum = sum + x
    end
    expect(sum / 1000):near(0.5, 0.05)
  end)

  it("shuffles in place and samples without replacement", function()
    local list = { "a", "b", "c", "d", "e", "f", "g", "h" }
    local sample = random.new(1):sample(list, 8)
    expect(table.concat(list)):equals("abcdefgh")
    expect(table.concat(sample) ~= "abcdefgh"):equals(true)
    table.sort(sample)
    expect(table.concat(sample)):equals("abcdefgh")
    expect(random.new(1):shuffle(list) == list):equals(true)
    expect(table.concat(list) ~= "abcdefgh"):equals(true)
    expect(#random.new(1):choice(list)):equals(1)
  end)

  it("refuses empty choices", function()
    local stream = random.new(1)
    expect(function()
      stream:int(2, 1)
    end):raises("random:int: high: expected at least 2, got 1")
    expect(function()
      stream:choice {}
    end):raises("random:choice: the list is empty")
    expect(function()
      stream:sample({ 1 }, 2)
    end):raises("random:sample: count: expected 0 to 1, the length of the list, got 2")
    expect(function()
      ---@diagnostic disable-next-line: param-type-mismatch
      stream:int(1.5, 2)
    end):raises("random:int: argument 1 (low): expected integer, got number 1.5")
  end)
end)
