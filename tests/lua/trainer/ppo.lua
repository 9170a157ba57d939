-- PPO from a script: whole, iteration by iteration, by hand, with credit of one's own.
local env = require("affine.env")
local fs = require("affine.fs")
local json = require("affine.json")
local path = require("affine.path")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()

-- Some turns; the observation tells which one comes.
local count = env.define {
  name = "count",
  prompt = "Count.",
  options = { turns = 3, hook = print },
  reset = function(self)
    self.turn = 0
    return "one"
  end,
  step = function(self, action)
    self.turn = self.turn + 1
    return "two " .. self.turn, #action % 3 + self.turn, self.turn >= self.options.turns, { turn = self.turn }
  end,
  score_range = { 0, 10 },
  success_threshold = 5,
}

local function adapted()
  local m = tiny.model()
  m:add_lora { lora_r = 4 }
  return m
end

local function ppo(m, name, changes)
  local options = {
    output_dir = path.join(folder, name),
    iterations = 2,
    num_rollouts = 12,
    ppo_epochs = 2,
    minibatch_size = 6,
    learning_rate = 3e-3,
    max_new_tokens = 3,
    save_steps = 1,
    seed = 4,
  }
  for key, value in pairs(changes or {}) do
    options[key] = value
  end
  return trainer.ppo(m, options)
end

local function adapter(name)
  return fs.sha256_file(path.join(folder, name, "adapter_model.safetensors"))
end

