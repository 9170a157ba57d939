-- Several trials on one base by turns come to what each comes to by itself.
local fs = require("affine.fs")
local path = require("affine.path")
local sweep = require("affine.sweep")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()

local function study(name, pruner)
  return sweep.open {
    name = name,
    direction = "minimize",
    storage = path.join(folder, name .. ".log"),
    sampler = "random",
    pruner = pruner or "none",
    seed = 1,
  }
end

-- A trial's function: a model with an adapter of this name.
local function train(m, adapter, trial, folder_of)
  local rate = trial:uniform("learning_rate", 1e-4, 1e-1, { log = true })
  m:add_lora { lora_r = 4, lora_alpha = 8, seed = 3, adapter_name = adapter }
  local sft = trainer.sft(m, {
    data = tiny.records(),
    output_dir = path.join(folder, folder_of),
    max_steps = 4,
    learning_rate = rate,
    logging_steps = 0,
  })
  local loss
  for step in sft:steps() do
    loss = step.loss
    trial:report(step.step, loss)
  end
  return loss
end

local function values(of)
  local found = {}
  for index, trial in ipairs(of:trials()) do
    found[index] = ("%s %s %.6f"):format(trial.number, trial.state, trial.value or 0)
  end
  return found
end

describe("study:population", function()
  it("comes to what its trials come to one after the other", function()
    local alone <close> = study("alone")
    alone:run(5, function(trial)
      local m <close> = tiny.model()
      return train(m, "own", trial, ("alone-%d"):format(trial:number()))
    end)
    local together <close> = study("together")
    local m <close> = tiny.model()
    together:population({ size = 3, n = 5, model = m }, function(trial)
      return train(m, trial:adapter(), trial, ("together-%d"):format(trial:number()))
    end)
    expect(values(together)):equals(values(alone))
    expect(#m:info().adapters):equals(0)
  end)

  it("ends pruned and failing trials alone", function()
    local some <close> = study("some", function(trial)
      return trial.number == 1
    end)
    local m <close> = tiny.model()
    some:population({ size = 2, n = 3, model = m }, function(trial)
      if trial:number() == 2 then
        error("mine")
      end
      return train(m, trial:adapter(), trial, ("some-%d"):format(trial:number()))
    end)
    local states = {}
    for index, trial in ipairs(some:trials()) do
      states[index] = trial.state
    end
    expect(states):equals { "complete", "pruned", "failed" }
  end)

  it("stops at once where an error is to stop it, and its other trials can go on", function()
    local stopped <close> = sweep.open {
      name = "stopped",
      direction = "minimize",
      storage = path.join(folder, "stopped.log"),
      sampler = "random",
      on_error = "stop",
    }
    local m <close> = tiny.model()
    local function train_on(trial)
      if trial:number() == 1 then
        error("mine")
      end
      trial:folder()
      return train(m, trial:adapter(), trial, ("stopped-%d"):format(trial:number()))
    end
    expect(function()
      stopped:population({ n = 2, model = m }, train_on)
    end):raises("mine")
    expect(stopped:population({ n = 2, model = m }, train_on)):equals("the study has its 2 trials")
    expect(values(stopped)[3]):contains("2 complete")
  end)

  it("says what is wrong", function()
    local wrong <close> = study("wrong")
    local m <close> = tiny.model()
    local function nothing() end
    expect(function()
      wrong:population({ n = 1 }, nothing)
    end):raises("model: expected a loaded model, got nil")
    expect(function()
      wrong:population({ n = 1, model = m, size = 0 }, nothing)
    end):raises("size: expected at least 1 trial at a time, got 0")
    expect(function()
      wrong:population({ model = m }, nothing)
    end):raises("n: expected a number of trials")
  end)
end)

-- A trial that saves at each of its steps, and begins from another's checkpoint where it is a clone.
local function train_saving(m, trial)
  local rate = trial:uniform("learning_rate", 1e-4, 1e-1, { log = true })
  m:add_lora { lora_r = 4, lora_alpha = 8, seed = 3, adapter_name = trial:adapter() }
  local sft = trainer.sft(m, {
    data = tiny.records(),
    output_dir = trial:folder(),
    resume_from_checkpoint = trial:checkpoint(),
    resume = "force",
    max_steps = 8,
    learning_rate = rate,
    lr_scheduler_type = "constant",
    warmup_ratio = 0,
    save_steps = 0,
    logging_steps = 0,
  })
  local loss
  for step in sft:steps() do
    expect(step.learning_rate):near(rate, 1e-9)
    loss = step.loss
    trial:set_checkpoint(sft:save())
    trial:report(step.step, loss)
  end
  return loss
end

describe("the pruner pbt", function()
  it("goes on with clones of the best in place of the worst", function()
    local pbt <close> = study("pbt", { "pbt", interval = 3, factor = 1.5 })
    local m <close> = tiny.model()
    expect(pbt:population({ n = 4, size = 4, model = m }, function(trial)
      return train_saving(m, trial)
    end)):equals("the study has its 4 trials")
    local trials, complete, clones = pbt:trials(), 0, 0
    for _, trial in ipairs(trials) do
      complete = complete + (trial.state == "complete" and 1 or 0)
      if trial.cloned_from then
        clones = clones + 1
        local origin = trials[trial.cloned_from + 1]
        local ratio = trial.params.learning_rate / origin.params.learning_rate
        expect(ratio > 1 and ratio or 1 / ratio):near(1.5, 1e-9)
        -- It goes on at its origin's step.
        local first = next(trial.reports) and math.huge or nil
        for step in pairs(trial.reports) do
          first = math.min(first, step)
        end
        expect(first > 3):equals(true)
      end
    end
    expect(complete):equals(4)
    expect(clones > 0):equals(true)
    expect(#trials):equals(4 + clones)
  end)

  it("needs checkpoints, and says so", function()
    local bare <close> = study("bare", { "pbt", interval = 2 })
    local m <close> = tiny.model()
    bare:population({ n = 4, size = 4, model = m }, function(trial)
      return train(m, trial:adapter(), trial, ("bare-%d"):format(trial:number()))
    end)
    local failed
    for _, trial in ipairs(bare:trials()) do
      failed = failed or trial.attrs.reason
    end
    expect(failed):contains("has told no checkpoint that another could begin from")
  end)
end)

describe("study:clone", function()
  it("begins where its origin is, with other parameters, and refuses what is no origin", function()
    local some <close> = study("clones")
    local m <close> = tiny.model()
    some:population({ n = 1, model = m }, function(trial)
      return train_saving(m, trial)
    end)
    expect(some:clone(0, { learning_rate = 0.05 })):equals(1)
    some:enqueue { learning_rate = 0.01 }
    local seen = {}
    some:population({ n = 3, size = 1, model = m }, function(trial)
      seen[#seen + 1] = trial:checkpoint() or "none"
      if trial:number() == 2 then
        trial:prune()
      end
      return 1
    end)
    expect(seen[1]):contains("clones.log.trials/0001/from-0")
    expect(seen[2]):equals("none")
    expect(some:trials()[2].cloned_from):equals(0)
    expect(function()
      some:clone(2)
    end):raises("number: expected a trial that runs or is complete, got 2, pruned")
    expect(function()
      some:clone(7)
    end):raises("number: expected a trial of the study clones, which has 3, got 7")
  end)
end)

describe("study:stop", function()
  it("ends a trial at its next report", function()
    local some <close> = study("stop")
    some:run(2, function(trial)
      trial:report(1, 0.5)
      if trial:number() == 0 then
        some:stop(0)
      end
      trial:report(2, 0.25)
      return 0.1
    end)
    local first = some:trials()[1]
    expect({ first.state, first.value, first.attrs.reason }):equals { "pruned", 0.5, "stopped by hand" }
    expect(some:trials()[2].state):equals("complete")
    expect(function()
      some:stop(1)
    end):raises("number: expected a trial that runs or waits, got 1")
  end)
end)

describe("trial:folder", function()
  local function fill(options, n)
    options.name, options.direction, options.sampler = "folders", "minimize", "random"
    options.storage = path.join(fs.tempdir(), "s.log")
    local study <close> = sweep.open(options)
    local reason = study:run(n, function(trial)
      fs.write(path.join(trial:folder(), "weights"), ("x"):rep(1000))
      return trial:number() == 1 and 0 or 1
    end)
    return fs.list(options.storage .. ".trials"), reason
  end

  it("is kept, the best's alone where that is asked for", function()
    expect(fill({}, 3)):equals { "0000", "0001", "0002" }
    expect(fill({ keep = "best" }, 3)):equals { "0001" }
  end)

  it("is given up, the worst first, where all hold too much, and a run ends that can make no room", function()
    expect(fill({ max_bytes = 2500 }, 4)):equals { "0001", "0003" }
    local left, reason = fill({ max_bytes = 900 }, 4)
    expect({ #left, reason }):equals { 1, "the folders of its trials hold the 900 bytes that they may" }
  end)
end)
