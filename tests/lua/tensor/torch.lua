-- Every function beside PyTorch's: the values and the gradients of all inputs, recorded by
-- scripts/dev/peer/tensor_functions.py in tests/golden/tensor/functions.json. The inputs are drawn from the same seeds.
local fs = require("affine.fs")
local json = require("affine.json")
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function floats(values)
  return tensor.new(values)
end

local function whole(values)
  return tensor.new(values, { dtype = "int64" })
end

-- A method without arguments under its own name, and the others.
local functions = setmetatable({
  ["gelu tanh"] = function(x)
    return x:gelu("tanh")
  end,
  ["leaky_relu 0.2"] = function(x)
    return x:leaky_relu(0.2)
  end,
  clamp = function(x)
    return x:clamp(-0.5, 0.5)
  end,
  ["+"] = function(a, b)
    return a + b
  end,
  ["-"] = function(a, b)
    return a - b
  end,
  ["*"] = function(a, b)
    return a * b
  end,
  ["/"] = function(a, b)
    return a / b
  end,
  ["//"] = function(a, b)
    return a:detach() // b:detach()
  end,
  ["%"] = function(a, b)
    return a % b
  end,
  ["^"] = function(a, b)
    return a ^ b
  end,
  ["2 -"] = function(a)
    return 2 - a
  end,
  ["2 /"] = function(a)
    return 2 / a
  end,
  ["2 //"] = function(a)
    return 2 // a:detach()
  end,
  ["2 %"] = function(a)
    return 2 % a
  end,
  ["2 ^"] = function(a)
    return 2 ^ a
  end,
  ["& |"] = function(a, b)
    return (a & 6) | (b & 3)
  end,
  ["~"] = function(a, b)
    return ~a ~ b
  end,
  maximum = tensor.maximum,
  minimum = tensor.minimum,
  where = function(a, b)
    return tensor.where(a:gt(b), a, b * 2)
  end,
  lerp = function(a, b)
    return tensor.lerp(a, b, 0.3)
  end,
  einsum = function(a, b)
    return tensor.einsum("bij,kj->bk", { a, b })
  end,

  ["sum 2"] = function(x)
    return x:sum(2)
  end,
  ["mean 2"] = function(x)
    return x:mean(2)
  end,
  ["prod 2"] = function(x)
    return x:prod(2)
  end,
  ["var 2"] = function(x)
    return x:var(2)
  end,
  ["std 2"] = function(x)
    return x:std(2)
  end,
  ["logsumexp 2"] = function(x)
    return x:logsumexp(2)
  end,
  ["max 2"] = function(x)
    return x:max(2)
  end,
  ["min 2"] = function(x)
    return x:min(2)
  end,
  ["sum 1 3"] = function(x)
    return x:sum({ 1, 3 }, true)
  end,
  ["var 1 3"] = function(x)
    return x:var({ 1, 3 }, nil, 0)
  end,
  ["norm 1 2"] = function(x)
    return x:norm(1, 2)
  end,
  cumsum = function(x)
    return x:cumsum(2)
  end,
  cumprod = function(x)
    return x:cumprod(2)
  end,
  softmax = function(x)
    return x:softmax(2)
  end,
  log_softmax = function(x)
    return x:log_softmax(-1)
  end,
  ["median 2"] = function(x)
    return x:median(2)
  end,
  sort = function(x)
    return x:sort(2, true)
  end,
  argsort = function(x)
    return x:argsort(2)
  end,
  argmin = function(x)
    return x:argmin(2)
  end,
  topk = function(x)
    return x:topk(2, 2)
  end,
  smallest = function(x)
    local _, places = x:topk(2, 2, false)
    return places
  end,
  all = function(x)
    return x:gt(-1):all(2)
  end,
  any = function(x)
    return x:gt(1):any(2)
  end,

  at = function(x)
    return x[{ 2, {}, -1 }]
  end,
  range = function(x)
    return x[{ {}, { 2, 4, 2 } }]
  end,
  index = function(x, i)
    return x[i]
  end,
  ["index after a range"] = function(x, i)
    return x[{ { 1, 2 }, i }]
  end,
  ["two indices"] = function(x, i, j)
    return x[{ i, {}, j }]
  end,
  mask = function(x)
    return x[x:gt(0)]
  end,
  ["mask after a position"] = function(x)
    return x[{ 2, x[2]:gt(0) }]
  end,
  gather = function(x, i)
    return x:gather(2, i)
  end,
  index_select = function(x, i)
    return x:index_select(2, i)
  end,
  index_add = function(x, i, s)
    return x:index_add(1, i, s)
  end,
  scatter = function(x, s)
    return x:scatter(2, whole { { 2, 0 }, { 1, 3 } }, s)
  end,
  scatter_add = function(x, i, s)
    return x:scatter_add(1, i, s)
  end,
  masked_fill = function(x)
    return x:masked_fill(x:gt(0), -7)
  end,
  masked_select = function(x)
    return x:masked_select(x:gt(0))
  end,
  one_hot = function(x)
    return x:one_hot(4)
  end,
  permute = function(x)
    return x:permute { 3, 1, 2 }
  end,
  flip = function(x)
    return x:flip { 1, 3 }
  end,
  roll = function(x)
    return x:roll(-1, 2)
  end,
  tril = function(x)
    return x:tril(-1)
  end,
  triu = function(x)
    return x:triu(1)
  end,
  diagonal = function(x)
    return x:diagonal(1)
  end,
  expand = function(x)
    return x:expand { 2, -1, 4 }
  end,
  tile = function(x)
    return x:tile { 2, 1, 2 }
  end,
  repeat_interleave = function(x)
    return x:repeat_interleave(2, 2)
  end,
  flatten = function(x)
    return x:flatten(2)
  end,
  chunk = function(x)
    return x:chunk(3, 2)[2]
  end,
  split = function(x)
    return x:split({ 1, 3 }, 2)[2]
  end,
  unbind = function(x)
    return x:unbind(2)[3]
  end,
  cat = function(a, b)
    return tensor.cat({ a, b }, 2)
  end,
  stack = function(a, b)
    return tensor.stack({ a, b }, 2)
  end,
  assignment = function(x, y)
    local z = x * 1
    z[1] = 0.5
    z[{ { 2, 3 }, -1 }] = y
    z[z:gt(1)] = 1
    return z
  end,

  embedding = tensor.embedding,
  linear = tensor.linear,
  layer_norm = tensor.layer_norm,
  ["layer_norm 2"] = function(x, w)
    return tensor.layer_norm(x, w, nil, { eps = 0.1 })
  end,
  ["layer_norm plain"] = tensor.layer_norm,
  rms_norm = function(x, w)
    return tensor.rms_norm(x, w, { eps = 1e-6 })
  end,
  ["rms_norm plain"] = tensor.rms_norm,
  attention = tensor.attention,
  ["attention causal"] = function(q, k, v)
    return tensor.attention(q, k, v, { causal = true })
  end,
  ["attention mask"] = function(q, k, v, m)
    return tensor.attention(q, k, v, { mask = m:gt(0) })
  end,
  ["attention scores"] = function(q, k, v, m)
    return tensor.attention(q, k, v, { mask = m, scale = 0.7 })
  end,
  cross_entropy = tensor.cross_entropy,
  ["cross_entropy sum"] = function(x, y)
    return tensor.cross_entropy(x, y, { reduction = "sum", label_smoothing = 0.1 })
  end,
  ["cross_entropy none"] = function(x, y)
    return tensor.cross_entropy(x, y, { reduction = "none", ignore_index = 2 })
  end,
  ["cross_entropy ignore"] = function(x, y)
    return tensor.cross_entropy(x, y, { ignore_index = 2 })
  end,
  ["cross_entropy 3"] = tensor.cross_entropy,
  ["cross_entropy probabilities"] = function(x, p)
    return tensor.cross_entropy(x, p:softmax(2))
  end,
  nll_loss = function(x, y)
    return tensor.nll_loss(x:log_softmax(2), y, { ignore_index = 2 })
  end,
  mse_loss = tensor.mse_loss,
  ["mse_loss none"] = function(a, b)
    return tensor.mse_loss(a, b, { reduction = "none" })
  end,
  l1_loss = tensor.l1_loss,
  smooth_l1_loss = function(a, b)
    return tensor.smooth_l1_loss(a, b, { beta = 0.5, reduction = "sum" })
  end,
  binary_cross_entropy_with_logits = tensor.binary_cross_entropy_with_logits,
  kl_div = function(a, b)
    return tensor.kl_div(a:log_softmax(2), b:softmax(2), { reduction = "batchmean" })
  end,
  ["kl_div log"] = function(a, b)
    return tensor.kl_div(a:log_softmax(2), b:log_softmax(2), { reduction = "sum", log_target = true })
  end,

  rand = function()
    return tensor.rand({ 2, 9 }, { seed = 5 })
  end,
  randn = function()
    return tensor.randn({ 2, 9 }, { seed = 5 })
  end,
  normal = function()
    return tensor.normal(1.5, 2, { 20 }, { seed = 5 })
  end,
  randint = function()
    return tensor.randint(-3, 10, { 20 }, { seed = 5 })
  end,
  randperm = function()
    return tensor.randperm(20, { seed = 5 })
  end,
  bernoulli = function(p)
    return p:bernoulli { seed = 5 }
  end,
  multinomial = function(p)
    return p:multinomial(4, { seed = 5 })
  end,
  ["multinomial again"] = function(p)
    return p:multinomial(9, { seed = 5, replacement = true })
  end,
  dropout = function(x)
    return x:dropout(0.3, { seed = 5 })
  end,
}, {
  __index = function(_, name)
    return function(t, ...)
      return t[name](t, ...)
    end
  end,
})