describe("trainer.ppo", function()
  it("learns what a Lua environment rewards", function()
    local rewards = {}
    local changes =
      { iterations = 10, num_rollouts = 64, max_new_tokens = 1, learning_rate = 1e-2, gamma = 1 }
    changes.kl_coef, changes.minibatch_size, changes.batch_size = 0, 32, 64
    -- Every weight is trained: below a random head an adapter can do little.
    for it in ppo(tiny.model(), "letters", changes):iterations { env.make(tiny.letters) } do
      rewards[#rewards + 1] = it.reward_mean.letters
    end
    expect(#rewards):equals(10)
    expect(rewards[1] < 0.4):equals(true)
    expect(rewards[10] > 0.8):equals(true)
  end)

  it("runs whole, by iterations and by hand with one result", function()
    local envs = { env.make(count), env.make(tiny.letters) }
    local last = ppo(adapted(), "whole"):run { envs = envs }
    expect(last.iteration):equals(2)
    expect(last.turns_mean):equals { count = 3, letters = 1 }
    expect(last.episodes):equals(24)
    expect(last.sampler_gap < 1e-4):equals(true)

    for _ in ppo(adapted(), "iterations"):iterations(envs) do
    end
    expect(adapter("iterations")):equals(adapter("whole"))

    local m = adapted()
    local by_hand = ppo(m, "by_hand")
    for _ = 1, 2 do
      local batch = by_hand:rollout(envs)
      by_hand:advantages(batch)
      by_hand:update(batch)
    end
    m:save_adapter(path.join(folder, "by_hand"))
    expect(adapter("by_hand")):equals(adapter("whole"))
    -- It is over: nobody goes on past the total by mistake.
    expect(by_hand:iteration()):equals(2)
    expect(select(2, pcall(by_hand.update, by_hand, by_hand:rollout(envs)))):contains(
      "ppo:update: iterations: expected more of them, for another update, got 2 iterations are done"
    )

    local numbers = {}
    local looped = ppo(adapted(), "looped")
    for number in looped:loop() do
      numbers[#numbers + 1] = number
      local batch = looped:rollout(envs)
      looped:advantages(batch)
      looped:update(batch)
    end
    expect(numbers):equals { 1, 2 }
    expect(adapter("looped")):equals(adapter("whole"))
    expect(fs.exists(path.join(folder, "looped", "value_head.safetensors"))):equals(true)
  end)

  it("loops as a run like any other: it saves, logs, resumes, and keeps the script's own table", function()
    local envs = { env.make(count) }
    -- A body that draws on what it keeps, so that a table of another moment would change the weights.
    local function run(name, last, changes)
      local heard = {}
      local options = {
        iterations = 4,
        save_steps = 1,
        save_total_limit = 0,
        on_iteration = function(stats)
          heard[#heard + 1] = stats.iteration
        end,
      }
      for key, value in pairs(changes or {}) do
        options[key] = value
      end
      local looped = ppo(adapted(), name, options)
      local kept = looped:state()
      expect(rawequal(kept, looped:state())):equals(true)
      for number in looped:loop() do
        kept.begun = (kept.begun or 0) + 1
        local batch = looped:rollout(envs)
        for i = 1, batch:size() do
          local advantages = {}
          for t = 1, #batch:sample(i).ids do
            advantages[t] = kept.begun - i / 4
          end
          batch:set_credit(i, advantages)
        end
        looped:update(batch)
        kept.list = { number, { half = number / 2 } }
        if number == last then
          break
        end
      end
      return looped, heard
    end
    local straight, heard = run("loop_straight")
    expect(heard):equals { 1, 2, 3, 4 }
    expect(straight:state()):equals { begun = 4, list = { 4, { half = 2 } } }
    run("loop_halves", 2)
    local state = json.decode(fs.read(path.join(folder, "loop_halves/checkpoint-1/trainer_state.json")))
    expect(state.script):equals { begun = 1, list = { 1, { half = 0.5 } } }
    expect(#state.log_history):equals(1)
    local again, rest = run("loop_halves", nil, { resume = true })
    expect(rest):equals { 3, 4 }
    expect(again:state()):equals { begun = 4, list = { 4, { half = 2 } } }
    expect(adapter("loop_halves")):equals(adapter("loop_straight"))
    for iteration = 1, 4 do
      expect(fs.exists(path.join(folder, "loop_halves/checkpoint-" .. iteration))):equals(true)
    end
  end)

  it("refuses a loop without an update, and a table that no checkpoint can hold", function()
    local envs = { env.make(count) }
    local looped = ppo(adapted(), "idle")
    local _, problem = pcall(function()
      for _ in looped:loop() do
        looped:rollout(envs, 2)
      end
    end)
    expect(problem):contains("the loop's body ended without an update, so the iteration would never end")
    looped:state().odd = { print }
    expect(select(2, pcall(looped.save, looped))):contains(
      "ppo:state().odd[1]: expected a value that JSON has, got function"
    )
  end)

  it("resumes as if it had not stopped", function()
    local envs = { env.make(count) }
    ppo(adapted(), "straight", { iterations = 3 }):run { envs = envs }
    for it in ppo(adapted(), "halves", { iterations = 3 }):iterations(envs) do
      if it.iteration == 1 then
        break
      end
    end
    local first
    local again = ppo(adapted(), "halves", { iterations = 3, resume_from_checkpoint = true })
    for it in again:iterations(envs) do
      first = first or it.iteration
    end
    expect(first):equals(2)
    expect(adapter("halves")):equals(adapter("straight"))
    for _, file in ipairs { "value_head", "optimizer", "reference" } do
      local name = ("checkpoint-3/%s.safetensors"):format(file)
      expect(fs.sha256_file(path.join(folder, "halves", name))):equals(
        fs.sha256_file(path.join(folder, "straight", name))
      )
    end
  end)

  it("does not go on under other options of an environment, a function among them or not", function()
    local function counting(turns)
      return { env.make(count, { turns = turns, hook = error }) }
    end
    local begun = ppo(adapted(), "options")
    for _ in begun:iterations(counting(1)) do
      break
    end
    begun:save()
    local function go_on(turns)
      return ppo(adapted(), "options", { resume_from_checkpoint = true }):run { envs = counting(turns) }
    end
    expect(function()
      go_on(2)
    end):raises("was made with count.turns = 1, this run has 2")
    expect(go_on(1).iteration):equals(2)
  end)

  it("lays a batch open", function()
    local m = adapted()
    local trained = ppo(m, "open")
    local batch = trained:rollout({ env.make(count) }, 5)
    expect(batch:size()):equals(5)
    local episode, sample = batch:episodes()[2], batch:sample(2)
    expect(episode.env):equals("count")
    expect(episode.turns):equals(3)
    expect(episode.ending):equals("terminated")
    expect(#episode.messages):equals(6)
    expect(#sample.ids):equals(#sample.mask)
    expect(#sample.turns):equals(3)
    expect(sample.infos):equals { { turn = 1 }, { turn = 2 }, { turn = 3 } }
    expect(sample.advantages):equals {}

    -- The turns are where the mask is true, the rewards are the environment's.
    local said = 0
    local total = 0 ---@type number
    for k, turn in ipairs(sample.turns) do
      for t = turn[1], turn[2] do
        expect(sample.mask[t]):equals(true)
        expect(sample.logprobs[t] < 0):equals(true)
      end
      said = said + turn[2] - turn[1] + 1
      total = total + sample.rewards[k]
    end
    expect(total):near(episode.reward)
    for _, mine in ipairs(sample.mask) do
      said = said - (mine and 1 or 0)
    end
    expect(said):equals(0)

    trained:advantages(batch)
    expect(#batch:sample(2).advantages):equals(#sample.ids)
    expect(function()
      batch:sample(6)
    end):raises("batch:sample: argument 1 (index): expected 1 to 5, got 6")
  end)

  it("has failed episodes among the samples, at the places that they have among the episodes", function()
    local trained = ppo(adapted(), "broken", { last_task_id = 4 })
    local batch = trained:rollout({
      env.make(env.define {
        name = "broken",
        prompt = "Go on.",
        num_tasks = 5,
        reset = function(self, task)
          self.id = task.id
          return "Well?"
        end,
        step = function(self, action)
          assert(self.id ~= 3, "no such task")
          return "", #action, true
        end,
        score_range = { 0, 100 },
      }),
    }, 5)
    expect(batch:size()):equals(5)
    local seen = {}
    for i, episode in ipairs(batch:episodes()) do
      local sample = batch:sample(i)
      seen[sample.task_id] = sample.ending
      expect({ sample.task_id, sample.ending, sample.reason, sample.reward, sample.score }):equals {
        episode.task_id,
        episode.ending,
        episode.reason,
        episode.reward,
        episode.score,
      }
      expect(sample.messages):equals(episode.messages)
    end
    expect(seen):equals { [0] = "terminated", "terminated", "terminated", "failed", "terminated" }
    trained:advantages(batch)
    expect(trained:update(batch).failed):equals(1)
  end)

  it("takes credit of one's own", function()
    local m = adapted()
    local trained = ppo(m, "credit")
    local batch = trained:rollout({ env.make(tiny.letters) }, 8)
    expect(function()
      trained:update(batch)
    end):raises(
      "one per token, got 0\nhint: call ppo:advantages(batch), or set them, before ppo:update(batch)"
    )
    for i = 1, batch:size() do
      local sample, advantages, returns = batch:sample(i), {}, {}
      for t = 1, #sample.ids do
        advantages[t], returns[t] = i % 2, 0.5
      end
      batch:set_credit(i, advantages, returns)
    end
    expect(batch:sample(1).advantages[1]):equals(1)
    expect(batch:sample(2).returns[3]):equals(0.5)
    local stats = trained:update(batch)
    expect(stats.iteration):equals(1)
    -- Equal returns have no variance to explain.
    expect(stats.explained_variance):equals(nil)
    expect(function()
      batch:set_credit(1, { 1, 2 })
    end):raises("numbers, one per token, got 2")
  end)

  it("tells cut episodes from ended ones, and rewards in their own scale and its unit", function()
    local function stalling(turn_limit)
      return env.make(env.define {
        name = "stalling",
        prompt = "Go on.",
        reset = function()
          return ""
        end,
        step = function()
          return "And?", 25, false
        end,
        max_turns = 2,
        turn_limit = turn_limit,
        score_range = { 0, 100 },
      })
    end
    local trained = ppo(adapted(), "stalling", { value_learning_rate = 1e-2, kl_coef = 0, gamma = 1 })
    for _ in trained:iterations { stalling("task") } do
    end
    for turn_limit, ending in pairs { task = "terminated", outside = "truncated" } do
      local batch = trained:rollout({ stalling(turn_limit) }, 4)
      trained:advantages(batch)
      for i, episode in ipairs(batch:episodes()) do
        local sample = batch:sample(i)
        expect(episode.ending):equals(ending)
        expect({ episode.reward, sample.reward_unit, sample.rewards }):equals { 50, 100, { 25, 25 } }
        expect(sample.bootstrap == 0):equals(turn_limit == "task")
        -- The last token of all: its turn's reward, and what comes after the end.
        local last = sample.turns[2][2]
        expect(sample.returns[last]):near(0.25 + sample.bootstrap)
      end
    end
  end)

  it("refuses to update another policy than the one that played", function()
    local trained = ppo(adapted(), "older", { learning_rate = 1e-2 })
    local first, second = trained:rollout { env.make(count) }, trained:rollout { env.make(count) }
    trained:advantages(first)
    trained:advantages(second)
    local stats = trained:update(first)
    expect(stats.update_gap < 1e-4 and stats.value_grad_norm > 0):equals(true)
    expect(function()
      trained:update(second)
    end):raises("ppo iteration 2: the policy that is updated is not the one that sampled")
    trained:update(first)
    expect(function()
      ppo(adapted(), "none", { max_sampler_gap = "never" })
    end):raises('expected a number or "auto"')
    expect(function()
      ppo(adapted(), "none", { max_sampler_gap = -1 })
    end):raises('max_sampler_gap: expected a number of at least 0, or "auto", got -1')
  end)

  it("asks for environments", function()
    local trained = ppo(adapted(), "none")
    expect(function()
      trained:run { envs = {} }
    end):raises(
      "ppo:run: envs: expected a list of environments that env.make returned, got an empty list"
    )
    expect(function()
      ---@diagnostic disable-next-line: assign-type-mismatch
      trained:rollout { count }
    end):raises("envs: expected a list of environments that env.make returned, got table")
    expect(function()
      ---@diagnostic disable-next-line: missing-fields, param-type-mismatch
      trained:run { env = {} }
    end):raises("ppo:run: env: unknown option")
    expect(function()
      ppo(adapted(), "none", { num_rollouts = { count = 3 } }):run { envs = { env.make(tiny.letters) } }
    end):raises("num_rollouts: expected a number for environment letters, got only count")
  end)
end)

fs.remove(folder, { recursive = true })
