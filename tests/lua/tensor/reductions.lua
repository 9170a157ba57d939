-- Sums, means, extremes and softmax, over everything or along one dimension.
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function error_of(f, ...)
  local passed, message = pcall(f, ...)
  assert(not passed, "expected an error")
  -- Without the position, which is this file's.
  return (message:gsub("^[^\n]-:%d+: ", ""))
end

describe("a reduction", function()
  local t = tensor.new { { 1, 5, 3 }, { 4, 2, 6 } }

  it("takes everything without a dimension", function()
    expect(t:sum():item()):equals(21)
    expect(t:mean():item()):equals(3.5)
    expect(t:max():item()):equals(6)
    expect(t:min():item()):equals(1)
    expect(t:sum():shape()):equals {}
    -- The variance of 1 … 6 over n - 1 is 3.5.
    expect(t:std():item()):near(math.sqrt(3.5))
  end)

  it("goes along one dimension, counted from 1 or from the end", function()
    expect(t:sum(1):totable()):equals { 5, 7, 9 }
    expect(t:sum(2):totable()):equals { 9, 12 }
    expect(t:sum(-1):totable()):equals { 9, 12 }
    expect(t:sum(-2):totable()):equals { 5, 7, 9 }
    expect(t:mean(1):totable()):equals { 2.5, 3.5, 4.5 }
    expect(t:max(2):totable()):equals { 5, 6 }
    expect(t:min(1):totable()):equals { 1, 2, 3 }
    expect(t:std(2)[1]:item()):near(2)
  end)

  it("keeps the dimension where told", function()
    expect(t:sum(2, true):totable()):equals { { 9 }, { 12 } }
    expect(t:mean(1, true):shape()):equals { 1, 3 }
    expect(t:max(2, true):shape()):equals { 2, 1 }
    expect(t:sum(2, false):shape()):equals { 2 }
    expect((t / t:sum(2, true)):sum(2):totable()[1]):near(1)
  end)

  it("finds where the largest value is, counted from 0", function()
    expect(t:argmax():item()):equals(5)
    expect(t:argmax(2):totable()):equals { 1, 2 }
    expect(t:argmax(1, true):totable()):equals { { 1, 0, 1 } }
    expect(t:argmax(1):dtype()):equals("int64")
  end)

  it("counts dimensions in errors as the script does", function()
    expect(error_of(t.sum, t, 3)):equals("tensor:sum: dim: expected 1 to 2 or -2 to -1, got 3")
    expect(error_of(t.max, t, 0)):equals("tensor:max: dim: expected 1 to 2 or -2 to -1, got 0")
    expect(error_of(t.argmax, t, -3)):equals("tensor:argmax: dim: expected 1 to 2 or -2 to -1, got -3")
    expect(error_of(t.sum, t, 1.5)):equals("tensor:sum: argument 1 (dim): expected integer, got number 1.5")
    expect(error_of(t.sum, t, nil, true)):equals("tensor:sum: keepdim: only with a dim")
    expect(error_of(t.sum, t, 1, 1)):equals("tensor:sum: argument 2 (keepdim): expected boolean, got number")
  end)

  it("of integers has libtorch's say on what is possible", function()
    local whole = tensor.new({ 1, 2 }, { dtype = "int64" })
    expect(whole:sum():item()):equals(3)
    expect(error_of(whole.mean, whole)):contains("tensor:mean: mean(): could not infer output dtype")
  end)
end)

describe("a reduction over several dimensions", function()
  local t = tensor.arange(24):reshape { 2, 3, 4 }

  it("names them in a list", function()
    expect(t:sum({ 1, 3 }):totable()):equals { 60, 92, 124 }
    expect(t:mean({ -1, 1 }, true):shape()):equals { 1, 3, 1 }
    expect(t:logsumexp({ 1, 2, 3 }):shape()):equals {}
    expect(t:sum({}):totable()):equals(t:totable())
    expect(error_of(t.sum, t, { 1, 1 })):equals("tensor:sum: dim[2]: expected each dimension once, got 1")
    expect(error_of(t.sum, t, { 1, 4 })):equals("tensor:sum: dim[2]: expected 1 to 3 or -3 to -1, got 4")
    expect(error_of(t.sum, t, { "1" })):equals("tensor:sum: dim[1]: expected integer, got string")
    expect(error_of(t.sum, t, "1")):equals("tensor:sum: argument 1 (dim): expected integer, got string")
    expect(error_of(t.norm, t, 2, "1")):equals("tensor:norm: argument 2 (dim): expected integer, got string")
    expect(error_of(t.prod, t, { 1 })):equals("tensor:prod: argument 1 (dim): expected integer, got table")
  end)
end)

