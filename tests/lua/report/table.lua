-- The evaluation as text: what stands beside the verdicts, and where there is nothing to say.
local eval = require("affine.eval")
local report = require("affine.report")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function row(sum, n)
  local lower, upper = eval.interval(sum, n, 0.8)
  return { n = n, failed = 0, mean = sum / n, sd = 0, success_rate = sum / n, lower = lower, upper = upper }
end

--- A base and an SFT model over environments of these names, a hundred of 200 tasks solved everywhere.
local function summary(names)
  local base, sft = {}, {}
  for _, name in ipairs(names) do
    base[name], sft[name] = row(100, 200), row(100, 200)
  end
  return {
    order = { "base", "sft" },
    environments = names,
    models = { base = base, sft = sft },
    greedy = { models = { base = base, sft = sft } },
    baselines = {},
    verdicts = { { candidate = "sft", against = "base", result = eval.verdict(sft, base) } },
    not_held_out = 0,
    held_out = { tasks = 200, records = { ["data_cache/sft.jsonl"] = 900 }, envs = {}, found = {} },
    sampling = { num_eval_samples = 200, first_task_id = 0, temperature = 0.7, seed = 0, confidence = 0.8 },
  }
end

describe("the table", function()
  it("says how often two equal models would look different", function()
    expect(report.table(summary { "sat" })):contains(
      "By luck alone, of two equal models over this environment: some difference in up to 6 %"
    )
    local eight = summary { "a", "b", "c", "d", "e", "f", "g", "h" }
    local disjoint, dominates =
      assert(report.false_alarms(eight)):match("up to (%d+) %% of such.* in up to (%d+) %%$")
    expect(tonumber(disjoint) >= 36 and tonumber(disjoint) <= 48):equals(true)
    expect(tonumber(dominates) >= 15 and tonumber(dominates) <= 21):equals(true)
  end)

  it("says nothing of the sort where nothing is compared, or was compared by an older affine", function()
    local old = summary { "sat" }
    old.verdicts[1].result.false_alarms = nil
    expect(report.false_alarms(old)):equals(nil)
    old.verdicts = {}
    expect(report.false_alarms(old)):equals(nil)
    expect(report.table(old)):contains("they overlap")
  end)

  it("keeps two environments of one name apart", function()
    local text = report.table(summary { "sat(n=3)", "sat(n=5)" })
    expect(text):contains("sat(n=3)")
    expect(text):contains("sat(n=3) tie, sat(n=5) tie: no dominance")
  end)
end)
