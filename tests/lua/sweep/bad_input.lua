local sweep = require("affine.sweep")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

local function complaint(f, ...)
  local ok, problem = pcall(f, ...)
  expect(ok):equals(false)
  return (tostring(problem):gsub("^[^:]+:%d+: ", ""))
end

local function open(options)
  local all = { name = "s", direction = "minimize", storage = os.tmpname(), sampler = "random" }
  for name, value in pairs(options) do
    all[name] = value
  end
  local ok, study = pcall(sweep.open, all)
  os.remove(all.storage)
  return ok and study or error(study, 0)
end

describe("sweep", function()
  it("names the option that is wrong and the nearest right one", function()
    expect(complaint(open, { sampler = "tpee" })):equals(
      'sweep.open: sampler: unknown value "tpee"\nhint: did you mean `tpe`?'
    )
    expect(complaint(open, { pruner = { "asha", reduction = 3 } })):equals(
      "sweep.open: pruner.reduction: unknown option\nhint: did you mean `reduction_factor`?"
    )
    expect(complaint(open, { pruner = { "asha", reduction_factor = 1 } })):equals(
      "sweep.open: pruner.reduction_factor: expected at least 2, got 1"
    )
    expect(complaint(open, { directon = 1 })):equals(
      "sweep.open: directon: unknown option\nhint: did you mean `direction`?"
    )
    expect(complaint(open, { pruner = "percentile" })):equals(
      "sweep.open: pruner.percentile: required, but missing"
    )
    expect(complaint(open, { pruner = { "percentile", percentile = "x" } })):equals(
      "sweep.open: pruner.percentile: expected a number, got string"
    )
    expect(complaint(open, { pruner = 5 })):equals(
      "sweep.open: pruner: expected a name, { name, option = … } or a function, got number"
    )
    expect(complaint(open, { sampler = { "grid" } })):equals(
      "sweep.open: sampler.space: required, but missing"
    )
    expect(complaint(open, { sampler = { "grid", space = { x = sweep.log(1, 2) } } })):equals(
      "sweep.open: sampler.space.x: expected a space of few values, got a number from 1 to 2 on a logarithmic scale"
    )
    expect(complaint(open, { sampler = { "grid", space = { x = { 1, 1 } } } })):equals(
      "sweep.open: sampler.space.x[2]: expected values that differ, got 1 twice"
    )
    expect(complaint(sweep.open, { name = "s", storage = "x" })):equals(
      "sweep.open: direction: required, but missing"
    )
  end)

  it("refuses a parameter that is asked for twice with another range", function()
    local path = os.tmpname()
    local study = sweep.open { name = "s", direction = "minimize", storage = path, sampler = "random" }
    local trial = study:ask()
    trial:uniform("rate", 0, 1)
    expect(complaint(trial.uniform, trial, "rate", 0, 2)):equals(
      "trial:uniform: rate: expected a number from 0 to 1, as this trial had it before, got a number from 0 to 2"
    )
    trial:complete(1)
    local other = study:ask()
    expect(complaint(other.int, other, "rate", 0, 2)):equals(
      "trial:int: rate: expected a number from 0 to 1, as the study's trials had it before, got an integer from 0 to 2"
    )
    expect(complaint(other.choice, other, "kind", {})):equals(
      "trial:choice: kind: expected at least one choice, got none"
    )
    expect(complaint(other.complete, other, 0 / 0)):equals(
      "trial:complete: values[1]: expected a number, got NaN"
    )
    expect(complaint(other.report_tasks, other, 1, { x = 1 })):equals(
      "trial:report_tasks: scores: expected integers as keys, the tasks' ids, got string"
    )
    expect(complaint(trial.report, trial, 1, 1)):equals("trial 0 is complete already")
    os.remove(path)
  end)

  it("says why nothing is best", function()
    local path = os.tmpname()
    local study = sweep.open { name = "s", direction = "minimize", storage = path }
    expect(complaint(study.best, study)):equals("no trial of the study s is complete (there is none)")
    study:run(1, function()
      error("no luck", 0)
    end)
    expect(complaint(study.best, study)):equals(
      "no trial of the study s is complete (1 failed)\nhint: the last one failed: no luck"
    )
    expect(complaint(study.write_config, study, path .. ".lua")):equals(
      "no trial of the study s is complete (1 failed)\nhint: the last one failed: no luck"
    )
    assert(complaint(study.figure, study, path .. ".svg"):find("no complete trial", 1, true))
    expect(complaint(study.run, study, print)):equals(
      "study:run: n: expected a number of trials, as the study has no budget and no grid, got nothing"
    )
    os.remove(path)
  end)

  it("refuses a file that is none of its own", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "w"))
    file:write("return { seed = 1 }\n")
    file:flush()
    local text = complaint(sweep.open, { name = "s", direction = "minimize", storage = path })
    assert(text:find("it is no journal of Optuna: line 1 is not one of its lines", 1, true), text)
    os.remove(path)
  end)
end)
