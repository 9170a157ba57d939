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
end)
