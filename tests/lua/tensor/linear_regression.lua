-- The example finds the line of least squares, which has a closed form: slope = cov(x, y) / var(x).
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

describe("scripts/examples/linear_regression.lua", function()
  local fit = dofile("scripts/examples/linear_regression.lua")
  local xs, ys = fit.x:reshape({ -1 }):totable(), fit.y:reshape({ -1 }):totable()

  it("finds the line of least squares", function()
    local n, sum_x, sum_y = #xs, 0, 0
    for i = 1, n do
      sum_x, sum_y = sum_x + xs[i], sum_y + ys[i]
    end
    local covariance, variance = 0, 0
    for i = 1, n do
      covariance = covariance + (xs[i] - sum_x / n) * (ys[i] - sum_y / n)
      variance = variance + (xs[i] - sum_x / n) ^ 2
    end
    local slope = covariance / variance
    expect(fit.weight:item()):near(slope, 1e-4)
    expect(fit.bias:item()):near(sum_y / n - slope * sum_x / n, 1e-4)
  end)

  it("comes near the line that the points were made from", function()
    -- Four standard errors: 0.1 / sqrt(100) for the bias, sqrt(3) times that for the slope.
    expect(#xs):equals(100)
    expect(fit.weight:item()):near(2, 0.07)
    expect(fit.bias:item()):near(-1, 0.04)
  end)
end)
