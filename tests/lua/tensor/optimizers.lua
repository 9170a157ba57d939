-- Optimizers beside PyTorch's, on the problem of scripts/dev/peer/tensor_functions.py; saving and resuming; bad input.
local fs = require("affine.fs")
local json = require("affine.json")
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function error_of(f, ...)
  local passed, message = pcall(f, ...)
  assert(not passed, "expected an error")
  -- Without the position, which is this file's.
  return (message:gsub("^[^\n]-:%d+: ", ""))
end

local function parameter(values)
  return tensor.new(values, { requires_grad = true })
end

local function problem(dtype)
  local x = tensor.randn({ 16, 3 }, { seed = 1 }):to { dtype = dtype }
  local y = tensor.randn({ 16, 2 }, { seed = 2 }):to { dtype = dtype }
  local w = tensor.randn({ 3, 2 }, { seed = 3 }):to({ dtype = dtype }):requires_grad(true)
  local b = tensor.zeros({ 2 }, { dtype = dtype, requires_grad = true })
  local function loss()
    return tensor.mse_loss((x:matmul(w) + b):tanh(), y)
  end
  return w, b, loss
end

local function near(got, wanted)
  for i, value in ipairs(wanted) do
    expect(got[i]):near(value, 1e-6 + 4e-6 * math.abs(value))
  end
  expect(#got):equals(#wanted)
end

describe("PyTorch agrees on", function()
  local recorded = json.decode(fs.read("tests/golden/tensor/functions.json")).optimizers
  local made = {
    sgd = { tensor.sgd, { learning_rate = 0.1 } },
    ["sgd decay"] = { tensor.sgd, { learning_rate = 0.1, momentum = 0.9, weight_decay = 0.05 } },
    ["sgd nesterov"] = { tensor.sgd, { learning_rate = 0.1, momentum = 0.9, nesterov = true } },
    adamw = { tensor.adamw, { learning_rate = 0.01 } },
    ["adamw betas"] = {
      tensor.adamw,
      { learning_rate = 0.05, betas = { 0.8, 0.95 }, eps = 1e-6, weight_decay = 0.1 },
    },
    ["adamw float64"] = { tensor.adamw, { learning_rate = 0.01 } },
  }

  for name, wanted in pairs(recorded) do
    it(name, function()
      local w, b, loss = problem(name:find("float64") and "float64" or "float32")
      local optimizer = made[name][1]({ w, b }, made[name][2])
      local losses, norms = {}, {}
      for step = 1, 6 do
        local l = loss()
        optimizer:zero_grad()
        l:backward()
        if step > 3 then
          table.insert(norms, tensor.clip_grad_norm({ w, b }, 0.1))
        end
        optimizer:step()
        losses[step] = l:item()
      end
      near(losses, wanted.losses)
      near(norms, wanted.norms)
      near(w:reshape({ -1 }):totable(), wanted.w)
      near(b:totable(), wanted.b)
    end)
  end
end)

describe("an optimizer", function()
  it("goes on from its saved state as if it had not stopped", function()
    for make, options in pairs {
      [tensor.sgd] = { learning_rate = 0.1, momentum = 0.9 },
      [tensor.adamw] = { learning_rate = 0.05 },
    } do
      local function run(w, b, loss, optimizer, steps)
        for _ = 1, steps do
          optimizer:zero_grad()
          loss():backward()
          optimizer:step()
        end
        return { w:totable(), b:totable() }
      end
      local w, b, loss = problem("float32")
      local straight = make({ w = w, b = b }, options)
      run(w, b, loss, straight, 3)
      straight:learning_rate(0.02)
      local path = os.tmpname()
      tensor.save(path, straight:state())
      local kept = { w = w:detach():clone(), b = b:detach():clone() }
      local wanted = run(w, b, loss, straight, 3)

      local w2, b2, loss2 = problem("float32")
      tensor.no_grad(function()
        w2:copy_(kept.w)
        b2:copy_(kept.b)
      end)
      local resumed = make({ w = w2, b = b2 }, options)
      resumed:load_state(tensor.load(path))
      os.remove(path)
      expect(resumed:learning_rate()):equals(0.02)
      expect(run(w2, b2, loss2, resumed, 3)):equals(wanted)
    end
  end)

  it("gives copies of its state by parameter", function()
    local w = parameter { 1, 2 }
    local optimizer = tensor.adamw({ w }, { learning_rate = 0.1 })
    local before = optimizer:state()
    w:sum():backward()
    optimizer:step()
    local after = optimizer:state()
    expect({ before["1.step"]:item(), after["1.step"]:item() }):equals { 0, 1 }
    expect(before["1.exp_avg"]:totable()):equals { 0, 0 }
    expect(after.learning_rate:item()):equals(0.1)
    local named = tensor.sgd({ w = w }, { learning_rate = 0.1, momentum = 0.5 }):state()
    expect(named["w.momentum_buffer"]:totable()):equals { 0, 0 }
  end)

  it("leaves parameters without a gradient alone", function()
    local w, unused = parameter { 1 }, parameter { 5 }
    local optimizer = tensor.adamw({ w, unused }, { learning_rate = 0.1 })
    w:sum():backward()
    optimizer:step()
    expect(unused:totable()):equals { 5 }
    expect(w:item() < 1):equals(true)
    optimizer:zero_grad()
    expect(w:grad():totable()):equals { 0 }
  end)

  it("keeps a float32 copy of half-precision parameters, so that small steps add up", function()
    -- bfloat16 numbers near 1 are 0.0078 apart: each step of 0.001 alone would be lost.
    local w = tensor.ones({ 1 }, { dtype = "bfloat16", requires_grad = true })
    local optimizer = tensor.sgd({ w }, { learning_rate = 0.001 })
    for _ = 1, 50 do
      optimizer:zero_grad()
      w:sum():backward()
      optimizer:step()
    end
    expect(w:item()):near(0.95, 0.004)
  end)

  it("changes its rate between steps", function()
    local w = parameter { 1 }
    local optimizer = tensor.sgd({ w }, { learning_rate = 0.5 })
    expect(optimizer:learning_rate()):equals(0.5)
    expect(optimizer:learning_rate(0.25)):equals(0.25)
    w:sum():backward()
    optimizer:step()
    expect(w:item()):equals(0.75)
    expect(error_of(optimizer.learning_rate, optimizer, -1)):equals(
      "optimizer:learning_rate: learning_rate: expected a finite number of at least 0, got -1"
    )
    expect(error_of(optimizer.learning_rate, optimizer, 0 / 0)):contains(
      "expected a finite number of at least 0"
    )
  end)

  it("takes leaves that require grad, each once", function()
    local rate = { learning_rate = 0.1 }
    local w = parameter { 1 }
    local function complaint(params)
      return error_of(tensor.sgd, params, rate)
    end
    expect(complaint { tensor.new { 1 } }):equals(
      "tensor.sgd: params[1]: does not require grad\n"
        .. "hint: t:requires_grad(true), or { requires_grad = true } as it is made"
    )
    expect(complaint { w, w }):equals("tensor.sgd: params[2]: the same tensor as params[1]")
    expect(complaint { a = w, b = w }):equals("tensor.sgd: params.b: the same tensor as params.a")
    expect(complaint { w, w:detach():requires_grad(true) }):contains(
      "params[2]: the same tensor as params[1]"
    )
    expect(complaint { w * 2 }):contains(
      "params[1]: computed from other tensors, so no gradient stays with it"
    )
    expect(complaint {}):equals("tensor.sgd: params: expected at least one tensor, got none")
    expect(complaint { w, 3 }):equals("tensor.sgd: params[2]: expected tensor, got number")
    expect(complaint { w, name = w }):contains("params: expected a list or a table of names, got both in one")
    local closed = parameter { 1 }
    closed:close()
    expect(complaint { closed }):equals("tensor.sgd: params[1]: expected tensor, got one that was closed")
    expect(complaint { w = closed }):equals("tensor.sgd: params.w: expected tensor, got one that was closed")
  end)

  it("checks its options", function()
    local params = { parameter { 1 } }
    local cases = {
      { tensor.sgd, {}, "tensor.sgd: learning_rate: required, but missing" },
      { tensor.sgd, { lr = 1 }, "tensor.sgd: lr: unknown option" },
      { tensor.sgd, { learning_rate = -1 }, "learning_rate: expected a finite number of at least 0, got -1" },
      { tensor.sgd, { learning_rate = 0 / 0 }, "learning_rate: expected a finite number, got" },
      {
        tensor.sgd,
        { learning_rate = 1, momentum = -0.1 },
        "momentum: expected a finite number of at least 0",
      },
      { tensor.sgd, { learning_rate = 1, nesterov = true }, "nesterov: only with a momentum" },
      { tensor.adamw, { betas = { 0.9 } }, "tensor.adamw: betas: expected two numbers, got 1" },
      { tensor.adamw, { betas = { 0.9, 1 } }, "tensor.adamw: betas[2]: expected 0 to below 1, got 1" },
      { tensor.adamw, { eps = -1 }, "tensor.adamw: eps: expected a finite number of at least 0, got -1" },
    }
    for _, case in ipairs(cases) do
      expect(error_of(case[1], params, case[2])):contains(case[3])
    end
    expect(tensor.adamw(params):learning_rate()):equals(0.001)
  end)

  it("refuses another optimizer's state and stays as it is", function()
    local w, v = parameter { 1, 2 }, parameter { 1 }
    local optimizer = tensor.adamw({ w = w }, { learning_rate = 0.1 })
    w:sum():backward()
    optimizer:step()
    local before = optimizer:state()
    local foreign = tensor.adamw({ w = v }):state()
    expect(error_of(optimizer.load_state, optimizer, foreign)):equals(
      "optimizer:load_state: the optimizer's state has w.exp_avg of shape [1], expected [2]"
    )
    expect(error_of(optimizer.load_state, optimizer, tensor.adamw({ v = v }):state())):contains(
      "the optimizer's state lacks w.step"
    )
    expect(error_of(optimizer.load_state, optimizer, {})):contains("the state lacks learning_rate")
    local more = optimizer:state()
    more.other = tensor.new(1)
    expect(error_of(optimizer.load_state, optimizer, more)):contains(
      "has other, which belongs to no parameter here"
    )
    for name, value in pairs(optimizer:state()) do
      expect(value:totable()):equals(before[name]:totable())
    end
  end)
end)

describe("clip_grad_norm", function()
  it("gives the norm and scales what is above it", function()
    local w = parameter { 0, 0 };
    (w * tensor.new { 3, 4 }):sum():backward()
    expect(tensor.clip_grad_norm({ w }, 10)):near(5)
    expect(w:grad():totable()):equals { 3, 4 }
    expect(tensor.clip_grad_norm({ w = w }, 1)):near(5)
    expect(w:grad():norm():item()):near(1, 1e-5)
    expect(tensor.clip_grad_norm({ parameter { 1 } }, 1)):equals(0)
  end)

  it("leaves gradients that are no numbers as they are, and tells", function()
    local w = parameter { 0, 0 };
    (w * tensor.new { 1, 0 / 0 }):sum():backward()
    local norm = tensor.clip_grad_norm({ w }, 1)
    expect(norm ~= norm):equals(true)
    expect(w:grad()[1]:item()):equals(1)
  end)

  it("wants a norm above 0", function()
    local w = parameter { 0 }
    expect(error_of(tensor.clip_grad_norm, { w }, 0)):equals(
      "tensor.clip_grad_norm: max_norm: expected a number above 0, got 0"
    )
    expect(error_of(tensor.clip_grad_norm, { w }, 0 / 0)):contains("expected a number above 0, got NaN")
    expect(error_of(tensor.clip_grad_norm, { 1 }, 1)):equals(
      "tensor.clip_grad_norm: params[1]: expected tensor, got number"
    )
  end)
end)