describe("a spread", function()
  local t = tensor.new { 1, 2, 3, 4 }

  it("is divided by n - 1, or by n less something else", function()
    expect(t:var():item()):near(5 / 3)
    expect(t:var(nil, nil, 0):item()):near(5 / 4)
    expect(t:std(1, true, 0):totable()[1]):near(math.sqrt(5 / 4))
    expect(error_of(t.var, t, nil, nil, -1)):equals(
      "tensor:var: correction: expected a non-negative integer, got -1"
    )
    local integers = tensor.new({ 1 }, { dtype = "int64" })
    expect(error_of(integers.var, integers)):contains(
      "tensor:var: t: expected a floating-point dtype, got int64"
    )
  end)

  it("has norms of every order", function()
    local v = tensor.new { 3, -4 }
    expect(v:norm():item()):equals(5)
    expect(v:norm(1):item()):equals(7)
    expect(v:norm(math.huge):item()):equals(4)
    expect(error_of(v.norm, v, -1)):equals("tensor:norm: p: expected a number from 0 to infinity, got -1")
    expect(error_of(v.norm, v, 0 / 0)):contains("tensor:norm: p: expected a number from 0 to infinity")
  end)
end)

describe("values in order", function()
  local t = tensor.new { { 3, 1, 2 }, { 6, 5, 4 } }

  it("come with where they were, counted from 0", function()
    local values, places = t:max(2)
    expect({ values:totable(), places:totable() }):equals { { 3, 6 }, { 0, 0 } }
    values, places = t:min(1, true)
    expect({ values:totable(), places:totable() }):equals { { { 3, 1, 2 } }, { { 0, 0, 0 } } }
    values, places = t:sort()
    expect({ values:totable(), places:totable() }):equals {
      { { 1, 2, 3 }, { 4, 5, 6 } },
      { { 1, 2, 0 }, { 2, 1, 0 } },
    }
    values, places = t:sort(1, true)
    expect({ values:totable(), places:totable() }):equals {
      { { 6, 5, 4 }, { 3, 1, 2 } },
      { { 1, 1, 1 }, { 0, 0, 0 } },
    }
    values, places = t:topk(2)
    expect({ values:totable(), places:totable() }):equals { { { 3, 2 }, { 6, 5 } }, { { 0, 2 }, { 0, 1 } } }
    values, places = t:median(2)
    expect({ values:totable(), places:totable() }):equals { { 2, 5 }, { 2, 1 } }
    expect(select("#", t:max())):equals(1)
    expect(select("#", t:argsort())):equals(1)
    expect(t:argmin():item()):equals(1)
  end)

  it("that are equal keep their order", function()
    local _, places = tensor.new({ 1, 0, 1, 0, 1 }):sort()
    expect(places:totable()):equals { 1, 3, 0, 2, 4 }
  end)

  it("are told apart", function()
    local values, places, counts = tensor.new({ 5, 2, 5 }):unique()
    expect({ values:totable(), places:totable(), counts:totable() }):equals { { 2, 5 }, { 1, 0, 1 }, { 1, 2 } }
  end)

  it("are as many as there are", function()
    expect(error_of(t.topk, t, 4)):equals("tensor:topk: k: expected 0 to 3, the size of the dimension, got 4")
    expect(error_of(t.topk, t, -1)):contains("k: expected 0 to 3")
    expect(error_of(t.topk, t, 2, 3)):equals("tensor:topk: dim: expected 1 to 2 or -2 to -1, got 3")
    expect(error_of(t.sort, t, 1, "up")):equals(
      "tensor:sort: argument 2 (descending): expected boolean, got string"
    )
    local single = tensor.new(1)
    expect(error_of(single.sort, single)):contains("tensor:sort: dim: expected no position")
  end)
end)

describe("whether", function()
  it("all or any values are true", function()
    local t = tensor.new { { true, false }, { true, true } }
    expect({ t:all():item(), t:any():item() }):equals { false, true }
    expect(t:all(2):totable()):equals { false, true }
    expect(t:any(1, true):totable()):equals { { true, true } }
  end)
end)

describe("running sums", function()
  it("keep the shape", function()
    local t = tensor.new { { 1, 2 }, { 3, 4 } }
    expect(t:cumsum(1):totable()):equals { { 1, 2 }, { 4, 6 } }
    expect(t:cumprod(-1):totable()):equals { { 1, 2 }, { 3, 12 } }
    expect(error_of(t.cumsum, t)):equals("tensor:cumsum: argument 1 (dim): expected integer, got no value")
  end)
end)

describe("softmax", function()
  -- torch.softmax(torch.tensor([[1., 2., 3.], [0., 0., 0.]]), 1), torch.log_softmax(…)
  local t = tensor.new { { 1, 2, 3 }, { 0, 0, 0 } }

  it("sums to one along its dimension", function()
    for i, wanted in ipairs { 0.09003057, 0.24472848, 0.66524094 } do
      expect(t:softmax(2)[1][i]:item()):near(wanted)
      expect(t:softmax(-1)[2][i]:item()):near(1 / 3)
    end
    expect(t:softmax(1)[1][1]:item()):near(0.73105858)
  end)

  it("has a logarithm that holds for large values too", function()
    for i, wanted in ipairs { -2.40760596, -1.40760596, -0.40760596 } do
      expect(t:log_softmax(2)[1][i]:item()):near(wanted)
    end
    expect(tensor.new({ 1000, 0 }):log_softmax(1):totable()):equals { 0, -1000 }
  end)

  it("needs to be told its dimension", function()
    expect(error_of(t.softmax, t)):equals("tensor:softmax: argument 1 (dim): expected integer, got no value")
    expect(error_of(t.log_softmax, t, 3)):equals(
      "tensor:log_softmax: dim: expected 1 to 2 or -2 to -1, got 3"
    )
  end)
end)
