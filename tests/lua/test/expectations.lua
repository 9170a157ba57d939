local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

describe("test", function()
  it("compares tables by their content, both ways", function()
    expect({ a = { 1, 2 } }):equals { a = { 1, 2 } }
    expect(function()
      expect({ a = { 1, 2 } }):equals { a = { 1, 3 } }
    end):raises("a: 2: expected 3, got 2")
    expect(function()
      expect({ a = 1, b = 2 }):equals { a = 1 }
    end):raises("b: expected nil, got 2")
  end)

  it("does not take NaN for near anything", function()
    expect(function()
      expect(0 / 0):near(0)
    end):raises("expected 0 within 1e-06")
  end)

  it("fails when nothing is raised", function()
    expect(function()
      expect(function() end):raises("x")
    end):raises('expected an error with "x" in it, got no error')
  end)
end)

-- A failing group raises at its end, after running all of its tests.
local ran = 0
local passed, summary = pcall(describe, "group", function()
  it("fails", function()
    ran = ran + 1
    expect(1):equals(2)
  end)
  it("goes on", function()
    ran = ran + 1
  end)
end)
assert(not passed and ran == 2)
assert(tostring(summary):find("^1 of %d+ tests failed\ngroup fails\n"), summary)
