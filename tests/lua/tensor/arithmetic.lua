-- Operators, comparisons, functions of every value, matrix products.
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function error_of(f, ...)
  local passed, message = pcall(f, ...)
  assert(not passed, "expected an error")
  -- Without the position, which is this file's.
  return (message:gsub("^[^\n]-:%d+: ", ""))
end

local function near(t, wanted)
  for i, value in ipairs(wanted) do
    expect(t[i]:item()):near(value, 1e-6)
  end
  expect(#t):equals(#wanted)
end

describe("arithmetic", function()
  local a = tensor.new { { 1, 2, 3 }, { 4, 5, 6 } }

  it("goes by element between tensors", function()
    local b = tensor.new { { 6, 5, 4 }, { 3, 2, 1 } }
    expect((a + b):totable()):equals { { 7, 7, 7 }, { 7, 7, 7 } }
    expect((a - b):totable()):equals { { -5, -3, -1 }, { 1, 3, 5 } }
    expect((a * b):totable()):equals { { 6, 10, 12 }, { 12, 10, 6 } }
    expect((a / tensor.new { 2, 4, 8 }):totable()):equals { { 0.5, 0.5, 0.375 }, { 2, 1.25, 0.75 } }
    expect((a ^ tensor.new { 2, 1, 0 }):totable()):equals { { 1, 2, 1 }, { 16, 5, 1 } }
    expect((-a):totable()):equals { { -1, -2, -3 }, { -4, -5, -6 } }
  end)

  it("takes numbers on both sides", function()
    local t = tensor.new { 1, 2, 4 }
    expect((t + 1):totable()):equals { 2, 3, 5 }
    expect((1 + t):totable()):equals { 2, 3, 5 }
    expect((t - 1):totable()):equals { 0, 1, 3 }
    expect((1 - t):totable()):equals { 0, -1, -3 }
    expect((t * 3):totable()):equals { 3, 6, 12 }
    expect((3 * t):totable()):equals { 3, 6, 12 }
    expect((t / 2):totable()):equals { 0.5, 1, 2 }
    expect((2 / t):totable()):equals { 2, 1, 0.5 }
    expect((t ^ 2):totable()):equals { 1, 4, 16 }
    expect((2 ^ t):totable()):equals { 2, 4, 16 }
  end)

  it("keeps integers integers until a fraction comes in", function()
    local t = tensor.new({ 1, 2 }, { dtype = "int64" })
    expect((t + 1):dtype()):equals("int64")
    expect((t + 0.5):totable()):equals { 1.5, 2.5 }
    expect((t / 2):totable()):equals { 0.5, 1 }
    expect((1 / t):totable()):equals { 1, 0.5 }
  end)

  it("divides a number by a tensor with one rounding", function()
    -- float32: 5 / 49 is not 5 * (1 / 49).
    local quotient = 5 / tensor.new(49)
    expect(quotient:item()):equals(tensor.new(5 / 49):item())
    expect((5 / tensor.new(49, { dtype = "float64" })):item()):equals(5 / 49)
  end)

  it("broadcasts from the last dimension", function()
    expect((a + tensor.new { 10, 20, 30 }):totable()):equals { { 11, 22, 33 }, { 14, 25, 36 } }
    expect((a * tensor.new { { 2 }, { 3 } }):totable()):equals { { 2, 4, 6 }, { 12, 15, 18 } }
    expect((tensor.new { { 1 }, { 2 } } + tensor.new { { 10, 20 } }):totable()):equals {
      { 11, 21 },
      { 12, 22 },
    }
    expect((a + tensor.new(1)):shape()):equals { 2, 3 }
  end)

  it("names both shapes where they do not fit", function()
    local operators = {
      ["+"] = function(x, y)
        return x + y
      end,
      ["-"] = function(x, y)
        return x - y
      end,
      ["*"] = function(x, y)
        return x * y
      end,
      ["/"] = function(x, y)
        return x / y
      end,
      ["^"] = function(x, y)
        return x ^ y
      end,
    }
    for sign, operator in pairs(operators) do
      local message = error_of(operator, a, tensor.zeros { 4, 5 })
      expect(message):equals(("tensor %s tensor: shapes [2, 3] and [4, 5] do not fit"):format(sign))
    end
    expect(error_of(a.pow, a, tensor.zeros { 2 })):equals("tensor:pow: shapes [2, 3] and [2] do not fit")
  end)

  it("takes nothing but tensors and numbers", function()
    local function add(x, y)
      return x + y
    end
    expect(error_of(add, a, "1")):equals("tensor + string: right: expected tensor or number, got string")
    expect(error_of(add, {}, a)):equals("table + tensor: left: expected tensor or number, got table")
    expect(error_of(add, a, nil)):equals("tensor + nil: right: expected tensor or number, got nil")
  end)
end)

describe("comparison", function()
  local t = tensor.new { 1, 2, 3 }

  it("gives booleans by element", function()
    expect(t:eq(2):totable()):equals { false, true, false }
    expect(t:ne(2):totable()):equals { true, false, true }
    expect(t:lt(2):totable()):equals { true, false, false }
    expect(t:le(2):totable()):equals { true, true, false }
    expect(t:gt(2):totable()):equals { false, false, true }
    expect(t:ge(2):totable()):equals { false, true, true }
    expect(t:lt(tensor.new { 3, 2, 4 }):totable()):equals { true, false, true }
    expect(t:eq(t):dtype()):equals("bool")
  end)

  it("by == is of handles", function()
    expect(t == t):equals(true)
    expect(t == t:detach()):equals(false)
  end)

  it("names both shapes where they do not fit", function()
    expect(error_of(t.gt, t, tensor.zeros { 2 })):equals("tensor:gt: shapes [3] and [2] do not fit")
    expect(error_of(t.gt, t, "2")):equals("tensor:gt: other: expected tensor or number, got string")
  end)
end)

describe("functions of every value", function()
  it("have Lua's values", function()
    local t = tensor.new { 0.25, 1, 4 }
    near(t:exp(), { math.exp(0.25), math.exp(1), math.exp(4) - 1e-6 })
    near(t:log(), { math.log(0.25), 0, math.log(4) })
    near(t:sqrt(), { 0.5, 1, 2 })
    near(tensor.new({ -2, 3 }):abs(), { 2, 3 })
    near(tensor.new({ -2, 3 }):relu(), { 0, 3 })
    -- torch.tanh(torch.tensor([0., 1.])), torch.sigmoid(torch.tensor([0., 1.]))
    near(tensor.new({ 0, 1 }):tanh(), { 0, 0.76159416 })
    near(tensor.new({ 0, 1 }):sigmoid(), { 0.5, 0.73105858 })
    near(t:pow(0.5), { 0.5, 1, 2 })
  end)

  it("clamp on either side", function()
    local t = tensor.new { -1, 0.5, 2 }
    expect(t:clamp(0, 1):totable()):equals { 0, 0.5, 1 }
    expect(t:clamp(0):totable()):equals { 0, 0.5, 2 }
    expect(t:clamp(nil, 1):totable()):equals { -1, 0.5, 1 }
    expect(t:clamp(-math.huge, 0):totable()):equals { -1, 0, 0 }
    expect(tensor.new({ 5 }, { dtype = "int64" }):clamp(0, 3):dtype()):equals("int64")
    expect(error_of(t.clamp, t)):equals("tensor:clamp: expected a min, a max or both")
    expect(error_of(t.clamp, t, 0 / 0)):equals("tensor:clamp: min: expected a number, got NaN")
    expect(error_of(t.clamp, t, "0")):equals("tensor:clamp: min: expected number, got string")
  end)

  it("tell what is no number", function()
    local t = tensor.new { 0 / 0, 1 / 0, -1 / 0, 0 }
    expect(t:isnan():totable()):equals { true, false, false, false }
    expect(t:isinf():totable()):equals { false, true, true, false }
    expect(t:isfinite():totable()):equals { false, false, false, true }
    expect(t:gt(0):logical_or(t:isnan()):totable()):equals { true, true, false, false }
    expect(t:isnan():logical_not():logical_and(t:isinf()):totable()):equals { false, true, true, false }
    expect(t:isnan():logical_xor(t:isinf()):totable()):equals { true, true, true, false }
    local message = error_of(t.logical_and, t, tensor.zeros { 2 })
    expect(message):equals("tensor:logical_and: shapes [4] and [2] do not fit")
  end)

  it("choose between two tensors", function()
    local t = tensor.new { 1, -2 }
    expect(tensor.where(t:gt(0), t, 0):totable()):equals { 1, 0 }
    expect(tensor.where(t:gt(0), 1.5, t:to { dtype = "int64" }):totable()):equals { 1.5, -2 }
    expect(tensor.where(t:gt(0), tensor.zeros { 2, 1 }, t):shape()):equals { 2, 2 }
    expect(error_of(tensor.where, t:gt(0), 1, 2)):equals(
      "tensor.where: expected a tensor as a or b, to tell the dtype, got two numbers"
    )
    expect(error_of(tensor.where, t, t, t)):equals(
      'tensor.where: condition: expected dtype bool, got float32\nhint: condition:to { dtype = "bool" }'
    )
    expect(error_of(tensor.where, t:gt(0), t, tensor.zeros { 3 })):equals(
      "tensor.where: shapes [2] and [3] do not fit"
    )
    expect(tensor.maximum(t, tensor.new(0)):totable()):equals { 1, 0 }
    expect(error_of(tensor.minimum, t, 0)):equals("tensor.minimum: b: expected tensor, got number")
    expect(tensor.lerp(t, tensor.zeros { 2 }, 0.5):totable()):equals { 0.5, -1 }
  end)

  it("take no more arguments than they have", function()
    expect(error_of(tensor.new(1).gelu, tensor.new(1), "erf")):equals(
      'tensor:gelu: approximate: expected "none" or "tanh", got "erf"'
    )
    local t = tensor.new(1)
    expect(error_of(t.exp, t, 2)):equals("tensor:exp: expected at most 0 arguments, got 1")
  end)
end)

describe("matmul", function()
  local a = tensor.new { { 1, 2, 3 }, { 4, 5, 6 } }

  it("multiplies matrices, vectors and batches", function()
    expect(a:matmul(tensor.new { { 1, 0 }, { 0, 1 }, { 1, 1 } }):totable()):equals { { 4, 5 }, { 10, 11 } }
    expect(a:matmul(tensor.new { 1, 1, 1 }):totable()):equals { 6, 15 }
    expect(tensor.new({ 1, 2 }):matmul(a):totable()):equals { 9, 12, 15 }
    expect(tensor.new({ 1, 2 }):matmul(tensor.new { 3, 4 }):item()):equals(11)
    expect(tensor.ones({ 5, 1, 2, 3 }):matmul(tensor.ones { 7, 3, 4 }):shape()):equals { 5, 7, 2, 4 }
  end)

  it("names both shapes where they do not fit", function()
    expect(error_of(a.matmul, a, tensor.zeros { 4, 5 })):equals(
      "tensor:matmul: shapes [2, 3] and [4, 5] do not fit"
    )
    expect(error_of(a.matmul, a, tensor.new(1))):equals("tensor:matmul: shapes [2, 3] and [] do not fit")
    expect(error_of(a.matmul, a, 2)):equals("tensor:matmul: other: expected tensor, got number")
  end)

  it("wants one dtype, and says how to get it", function()
    local doubles = tensor.zeros({ 3, 1 }, { dtype = "float64" })
    expect(error_of(a.matmul, a, doubles)):equals(
      "tensor:matmul: dtypes float32 and float64 do not fit\n"
        .. 'hint: move one of them: t:to { dtype = "float32" }'
    )
    expect(a:matmul(doubles:to { dtype = "float32" }):shape()):equals { 2, 1 }
  end)

  it("has its kin for batches and vectors", function()
    local message = error_of(a.bmm, tensor.zeros { 2, 3, 4 }, tensor.zeros { 2, 5, 4 })
    expect(message):equals("tensor:bmm: shapes [2, 3, 4] and [2, 5, 4] do not fit")
    local v = tensor.new { 1, 2, 3 }
    expect(v:dot(v):item()):equals(14)
    expect(error_of(v.dot, v, tensor.zeros { 2 })):equals("tensor:dot: shapes [3] and [2] do not fit")
    expect(v:outer(tensor.new { 1, 2 }):totable()):equals { { 1, 2 }, { 2, 4 }, { 3, 6 } }
    expect(error_of(v.outer, v, a)):equals("tensor:outer: shapes [3] and [2, 3] do not fit")
  end)
end)

describe("einsum", function()
  local a, b = tensor.ones { 2, 3 }, tensor.ones { 3, 4 }

  it("multiplies and sums along the letters that repeat", function()
    expect(tensor.einsum("ij,jk->ik", { a, b }):totable()[1]):equals { 3, 3, 3, 3 }
    expect(tensor.einsum("ij->", { a }):item()):equals(6)
  end)

  it("names the letter and both shapes where they do not fit", function()
    expect(error_of(tensor.einsum, "ij,jk->ik", { a, tensor.zeros { 4, 5 } })):equals(
      "tensor.einsum: shapes [2, 3] and [4, 5] do not fit: j is 3 and 4"
    )
    expect(error_of(tensor.einsum, "ij,jk", { a })):equals(
      'tensor.einsum: "ij,jk" has 2 terms, got 1 tensors'
    )
    expect(error_of(tensor.einsum, "i", { a })):equals(
      'tensor.einsum: "i" names 1 dimensions, got the shape [2, 3]'
    )
    expect(error_of(tensor.einsum, "ij", { 3 })):equals(
      "tensor.einsum: tensors[1]: expected tensor, got number"
    )
  end)
end)

describe("an operator that Lua has", function()
  local t = tensor.new { 7, -7 }

  it("divides and leaves remainders as Lua does", function()
    expect((t // 2):totable()):equals { 7 // 2.0, -7 // 2.0 }
    expect((t % 3):totable()):equals { 7 % 3.0, -7 % 3.0 }
    expect((7 // tensor.new { 2, -2 }):totable()):equals { 3, -4 }
    expect((7 % tensor.new { 4, -4 }):totable()):equals { 3, -1 }
    local whole = tensor.new({ 7 }, { dtype = "int64" })
    expect(error_of(function()
      return whole // 0
    end)):equals("tensor // number: an integer divided by zero")
    expect(error_of(function()
      return whole % tensor.zeros({ 1 }, { dtype = "int64" })
    end)):equals("tensor % tensor: an integer divided by zero")
    expect(((t * 0) // 0):isnan():totable()):equals { true, true }
  end)

  it("works on the bits of integers and on booleans", function()
    local whole = tensor.new({ 6, 3 }, { dtype = "int64" })
    expect((whole & 3):totable()):equals { 2, 3 }
    expect((8 | whole):totable()):equals { 14, 11 }
    expect((whole ~ whole):totable()):equals { 0, 0 }
    expect((~whole):totable()):equals { -7, -4 }
    local positive, odd = t:gt(0), tensor.new { true, true }
    expect((positive & odd):totable()):equals { true, false }
    expect((positive | ~odd):totable()):equals { true, false }
    expect(error_of(function()
      return t & 3
    end)):equals("tensor & number: expected integers or booleans, got float32")
    expect(error_of(function()
      return ~t
    end)):equals("~tensor: expected integers or booleans, got float32")
  end)

  it("but gives one boolean, or text, is refused", function()
    local hint = "\nhint: a:lt(b), a:le(b), a:gt(b) and a:ge(b) compare by element"
    expect(error_of(function()
      return t < t
    end)):equals("tensor < tensor: Lua makes one boolean of <" .. hint)
    expect(error_of(function()
      return t >= 1
    end)):equals("number <= tensor: Lua makes one boolean of <=" .. hint)
    expect(error_of(function()
      return "t = " .. t
    end)):equals("string .. tensor: a tensor is not text\nhint: tostring(t) gives its values as text")
  end)

  it("gives libtorch's first sentence where it has something to say", function()
    local message = error_of(function()
      return -t:gt(0)
    end)
    expect(message):contains("-tensor: Negation, the `-` operator, on a bool tensor is not supported.")
    expect(message:find("\n", 1, true)):equals(nil)
  end)
end)
