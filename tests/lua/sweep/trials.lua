local sweep = require("affine.sweep")
local test = require("affine.test")
local describe, it, expect = test.describe, test.it, test.expect

--- Runs `body` with a study in a file that goes away.
local function with_study(options, body)
  local path = os.tmpname()
  local all = { name = "s", direction = "minimize", storage = path, sampler = "random", seed = 1 }
  for name, value in pairs(options) do
    all[name] = value
  end
  if options.directions then
    all.direction = nil
  end
  local ok, problem = pcall(function()
    local study <close> = sweep.open(all)
    body(study, path)
  end)
  os.remove(path)
  if not ok then
    error(problem, 0)
  end
end

describe("sweep", function()
  it("gives a trial its parameters and keeps what it came to", function()
    with_study({}, function(study)
      local reason = study:run(5, function(trial)
        local rate = trial:uniform("rate", 1e-5, 1e-2, { log = true })
        assert(rate >= 1e-5 and rate <= 1e-2)
        expect(trial:uniform("rate", 1e-5, 1e-2, { log = true })):equals(rate)
        local steps, kind = trial:int("steps", 10, 50, { step = 10 }), trial:choice("kind", { "a", 2, true })
        expect(math.type(steps)):equals("integer")
        expect(trial:params()):equals { rate = rate, steps = steps, kind = kind }
        trial:set_attr("note", { 1, 2 })
        return trial:number() == 3 and -1 or rate
      end)
      expect(reason):equals("the study has its 5 trials")
      expect(#study:trials()):equals(5)
      local best = study:best()
      expect(best.number):equals(3)
      expect(best.value):equals(-1)
      expect(best.state):equals("complete")
      expect(best.attrs.note[2]):equals(2)
      -- The same command has nothing more to do.
      study:run(5, function()
        error("none is left")
      end)
    end)
  end)

  it("asks a trial for a whole space", function()
    with_study({}, function(study)
      local space = {
        rate = sweep.log(1e-5, 1e-2),
        ["a.b"] = sweep.uniform(0, 1, { step = 0.5 }),
        rank = sweep.int(1, 64, { log = true }),
        kind = sweep.choice { "x", "y" },
      }
      expect(tostring(space.rate)):equals("a number from 0.00001 to 0.01 on a logarithmic scale")
      local trial = study:ask()
      local params = trial:suggest(space)
      expect(trial:params()):equals(params)
      expect(params["a.b"] % 0.5):equals(0)
      trial:complete(1)
      expect(study:trials()[1].state):equals("complete")
    end)
  end)

  it("fails a trial that raises, returns nothing or is not a number, and goes on", function()
    with_study({}, function(study)
      study:run(5, function(trial)
        local n = trial:number()
        if n == 0 then
          error("broken")
        elseif n == 2 then
          return 0 / 0
        elseif n == 3 then
          return 1, 2
        elseif n == 4 then
          return n
        end
      end)
      local reasons = {}
      for i, trial in ipairs(study:trials()) do
        reasons[i] = trial.attrs.reason
      end
      assert(reasons[1]:find("broken", 1, true))
      local result = "its function returned what is no result: "
      expect(reasons[2]):equals(result .. "values: expected 1 number, one for each objective, got 0")
      expect(reasons[3]):equals(result .. "values[1]: expected a number, got NaN")
      expect(reasons[4]):equals(result .. "values: expected 1 number, one for each objective, got 2")
      expect(study:best().number):equals(4)
    end)
  end)

  it("stops at the first error where it is told to", function()
    with_study({ on_error = "stop" }, function(study)
      local ok, problem = pcall(study.run, study, 3, function()
        error("broken")
      end)
      expect(ok):equals(false)
      assert(problem:find("broken", 1, true))
      expect(#study:trials()):equals(1)
    end)
  end)

  it("hears of an error behind a trial's end", function()
    with_study({ on_error = "stop" }, function(study)
      expect(function()
        study:run(1, function(trial)
          trial:complete(1)
          error("behind its end", 0)
        end)
      end):raises("behind its end")
      expect(study:trials()[1].state):equals("complete")
    end)
    with_study({}, function(study)
      expect(study:run(2, function(trial)
        trial:complete(trial:number())
        error("behind its end", 0)
      end)):equals("the study has its 2 trials")
      expect(study:best().value):equals(0)
    end)
  end)

  it("leaves a trial that another process took over, whichever call hears of it", function()
    for _, hears in ipairs { "report", "end", "error", "complete" } do
      with_study({ on_error = "stop" }, function(study, path)
        study:run(2, function(trial)
          local x = trial:uniform("x", 0, 1)
          if trial:number() == 0 then
            local file <close> = assert(io.open(path, "a"))
            file:write(
              '{"op_code":9,"worker_id":"o","trial_id":0,"system_attr":{"affine:abandoned":"x"}}\n',
              '{"op_code":6,"worker_id":"o","trial_id":0,"state":3,"values":null,"datetime_complete":"2026-01-01T00:00:00.000000"}\n'
            )
            file:flush()
            if hears == "report" then
              trial:report(1, 1)
            elseif hears == "error" then
              error("by the way")
            elseif hears == "complete" then
              trial:complete(1)
            end
          end
          return x
        end)
        expect(#study:trials()):equals(3)
        expect(study:trials()[3].state):equals("complete")
      end)
    end
  end)

  it("ends a pruned trial in whatever it is", function()
    with_study({ pruner = { "median", n_startup_trials = 1 } }, function(study)
      local closed, swallowed = 0, 0
      study:run(4, function(trial)
        local _ <close> = setmetatable({}, {
          __close = function()
            closed = closed + 1
          end,
        })
        pcall(function()
          for step = 1, 3 do
            trial:report(step, trial:number())
          end
        end)
        swallowed = swallowed + (trial:number() > 0 and 1 or 0)
        return trial:number()
      end)
      expect({ closed, swallowed }):equals { 4, 0 }
      local states = {}
      for i, trial in ipairs(study:trials()) do
        states[i] = trial.state
      end
      expect(states):equals { "complete", "pruned", "pruned", "pruned" }
      expect(study:trials()[2].value):equals(1)
    end)
  end)

  it("leaves pruning to the script that asks", function()
    with_study({ pruner = { "median", n_startup_trials = 1 } }, function(study)
      study:run(2, function(trial)
        for step = 1, 3 do
          trial:report(step, trial:number(), { prune = false })
          if trial:should_prune() then
            expect(trial:number()):equals(1)
            trial:prune()
            return
          end
        end
        return trial:number()
      end)
      expect(study:trials()[2].state):equals("pruned")
      expect(study:trials()[2].reports):equals { 1 }
    end)
  end)

  it("compares scores task by task", function()
    with_study({ direction = "maximize", pruner = "wilcoxon" }, function(study)
      study:run(2, function(trial)
        local scores = {}
        for task = 0, 11 do
          scores[task] = task / 20 - (trial:number() == 1 and 0.01 * (task + 1) or 0)
        end
        trial:report_tasks(50, scores)
        return trial:number() == 0 and 0.5 or 0.9
      end)
      expect(study:trials()[2].state):equals("pruned")
    end)
  end)

  it("takes samplers and pruners of the script's own", function()
    local asked = {}
    local function sampler(name, space, trials, random)
      asked[#asked + 1] = ("%s %s %d"):format(name, tostring(space), #trials)
      return name == "x" and 0.25 or random:int(1, 1) == 1 and nil
    end
    local function pruner(trial, trials)
      return trial.reports[1] == 7 and #trials == 2
    end
    with_study({ sampler = sampler, pruner = pruner }, function(study)
      study:run(2, function(trial)
        local x = trial:uniform("x", 0, 1)
        trial:int("n", 1, 3)
        trial:report(1, 7)
        return x
      end)
      expect(asked[1]):equals("x a number from 0 to 1 0")
      expect(asked[4]):equals("n an integer from 1 to 3 1")
      expect(study:trials()[1].params.x):equals(0.25)
      expect(study:trials()[2].state):equals("pruned")
    end)
  end)

  it("visits a grid once", function()
    local space = { a = { 1, 2 }, b = sweep.choice { "x", "y", "z" }, c = sweep.int(0, 2, { step = 2 }) }
    with_study({ sampler = { "grid", space = space } }, function(study)
      local seen, count = {}, 0
      local reason = study:run(function(trial)
        local p = trial:suggest { a = sweep.choice { 1, 2 }, b = space.b, c = space.c }
        seen[p.a .. p.b .. p.c], count = true, count + 1
        return p.a
      end)
      expect(reason):equals("every combination of the grid has its trial")
      local different = 0
      for _ in pairs(seen) do
        different = different + 1
      end
      expect({ count, different }):equals { 12, 12 }
    end)
  end)

  it("visits a grid of steps to its end", function()
    local space = sweep.uniform(0, 0.3, { step = 0.1 })
    with_study({ sampler = { "grid", space = { x = space } } }, function(study)
      study:enqueue { x = 0.1 * 3 }
      study:run(function(trial)
        return trial:suggest({ x = space }).x
      end)
      local values = {}
      for _, trial in ipairs(study:trials()) do
        expect(trial.state):equals("complete")
        values[#values + 1] = trial.params.x
      end
      table.sort(values)
      expect(values):equals { 0, 0.1, 0.2, 0.3, 0.3 }
    end)
  end)

  it("reads what Optuna writes and JSON lacks", function()
    with_study({}, function(study, path)
      study:ask():complete(1)
      local file <close> = assert(io.open(path, "a"))
      file:write(
        '{"op_code":4,"worker_id":"o","study_id":0,"datetime_start":"2026-01-01T00:00:00.000000"}\n',
        '{"op_code":8,"worker_id":"o","trial_id":1,"user_attr":{"all":[Infinity,{"low":-Infinity}],"half":"\\ud800"}}\n'
      )
      file:flush()
      local attrs = study:trials()[2].attrs
      expect({ attrs.all[1], attrs.all[2].low }):equals { math.huge, -math.huge }
      expect(attrs.half):equals("\u{fffd}")
    end)
  end)

  it("keeps to its budget", function()
    with_study({ max_tokens = 100 }, function(study)
      local reason = study:run(function(trial)
        trial:count_tokens(30)
        trial:count_tokens(10)
        return 0
      end)
      expect(reason):equals("the 100 tokens are used up")
      expect(#study:trials()):equals(3)
      expect(study:trials()[1].attrs.tokens):equals(40)
    end)
    with_study({ max_trials = 2, timeout_seconds = 100 }, function(study)
      expect(study:run(5, function()
        return 0
      end)):equals("the study has its 2 trials")
    end)
  end)

  it("begins with what is queued", function()
    with_study({}, function(study)
      study:enqueue { x = 0.5 }
      study:run(2, function(trial)
        return trial:uniform("x", 0, 1) + trial:uniform("y", 0, 1)
      end)
      expect(study:trials()[1].params.x):equals(0.5)
    end)
  end)

  it("has a front of several objectives", function()
    with_study({ directions = { "minimize", "maximize" }, sampler = "tpe" }, function(study)
      local values = { { 1, 1 }, { 2, 3 }, { 3, 2 } }
      study:run(3, function(trial)
        trial:uniform("x", 0, 1)
        return table.unpack(values[trial:number() + 1])
      end)
      local numbers = {}
      for i, trial in ipairs(study:best_trials()) do
        numbers[i] = trial.number
      end
      expect(numbers):equals { 0, 1 }
      expect(study:trials()[2].values):equals { 2, 3 }
    end)
  end)

  it("says what came out: a table, importances, settings, a picture", function()
    with_study({}, function(study, path)
      study:run(12, function(trial)
        local x = trial:uniform("training.x", 0, 1)
        trial:uniform("y", 0, 1)
        return x
      end)
      local shares, method = study:importance()
      expect(method):equals("PED-ANOVA")
      expect(shares[1].name):equals("training.x")
      expect(shares[1].share + shares[2].share):near(1, 1e-9)
      assert(study:table(3):find("12 complete", 1, true))
      study:write_config(path .. ".lua")
      expect(dofile(path .. ".lua").training.x):equals(study:best().params["training.x"])
      study:figure(path .. ".svg")
      local file <close> = assert(io.open(path .. ".svg"))
      assert(file:read("a"):find("<svg", 1, true))
      os.remove(path .. ".lua")
      os.remove(path .. ".svg")
    end)
  end)
end)
