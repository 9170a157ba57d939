-- Intervals, verdicts and ranks from numbers alone; tests/eval.rs holds the validators' own results.
local eval = require("affine.eval")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function row(sum, n)
  local lower, upper = eval.interval(sum, n, 0.8)
  return { n = n, failed = 0, mean = sum / n, sd = 0, success_rate = sum / n, lower = lower, upper = upper }
end

describe("eval.interval", function()
  it("is Beta's with Jeffreys prior", function()
    -- scipy.stats.beta.ppf([0.1, 0.9], 7.5, 3.5)
    local lower, upper = eval.interval(7, 10, 0.8)
    expect(lower):near(0.4982188819, 1e-9)
    expect(upper):near(0.8494087741, 1e-9)
  end)

  it("has 80 % as its level where none is given", function()
    expect({ eval.interval(7, 10) }):equals { eval.interval(7, 10, 0.8) }
  end)

  it("is of no width where nothing was judged", function()
    expect({ eval.interval(0, 0, 0.8) }):equals { 0, 0 }
  end)
end)

describe("eval.verdict", function()
  it("says better only where the intervals are disjoint", function()
    local strong, weak, near = row(180, 200), row(100, 200), row(104, 200)
    local verdict = eval.verdict({ sat = strong, grid = near }, { sat = weak, grid = weak })
    expect(verdict.envs):equals { sat = "better", grid = "tie" }
    expect(verdict.verdict):equals("dominates")
    -- Whoever comes later must be better everywhere.
    expect(verdict.strict):equals("neither")
    local reverse = eval.verdict({ sat = weak, grid = weak }, { sat = strong, grid = near })
    expect({ reverse.verdict, reverse.envs.sat }):equals { "dominated", "worse" }
    local mixed = eval.verdict({ sat = strong, grid = weak }, { sat = weak, grid = strong })
    expect(mixed.verdict):equals("neither")
  end)

  it("says how often it finds a difference between equal models", function()
    local function rates(environments, n)
      local rows = {}
      for index = 1, environments do
        rows["e" .. index] = row(n / 2, n)
      end
      return eval.verdict(rows, rows).false_alarms
    end
    local one, eight = rates(1, 200), rates(8, 200)
    expect(one.disjoint > 0.05 and one.disjoint < 0.08):equals(true)
    expect(one.dominates):near(one.disjoint / 2, 1e-9)
    expect(eight.disjoint > 0.36 and eight.disjoint < 0.48):equals(true)
    expect(eight.dominates > 0.15 and eight.dominates < 0.21):equals(true)
    expect(rates(8, 200)):equals(eight)
  end)

  it("compares the same environments alone", function()
    expect(function()
      eval.verdict({ sat = row(1, 2) }, { grid = row(1, 2) })
    end):raises("models are compared on the same environments, but the candidate has no score on grid")
    expect(function()
      ---@diagnostic disable-next-line: missing-fields, param-type-mismatch
      eval.verdict({ sat = { n = 1 } }, { sat = row(1, 2) })
    end):raises("candidate.sat.failed: required, but missing")
  end)
end)
