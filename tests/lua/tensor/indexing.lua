-- t[...] on either side of `=`. Numbers and ranges count from 1, values inside index tensors from 0. What is read is
-- compared with PyTorch in torch.lua.
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function error_of(f, ...)
  local passed, message = pcall(f, ...)
  assert(not passed, "expected an error")
  -- Without the position, which is this file's.
  return (message:gsub("^[^\n]-:%d+: ", ""))
end

local function whole(values)
  return tensor.new(values, { dtype = "int64" })
end

local t = tensor.arange(1, 7):reshape { 2, 3 }

local function at(index)
  return t[index]
end

local function set(index, value)
  local copy = t:clone()
  copy[index] = value
  return copy:totable()
end

describe("a part", function()
  it("is taken by one entry for each dimension", function()
    expect(t[{ 2, 3 }]:item()):equals(6)
    expect(t[{ -1, -1 }]:item()):equals(6)
    expect(t[{ 2 }]:totable()):equals { 4, 5, 6 }
    expect(t[{ {}, 2 }]:totable()):equals { 2, 5 }
    expect(t[{}]:totable()):equals(t:totable())
  end)

  it("is a range with both ends", function()
    expect(t[{ {}, { 2, 3 } }]:totable()):equals { { 2, 3 }, { 5, 6 } }
    expect(t[{ 1, { 1, -2 } }]:totable()):equals { 1, 2 }
    expect(t[{ 1, { 1, -1, 2 } }]:totable()):equals { 1, 3 }
    expect(t[{ 1, { 1, 0 } }]:shape()):equals { 0 }
    expect(t[{ { 2, 2 } }]:shape()):equals { 1, 3 }
  end)

  it("by numbers and ranges is a view, by tensors a copy", function()
    local copy = t:clone()
    copy[{ {}, { 2, 3 } }]:mul_(10)
    expect(copy:totable()):equals { { 1, 20, 30 }, { 4, 50, 60 } }
    copy[whole { 0 }]:zero_()
    expect(copy[1]:totable()):equals { 1, 20, 30 }
  end)

  it("is chosen by a mask or by positions", function()
    expect(t[t:gt(4)]:totable()):equals { 5, 6 }
    expect(t[tensor.new { false, true }]:totable()):equals { { 4, 5, 6 } }
    expect(t[whole { 1, 0, 1 }]:shape()):equals { 3, 3 }
    expect(t[{ whole { 0, 1 }, whole { 2, 0 } }]:totable()):equals { 3, 4 }
    expect(t[whole(1)]:totable()):equals { 4, 5, 6 }
    expect(t[whole {}]:shape()):equals { 0, 3 }
  end)

  it("lets gradients through", function()
    local w = tensor.new({ 1, 2, 3 }, { requires_grad = true });
    (w[{ { 2, 3 } }]:sum() + w[whole { 2, 2 }]:sum() + w[w:gt(2)]:sum()):backward()
    expect(w:grad():totable()):equals { 0, 1, 4 }
  end)

  it("that is not there is named by its entry, with the shape", function()
    local of = "tensor[...] of the shape [2, 3]: "
    local cases = {
      { { 1, 4 }, "index[2]: expected 1 to 3 or -3 to -1, got 4" },
      { { 0, 1 }, "index[1]: expected 1 to 2 or -2 to -1, got 0" },
      { { 1, 1, 1 }, "expected at most 2 dimensions, got 3" },
      { { 1, "2" }, "index[2]: expected integer, { from, to }, {} or a tensor, got string" },
      { { 1, 1.5 }, "index[2]: expected integer, { from, to }, {} or a tensor, got number" },
      { { 1, { 2 } }, "index[2]: expected { from, to }, { from, to, step } or {} for all, got a list of 1" },
      { { 1, { 1, "2" } }, "index[2][2]: expected integer, got string" },
      {
        { 1, { 3, 1 } },
        "index[2]: expected a range within 1 to 3 or -3 to -1, not running backwards, got { 3, 1 }",
      },
      {
        { 1, { 1, 4 } },
        "index[2]: expected a range within 1 to 3 or -3 to -1, not running backwards, got { 1, 4 }",
      },
      { { 1, { 1, 3, -1 } }, "index[2]: expected a step of at least 1, got -1\nhint: t:flip" },
      {
        { row = 1 },
        "index: expected a list with one entry for each dimension, got a table with other keys too",
      },
      {
        whole { 0, 2 },
        "index: expected values from 0 to 1 (values inside tensors count from 0), got 2",
      },
      {
        whole { -1 },
        "index: expected values from 0 to 1 (values inside tensors count from 0), got -1",
      },
      { tensor.new { true, false, true }, "index: shapes [2] and [3] do not fit" },
      { t:t():gt(0), "index: shapes [2, 3] and [3, 2] do not fit" },
      { tensor.new { 1 }, "index: expected a mask of dtype bool or an index of dtype int64, got float32" },
      { { whole { 0, 1 }, whole { 0, 1, 2 } }, "shapes [2] and [3] do not fit" },
    }
    for _, case in ipairs(cases) do
      expect(error_of(at, case[1])):equals(of .. case[2])
    end
    local closed = whole { 0 }
    closed:close()
    expect(error_of(at, closed)):equals(of .. "index: expected tensor, got one that was closed")
    expect(error_of(at, true)):equals(
      "tensor[i]: expected an integer, a table, a tensor or a method's name, got boolean"
    )
    expect(error_of(at, 0 / 0)):contains("tensor[i]: expected an integer")
  end)
end)

