-- backward and what a hand-written optimizer needs around it.
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function error_of(f, ...)
  local passed, message = pcall(f, ...)
  assert(not passed, "expected an error")
  -- Without the position, which is this file's.
  return (message:gsub("^[^\n]-:%d+: ", ""))
end

describe("backward", function()
  it("goes through a product and a log-softmax", function()
    -- x = torch.tensor([[1., 2.]]); w = torch.eye(2, requires_grad=True)
    -- loss = -torch.log_softmax(x @ w, 1).gather(1, torch.tensor([[0]])).mean(); loss.backward()
    -- By hand: the gradient of the logits is softmax - onehot = [-0.73105858, 0.73105858], that of w is x' times it.
    local x = tensor.new { { 1, 2 } }
    local w = tensor.new({ { 1, 0 }, { 0, 1 } }, { requires_grad = true })
    local labels = tensor.new({ { 0 } }, { dtype = "int64" })
    local loss = -x:matmul(w):log_softmax(2):gather(2, labels):mean()
    expect(loss:item()):near(1.31326169)
    loss:backward()
    for i, row in ipairs { { -0.73105858, 0.73105858 }, { -1.46211716, 1.46211716 } } do
      for j, wanted in ipairs(row) do
        expect(w:grad()[i][j]:item()):near(wanted)
      end
    end
  end)

  it("adds to the gradient until that is set to zero", function()
    local w = tensor.new({ 3 }, { requires_grad = true })
    expect(w:grad()):equals(nil)
    w:zero_grad()
    for times = 1, 2 do
      (w * w):sum():backward()
      expect(w:grad():totable()):equals { 6 * times }
    end
    w:zero_grad()
    expect(w:grad():totable()):equals { 0 }
  end)

  it("reaches what was broadcast, indexed and joined", function()
    local bias = tensor.new({ 1, 2 }, { requires_grad = true });
    (tensor.zeros { 3, 2 } + bias):sum():backward()
    expect(bias:grad():totable()):equals { 3, 3 }

    local t = tensor.new({ 1, 2, 3 }, { requires_grad = true });
    (t[2] * 5 + tensor.cat({ t, t }):sum()):backward()
    expect(t:grad():totable()):equals { 2, 7, 2 }
  end)

  it("starts at one value that has something to go back to", function()
    local w = tensor.new({ 1, 2 }, { requires_grad = true })
    local double = w * 2
    expect(error_of(double.backward, double)):equals(
      "tensor:backward: expected a tensor of one value, got one of the shape [2]\n"
        .. "hint: reduce it first, as by t:sum() or t:mean()"
    )
    local plain = tensor.new(1)
    expect(error_of(plain.backward, plain)):contains(
      "tensor:backward: nothing that this tensor was computed from requires grad\nhint: "
    )
    local loss = (w * w):sum()
    loss:backward()
    expect(error_of(loss.backward, loss)):equals(
      "tensor:backward: an earlier backward went through here and freed what it needed\n"
        .. "hint: compute the tensor again before each backward"
    )
    expect(loss:grad()):equals(nil)
  end)
end)

describe("backward from several values", function()
  it("takes the gradient of what follows", function()
    local x = tensor.new({ 1, 2 }, { requires_grad = true });
    (x * x):backward(tensor.new { 1, 10 })
    expect(x:grad():totable()):equals { 2, 40 }
    local y = x * x
    expect(error_of(y.backward, y, tensor.new { 1 })):equals("tensor:backward: shapes [2] and [1] do not fit")
    expect(error_of(y.backward, y, tensor.new({ 1, 1 }, { dtype = "float64" }))):contains(
      "tensor:backward: dtypes float32 and float64 do not fit"
    )
  end)
end)

describe("tensor.grad", function()
  local x = tensor.new({ 2 }, { requires_grad = true })

  it("gives gradients of any tensor without adding to any", function()
    local y = x * 3
    local z = (y ^ 2):sum()
    expect(tensor.grad(z, y, { retain_graph = true }):totable()):equals { 12 }
    local gradients = tensor.grad(z, { x, y })
    expect({ gradients[1]:item(), gradients[2]:item() }):equals { 36, 12 }
    expect(x:grad()):equals(nil)
  end)

  it("goes on to gradients of gradients", function()
    -- d(x³)/dx = 3x² = 12, and again 6x = 12, and again 6
    local first = tensor.grad((x ^ 3):sum(), x, { create_graph = true })
    local second = tensor.grad(first:sum(), x, { create_graph = true })
    expect({ first:item(), second:item() }):equals { 12, 12 }
    expect(tensor.grad(second:sum(), x):item()):equals(6)
  end)

  it("names what it cannot go back to", function()
    local other = tensor.new({ 1 }, { requires_grad = true })
    local message = error_of(tensor.grad, (x * x):sum(), { x, other })
    expect(message):equals("tensor.grad: inputs[2]: the output was not computed from it")
    expect(error_of(tensor.grad, x:sum(), tensor.new { 1 })):equals(
      "tensor.grad: inputs: does not require grad"
    )
    expect(error_of(tensor.grad, tensor.new(1), x)):contains(
      "tensor.grad: nothing that this tensor was computed from requires grad"
    )
    expect(error_of(tensor.grad, x * tensor.new { 1, 2 }, x)):contains(
      "tensor.grad: expected a tensor of one value, got one of the shape [2]"
    )
    expect(error_of(tensor.grad, x:sum(), {})):equals(
      "tensor.grad: inputs: expected at least one tensor, got an empty list"
    )
    expect(error_of(tensor.grad, x:sum(), x, { retain = true })):contains(
      "tensor.grad: retain: unknown option"
    )
  end)
end)

