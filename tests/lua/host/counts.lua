-- Counts that no machine has room for are errors like any other, told before anything is made for them.
local collect = require("affine.collect")
local env = require("affine.env")
local eval = require("affine.eval")
local fs = require("affine.fs")
local model = require("affine.model")
local path = require("affine.path")
local test = require("affine.test")
local tokenizer = require("affine.tokenizer")
local trainer = require("affine.trainer")
local tiny = dofile("tests/lua/tiny.lua")
local describe, it, expect = test.describe, test.it, test.expect

local folder = fs.tempdir()
local sat = env.make("sat", { n = 3, k = 2 })

local function raises(text, f, ...)
  local arguments = table.pack(...)
  expect(function()
    f(table.unpack(arguments, 1, arguments.n))
  end):raises(text)
end

describe("a count", function()
  it("of tasks is a whole number that a list can have", function()
    local about = { name = "x" }
    for _, count in ipairs { 0 / 0, 1e308, 1 / 0, -1, 1.5, 1 << 40 } do
      raises("collect.task_ids: count: expected an integer", collect.task_ids, about, 0, count, 0)
    end
    raises("collect.task_ids: first: expected an integer", collect.task_ids, about, 1e308, 1, 0)
    raises("about.num_tasks: expected", collect.training_ids, { name = "x", num_tasks = 1 << 50 }, 1 << 50, 5)
    expect(#collect.task_ids(about, 1 << 31, 5, 0)):equals(5)
  end)

  it("of a model's parts is one that this machine holds", function()
    for _, name in ipairs { "num_hidden_layers", "hidden_size", "intermediate_size" } do
      raises("a model of this shape has", model.create, { tokenizer = tiny.tokenizer, [name] = 1e12 })
    end
    raises("max_position_embeddings: expected", model.create, {
      tokenizer = tiny.tokenizer,
      max_position_embeddings = 1e12,
    })
    local m = tiny.model()
    raises("lora_r: expected", m.add_lora, m, { lora_r = 1e12 })
  end)

  it("of episodes is one that is played some day", function()
    local m = tiny.model()
    local ppo = trainer.ppo(m, { output_dir = path.join(folder, "ppo") })
    raises("num_rollouts: expected at most", ppo.rollout, ppo, { sat }, 1e12)
    raises("num_eval_samples: expected at most", eval.run, m, { envs = { sat }, num_eval_samples = 1e12 })
  end)

  it("of tokens may be more than there is text for", function()
    expect(tokenizer.train({ "a b c" }, { vocab_size = 4000000000 }):size() < 300):equals(true)
  end)
end)

fs.remove(folder, { recursive = true })
