-- Layers and losses: what they refuse. Their values and gradients are compared with PyTorch in torch.lua.
local tensor = require("affine.tensor")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function error_of(f, ...)
  local passed, message = pcall(f, ...)
  assert(not passed, "expected an error")
  -- Without the position, which is this file's.
  return (message:gsub("^[^\n]-:%d+: ", ""))
end

local function zeros(...)
  return tensor.zeros { ... }
end

local function whole(values)
  return tensor.new(values, { dtype = "int64" })
end

local function complain(name, ...)
  local message = error_of(tensor[name], ...)
  expect(message:sub(1, #name + 9)):equals("tensor." .. name .. ": ")
  return message:sub(#name + 10)
end

local counts = " (values inside tensors count from 0)"

describe("a layer", function()
  it("names both shapes where they do not fit", function()
    expect(complain("linear", zeros(2, 3), zeros(4, 5))):equals("shapes [2, 3] and [4, 5] do not fit")
    expect(complain("linear", zeros(2, 3), zeros(4, 3), zeros(3))):equals(
      "bias: shapes [4] and [3] do not fit"
    )
    expect(complain("linear", zeros(2, 3), zeros(3))):equals("weight: expected the shape [out, in], got [3]")
    expect(complain("layer_norm", zeros(2, 3), zeros(2))):equals("weight: shapes [2, 3] and [2] do not fit")
    expect(complain("layer_norm", zeros(2, 3), zeros(3), zeros(2))):equals(
      "bias: shapes [2, 3] and [2] do not fit"
    )
    expect(complain("rms_norm", zeros(2, 3), zeros(2, 2))):equals(
      "weight: shapes [2, 3] and [2, 2] do not fit"
    )
    expect(complain("rms_norm", tensor.new(1))):equals("a single number has no dimension to normalise")
    expect(complain("embedding", zeros(4), whole { 0 })):equals(
      "weight: expected the shape [rows, size], got [4]"
    )
  end)

  it("wants one dtype, and floats", function()
    local doubles = tensor.zeros({ 4, 3 }, { dtype = "float64" })
    local hint = '\nhint: move one of them: t:to { dtype = "float32" }'
    expect(complain("linear", zeros(2, 3), doubles)):equals("dtypes float32 and float64 do not fit" .. hint)
    expect(complain("layer_norm", whole { 1, 2 })):equals(
      'x: expected a floating-point dtype, got int64\nhint: x:to { dtype = "float32" }'
    )
    expect(complain("embedding", zeros(4, 2), zeros(2))):contains("index: expected dtype int64, got float32")
  end)

  it("checks indices before a kernel sees them", function()
    expect(complain("embedding", zeros(4, 2), whole { 0, 4 })):equals(
      "index: expected values from 0 to 3" .. counts .. ", got 4"
    )
    expect(complain("embedding", zeros(4, 2), whole { -1 })):contains("got -1")
    expect(complain("embedding", zeros(0, 2), whole { 0 })):equals(
      "index: expected no values, as there is nothing to choose from, got 0"
    )
    expect(tensor.embedding(zeros(4, 2), whole {}):shape()):equals { 0, 2 }
  end)

  it("checks its options", function()
    expect(complain("rms_norm", zeros(2), nil, { eps = -1 })):equals("eps: expected at least 0, got -1")
    expect(complain("layer_norm", zeros(2), nil, nil, { epsilon = 1 })):contains("epsilon: unknown option")
    expect(complain("layer_norm", zeros(2), 1)):equals("weight: expected tensor, got number")
  end)
end)

describe("attention", function()
  local q, k, v = zeros(2, 5, 4), zeros(2, 6, 4), zeros(2, 6, 3)

  it("names both shapes where they do not fit", function()
    expect(complain("attention", q, zeros(2, 6, 3), v)):equals(
      "query and key: shapes [2, 5, 4] and [2, 6, 3] do not fit"
    )
    expect(complain("attention", q, zeros(3, 6, 4), v)):equals(
      "query and key: shapes [2, 5, 4] and [3, 6, 4] do not fit"
    )
    expect(complain("attention", q, k, zeros(2, 5, 3))):equals(
      "key and value: shapes [2, 6, 4] and [2, 5, 3] do not fit"
    )
    expect(complain("attention", zeros(4), k, v)):equals("query and key: shapes [4] and [2, 6, 4] do not fit")
    expect(complain("attention", q, k, v, { mask = zeros(5, 5) })):equals(
      "mask: shapes [5, 5] and [2, 5, 6] do not fit"
    )
  end)

  it("takes one kind of mask at a time", function()
    expect(complain("attention", q, k, v, { mask = zeros(5, 6), causal = true })):equals(
      "mask: not together with causal = true"
    )
    expect(complain("attention", q, k, v, { mask = tensor.zeros({ 5, 6 }, { dtype = "float64" }) })):contains(
      "mask: dtypes float32 and float64 do not fit"
    )
    expect(complain("attention", q, k, v, { mask = true })):equals("mask: expected tensor, got boolean")
    expect(complain("attention", q, k, v, { casual = true })):contains("did you mean `causal`?")
    expect(complain("attention", q, k, v, { scale = 0 / 0 })):contains("scale: expected a finite number")
  end)
end)

describe("a loss over labels", function()
  local logits = zeros(2, 3)

  it("wants one label for each row, within the classes", function()
    for _, name in ipairs { "cross_entropy", "nll_loss" } do
      expect(complain(name, logits, whole { 0, 3 })):equals(
        "labels: expected values from 0 to 2" .. counts .. ", got 3"
      )
      expect(complain(name, logits, whole { 0, -1 })):contains("got -1")
      expect(complain(name, logits, whole { 0, 1, 2 })):equals(
        "shapes [2, 3] and [3] do not fit\nhint: the classes are dimension 2: labels of the shape [2]"
      )
      expect(complain(name, zeros(2, 5, 3), whole { { 0 }, { 1 } })):equals(
        "shapes [2, 5, 3] and [2, 1] do not fit\nhint: the classes are dimension 2: labels of the shape [2, 3]"
      )
      expect(complain(name, whole { { 1 } }, whole { 0 })):contains(
        "expected a floating-point dtype, got int64"
      )
      expect(complain(name, logits, whole { 0, 1 }, { reduction = "all" })):equals(
        'reduction: expected "mean", "sum" or "none", got "all"'
      )
    end
    local narrow = tensor.new({ 0, 1 }, { dtype = "int32" })
    expect(complain("cross_entropy", logits, narrow)):contains("labels: expected dtype int64, got int32")
    expect(complain("cross_entropy", logits, zeros(2))):equals("shapes [2, 3] and [2] do not fit")
    expect(complain("cross_entropy", logits, whole { 0, 1 }, { label_smoothing = 1.5 })):equals(
      "label_smoothing: expected 0 to 1, got 1.5"
    )
    expect(complain("nll_loss", logits, whole { 0, 1 }, { label_smoothing = 0.1 })):contains(
      "label_smoothing: unknown option"
    )
  end)

  it("leaves out the labels that it is told to ignore", function()
    local loss = tensor.cross_entropy(logits, whole { 1, -100 })
    expect(loss:item()):near(math.log(3))
    expect(
      tensor.cross_entropy(logits, whole { 1, 7 }, { ignore_index = 7, reduction = "none" }):totable()[2]
    ):equals(0)
    local none = tensor.cross_entropy(logits, whole { -100, -100 }):item()
    expect(none ~= none):equals(true)
  end)

  it("takes a single row", function()
    expect(tensor.cross_entropy(zeros(4), whole(2)):item()):near(math.log(4))
  end)
end)

describe("a loss over pairs", function()
  it("wants one shape, as broadcasting would pair everything with everything", function()
    for _, name in ipairs {
      "mse_loss",
      "l1_loss",
      "smooth_l1_loss",
      "kl_div",
      "binary_cross_entropy_with_logits",
    } do
      expect(complain(name, zeros(3, 1), zeros(3))):equals("shapes [3, 1] and [3] do not fit")
      expect(complain(name, zeros(3), tensor.zeros({ 3 }, { dtype = "float64" }))):contains(
        "dtypes float32 and float64 do not fit"
      )
      expect(complain(name, zeros(3), zeros(3), { reduction = "median" })):contains("reduction: expected ")
      expect(complain(name, zeros(3), zeros(3), { reduce = "sum" })):contains("reduce: unknown option")
    end
    expect(complain("kl_div", tensor.new(1), tensor.new(1), { reduction = "batchmean" })):equals(
      "batchmean: a single number has no first dimension"
    )
    expect(complain("smooth_l1_loss", zeros(1), zeros(1), { beta = -1 })):equals(
      "beta: expected at least 0, got -1"
    )
  end)
end)