describe("an assignment", function()
  it("writes a number or a tensor over a part", function()
    expect(set(1, 0)):equals { { 0, 0, 0 }, { 4, 5, 6 } }
    expect(set({ 2, 3 }, 0.5)):equals { { 1, 2, 3 }, { 4, 5, 0.5 } }
    expect(set({ {}, { 1, 2 } }, tensor.new { 8, 9 })):equals { { 8, 9, 3 }, { 8, 9, 6 } }
    expect(set({ {}, 1 }, tensor.new { 8, 9 })):equals { { 8, 2, 3 }, { 9, 5, 6 } }
    expect(set({}, tensor.new { 7 })):equals { { 7, 7, 7 }, { 7, 7, 7 } }
  end)

  it("writes where a mask or an index says", function()
    expect(set(t:gt(4), 0)):equals { { 1, 2, 3 }, { 4, 0, 0 } }
    expect(set(t:gt(4), tensor.new { 8, 9 })):equals { { 1, 2, 3 }, { 4, 8, 9 } }
    expect(set(whole { 1 }, tensor.new { 7, 8, 9 })):equals { { 1, 2, 3 }, { 7, 8, 9 } }
    expect(set({ whole { 0, 1 }, whole { 2, 0 } }, -1)):equals { { 1, 2, -1 }, { -1, 5, 6 } }
    expect(set({ 2, whole { 0, 2 } }, -1)):equals { { 1, 2, 3 }, { -1, 5, -1 } }
  end)

  it("keeps the dtype, and refuses what it cannot hold", function()
    local integers, flags = whole { 1, 2 }, tensor.new { true, true }
    integers[1], flags[2] = 5.0, false
    expect(integers:totable()):equals { 5, 2 }
    expect(flags:totable()):equals { true, false }
    local function put(target, value)
      target[1] = value
    end
    expect(error_of(put, integers, 1.5)):equals(
      "assignment to tensor[1]: value: expected one of int64, got number 1.5"
    )
    expect(error_of(put, tensor.new({ 1 }, { dtype = "uint8" }), 256)):contains(
      "expected one of uint8, got number 256"
    )
    expect(error_of(put, flags, 1)):equals(
      "assignment to tensor[1]: value: expected one of bool, got number 1"
    )
    expect(error_of(put, t, true)):equals(
      "assignment to tensor[1]: value: expected one of float32, got boolean"
    )
    expect(error_of(put, integers, tensor.new(1.5))):equals(
      "assignment to tensor[1]: dtypes int64 and float32 do not fit\n"
        .. 'hint: move one of them: t:to { dtype = "int64" }'
    )
    expect(error_of(put, integers, nil)):equals(
      "assignment to tensor[1]: value: expected tensor or number, got nil"
    )
    expect(error_of(put, integers, "1")):contains("value: expected tensor or number, got string")
  end)

  it("names both shapes where they do not fit", function()
    expect(error_of(set, { {}, { 1, 2 } }, tensor.zeros { 3 })):equals(
      "assignment to tensor[...] of the shape [2, 3]: shapes [2, 2] and [3] do not fit"
    )
    local message = error_of(set, t:gt(4), tensor.zeros { 3 })
    expect(message):contains(
      "assignment to tensor[...] of the shape [2, 3]: shape mismatch: value tensor of shape [3]"
    )
    expect(message):contains("[2]")
    expect(error_of(set, 3, 0)):equals("assignment to tensor[3]: index: expected 1 to 2 or -2 to -1, got 3")
  end)

  it("to a tensor that requires grad belongs into no_grad", function()
    local w = tensor.new({ 1, 2 }, { requires_grad = true })
    local function put(index)
      w[index] = 0
    end
    for _, index in ipairs { 1, w:gt(1), { { 1, 2 } } } do
      expect(error_of(put, index)):contains(
        "a tensor that requires grad is not changed in place while gradients are recorded\n"
          .. "hint: wrap it: tensor.no_grad(function() ... end)"
      )
    end
    tensor.no_grad(function()
      put(1)
    end)
    expect(w:totable()):equals { 0, 2 }
  end)
end)

