local time = require("affine.time")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

describe("time", function()
  it("goes forward by what was slept, at least", function()
    local before = time.clock()
    time.sleep(0.02)
    expect(time.clock() - before >= 0.02):equals(true)
  end)

  it("agrees with Lua's clock", function()
    expect(time.now()):near(os.time(), 5)
  end)

  it("stamps names", function()
    expect(time.stamp():match("^%d%d%d%d%d%d%d%d%-%d%d%d%d%d%d$") ~= nil):equals(true)
  end)

  it("does not sleep backwards", function()
    expect(function()
      time.sleep(-1)
    end):raises("time.sleep: seconds: expected a non-negative number, got -1")
  end)
end)
