-- Tensors from Lua and back to Lua.
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function error_of(f, ...)
  local passed, message = pcall(f, ...)
  assert(not passed, "expected an error")
  -- Without the position, which is this file's.
  return (message:gsub("^[^\n]-:%d+: ", ""))
end

describe("a new tensor", function()
  it("has the shape of its nested lists", function()
    local t = tensor.new { { 1, 2, 3 }, { 4, 5, 6.5 } }
    expect(t:shape()):equals { 2, 3 }
    expect(t:numel()):equals(6)
    expect(#t):equals(2)
    expect(t:totable()):equals { { 1, 2, 3 }, { 4, 5, 6.5 } }
    expect(tensor.new({}):shape()):equals { 0 }
    expect(tensor.new({ {}, {} }):shape()):equals { 2, 0 }
    expect(tensor.new(7):shape()):equals {}
    expect(tensor.new(7):totable()):equals(7)
  end)

  it("is float32 for any numbers and bool for booleans, unless it is told otherwise", function()
    expect(tensor.new({ 1, 2 }):dtype()):equals("float32")
    expect(tensor.new({ true, false }):dtype()):equals("bool")
    expect(tensor.new({ true, false }):totable()):equals { true, false }
    local dtypes = "float32 bfloat16 float16 float64 int64 int32 int16 int8 uint8"
    for dtype in dtypes:gmatch("%S+") do
      expect(tensor.new({ 1, 2 }, { dtype = dtype }):dtype()):equals(dtype)
    end
    expect(tensor.new({ 1 }):device()):equals("cpu")
  end)

  it("gives floats back as floats, integers as integers, and loses none of an int64", function()
    expect(math.type(tensor.new(1):item())):equals("float")
    local large = math.maxinteger - 1
    expect(tensor.new({ large, 2.0 }, { dtype = "int64" }):totable()):equals { large, 2 }
    expect(math.type(tensor.new(2.0, { dtype = "int64" }):item())):equals("integer")
    expect(tensor.new(0.1, { dtype = "float64" }):item()):equals(0.1)
    expect(tensor.new(0.1):item()):near(0.1, 1e-8)
  end)

  it("refuses lists that do not make a block, and names the place", function()
    local cases = {
      { { { 1, 2 }, { 3 } }, "value[2]: expected a list of 2, as the first one, got one of 1" },
      { { { 1, 2 }, 3 }, "value[2]: expected a list of 2, as the first one, got number 3" },
      { { 1, { 2 } }, "value[2]: expected number, got table" },
      { { { { 1 }, { "x" } } }, "value[1][2][1]: expected number, got string" },
      { { 1, nil, 3 }, "value[2]: expected number, got nil" },
      { { true, 1 }, "value[2]: expected boolean, got number 1" },
      { { 1, a = 2 }, "value: expected a list, got a table with other keys too" },
      { { a = 1 }, "value: expected a list, got a table with other keys too" },
      { "x", "value: expected number, got string" },
    }
    for _, case in ipairs(cases) do
      expect(error_of(tensor.new, case[1])):equals("tensor.new: " .. case[2])
    end
    local endless = {}
    endless[1] = endless
    expect(error_of(tensor.new, endless)):equals("tensor.new: value: lists nested deeper than 64")
  end)

  it("refuses what its dtype cannot hold, and unknown options", function()
    expect(error_of(tensor.new, { 1.5 }, { dtype = "int64" })):equals(
      "tensor.new: value[1]: expected integer, got number 1.5"
    )
    for dtype, range in pairs {
      int8 = { -128, 127 },
      uint8 = { 0, 255 },
      int16 = { -32768, 32767 },
      int32 = { -2147483648, 2147483647 },
    } do
      expect(tensor.new(range, { dtype = dtype }):totable()):equals(range)
      expect(error_of(tensor.new, range[2] + 1, { dtype = dtype })):equals(
        ("tensor.new: value: expected integer from %d to %d, got number %d"):format(
          range[1],
          range[2],
          range[2] + 1
        )
      )
    end
    expect(error_of(tensor.new, { 0 / 0 }, { dtype = "int64" })):contains(
      "value[1]: expected integer, got number"
    )
    expect(error_of(tensor.new, { 1 }, { dtype = "bool" })):equals(
      "tensor.new: value[1]: expected boolean, got number 1"
    )
    expect(error_of(tensor.new, { 1 }, { dtype = "int63" })):equals(
      'tensor.new: dtype: expected "float32", "bfloat16", "float16", "float64", "int64", "int32", "int16", "int8", '
        .. '"uint8" or "bool", got "int63"'
    )
    expect(error_of(tensor.new, { 1 }, { dtyp = "int64" })):equals(
      "tensor.new: dtyp: unknown option\nhint: did you mean `dtype`?"
    )
    expect(error_of(tensor.new)):equals("tensor.new: argument 1 (value): expected a value, got no value")
  end)
end)

describe("a filled tensor", function()
  it("has one value everywhere", function()
    expect(tensor.zeros({ 2, 2 }):totable()):equals { { 0, 0 }, { 0, 0 } }
    expect(tensor.ones({ 3 }, { dtype = "int64" }):totable()):equals { 1, 1, 1 }
    expect(tensor.full({ 2 }, 1.5):totable()):equals { 1.5, 1.5 }
    expect(tensor.full({ 2 }, true):totable()):equals { true, true }
    expect(tensor.zeros({}):shape()):equals {}
    -- Its values are its own, not one value seen often.
    local full = tensor.full({ 2 }, 1)
    full[1]:add_(1)
    expect(full:totable()):equals { 2, 1 }
  end)

  it("wants its shape as a list of sizes", function()
    expect(error_of(tensor.zeros, 2, 3)):equals(
      "tensor.zeros: argument 1 (shape): expected table, got number"
    )
    expect(error_of(tensor.ones, { 2, -1 })):equals(
      "tensor.ones: shape[2]: expected a non-negative integer, got number -1"
    )
    expect(error_of(tensor.full, { "2" }, 1)):equals(
      "tensor.full: shape[1]: expected a non-negative integer, got string"
    )
    expect(error_of(tensor.full, { 2 }, { 1 })):equals(
      "tensor.full: value: expected number or boolean, got table"
    )
    for _, size in ipairs { 1.5, -1, 0 / 0, 1 / 0, 2 ^ 70 } do
      expect(error_of(tensor.zeros, { 2, size })):contains(
        "tensor.zeros: shape[2]: expected a non-negative integer"
      )
    end
    expect(error_of(tensor.zeros, { 2, rows = 2 })):equals(
      "tensor.zeros: shape: expected a list of sizes, got a table with other keys too"
    )
  end)

  it("that no memory holds is refused before it is made", function()
    local huge = "a float32 tensor of the shape [%s] "
    local overflow = "tensor.zeros: " .. huge:format("1099511627776, 1099511627776")
    expect(error_of(tensor.zeros, { 2 ^ 40, 2 ^ 40 })):equals(
      overflow .. "has more bytes than can be counted"
    )
    local large = "tensor.ones: " .. huge:format("1000000, 1000000") .. "takes 3725.3 GiB, and "
    expect(error_of(tensor.ones, { 1e6, 1e6 })):contains(large)
    expect(error_of(tensor.full, { 1e6, 1e6 }, 1)):contains("takes 3725.3 GiB, and ")
    expect(error_of(tensor.randn, { 1e6, 1e6 }, { seed = 1 })):contains("takes 3725.3 GiB, and ")
    expect(error_of(tensor.arange, 1e12)):contains("takes 3725.3 GiB, and ")
    expect(error_of(tensor.eye, 1e6)):contains("takes 3725.3 GiB, and ")
    local row, column = tensor.zeros { 1, 1e6 }, tensor.zeros { 1e6, 1 }
    expect(error_of(function()
      return row + column
    end)):contains("tensor + tensor: " .. huge:format("1000000, 1000000") .. "takes")
    expect(error_of(column.matmul, column, row)):contains("tensor:matmul: a float32 tensor of the shape")
    expect(error_of(row.tile, row, { 1e6, 1 })):contains("takes 3725.3 GiB, and ")
    expect(error_of(row.tile, row, { 2 ^ 62, 2 ^ 62 })):contains("more bytes than can be counted")
    expect(tensor.zeros({ 0, 2 ^ 40 }):numel()):equals(0)
  end)

  it("takes the shape, dtype and device of another", function()
    local like = tensor.new({ { 1, 2 } }, { dtype = "int64" })
    expect(tensor.zeros_like(like):totable()):equals { { 0, 0 } }
    expect(tensor.ones_like(like):dtype()):equals("int64")
    expect(tensor.full_like(like, 7):totable()):equals { { 7, 7 } }
    expect(tensor.full_like(like, 0.5, { dtype = "float64" }):totable()):equals { { 0.5, 0.5 } }
    expect(error_of(tensor.full_like, like, 0.5)):equals(
      "tensor.full_like: value: expected integer, got number 0.5"
    )
    local drawn = tensor.randn_like(tensor.zeros { 3 }, { seed = 0 })
    expect(drawn:totable()):equals(tensor.randn({ 3 }, { seed = 0 }):totable())
    expect(tensor.rand_like(drawn, { seed = 0, requires_grad = true }):requires_grad()):equals(true)
    expect(error_of(tensor.zeros_like, 3)):equals("tensor.zeros_like: tensor: expected tensor, got number")
  end)

  it("may be a diagonal or numbers at equal distances", function()
    expect(tensor.eye(2):totable()):equals { { 1, 0 }, { 0, 1 } }
    expect(tensor.eye(1, 3, { dtype = "bool" }):totable()):equals { { true, false, false } }
    expect(error_of(tensor.eye, -1)):equals(
      "tensor.eye: n and m: expected non-negative integers, got [-1, -1]"
    )
    expect(tensor.linspace(0, 1, 5):totable()):equals { 0, 0.25, 0.5, 0.75, 1 }
    expect(error_of(tensor.linspace, 0, 1, -2)):equals(
      "tensor.linspace: steps: expected a non-negative integer, got -2"
    )
    expect(error_of(tensor.linspace, 0, 0 / 0, 2)):contains("tensor.linspace: stop: expected a finite number")
  end)

  it("counts with arange", function()
    expect(tensor.arange(3):totable()):equals { 0, 1, 2 }
    expect(tensor.arange(1, 3):totable()):equals { 1, 2 }
    expect(tensor.arange(1, 2, 0.25):totable()):equals { 1, 1.25, 1.5, 1.75 }
    expect(tensor.arange(3, 0, -1, { dtype = "int64" }):totable()):equals { 3, 2, 1 }
    expect(tensor.arange(2, { dtype = "int64" }):dtype()):equals("int64")
    expect(error_of(tensor.arange, 3, 1)):equals(
      "tensor.arange: upper bound and lower bound inconsistent with step sign"
    )
    expect(error_of(tensor.arange, 1 / 0)):equals("tensor.arange: stop: expected a finite number, got inf")
    expect(error_of(tensor.arange, 1, 2, 0)):equals(
      "tensor.arange: step: expected a number other than 0, got 0"
    )
    expect(error_of(tensor.arange, 1, 2, 1, 5)):equals(
      "tensor.arange: options: expected table, behind at most three numbers, got number"
    )
  end)
end)

describe("a drawn tensor", function()
  -- torch.manual_seed(0); torch.randn(3), and torch.rand(3)
  it("has PyTorch's numbers for its seed", function()
    local normal, uniform =
      tensor.randn({ 3 }, { seed = 0 }):totable(), tensor.rand({ 3 }, { seed = 0 }):totable()
    for i, wanted in ipairs { 1.5410, -0.2934, -2.1788 } do
      expect(normal[i]):near(wanted, 5e-5)
    end
    for i, wanted in ipairs { 0.4963, 0.7682, 0.0885 } do
      expect(uniform[i]):near(wanted, 5e-5)
    end
  end)

  it("depends on its seed alone, and needs one", function()
    local first = tensor.randn({ 5 }, { seed = 3 }):totable()
    tensor.rand({ 100 }, { seed = 9 })
    expect(tensor.randn({ 5 }, { seed = 3 }):totable()):equals(first)
    expect(tensor.randn({ 5 }, { seed = 4 }):totable()[1] ~= first[1]):equals(true)
    expect(error_of(tensor.randn, { 2 })):equals("tensor.randn: seed: required, but missing")
    expect(error_of(tensor.rand, { 2 }, {})):equals("tensor.rand: seed: required, but missing")
  end)

  it("refuses what is no distribution", function()
    local seed = { seed = 1 }
    expect(error_of(tensor.randint, 3, 3, { 1 }, seed)):equals(
      "tensor.randint: high: expected more than low, 3, got 3"
    )
    expect(error_of(tensor.randperm, -1, seed)):equals(
      "tensor.randperm: n: expected a non-negative integer, got -1"
    )
    expect(error_of(tensor.normal, 0, -1, { 1 }, seed)):equals(
      "tensor.normal: std: expected a finite number of at least 0, got -1"
    )
    local t = tensor.new { 0.25, 1.5 }
    expect(error_of(t.bernoulli, t, seed)):equals("tensor:bernoulli: t: expected values from 0 to 1, got 1.5")
    expect(error_of(t.bernoulli, t, {})):equals("tensor:bernoulli: seed: required, but missing")
    local weights = tensor.new { 1, -1 }
    expect(error_of(weights.multinomial, weights, 1, seed)):equals(
      "tensor:multinomial: t: expected finite values of at least 0, got -1"
    )
    expect(error_of(t.multinomial, t, 3, seed)):equals(
      "tensor:multinomial: n: expected 1 to 2, as nothing is put back, got 3"
    )
    local nothing = tensor.zeros { 2, 2 }
    expect(error_of(nothing.multinomial, nothing, 1, seed)):contains("got a row of zeros")
    expect(error_of(t.dropout, t, 1.5, seed)):equals("tensor:dropout: p: expected 0 to 1, got 1.5")
    expect(error_of(t.dropout, t, 0 / 0, seed)):equals("tensor:dropout: p: expected 0 to 1, got NaN")
    expect(t:dropout(0, seed):totable()):equals(t:totable())
    expect(t:dropout(1, seed):totable()):equals { 0, 0 }
  end)
end)

describe("a tensor in words", function()
  it("shows its shape, its dtype and its values", function()
    expect(tostring(tensor.new { { 1, 2.5 }, { -3, 4 } })):equals(
      "tensor [2, 2] float32\n[[ 1.0000,  2.5000],\n [-3.0000,  4.0000]]"
    )
    expect(tostring(tensor.new({ 1, 2 }, { dtype = "int64" }))):equals("tensor [2] int64\n[1, 2]")
    expect(tostring(tensor.new { true, false })):equals("tensor [2] bool\n[ true, false]")
    expect(tostring(tensor.new(0.5, { requires_grad = true }))):equals(
      "tensor [] float32, requires grad: 0.5000"
    )
    expect(tostring(tensor.zeros { 0 })):equals("tensor [0] float32\n[]")
    expect(tostring(tensor.new { 0 / 0, 1.5, -1 / 0 })):equals("tensor [3] float32\n[   nan, 1.5000,   -inf]")
    expect(tostring(tensor.new { 1, -20, 300 })):equals("tensor [3] float32\n[  1., -20., 300.]")
    expect(tostring(tensor.new { 1e-5, 1 })):equals("tensor [2] float32\n[1.0000e-05, 1.0000e+00]")
    expect(tostring(tensor.new({ 1, 100 }, { dtype = "uint8" }))):equals("tensor [2] uint8\n[  1, 100]")
    expect(tostring(tensor.arange(8):reshape { 2, 2, 2 })):equals(
      "tensor [2, 2, 2] float32\n[[[0., 1.],\n  [2., 3.]],\n\n [[4., 5.],\n  [6., 7.]]]"
    )
  end)

  it("is short however large it is", function()
    local text = tostring(tensor.zeros { 1000, 1000 })
    expect(text):contains("...")
    assert(#text < 1000)
  end)
end)

describe("item and to", function()
  it("take out one value, in the tensor's type", function()
    expect(tensor.new({ { 3 } }):item()):equals(3)
    expect(tensor.new(true):item()):equals(true)
    local pair = tensor.new { 1, 2 }
    expect(error_of(pair.item, pair)):equals(
      "tensor:item: expected a tensor of one value, got one of the shape [2]"
    )
  end)

  it("change the dtype, and nothing where there is nothing to change", function()
    local t = tensor.new { 1.75, -1.75 }
    expect(t:to({ dtype = "int64" }):totable()):equals { 1, -1 }
    expect(t:to({ dtype = "bool" }):totable()):equals { true, true }
    expect(t:to({ device = "cpu" }):totable()):equals { 1.75, -1.75 }
    expect(error_of(t.to, t, { typ = "int64" })):contains("tensor:to: typ: unknown option")
  end)
end)