describe("gathering and scattering", function()
  it("check indices and shapes before anything is touched", function()
    local source = tensor.ones { 2, 3 }
    expect(error_of(t.scatter, t, 2, whole { { 3 } }, 1)):contains(
      "tensor:scatter: index: expected values from 0 to 2"
    )
    expect(error_of(t.scatter_add, t, 1, whole { { 0, 2, 0 } }, source)):contains(
      "tensor:scatter_add: index: expected values from 0 to 1"
    )
    expect(error_of(t.scatter, t, 2, whole { { 0 }, { 0 } }, tensor.ones { 1, 1 })):equals(
      "tensor:scatter: shapes [2, 1] and [1, 1] do not fit"
    )
    local integers = whole { { 1, 2 } }
    expect(integers:scatter(2, whole { { 1 } }, 7):totable()):equals { { 1, 7 } }
    expect(error_of(integers.scatter, integers, 2, whole { { 1 } }, 0.5)):equals(
      "tensor:scatter: value: expected one of int64, got number 0.5"
    )
    expect(error_of(t.index_add, t, 1, whole { 0 }, source)):equals(
      "tensor:index_add: shapes [2, 3] and [1] do not fit for 1 indices along dimension 1"
    )
    expect(error_of(t.index_add, t, 1, whole { 0, 1 }, tensor.ones { 2, 4 })):equals(
      "tensor:index_add: shapes [2, 3] and [2, 4] do not fit"
    )
    expect(error_of(t.index_select, t, 1, whole { { 0 } })):equals(
      "tensor:index_select: index: expected one dimension, got the shape [1, 1]"
    )
    expect(error_of(t.masked_fill, t, t:gt(1), "a")):contains("value: expected tensor or number, got string")
    expect(error_of(t.masked_fill, t, tensor.new { true, false }, 0)):equals(
      "tensor:masked_fill: shapes [2] and [2, 3] do not fit"
    )
    expect(error_of(t.masked_select, t, t)):contains(
      "tensor:masked_select: mask: expected dtype bool, got float32"
    )
    local labels = whole { 0, 3 }
    expect(error_of(labels.one_hot, labels, 3)):equals(
      "tensor:one_hot: t: expected values from 0 to 2 (values inside tensors count from 0), got 3"
    )
    expect(error_of(labels.one_hot, labels, 0)):equals("tensor:one_hot: classes: expected at least 1, got 0")
  end)
end)
