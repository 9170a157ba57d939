-- Indices, slices, other shapes, joins: positions count from 1, values inside tensors from 0.
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function error_of(f, ...)
  local passed, message = pcall(f, ...)
  assert(not passed, "expected an error")
  -- Without the position, which is this file's.
  return (message:gsub("^[^\n]-:%d+: ", ""))
end

local function index(...)
  return tensor.new({ ... }, { dtype = "int64" })
end

describe("an index", function()
  local t = tensor.new { { 1, 2, 3 }, { 4, 5, 6 } }

  local function at(tensor, i)
    return tensor[i]
  end

  it("counts from 1, and from the end", function()
    expect(t[1]:totable()):equals { 1, 2, 3 }
    expect(t[2][3]:item()):equals(6)
    expect(t[-1]:totable()):equals { 4, 5, 6 }
    expect(t[-2][-3]:item()):equals(1)
    expect(t[2.0]:totable()):equals { 4, 5, 6 }
    expect(#t[1]):equals(3)
  end)

  it("gives a view", function()
    local copy = t:clone()
    copy[2]:mul_(10)
    expect(copy:totable()):equals { { 1, 2, 3 }, { 40, 50, 60 } }
    expect(t[2]:totable()):equals { 4, 5, 6 }
    copy[1]:copy_(tensor.new { 7, 8, 9 })
    expect(copy[1]:totable()):equals { 7, 8, 9 }
  end)

  it("out of range is an error that counts the same way", function()
    expect(error_of(at, t, 3)):equals("tensor[3]: index: expected 1 to 2 or -2 to -1, got 3")
    expect(error_of(at, t, 0)):equals("tensor[0]: index: expected 1 to 2 or -2 to -1, got 0")
    expect(error_of(at, tensor.zeros { 0 }, 1)):equals(
      "tensor[1]: index: expected no position, as there is nothing to choose from, got 1"
    )
    expect(error_of(at, tensor.new(1), 1)):equals("tensor[1]: a single number has no parts")
    expect(error_of(at, t, 1.5)):equals(
      "tensor[i]: expected an integer, a table, a tensor or a method's name, got number 1.5"
    )
    local length = function(single)
      return #single
    end
    expect(error_of(length, tensor.new(1))):equals("#tensor: a single number has no length")
  end)

  it("that is no method's name is answered with the nearest", function()
    expect(error_of(at, t, "sume")):equals("a tensor has no method `sume`, did you mean `sum`?")
    expect(error_of(at, t, "zzz")):equals("a tensor has no method `zzz`")
  end)

  it("that is a name is not assigned to", function()
    local function assign()
      t.grad = 2
    end
    expect(error_of(assign)):equals("tensor: there is no field `grad` to set\nhint: t[i] = x sets a part")
  end)
end)

describe("a part", function()
  local t = tensor.new { { 1, 2, 3 }, { 4, 5, 6 } }

  it("is selected along any dimension", function()
    expect(t:select(1, 2):totable()):equals { 4, 5, 6 }
    expect(t:select(2, 1):totable()):equals { 1, 4 }
    expect(t:select(-1, -1):totable()):equals { 3, 6 }
    expect(error_of(t.select, t, 2, 4)):equals("tensor:select: index: expected 1 to 3 or -3 to -1, got 4")
    expect(error_of(t.select, t, 3, 1)):equals("tensor:select: dim: expected 1 to 2 or -2 to -1, got 3")
  end)

  it("is narrowed from a position on", function()
    expect(t:narrow(2, 2, 2):totable()):equals { { 2, 3 }, { 5, 6 } }
    expect(t:narrow(2, -1, 1):totable()):equals { { 3 }, { 6 } }
    expect(t:narrow(1, 1, 0):shape()):equals { 0, 3 }
    expect(error_of(t.narrow, t, 2, 2, 3)):equals(
      "tensor:narrow: length: expected 0 to 2, what is left from there, got 3"
    )
    expect(error_of(t.narrow, t, 2, 0, 1)):equals("tensor:narrow: start: expected 1 to 3 or -3 to -1, got 0")
  end)

  it("is gathered by values that count from 0", function()
    expect(t:gather(2, index({ 0 }, { 2 })):totable()):equals { { 1 }, { 6 } }
    expect(t:gather(2, index(2, 0):unsqueeze(2)):totable()):equals { { 3 }, { 4 } }
    expect(t:gather(1, index { 1, 0, 1 }):totable()):equals { { 4, 2, 6 } }
    expect(error_of(t.gather, t, 2, index({ 3 }, { 0 }))):equals(
      "tensor:gather: index: expected values from 0 to 2 (values inside tensors count from 0), got 3"
    )
    expect(error_of(t.gather, t, 2, index({ -1 }, { 0 }))):contains("got -1")
    expect(error_of(t.gather, t, 2, index(0, 1))):equals("tensor:gather: shapes [2, 3] and [2] do not fit")
    expect(error_of(t.gather, t, 2, tensor.new { { 0 } })):equals(
      'tensor:gather: index: expected dtype int64, got float32\nhint: index:to { dtype = "int64" }'
    )
  end)

  it("is selected by an index of values that count from 0", function()
    expect(t:index_select(1, index(1, 1, 0)):totable()):equals { { 4, 5, 6 }, { 4, 5, 6 }, { 1, 2, 3 } }
    expect(t:index_select(2, index(2)):totable()):equals { { 3 }, { 6 } }
    expect(error_of(t.index_select, t, 1, index(0, 2))):equals(
      "tensor:index_select: index: expected values from 0 to 1 (values inside tensors count from 0), got 2"
    )
  end)
end)

describe("another shape", function()
  local t = tensor.new { { 1, 2, 3 }, { 4, 5, 6 } }

  it("holds the same values", function()
    expect(t:reshape({ 3, 2 }):totable()):equals { { 1, 2 }, { 3, 4 }, { 5, 6 } }
    expect(t:reshape({ -1 }):totable()):equals { 1, 2, 3, 4, 5, 6 }
    expect(t:view({ 6, -1 }):shape()):equals { 6, 1 }
    expect(t:reshape(t:t():shape()):shape()):equals { 3, 2 }
    expect(error_of(t.reshape, t, { 4, 2 })):equals(
      "tensor:reshape: the values of the shape [2, 3] do not fill the shape [4, 2]"
    )
    expect(error_of(t.reshape, t, { 3, -2 })):equals(
      "tensor:reshape: shape[2]: expected a size or -1, got number -2"
    )
    expect(error_of(t.reshape, t, 3, 2)):equals(
      "tensor:reshape: argument 1 (shape): expected table, got number"
    )
    expect(error_of(t.view, t:t(), { 6 })):contains("tensor:view: view size is not compatible")
  end)

  it("has dimensions exchanged, added and taken away", function()
    expect(t:t():totable()):equals { { 1, 4 }, { 2, 5 }, { 3, 6 } }
    expect(t:transpose(1, -1):totable()):equals(t:t():totable())
    expect(tensor.zeros({ 2, 3, 4 }):transpose(2, 3):shape()):equals { 2, 4, 3 }
    expect(t:unsqueeze(1):shape()):equals { 1, 2, 3 }
    expect(t:unsqueeze(3):shape()):equals { 2, 3, 1 }
    expect(t:unsqueeze(-1):shape()):equals { 2, 3, 1 }
    expect(error_of(t.unsqueeze, t, 4)):equals("tensor:unsqueeze: dim: expected 1 to 3 or -3 to -1, got 4")
    expect(tensor.zeros({ 1, 2, 1 }):squeeze():shape()):equals { 2 }
    expect(tensor.zeros({ 1, 2, 1 }):squeeze(3):shape()):equals { 1, 2 }
    expect(t:squeeze(1):shape()):equals { 2, 3 }
    expect(error_of(t.transpose, t, 1, 3)):equals(
      "tensor:transpose: dim2: expected 1 to 2 or -2 to -1, got 3"
    )
  end)
end)

describe("dimensions", function()
  local t = tensor.zeros { 2, 3, 4 }

  it("change places, merge and stretch", function()
    expect(t:permute({ 3, 1, 2 }):shape()):equals { 4, 2, 3 }
    expect(t:permute({ -1, 1, -2 }):shape()):equals { 4, 2, 3 }
    expect(t:flatten():shape()):equals { 24 }
    expect(t:flatten(2):shape()):equals { 2, 12 }
    expect(t:flatten(1, 2):shape()):equals { 6, 4 }
    expect(tensor.new(1):flatten():shape()):equals { 1 }
    expect(tensor.zeros({ 3, 1 }):expand({ 2, -1, 4 }):shape()):equals { 2, 3, 4 }
    expect(t:transpose(1, 3):contiguous():view({ -1 }):shape()):equals { 24 }
    expect(t:dim()):equals(3)
    expect(tensor.new(1):dim()):equals(0)
  end)

  it("are named where they do not fit", function()
    expect(error_of(t.permute, t, { 1, 2 })):equals("tensor:permute: dims: expected all 3 dimensions, got 2")
    expect(error_of(t.permute, t, { 1, 2, 2 })):equals(
      "tensor:permute: dims[3]: expected each dimension once, got 2"
    )
    expect(error_of(t.flatten, t, 3, 2)):equals("tensor:flatten: last: expected a dimension from 3 on, got 2")
    expect(error_of(t.expand, t, { 2, 3, 5 })):equals(
      "tensor:expand: shapes [2, 3, 4] and [2, 3, 5] do not fit"
    )
    expect(error_of(t.expand, t, { 3, 4 })):equals("tensor:expand: shapes [2, 3, 4] and [3, 4] do not fit")
    expect(error_of(t.expand, t, { -1, 2, 3, 4 })):equals(
      "tensor:expand: shape[1]: expected a size, as this dimension is new, got -1"
    )
    expect(error_of(t.reshape, t, { -1, -1 })):equals(
      "tensor:reshape: the values of the shape [2, 3, 4] do not fill the shape [-1, -1]"
    )
    expect(error_of(t.t, t)):contains("tensor:t: expected at most two dimensions, got the shape [2, 3, 4]")
    expect(error_of(t.flip, t, { 1, 1 })):equals("tensor:flip: dim[2]: expected each dimension once, got 1")
    expect(error_of(t.flip, t)):equals("tensor:flip: argument 1 (dim): expected integer, got no value")
    expect(error_of(t.tile, t, { 2, -1 })):equals(
      "tensor:tile: times[2]: expected a non-negative integer, got -1"
    )
    expect(error_of(t.diagonal, t, 0, 1, 1)):equals(
      "tensor:diagonal: dim2: expected another dimension than dim1, got 1"
    )
    local v = tensor.zeros { 2 }
    expect(error_of(v.tril, v)):equals("tensor:tril: t: expected at least two dimensions, got [2]")
  end)
end)

describe("a tensor taken apart", function()
  local t = tensor.arange(10):reshape { 5, 2 }

  local function lengths(parts)
    local list = {}
    for i, part in ipairs(parts) do
      list[i] = #part
    end
    return list
  end

  it("gives a list of views", function()
    expect(lengths(t:split(2))):equals { 2, 2, 1 }
    expect(lengths(t:split { 1, 4 })):equals { 1, 4 }
    expect(lengths(t:chunk(2))):equals { 3, 2 }
    expect(#t:unbind()):equals(5)
    expect(t:unbind(2)[2]:totable()):equals { 1, 3, 5, 7, 9 }
    local copy = t:clone()
    copy:split(2)[1]:zero_()
    expect(copy:sum():item()):equals(45 - 6)
  end)

  it("names what does not add up", function()
    expect(error_of(t.split, t, { 1, 3 })):equals(
      "tensor:split: size: expected sizes that add up to 5, the size of the dimension, got [1, 3]"
    )
    expect(error_of(t.split, t, { 6, -1 })):contains("sizes that add up to 5")
    expect(error_of(t.split, t, 0)):equals(
      "tensor:split: size: expected a positive integer or a list of sizes, got number 0"
    )
    expect(error_of(t.chunk, t, 0)):equals("tensor:chunk: chunks: expected at least 1, got 0")
    expect(error_of(t.unbind, t, 3)):equals("tensor:unbind: dim: expected 1 to 2 or -2 to -1, got 3")
  end)
end)

describe("joined tensors", function()
  local a, b = tensor.new { { 1, 2 } }, tensor.new { { 3, 4 }, { 5, 6 } }

  it("stand behind each other along a dimension", function()
    expect(tensor.cat({ a, b }):totable()):equals { { 1, 2 }, { 3, 4 }, { 5, 6 } }
    expect(tensor.cat({ b, b }, -1):totable()):equals { { 3, 4, 3, 4 }, { 5, 6, 5, 6 } }
    expect(error_of(tensor.cat, { a, b }, 2)):equals(
      "tensor.cat: tensors[2]: shapes [1, 2] and [2, 2] do not fit"
    )
    expect(error_of(tensor.cat, { a, b }, 3)):equals("tensor.cat: dim: expected 1 to 2 or -2 to -1, got 3")
    expect(error_of(tensor.cat, {})):equals(
      "tensor.cat: tensors: expected at least one tensor, got an empty list"
    )
    expect(error_of(tensor.cat, { a, 3 })):equals("tensor.cat: tensors[2]: expected tensor, got number")
  end)

  it("stand along a new dimension", function()
    expect(tensor.stack({ a, a + 2 }):totable()):equals { { { 1, 2 } }, { { 3, 4 } } }
    expect(tensor.stack({ a, a }, 3):shape()):equals { 1, 2, 2 }
    expect(tensor.stack({ a, a }, -1):shape()):equals { 1, 2, 2 }
    expect(tensor.stack({ tensor.new(1), tensor.new(2) }):totable()):equals { 1, 2 }
    expect(error_of(tensor.stack, { a, b })):equals(
      "tensor.stack: tensors[2]: shapes [1, 2] and [2, 2] do not fit"
    )
  end)
end)
