-- Labels: what tells two environments of one name apart, in evaluation, metrics and settings by environment.
local env = require("affine.env")
local eval = require("affine.eval")
local fs = require("affine.fs")
local pipeline = require("affine.pipeline")
local test = require("affine.test")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local function sat(options)
  return env.make("sat", options)
end

local function keys(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local EASY, HARD = { n = 3, k = 2, m = 4 }, { n = 5, k = 2, m = 9 }
local m = tiny.model { max_position_embeddings = 2048 }

describe("a label", function()
  it("is the name where there is no other of it", function()
    expect(env.labels { sat(EASY), env.make("grid") }):equals { "sat", "grid" }
    expect(sat(EASY):describe().label):equals(nil)
  end)

  it("is what env.make was given", function()
    local e = sat { n = 3, k = 2, m = 4, label = "sat-easy" }
    expect({ e:describe().label, e:describe().name }):equals { "sat-easy", "sat" }
    expect(e:reset(1)):equals(sat(EASY):reset(1))
    local own = env.make(tiny.letters, { label = "my letters" })
    expect(env.labels { own, tiny.environment() }):equals { "my letters", "letters" }
  end)

  it("holds the options in which environments of one name differ", function()
    local easy, hard = sat(EASY), sat(HARD)
    expect(env.labels { easy, hard }):equals { "sat(m=4, n=3)", "sat(m=9, n=5)" }
    -- They keep it.
    expect(easy:describe().label):equals("sat(m=4, n=3)")
    local result = eval.run(m, { envs = { easy }, num_eval_samples = 1, max_new_tokens = 1 })
    expect(keys(result.envs)):equals { "sat(m=4, n=3)" }
  end)

  it("is refused where it stands twice, and where nothing tells two environments apart", function()
    expect(function()
      env.labels { sat(EASY), sat(EASY) }
    end):raises('two environments are named "sat", and no option tells them apart')
    expect(function()
      eval.run(m, { envs = { sat { label = "a" }, env.make("grid", { label = "a" }) } })
    end):raises('eval.run: two environments have the label "a"')
    expect(function()
      sat { label = "a/b" }
    end):raises("label: expected 1 to 64 letters")
    expect(function()
      sat { label = 3 }
    end):raises("label: expected a string, got")
    expect(function()
      local reset, step = tiny.letters.reset, tiny.letters.step
      env.define { name = "x", prompt = "x", options = { label = "" }, reset = reset, step = step }
    end):raises("options: `label` is what env.make calls an environment")
  end)
end)

describe("two environments of one name", function()
  it("have a row each", function()
    local easy, hard = sat(EASY), sat { n = 5, k = 2, m = 9, label = "sat-hard" }
    local options = { num_eval_samples = 4, first_task_id = 2000000, max_new_tokens = 3 }
    options.envs = { easy, hard }
    local together = eval.run(m, options)
    expect(keys(together.envs)):equals { "sat", "sat-hard" }
    -- The same numbers as alone, whatever they are called.
    options.envs = { sat(HARD) }
    expect(together.envs["sat-hard"]):equals(eval.run(m, options).envs.sat)
  end)

  it("are apart in PPO's settings, metrics and episodes", function()
    local folder = fs.tempdir()
    local ppo = trainer.ppo(tiny.model { max_position_embeddings = 2048 }, {
      output_dir = folder,
      iterations = 1,
      num_rollouts = { ["sat-easy"] = 2, ["sat-hard"] = 3 },
      max_new_tokens = 2,
    })
    local easy = sat { n = 3, k = 2, m = 4, label = "sat-easy" }
    local hard = sat { n = 5, k = 2, m = 9, label = "sat-hard" }
    local batch, count = ppo:rollout { easy, hard }, {}
    for _, episode in ipairs(batch:episodes()) do
      count[episode.env] = (count[episode.env] or 0) + 1
    end
    expect(count):equals { ["sat-easy"] = 2, ["sat-hard"] = 3 }
    ppo:advantages(batch)
    expect(keys(ppo:update(batch).score_mean)):equals { "sat-easy", "sat-hard" }
    fs.remove(folder, { recursive = true })
  end)

  it("are called by their labels in the pipeline's settings", function()
    local settings = {
      data = {
        environments = { { name = "sat", n = 3, k = 2 }, { name = "affine:sat", n = 5, k = 2 }, "grid" },
        num_samples = { ["sat(n=3)"] = 1, ["sat(n=5)"] = 2, grid = 3 },
        expert_noise = 0,
        min_score = 0,
        base = { num_samples = 1 },
      },
      rl = { num_rollouts = 1 },
    }
    local handles, labels = pipeline.environments(settings)
    expect(labels):equals { "sat(n=3)", "sat(n=5)", "grid" }
    expect(handles[2]:describe().label):equals("sat(n=5)")
    expect(pipeline.by_environment(settings, "data.num_samples", labels[2])):equals(2)
  end)
end)
