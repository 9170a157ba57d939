-- Evaluation: the same seeds give the same numbers, baselines, failures.
local env = require("affine.env")
local eval = require("affine.eval")
local test = require("affine.test")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local m = tiny.model()
local letters = env.make(tiny.letters)

local function run(changes)
  local options = { envs = { letters }, num_eval_samples = 40, max_new_tokens = 2 }
  for key, value in pairs(changes or {}) do
    options[key] = value
  end
  return eval.run(m, options)
end

---@return any
local function baseline(changes)
  local options = { num_eval_samples = 40, kind = changes.kind }
  for key, value in pairs(changes) do
    options[key] = value
  end
  return eval.baseline(letters, options)
end

-- Raises in the tasks below `broken`.
local function fragile(broken)
  return env.make(env.define {
    name = "fragile",
    prompt = "Go.",
    reset = function(_, task)
      if task.id < broken then
        error("no task", 0)
      end
      return ""
    end,
    step = function()
      return "", 1, true
    end,
    expert = function()
      return "x"
    end,
  })
end

describe("eval.run", function()
  it("repeats itself with the same seed, whatever the batch size", function()
    local first = run { seed = 3 }
    expect(run { seed = 3 }):equals(first)
    expect(run({ seed = 3, batch_size = 7 }).envs):equals(first.envs)
    local row = first.envs.letters
    expect(row.n):equals(40)
    expect(row.failed):equals(0)
    expect(row.success_rate):near(row.mean)
    expect(row.lower < row.mean and row.mean < row.upper):equals(true)
    local lower, upper = eval.interval(row.mean * row.n, row.n, 0.8)
    expect({ row.lower, row.upper }):equals { lower, upper }
    expect(first.sampling.temperature):equals(0.7)
    expect(first.sampling.seed):equals(3)
  end)

  it("draws otherwise with another seed, and not at all when greedy", function()
    local means = {}
    for seed = 1, 5 do
      means[run({ seed = seed }).envs.letters.mean] = true
      expect(run({ seed = seed, temperature = 0 }).envs):equals(run({ temperature = 0 }).envs)
    end
    expect(next(means, next(means)) ~= nil):equals(true)
  end)

  it("keeps failed episodes out of n and stops when they are many", function()
    local row = run({ envs = { fragile(2) } }).envs.fragile
    expect({ row.n, row.failed, row.mean }):equals { 38, 2, 1 }
    expect(function()
      run { envs = { fragile(3) } }
    end):raises(
      "3 of 40 episodes failed, more than 5 %\nhint: the first of them: environment fragile: reset: no task"
    )
    expect(function()
      eval.baseline(fragile(3), { kind = "expert", num_eval_samples = 40 })
    end):raises("3 of 40 episodes failed, more than 5 %")
    local expert = assert(eval.baseline(fragile(2), { kind = "expert", num_eval_samples = 40 }))
    expect({ expert.n, expert.failed, expert.mean }):equals { 38, 2, 1 }
  end)

  it("counts an episode without a score as the lowest", function()
    local silent = env.make(env.define {
      name = "silent",
      prompt = "Go.",
      reset = function()
        return ""
      end,
      parse = function()
        return nil, "I do not understand."
      end,
      step = function()
        return "", 0, true
      end,
      score_range = { -1, 1 },
      max_turns = 2,
    })
    expect(run({ envs = { silent }, num_eval_samples = 4 }).envs.silent.mean):equals(0)
  end)

  it("names what is wrong", function()
    expect(function()
      run { num_eval_sample = 5 }
    end):raises("eval.run: num_eval_sample: unknown option\nhint: did you mean `num_eval_samples`?")
    expect(function()
      run { num_eval_samples = 0 }
    end):raises("num_eval_samples: expected an integer of at least 1, got 0")
    expect(function()
      run { envs = {} }
    end):raises(
      "eval.run: envs: expected a list of environments that env.make returned, got an empty list"
    )
  end)
end)

describe("eval.baseline", function()
  it("plays the expert, at random, and the best constant answer", function()
    expect(baseline({ kind = "expert" }).mean):equals(1)
    local random = baseline { kind = "random", seed = 1 }
    expect(random.mean > 0.2 and random.mean < 0.8):equals(true)
    expect(baseline { kind = "random", seed = 1 }):equals(random)
    expect(baseline({ kind = "constant", action = "?" }).mean):equals(0)
    expect(baseline({ kind = "constant", choose_first_task_id = 1000 }).mean):equals(1)
  end)

  it("is nil where an environment has no such player", function()
    expect(baseline { kind = "rule" }):equals(nil)
  end)

  it("asks for what a constant answer needs", function()
    expect(function()
      baseline { kind = "constant" }
    end):raises("choose_first_task_id: expected the first of the tasks to choose the constant answer on")
    expect(function()
      baseline { kind = "experts" }
    end):raises('kind: unknown value "experts"\nhint: did you mean `expert`?')
  end)
end)