describe("enable_grad", function()
  it("records in the middle of no_grad", function()
    local w = tensor.new({ 1 }, { requires_grad = true })
    tensor.no_grad(function()
      local recorded, count = tensor.enable_grad(function()
        return w * 2, 3
      end)
      expect(recorded:requires_grad()):equals(true)
      expect(count):equals(3)
      expect((w * 2):requires_grad()):equals(false)
      expect(error_of(tensor.enable_grad, function()
        error("inside", 0)
      end)):equals("inside")
      expect((w * 2):requires_grad()):equals(false)
    end)
  end)
end)

describe("requires_grad", function()
  it("asks and sets", function()
    local t = tensor.new { 1 }
    expect(t:requires_grad()):equals(false)
    expect(t:requires_grad(true) == t):equals(true)
    expect(t:requires_grad()):equals(true)
    expect((t * 2):requires_grad()):equals(true)
    expect((t * 2):detach():requires_grad()):equals(false)
    expect(error_of(t.requires_grad, t, 1)):equals(
      "tensor:requires_grad: argument 1 (flag): expected boolean, got number"
    )
  end)

  it("is for floating-point tensors", function()
    local whole = tensor.new({ 1 }, { dtype = "int64" })
    expect(error_of(whole.requires_grad, whole, true)):contains("tensor:requires_grad: ")
    expect(error_of(tensor.new, { 1 }, { dtype = "int64", requires_grad = true })):contains(
      "tensor.new: Only Tensors of floating point"
    )
  end)
end)

describe("no_grad", function()
  local w = tensor.new({ 1 }, { requires_grad = true })

  it("records nothing, and returns what its function returns", function()
    local product, count = tensor.no_grad(function()
      return w * 2, 7
    end)
    expect(product:requires_grad()):equals(false)
    expect(count):equals(7)
    expect((w * 2):requires_grad()):equals(true)
  end)

  it("is over after an error, and inside another one only then", function()
    expect(error_of(tensor.no_grad, function()
      error("inside", 0)
    end)):equals("inside")
    expect((w * 2):requires_grad()):equals(true)
    tensor.no_grad(function()
      pcall(tensor.no_grad, error)
      expect((w * 2):requires_grad()):equals(false)
    end)
    expect((w * 2):requires_grad()):equals(true)
  end)

  it("lets its function use every tensor in it", function()
    local sum = 0
    tensor.no_grad(function()
      for _, t in ipairs { w, w } do
        sum = sum + t:item()
      end
    end)
    expect(sum):equals(2)
  end)
end)

describe("a leaf", function()
  it("was computed from nothing that requires grad", function()
    local w = tensor.new({ 1 }, { requires_grad = true })
    expect(w:is_leaf()):equals(true)
    expect((w * 2):is_leaf()):equals(false)
    expect((w * 2):detach():is_leaf()):equals(true)
    expect(tensor.new({ 1 }):is_leaf()):equals(true)
  end)
end)

describe("a change in place", function()
  it("is seen through every handle, and returns its tensor", function()
    local t = tensor.new { 1, 2 }
    local same = t:detach()
    expect(t:add_(1):mul_(10):sub_(tensor.new { 5, 6 }) == t):equals(true)
    expect(same:totable()):equals { 15, 24 }
    t:copy_(tensor.new { 0 })
    expect(same:totable()):equals { 0, 0 }
    local copy = t:clone()
    copy:add_(1)
    expect(t:totable()):equals { 0, 0 }
    expect(t:fill_(6):div_(4):totable()):equals { 1.5, 1.5 }
    expect(t:zero_() == t):equals(true)
    expect(t:totable()):equals { 0, 0 }
    expect(tensor.zeros({ 1 }, { dtype = "bool" }):fill_(true):totable()):equals { true }
    expect(error_of(t.fill_, t, "1")):equals("tensor:fill_: value: expected tensor or number, got string")
    local whole = tensor.zeros({ 1 }, { dtype = "int64" })
    expect(error_of(whole.fill_, whole, 1.5)):equals(
      "tensor:fill_: value: expected one of int64, got number 1.5"
    )
    expect(error_of(whole.fill_, whole, whole)):contains(
      "value: expected one value, got a tensor of the shape [1]"
    )
  end)

  it("keeps the shape", function()
    local t = tensor.new { 1, 2 }
    expect(error_of(t.add_, t, tensor.zeros { 2, 2 })):equals("tensor:add_: shapes [2] and [2, 2] do not fit")
    expect(error_of(t.copy_, t, tensor.zeros { 3 })):equals("tensor:copy_: shapes [2] and [3] do not fit")
    expect(error_of(t.copy_, t, 1)):equals("tensor:copy_: source: expected tensor, got number")
  end)

  it("of a tensor that requires grad belongs into no_grad", function()
    local w = tensor.new({ 1 }, { requires_grad = true })
    expect(error_of(w.sub_, w, 1)):equals(
      "tensor:sub_: a tensor that requires grad is not changed in place while gradients are recorded\n"
        .. "hint: wrap it: tensor.no_grad(function() ... end)"
    )
    tensor.no_grad(function()
      w:sub_(1)
    end)
    expect(w:totable()):equals { 0 }
    expect(w:requires_grad()):equals(true)
  end)
end)
