-- What a script hooks into a training may use the trainer, the model and the environment that called it.
local affine = require("affine")
local test = require("affine.test")
local tiny = dofile("tests/lua/tiny.lua")
local env, fs, trainer = affine.env, affine.fs, affine.trainer
local describe, it, expect = test.describe, test.it, test.expect

local function in_folder(body)
  local folder = fs.tempdir()
  local passed, problem = pcall(body, folder)
  fs.remove(folder, { recursive = true })
  if not passed then
    error(problem, 0)
  end
end

describe("on_step", function()
  it("hears every step of run, with the trainer and the model at hand", function()
    in_folder(function(folder)
      local m, steps, sft = tiny.model(), {}, nil
      sft = trainer.sft(m, {
        data = tiny.records(),
        output_dir = folder,
        max_steps = 3,
        batch_size = 4,
        logging_steps = 0,
        on_step = function(step)
          steps[#steps + 1] = step.step
          expect(sft:evaluate(tiny.records()) > 0):equals(true)
          expect(#m:generate({ "red" }, { max_new_tokens = 1 })):equals(1)
          expect(sft:save()):equals(folder .. "/checkpoint-" .. step.step)
        end,
      })
      sft:run()
      expect(steps):equals { 1, 2, 3 }
    end)
  end)

  it("hears the steps of the iterator too, before the loop's body", function()
    in_folder(function(folder)
      local heard = {}
      local sft = trainer.sft(tiny.model(), {
        data = tiny.records(),
        output_dir = folder,
        max_steps = 2,
        logging_steps = 0,
        on_step = function(step)
          heard[#heard + 1] = "callback " .. step.step
        end,
      })
      for step in sft:steps() do
        heard[#heard + 1] = "body " .. step.step
      end
      expect(heard):equals { "callback 1", "body 1", "callback 2", "body 2" }
    end)
  end)

  it("cannot change the model under the trainer", function()
    in_folder(function(folder)
      local m = tiny.model()
      m:add_lora()
      local sft = trainer.sft(m, {
        data = tiny.records(),
        output_dir = folder,
        max_steps = 1,
        logging_steps = 0,
        on_step = function()
          m:merge_lora()
        end,
      })
      expect(function()
        sft:run()
      end):raises("this model is in use by the call that led here")
    end)
  end)
end)

describe("on_iteration", function()
  it("hears every iteration, and environments may use the trainer that plays them", function()
    in_folder(function(folder)
      local ppo, handle, saved, iterations = nil, nil, 0, {}
      local definition = env.define {
        name = "curious",
        prompt = "Say a letter.",
        reset = function()
          return ""
        end,
        step = function(self, action)
          if saved == 0 then
            saved = saved + 1
            expect(ppo:save()):contains(folder .. "/checkpoint-0")
            expect(handle:describe().name):equals("curious")
            expect(handle:reset(3)):equals("")
            expect(select(2, pcall(ppo.update, ppo, ppo:rollout({ tiny.environment() }, 1)))):contains(
              "this trainer is at work in the call that led here"
            )
          end
          return "", action:match("^%l") and 1 or 0, true
        end,
      }
      handle = env.make(definition)
      ppo = trainer.ppo(tiny.model(), {
        output_dir = folder,
        iterations = 2,
        num_rollouts = 4,
        max_new_tokens = 1,
        on_iteration = function(stats)
          iterations[#iterations + 1] = stats.iteration
          expect(ppo:rollout({ handle }, 2):size()):equals(2)
        end,
      })
      ppo:run { envs = { handle } }
      expect(iterations):equals { 1, 2 }
      expect(saved):equals(1)
    end)
  end)
end)

describe("an environment", function()
  it("may call the handle that called it", function()
    local handle
    handle = env.make(env.define {
      name = "nested",
      prompt = "Go.",
      reset = function(self, task)
        self.task = task.id
        return "task " .. task.id
      end,
      step = function(self, action)
        if action == "again" then
          local observation = handle:step("inside")
          return observation .. ", then " .. handle:describe().name, 1, true
        end
        return action .. " of " .. self.task, 0, false
      end,
    })
    handle:reset(5)
    expect((handle:step("again"))):equals("inside of 5, then nested")
  end)
end)