local function input(described)
  local kind, shape, seed = described.kind, described.shape, described.seed
  if kind == "randint" then
    return tensor.randint(0, described.high, shape, { seed = seed })
  end
  return tensor[kind](shape, { seed = seed, requires_grad = true })
end

-- All values, as numbers, within a few roundings of float32.
local function compare(name, got, wanted)
  local values = got:reshape({ -1 }):to({ dtype = "float64" }):totable()
  assert(#values == #wanted, ("%s: %d values, PyTorch has %d"):format(name, #values, #wanted))
  for i, value in ipairs(wanted) do
    local difference = math.abs(values[i] - value)
    local text = ("%s: value %d is %.9g, PyTorch's is %.9g"):format(name, i, values[i], value)
    assert(difference <= 1e-6 + 4e-6 * math.abs(value), text)
  end
end

describe("PyTorch agrees on", function()
  local recorded = json.decode(fs.read("tests/golden/tensor/functions.json"))
  expect(#recorded.cases > 100):equals(true)

  for _, case in ipairs(recorded.cases) do
    it(case.name, function()
      local inputs, parameters = {}, {}
      for i, described in ipairs(case.inputs) do
        inputs[i] = input(described)
        if inputs[i]:requires_grad() then
          table.insert(parameters, inputs[i])
        end
      end
      local output = functions[case.name](table.unpack(inputs))
      expect(output:shape()):equals(case.shape)
      compare(case.name, output, case.output)
      expect(output:requires_grad()):equals(#case.gradients > 0)
      if #case.gradients > 0 then
        (output * tensor.randn(output:shape(), { seed = 99 })):sum():backward()
      end
      for i, gradient in ipairs(case.gradients) do
        local got = parameters[i]:grad() or tensor.zeros { 0 }
        compare(("%s, gradient %d"):format(case.name, i), got, gradient)
      end
    end)
  end
end)

describe("a function that PyTorch has too", function()
  it("takes whole numbers where its dtype is one of them", function()
    expect((whole { 7, -7 } // 2):totable()):equals { 3, -4 }
    expect((whole { 7, -7 } % 3):totable()):equals { 1, 2 }
    expect((-7 // whole { 2, 3 }):totable()):equals { -4, -3 }
    expect(whole({ 7, -7 }):clamp(-2, 2):totable()):equals { 2, -2 }
    expect((floats { 7.5, -7.5 } // 2):totable()):equals { 3, -4 }
  end)
end)
