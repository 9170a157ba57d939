-- Fits a line to noisy points of y = 2x - 1, with the gradient step written out by hand.
--   affine scripts/examples/linear_regression.lua

local tensor = require("affine.tensor")

local learning_rate, steps = 0.1, 300
local x = 2 * tensor.rand({ 100, 1 }, { seed = 1 }) - 1
local y = 2 * x - 1 + 0.1 * tensor.randn({ 100, 1 }, { seed = 2 })

local weight = tensor.zeros({ 1, 1 }, { requires_grad = true })
local bias = tensor.zeros({ 1 }, { requires_grad = true })

for step = 1, steps do
  local loss = ((x:matmul(weight) + bias - y) ^ 2):mean()
  loss:backward()
  tensor.no_grad(function()
    for _, parameter in ipairs { weight, bias } do
      parameter:sub_(learning_rate * assert(parameter:grad()))
      parameter:zero_grad()
    end
  end)
  if step % 100 == 0 then
    print(("step %d: loss %.6f"):format(step, loss:item()))
  end
end

print(("y = %.4f x %+.4f"):format(weight:item(), bias:item()))
return { x = x, y = y, weight = weight, bias = bias }
