-- Trains a net of two layers to tell the points inside a circle from those outside.
--   affine scripts/examples/two_layer_net.lua

local tensor = require("affine.tensor")

local points, hidden, steps, learning_rate = 400, 32, 200, 0.02

-- Points of the square from -1 to 1, and whether each is less than 0.7 from its middle.
local function data(seed)
  local x = 2 * tensor.rand({ points, 2 }, { seed = seed }) - 1
  return x, x:square():sum(2):lt(0.7 ^ 2):to { dtype = "int64" }
end

-- Normal weights of the deviation 1 / sqrt(inputs), and biases of 0.
local function layer(outputs, inputs, seed)
  local weight = tensor.randn({ outputs, inputs }, { seed = seed }) / math.sqrt(inputs)
  return weight:requires_grad(true), tensor.zeros({ outputs }, { requires_grad = true })
end

local w1, b1 = layer(hidden, 2, 1)
local w2, b2 = layer(2, hidden, 2)

local function net(x)
  return tensor.linear(tensor.linear(x, w1, b1):tanh(), w2, b2)
end

local x, labels = data(3)
local optimizer = tensor.adamw({ w1, b1, w2, b2 }, { learning_rate = learning_rate })
local losses = {}
for step = 1, steps do
  local loss = tensor.cross_entropy(net(x), labels)
  optimizer:zero_grad()
  loss:backward()
  optimizer:step()
  losses[step] = loss:item()
  if step % 50 == 0 then
    print(("step %d: loss %.4f"):format(step, losses[step]))
  end
end

local unseen, answers = data(4)
local right = net(unseen):argmax(2):eq(answers):to({ dtype = "float32" }):mean():item()
print(("%.1f %% of %d points never seen are told right"):format(100 * right, points))
return { losses = losses, accuracy = right }
